# The evidence bucket's policy: what nobody may do there, whatever another policy allows.
#
# Object Lock keeps a version's bytes. It stops neither a delete marker nor a new version on top, and in GOVERNANCE mode
# some may lift it; and it knows nothing of prefixes. That is what stands here.
locals {
  evidence_everywhere = [
    {
      Sid       = "DenyWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.evidence_arn, "${local.evidence_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
    {
      Sid       = "DenyOldTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.evidence_arn, "${local.evidence_arn}/*"]
      Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
    },
    {
      # A marker on top of an object: it would count as absent to a conditional create.
      Sid       = "DenyDelete"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:DeleteObject"
      Resource  = "${local.evidence_arn}/*"
    },
    merge(
      {
        Sid       = "DenyDeleteVersion"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:DeleteObjectVersion"
        Resource  = "${local.evidence_arn}/*"
      },
      local.unless_keeper,
    ),
    merge(
      {
        Sid       = "DenyLegalHold"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObjectLegalHold"
        Resource  = "${local.evidence_arn}/*"
      },
      local.unless_keeper,
    ),
    {
      Sid       = "DenyBypassRetention"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:BypassGovernanceRetention"
      Resource  = "${local.evidence_arn}/*"
    },
    {
      # Object creation is PutObject, CopyObject and CompleteMultipartUpload. Starting a multipart upload and its parts
      # take no condition, and create no object.
      Sid       = "DenyUnconditionalPut"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "${local.evidence_arn}/*"
      Condition = {
        Null = { "s3:if-none-match" = "true" }
        Bool = { "s3:ObjectCreationOperation" = "true" }
      }
    },
    {
      Sid       = "DenyUnknownKeys"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      NotResource = concat(
        ["${local.evidence}genesis.json", "${local.evidence}probe/*"],
        local.committed,
        values(local.own_records),
      )
    },
  ]

  # Each is in force only where the request says something: without, the bucket's default lock and key hold.
  evidence_locks = [
    {
      Sid       = "DenyOtherLockMode"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:PutObject", "s3:PutObjectRetention"]
      Resource  = local.locked
      Condition = {
        Null            = { "s3:object-lock-mode" = "false" }
        StringNotEquals = { "s3:object-lock-mode" = local.retention.mode }
      }
    },
    {
      Sid       = "DenyShortRetention"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = local.locked
      Condition = { NumericLessThan = { "s3:object-lock-remaining-retention-days" = tostring(local.retention.least_days) } }
    },
    {
      # Nobody else's mistake shall bind, and cost, for a hundred years.
      Sid       = "DenyLongRetention"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["s3:PutObject", "s3:PutObjectRetention"]
      Resource  = "${local.evidence_arn}/*"
      Condition = { NumericGreaterThan = { "s3:object-lock-remaining-retention-days" = tostring(local.retention.most_days) } }
    },
  ]

  evidence_writers = concat(
    [
      {
        Sid       = "DenyGenesisByRoles"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.evidence}genesis.json"
        Condition = { ArnLike = { "aws:PrincipalArn" = local.role_patterns } }
      },
      {
        Sid       = "DenyCommitsByOthers"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = local.committed
        Condition = { ArnNotLike = { "aws:PrincipalArn" = concat(local.committer_arns, var.founders) } }
      },
    ],
    [
      # A keeper that prunes puts a record's first line back in its place.
      for index, prefix in keys(local.record_arns) : {
        Sid       = "DenyRecordsByOthers${index}"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = local.own_records[prefix]
        Condition = { ArnNotLike = { "aws:PrincipalArn" = distinct(concat(local.record_arns[prefix], local.keeper_arns, var.founders)) } }
      }
    ],
  )

  evidence_policy = {
    Version = "2012-10-17"
    Statement = concat(
      local.evidence_everywhere,
      local.evidence_locks,
      local.other_encryption["evidence"],
      local.evidence_writers,
      local.settings["evidence"],
    )
  }
}
