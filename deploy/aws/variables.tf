variable "name" {
  description = "What the names of buckets, keys and roles begin with, such as acme-tfaudit."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "The name has 3 to 32 lower-case letters, digits and hyphens."
  }
}

variable "prefix" {
  description = "The ledger's prefix in both buckets; empty for none."
  type        = string
  default     = "ledger"

  validation {
    condition     = var.prefix == "" || can(regex("^[a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*$", var.prefix))
    error_message = "The prefix has letters, digits, - and _, with slashes between but not around them."
  }
}

variable "evidence_bucket" {
  description = "The name of the bucket with Object Lock; null: NAME-evidence."
  type        = string
  default     = null
}

variable "working_bucket" {
  description = "The name of the bucket of disclosures and derived objects; null: NAME-working."
  type        = string
  default     = null
}

variable "retention" {
  description = <<-EOT
    How long every object is locked: by a profile (soc2, pci: 2 years; hipaa, sec17a4: 6; sox: 7) or by days.
    mode: GOVERNANCE, or COMPLIANCE, which nobody can lift, not even the account's root. most_days: the longest that a
    lock may be set for; a month more than new objects get, unless given.
  EOT
  type = object({
    profile   = optional(string)
    days      = optional(number)
    mode      = optional(string, "GOVERNANCE")
    most_days = optional(number)
  })
  default = { profile = "soc2" }

  validation {
    condition     = var.retention.profile == null || contains(["soc2", "pci", "hipaa", "sox", "sec17a4"], coalesce(var.retention.profile, "-"))
    error_message = "The profile is soc2, pci, hipaa, sox or sec17a4."
  }
  validation {
    condition     = (var.retention.profile == null) != (var.retention.days == null)
    error_message = "A retention has either a profile or days."
  }
  validation {
    condition     = try(var.retention.days >= 1 && var.retention.days <= 36500 && floor(var.retention.days) == var.retention.days, var.retention.days == null)
    error_message = "The days are a whole number from 1 to 36500."
  }
  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention.mode)
    error_message = "The mode is GOVERNANCE or COMPLIANCE."
  }
}

variable "writers" {
  description = <<-EOT
    Who writes records. The key is the writer's name and prefix, `writer` in tfaudit.toml; each has a role and a record
    key of its own, and may create objects under records/WRITER/ alone.

    github: jobs that may take the role, by repository ("owner/name") and either environment or branch, or by the whole
      subject of their token. owner_id and repository_id, together, for the immutable form of the subject, which
      repositories made since July 2026 have. job_workflow_ref: only jobs of that reusable workflow.
    gitlab: the same by project ("group/project") and ref. project_id and environment where the project's subject has
      these components.
    principals: ARN patterns of IAM roles or users that may take the role, for people.
    read_disclosures: whether the role may read recorded values, which it writes in any case.
    keeper: whether the role may also hold and release runs, extend locks, prune what is past them, and erase values.
      Not for CI.
  EOT
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

  validation {
    condition     = length(var.writers) > 0
    error_message = "A ledger needs a writer."
  }
  validation {
    condition     = alltrue([for writer in keys(var.writers) : can(regex("^[a-z0-9][a-z0-9-]{0,25}$", writer))])
    error_message = "A writer's name has at most 26 lower-case letters, digits and hyphens."
  }
  validation {
    condition     = alltrue([for its in values(var.writers) : length(its.github) + length(its.gitlab) + length(its.principals) > 0])
    error_message = "Each writer needs someone who may take its role: github, gitlab or principals."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.writers) : [
      for trust in its.github : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", trust.repository))
    ]]))
    error_message = "A repository is \"owner/name\", without wildcards."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.writers) : [
      for trust in its.github : length([for each in [trust.environment, trust.branch, trust.subject] : each if each != null]) == 1
    ]]))
    error_message = "GitHub's jobs are trusted by an environment, a branch or the whole subject: exactly one of them."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.writers) : [
      for trust in its.github : (trust.owner_id == null) == (trust.repository_id == null) &&
      can(regex("^[0-9]+$", coalesce(trust.owner_id, "0"))) && can(regex("^[0-9]+$", coalesce(trust.repository_id, "0")))
    ]]))
    error_message = "owner_id and repository_id are numbers, and belong together."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.writers) : [
      for trust in its.gitlab : can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", trust.project)) &&
      contains(["branch", "tag"], trust.ref_type)
    ]]))
    error_message = "A project is \"group/project\", without wildcards; ref_type is branch or tag."
  }
  validation {
    condition = alltrue(flatten([for its in values(var.writers) : [
      for text in concat(
        flatten([for trust in its.github : [trust.environment, trust.branch, trust.job_workflow_ref, trust.subject]]),
        flatten([for trust in its.gitlab : [trust.ref, trust.environment, trust.subject]]),
      ) : length(regexall("[*?]", text == null ? "" : text)) == 0
    ]]))
    error_message = "Trust has no wildcards: they would be compared letter by letter."
  }
  validation {
    condition     = alltrue(flatten([for its in values(var.writers) : [for arn in its.principals : can(regex("^arn:[^:]+:(iam|sts)::[0-9]{12}:.+$", arn))]]))
    error_message = "Principals are ARNs with an account id; only what follows it may be a pattern."
  }
}

variable "sequencer" {
  description = "The name of the one writer that holds the log key, for a scheduled `tfaudit sequence`; null: every writer commits."
  type        = string
  default     = null
}

variable "auditors" {
  description = "ARN patterns of those who may take the read-only role, with an external id where wanted; disclosures: whether it may read recorded values. null: no such role."
  type = object({
    principals  = list(string)
    external_id = optional(string)
    disclosures = optional(bool, false)
  })
  default = null

  validation {
    condition     = try(alltrue([for arn in var.auditors.principals : can(regex("^arn:[^:]+:(iam|sts)::[0-9]{12}:.+$", arn))]), var.auditors == null)
    error_message = "Auditors are ARNs with an account id; only what follows it may be a pattern."
  }
}

