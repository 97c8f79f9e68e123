output "ledger" {
  description = "Where the ledger is."
  value       = "s3://${module.buckets.evidence}${var.prefix == "" ? "" : "/${var.prefix}"}"
}

output "working" {
  description = "Where the working store is."
  value       = "s3://${module.buckets.working}${var.prefix == "" ? "" : "/${var.prefix}"}"
}

output "role_arns" {
  description = "The roles: writer/WRITER for each writer, auditor, approver, replication."
  value       = { for key, role in aws_iam_role.role : key => role.arn }
}

output "key_arns" {
  description = "The keys: evidence, working, log, and record/WRITER for each writer."
  value = merge(
    { evidence = aws_kms_key.evidence.arn, working = aws_kms_key.working.arn, log = aws_kms_key.log.arn },
    { for writer, key in aws_kms_key.record : "record/${writer}" => key.arn },
  )
}

output "tfaudit_toml" {
  description = "A tfaudit.toml for each writer."
  value = {
    for writer in keys(var.writers) : writer => templatefile("${path.module}/tfaudit.toml.tftpl", {
      ledger    = "s3://${local.evidence_bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"
      working   = "s3://${local.working_bucket}${var.prefix == "" ? "" : "/${var.prefix}"}"
      writer    = writer
      genesis   = var.genesis
      region    = local.region
      retention = module.policies.retention
      record    = aws_kms_key.record[writer].arn
      log       = contains(module.policies.committers, writer) ? aws_kms_key.log.arn : null
    })
  }
}
