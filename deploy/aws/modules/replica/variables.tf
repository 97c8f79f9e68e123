variable "name" {
  description = "The ledger's name in the first account."
  type        = string
}

variable "bucket" {
  description = "The copy's name; null: NAME-replica."
  type        = string
  default     = null
}

variable "source_account_id" {
  description = "The account of the ledger."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.source_account_id))
    error_message = "An account id has 12 digits."
  }
}

variable "role_path" {
  description = "The path of the ledger's roles."
  type        = string
  default     = "/tfaudit/"
}

variable "retention" {
  description = "The default lock of what arrives without one. Records bring their own."
  type = object({
    mode = optional(string, "GOVERNANCE")
    days = number
  })

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention.mode)
    error_message = "The mode is GOVERNANCE or COMPLIANCE."
  }
}

variable "tags" {
  description = "Tags of everything that takes them."
  type        = map(string)
  default     = {}
}
