# The keys' policies. IAM policies decide within the account; whose key signs is decided here, and no IAM policy changes it.
locals {
  account_decides = {
    Sid       = "AccountDecides"
    Effect    = "Allow"
    Principal = { AWS = local.account_root }
    Action    = "kms:*"
    Resource  = "*"
  }
  signed_by = merge(
    { for writer, arn in local.writer_arns : "record/${writer}" => [arn] },
    { log = local.committer_arns },
  )
  key_policies = merge(
    {
      for bucket in ["evidence", "working"] : bucket => {
        Version   = "2012-10-17"
        Statement = [local.account_decides]
      }
    },
    {
      for key, arns in local.signed_by : key => {
        Version = "2012-10-17"
        Statement = [
          local.account_decides,
          {
            Sid       = "DenySigningByOthers"
            Effect    = "Deny"
            Principal = "*"
            Action    = "kms:Sign"
            Resource  = "*"
            Condition = { ArnNotLike = { "aws:PrincipalArn" = concat(arns, var.founders) } }
          },
        ]
      }
    },
  )
}
