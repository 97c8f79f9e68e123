# A copy of the evidence in another account, which the first account's administrators can neither change nor remove.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  bucket     = coalesce(var.bucket, "${var.name}-replica")
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${local.bucket}"
}

module "policies" {
  source = "./policies"

  partition         = data.aws_partition.current.partition
  account_id        = data.aws_caller_identity.current.account_id
  bucket            = local.bucket
  source_account_id = var.source_account_id
  source_role       = "${var.role_path}${var.name}-replication"
}

resource "aws_kms_key" "replica" {
  description             = "${var.name}: encrypts the copy of the evidence"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  tags                    = var.tags
  policy                  = module.policies.key_policy

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "replica" {
  bucket              = local.bucket
  object_lock_enabled = true
  force_destroy       = false
  tags                = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "replica" {
  bucket = aws_s3_bucket.replica.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "replica" {
  bucket = aws_s3_bucket.replica.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "replica" {
  bucket = aws_s3_bucket_versioning.replica.bucket

  rule {
    default_retention {
      mode = var.retention.mode
      days = var.retention.days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "replica" {
  bucket = aws_s3_bucket.replica.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.replica.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "replica" {
  bucket = aws_s3_bucket.replica.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "replica" {
  bucket     = aws_s3_bucket.replica.id
  policy     = module.policies.bucket_policy
  depends_on = [aws_s3_bucket_public_access_block.replica]
}
