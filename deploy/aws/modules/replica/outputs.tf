output "replica" {
  description = "What the ledger's module takes as its replica."
  value = {
    account_id  = data.aws_caller_identity.current.account_id
    bucket_arn  = local.bucket_arn
    kms_key_arn = aws_kms_key.replica.arn
  }
}
