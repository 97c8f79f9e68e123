# Statements and conditions that more than one policy has.
locals {
  buckets = {
    evidence = { arn = local.evidence_arn, key = var.key_arns.evidence }
    working  = { arn = local.working_arn, key = var.key_arns.working }
  }

  # An empty list has to be no condition at all: "unless none of these" is not what AWS makes of it.
  unless_keeper = {
    for name, condition in { Condition = { ArnNotLike = { "aws:PrincipalArn" = local.keeper_arns } } } :
    name => condition if length(local.keeper_arns) > 0
  }

  # A request that names no encryption gets the bucket's default. One that names another is refused.
  other_encryption = {
    for bucket, its in local.buckets : bucket => [
      for sid, condition in {
        DenyOtherEncryption = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
        DenyOtherKey = {
          Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = its.key }
        }
        DenyCustomerKey = {
          Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" }
        }
        } : {
        Sid       = sid
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${its.arn}/*"
        Condition = condition
      }
    ]
  }

  # Who may not change the bucket's settings: the module's own roles, or everyone but the administrators.
  settings = {
    for bucket, its in local.buckets : bucket => [
      {
        Sid       = "DenySettings"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "s3:DeleteBucket",
          "s3:DeleteBucketPolicy",
          "s3:PutBucketAcl",
          "s3:PutBucketObjectLockConfiguration",
          "s3:PutBucketOwnershipControls",
          "s3:PutBucketPolicy",
          "s3:PutBucketPublicAccessBlock",
          "s3:PutBucketVersioning",
          "s3:PutEncryptionConfiguration",
          "s3:PutLifecycleConfiguration",
          "s3:PutReplicationConfiguration",
        ]
        Resource = its.arn
        Condition = {
          for operator, arns in {
            ArnLike    = [for pattern in local.role_patterns : pattern if length(var.administrators) == 0]
            ArnNotLike = var.administrators
          } : operator => { "aws:PrincipalArn" = arns } if length(arns) > 0
        }
      }
    ]
  }
}
