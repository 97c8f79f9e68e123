# No Object Lock and no versions: what is erased here has to be gone.
resource "aws_s3_bucket" "working" {
  bucket        = var.working_bucket
  force_destroy = false
  tags          = var.tags
}

resource "aws_s3_bucket_ownership_controls" "working" {
  bucket = aws_s3_bucket.working.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "working" {
  bucket = aws_s3_bucket.working.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.working_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "working" {
  bucket = aws_s3_bucket.working.id

  rule {
    id     = "broken-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}
