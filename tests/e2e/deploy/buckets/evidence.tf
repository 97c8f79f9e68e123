resource "aws_s3_bucket" "evidence" {
  bucket = var.evidence_bucket
  tags   = var.tags

  versioning {
    enabled = true
  }

  object_lock_configuration {
    object_lock_enabled = "Enabled"

    rule {
      default_retention {
        mode = var.retention.mode
        days = var.retention.days
      }
    }
  }

  server_side_encryption_configuration {
    rule {
      bucket_key_enabled = true

      apply_server_side_encryption_by_default {
        sse_algorithm     = "aws:kms"
        kms_master_key_id = var.evidence_key_arn
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.transition == null ? [] : [var.transition]

    content {
      id      = "large-records"
      enabled = true
      prefix  = "${var.prefix}records/"

      transition {
        days          = lifecycle_rule.value.days
        storage_class = lifecycle_rule.value.storage_class
      }
    }
  }

  lifecycle_rule {
    id      = "probes"
    enabled = true
    prefix  = "${var.prefix}probe/"

    expiration {
      days = 1
    }

    noncurrent_version_expiration {
      days = 1
    }
  }

  lifecycle_rule {
    id      = "probe-markers"
    enabled = true
    prefix  = "${var.prefix}probe/"

    expiration {
      expired_object_delete_marker = true
    }
  }

  lifecycle_rule {
    id                                     = "broken-uploads"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 7
  }

  dynamic "replication_configuration" {
    for_each = var.replication == null ? [] : [var.replication]

    content {
      role = replication_configuration.value.role_arn

      rules {
        id       = "evidence"
        priority = 1
        status   = "Enabled"

        filter {
          prefix = var.prefix
        }

        source_selection_criteria {
          sse_kms_encrypted_objects {
            enabled = true
          }
        }

        destination {
          bucket             = replication_configuration.value.bucket_arn
          account_id         = replication_configuration.value.account_id
          replica_kms_key_id = replication_configuration.value.kms_key_arn

          access_control_translation {
            owner = "Destination"
          }
        }
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}
