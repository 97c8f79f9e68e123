# Who may do what with the copy: nothing but functions, as ../../policies is.
terraform {
  required_version = ">= 1.5"
}

variable "partition" {
  description = "The AWS partition."
  type        = string
  default     = "aws"
}

variable "account_id" {
  description = "The copy's account."
  type        = string
}

variable "bucket" {
  description = "The copy's bucket."
  type        = string
}

variable "source_account_id" {
  description = "The ledger's account."
  type        = string
}

variable "source_role" {
  description = "The path and name of the ledger's replication role."
  type        = string
}

locals {
  bucket_arn = "arn:${var.partition}:s3:::${var.bucket}"
  # The role may be made after this: a principal has to exist, a condition on one does not.
  source_account = "arn:${var.partition}:iam::${var.source_account_id}:root"
  source_role    = "arn:${var.partition}:iam::${var.source_account_id}:role${var.source_role}"
}

output "key_policy" {
  description = "The policy of the key that encrypts the copy."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "EncryptCopies"
        Effect    = "Allow"
        Principal = { AWS = local.source_account }
        Action    = ["kms:Encrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = local.source_role } }
      },
    ]
  })
}

output "bucket_policy" {
  description = "The policy of the copy's bucket."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Copies come by replication, and by nothing else.
        Sid       = "DenyChange"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:BypassGovernanceRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject", "s3:ReplicateDelete"]
        Resource  = "${local.bucket_arn}/*"
      },
      {
        Sid       = "DenyCopiesByOthers"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:ReplicateObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = local.source_role } }
      },
      {
        Sid       = "AllowCopies"
        Effect    = "Allow"
        Principal = { AWS = local.source_account }
        Action    = ["s3:ObjectOwnerOverrideToBucketOwner", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource  = "${local.bucket_arn}/*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = local.source_role } }
      },
    ]
  })
}
