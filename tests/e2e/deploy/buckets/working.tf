resource "aws_s3_bucket" "working" {
  bucket = var.working_bucket
  tags   = var.tags

  server_side_encryption_configuration {
    rule {
      bucket_key_enabled = true

      apply_server_side_encryption_by_default {
        sse_algorithm     = "aws:kms"
        kms_master_key_id = var.working_key_arn
      }
    }
  }

  lifecycle_rule {
    id                                     = "broken-uploads"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 7
  }
}