variable "approvers" {
  description = "ARN patterns of the people who may take the role that approves, with an external id where wanted: it reads the ledger and its values, and creates records under records/people/ alone. null: no such role."
  type = object({
    principals  = list(string)
    external_id = optional(string)
  })
  default = null

  validation {
    condition     = try(alltrue([for arn in var.approvers.principals : can(regex("^arn:[^:]+:(iam|sts)::[0-9]{12}:.+$", arn))]), var.approvers == null)
    error_message = "Approvers are ARNs with an account id; only what follows it may be a pattern."
  }
  validation {
    condition     = try(length(var.approvers.principals) > 0, var.approvers == null)
    error_message = "The approvers' role needs someone who may take it."
  }
}

variable "founders" {
  description = "ARN patterns of those who may write as any writer, while a ledger is set up or migrated; take them out afterwards."
  type        = list(string)
  default     = []
}

variable "administrators" {
  description = "ARN patterns of those who may change the buckets' settings. Empty: everyone whose IAM policy says so, but none of this module's roles. Whoever runs this module must be among them."
  type        = list(string)
  default     = []
}

variable "create_oidc_providers" {
  description = "Whether to make the account's OIDC providers for the issuers in use."
  type        = bool
  default     = true
}

variable "oidc" {
  description = "Issuers (without https://) and audiences. thumbprints: of use for issuers with a private certificate authority only; AWS passes over them for others."
  type = object({
    github_issuer   = optional(string, "token.actions.githubusercontent.com")
    github_audience = optional(string, "sts.amazonaws.com")
    gitlab_issuer   = optional(string, "gitlab.com")
    gitlab_audience = optional(string, "sts.amazonaws.com")
    thumbprints     = optional(list(string), ["ffffffffffffffffffffffffffffffffffffffff"])
  })
  default = {}

  validation {
    condition     = alltrue([for issuer in [var.oidc.github_issuer, var.oidc.gitlab_issuer] : !can(regex("^https?:", issuer))])
    error_message = "Issuers are given without https://."
  }
}

variable "replica" {
  description = "A bucket in another account, made by modules/replica, that evidence is copied to; null: none."
  type = object({
    account_id  = string
    bucket_arn  = string
    kms_key_arn = string
  })
  default = null
}

variable "delivery" {
  description = <<-EOT
    The sinks on AWS that every writer's role may deliver to, and nothing else there. cloudtrail_lake: ARNs of channels;
    cloudwatch_logs: of log groups; eventbridge: of buses; sns: of topics; s3: "bucket" or "bucket/prefix" of plain
    copies. roles: ARNs of roles that are taken for it, as for another account. secrets: ARNs of what sinks find in
    Secrets Manager, of which the last characters may be "-*". keys: ARNs of the keys that encrypt topics, copies, secrets.
  EOT
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

  validation {
    condition = alltrue([
      for kind, arns in {
        "cloudtrail:[a-z0-9-]+:[0-9]{12}:channel/[A-Za-z0-9-]+"              = var.delivery.cloudtrail_lake
        "logs:[a-z0-9-]+:[0-9]{12}:log-group:[.\\-_/#A-Za-z0-9]+(:[*])?"     = var.delivery.cloudwatch_logs
        "events:[a-z0-9-]+:[0-9]{12}:event-bus/[.\\-_/A-Za-z0-9]+"           = var.delivery.eventbridge
        "sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\\.fifo)?"                  = var.delivery.sns
        "iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+"                           = var.delivery.roles
        "secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+[*]?" = var.delivery.secrets
        "kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"                         = var.delivery.keys
      } : alltrue([for arn in arns : can(regex("^arn:aws[a-z-]*:${kind}$", arn))])
    ])
    error_message = "Sinks are named by their ARNs, each under its kind and without wildcards."
  }
  validation {
    condition     = alltrue([for place in var.delivery.s3 : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]+)*$", place))])
    error_message = "A copy's place is \"bucket\" or \"bucket/prefix\"."
  }
}

variable "transition" {
  description = "The class that records of more than 128 KB go to, and after how many days; null: they stay. Every class here can be read at once, as verify does."
  type = object({
    storage_class = optional(string, "INTELLIGENT_TIERING")
    days          = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.transition == null || contains(["INTELLIGENT_TIERING", "STANDARD_IA", "GLACIER_IR"], try(var.transition.storage_class, ""))
    error_message = "The class is INTELLIGENT_TIERING, STANDARD_IA or GLACIER_IR: others can't be read without restoring."
  }
  validation {
    condition     = try(var.transition.storage_class != "STANDARD_IA" || var.transition.days >= 30, var.transition == null)
    error_message = "Nothing goes to STANDARD_IA before 30 days."
  }
}

variable "genesis" {
  description = "The trust anchor that `tfaudit setup` told (sha256:...), for output tfaudit_toml."
  type        = string
  default     = null

  validation {
    condition     = var.genesis == null || can(regex("^sha256:[0-9a-f]{64}$", var.genesis))
    error_message = "The trust anchor is sha256: and 64 hexadecimal digits."
  }
}

variable "role_path" {
  description = "The path of the roles."
  type        = string
  default     = "/tfaudit/"
}

variable "permissions_boundary" {
  description = "The ARN of a permissions boundary for the roles."
  type        = string
  default     = null
}

variable "max_session_seconds" {
  description = "How long a session of a role may last: as long as the longest apply."
  type        = number
  default     = 3600
}

variable "tags" {
  description = "Tags of everything that takes them."
  type        = map(string)
  default     = {}
}
