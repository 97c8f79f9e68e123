variable "evidence_bucket" {
  description = "The name of the bucket with Object Lock."
  type        = string
}

variable "working_bucket" {
  description = "The name of the bucket of disclosures and derived objects."
  type        = string
}

variable "evidence_key_arn" {
  description = "The KMS key that encrypts evidence."
  type        = string
}

variable "working_key_arn" {
  description = "The KMS key that encrypts disclosures."
  type        = string
}

variable "prefix" {
  description = "The ledger's prefix, empty or ending in a slash."
  type        = string
}

variable "retention" {
  description = "The default lock of new objects."
  type = object({
    mode = string
    days = number
  })
}

variable "transition" {
  description = "The class that records of more than 128 KB go to, and after how many days; null: none."
  type = object({
    storage_class = string
    days          = number
  })
  default = null
}

variable "replication" {
  description = "Where evidence is copied to, and by which role; null: nowhere."
  type = object({
    role_arn    = string
    account_id  = string
    bucket_arn  = string
    kms_key_arn = string
  })
  default = null
}

variable "tags" {
  description = "Tags of the buckets."
  type        = map(string)
  default     = {}
}
