variable "partition" {
  description = "The AWS partition: aws, aws-cn, aws-us-gov."
  type        = string
  default     = "aws"
}

variable "dns_suffix" {
  description = "The partition's DNS suffix, for kms:ViaService."
  type        = string
  default     = "amazonaws.com"
}

variable "region" {
  description = "The region of the buckets and keys."
  type        = string
}

variable "account_id" {
  description = "The account of the buckets, keys and roles."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has 12 digits."
  }
}

variable "name" {
  description = "What the names of roles and keys begin with."
  type        = string
}

variable "role_path" {
  description = "The path of the roles."
  type        = string
  default     = "/tfaudit/"
}

variable "prefix" {
  description = "The ledger's prefix in both buckets, without slashes at its ends; empty for none."
  type        = string
  default     = "ledger"
}

variable "evidence_bucket" {
  description = "The name of the bucket with Object Lock."
  type        = string
}

variable "working_bucket" {
  description = "The name of the bucket of disclosures and derived objects."
  type        = string
}

variable "key_arns" {
  description = "The keys: evidence and working encrypt, log signs checkpoints, record has one a writer."
  type = object({
    evidence = string
    working  = string
    log      = string
    record   = map(string)
  })
}

variable "retention" {
  description = "How long objects are locked, and in which mode; see the root module."
  type = object({
    profile   = optional(string)
    days      = optional(number)
    mode      = optional(string, "GOVERNANCE")
    most_days = optional(number)
  })
  default = { profile = "soc2" }
}

variable "writers" {
  description = "The roles that write records, by the prefix of each; see the root module."
  type = map(object({
    read_disclosures = optional(bool, true)
    keeper           = optional(bool, false)
    principals       = optional(list(string), [])
    github = optional(list(object({
      repository       = string
      owner_id         = optional(string)
      repository_id    = optional(string)
      environment      = optional(string)
      branch           = optional(string)
      job_workflow_ref = optional(string)
      subject          = optional(string)
    })), [])
    gitlab = optional(list(object({
      project     = string
      project_id  = optional(string)
      ref_type    = optional(string, "branch")
      ref         = string
      environment = optional(string)
      subject     = optional(string)
    })), [])
  }))
}

variable "sequencer" {
  description = "The one writer that holds the log key; null: every writer holds it."
  type        = string
  default     = null
}

variable "auditors" {
  description = "Who may take the auditor's role, and whether it may read disclosed values; null: there is no such role."
  type = object({
    principals  = list(string)
    external_id = optional(string)
    disclosures = optional(bool, false)
  })
  default = null
}

variable "approvers" {
  description = "Who may take the role that approves: it creates records under records/people/ alone; null: there is no such role."
  type = object({
    principals  = list(string)
    external_id = optional(string)
  })
  default = null
}

variable "founders" {
  description = "ARN patterns of those who may write as any writer, while a ledger is made or migrated."
  type        = list(string)
  default     = []
}

variable "administrators" {
  description = "ARN patterns of those who may change the buckets' settings; empty: everyone but the module's own roles."
  type        = list(string)
  default     = []
}

variable "oidc" {
  description = "Issuer (without https://) and audience of GitHub's and GitLab's tokens."
  type = object({
    github_issuer   = optional(string, "token.actions.githubusercontent.com")
    github_audience = optional(string, "sts.amazonaws.com")
    gitlab_issuer   = optional(string, "gitlab.com")
    gitlab_audience = optional(string, "sts.amazonaws.com")
  })
  default = {}
}

variable "replica" {
  description = "The bucket in another account that evidence is copied to; null: none."
  type = object({
    account_id  = string
    bucket_arn  = string
    kms_key_arn = string
  })
  default = null
}

variable "delivery" {
  description = "Where writers deliver copies of the records to; see the root module."
  type = object({
    cloudtrail_lake = optional(list(string), [])
    cloudwatch_logs = optional(list(string), [])
    eventbridge     = optional(list(string), [])
    sns             = optional(list(string), [])
    s3              = optional(list(string), [])
    roles           = optional(list(string), [])
    secrets         = optional(list(string), [])
    keys            = optional(list(string), [])
  })
  default = {}
}
