# The working bucket's policy. Nothing is locked there, since a disclosure must be erasable; but only by its keepers.
locals {
  reader_arns = concat(
    [for writer, its in var.writers : local.writer_arns[writer] if its.read_disclosures],
    [for arn in local.auditor_arns : arn if try(var.auditors.disclosures, false)],
    local.approver_arns,
    local.keeper_arns,
    var.founders,
  )

  working_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "DenyWithoutTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.working_arn, "${local.working_arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "DenyOldTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [local.working_arn, "${local.working_arn}/*"]
          Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
        },
        {
          Sid       = "DenyReadByOthers"
          Effect    = "Deny"
          Principal = "*"
          Action    = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource  = "${local.working}disclosures/*"
          Condition = { ArnNotLike = { "aws:PrincipalArn" = local.reader_arns } }
        },
        {
          Sid       = "DenyOverwrittenDisclosure"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = "${local.working}disclosures/*"
          Condition = merge(
            {
              Null = { "s3:if-none-match" = "true" }
              Bool = { "s3:ObjectCreationOperation" = "true" }
            },
            try(local.unless_keeper.Condition, {}),
          )
        },
        merge(
          {
            Sid       = "DenyErasure"
            Effect    = "Deny"
            Principal = "*"
            Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
            Resource  = "${local.working}disclosures/*"
          },
          local.unless_keeper,
        ),
      ],
      local.other_encryption["working"],
      local.settings["working"],
    )
  }
}
