output "evidence_bucket_policy" {
  description = "The evidence bucket's policy."
  value       = jsonencode(local.evidence_policy)

  precondition {
    condition     = length(jsonencode(local.evidence_policy)) <= 20480
    error_message = "The evidence bucket's policy is longer than the 20 KB that S3 takes: fewer writers, or a second ledger."
  }
}

output "working_bucket_policy" {
  description = "The working bucket's policy."
  value       = jsonencode(local.working_policy)
}

output "key_policies" {
  description = "The keys' policies: evidence, working, log, and record/WRITER for each writer."
  value       = { for key, policy in local.key_policies : key => jsonencode(policy) }
}

output "role_names" {
  description = "The roles' names: writer/WRITER for each writer, auditor, approver, replication."
  value       = local.role_names
}

output "role_arns" {
  description = "The roles' ARNs, by the same keys."
  value       = local.role_arns
}

output "role_policies" {
  description = "What each role may do, by the same keys."
  value = merge(
    { for writer, policy in local.writer_policies : "writer/${writer}" => jsonencode(policy) },
    { for role in ["auditor"] : role => jsonencode(local.auditor_policy) if var.auditors != null },
    { for role in ["approver"] : role => jsonencode(local.approver_policy) if var.approvers != null },
    { for role in ["replication"] : role => jsonencode(local.replication_policy) if var.replica != null },
  )
}

output "trust_policies" {
  description = "Who may take each role, by the same keys."
  value       = { for role, policy in local.trust_policies : role => jsonencode(policy) }
}

output "committers" {
  description = "The writers that hold the log key."
  value       = local.committers

  precondition {
    condition     = var.sequencer == null || contains(keys(var.writers), coalesce(var.sequencer, "-"))
    error_message = "The sequencer is none of the writers."
  }
}

output "retention" {
  description = "The retention that comes of the profile or the days."
  value       = local.retention

  precondition {
    condition     = (var.retention.profile == null) != (var.retention.days == null)
    error_message = "A retention has either a profile or days."
  }
  precondition {
    condition     = var.retention.profile != "sec17a4" || var.retention.mode == "COMPLIANCE"
    error_message = "The profile sec17a4 needs a lock that nobody can lift: mode = \"COMPLIANCE\"."
  }
  precondition {
    condition     = var.retention.profile != "sec17a4" || var.replica != null
    error_message = "The profile sec17a4 asks for a second copy in another account: give a replica."
  }
  precondition {
    condition     = local.retention.most_days >= local.retention.days
    error_message = "most_days is less than what new objects are locked for."
  }
}
