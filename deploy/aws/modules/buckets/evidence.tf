resource "aws_s3_bucket" "evidence" {
  bucket              = var.evidence_bucket
  object_lock_enabled = true
  force_destroy       = false
  tags                = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  bucket = aws_s3_bucket_versioning.evidence.bucket

  rule {
    default_retention {
      mode = var.retention.mode
      days = var.retention.days
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  rule {
    # One call to KMS for many objects in place of one for each.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.evidence_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "evidence" {
  bucket = aws_s3_bucket_versioning.evidence.bucket

  # Cheaper classes bill at least 128 KB an object, so that a record of 3 KB would cost more there.
  transition_default_minimum_object_size = "all_storage_classes_128K"

  dynamic "rule" {
    for_each = var.transition == null ? [] : [var.transition]

    content {
      id     = "large-records"
      status = "Enabled"

      filter {
        and {
          prefix                   = "${var.prefix}records/"
          object_size_greater_than = 131072
        }
      }

      transition {
        days          = rule.value.days
        storage_class = rule.value.storage_class
      }
    }
  }

  # What doctor leaves. Its lock is over after minutes.
  rule {
    id     = "probes"
    status = "Enabled"

    filter {
      prefix = "${var.prefix}probe/"
    }

    expiration {
      days = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "probe-markers"
    status = "Enabled"

    filter {
      prefix = "${var.prefix}probe/"
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "broken-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_replication_configuration" "evidence" {
  count = var.replication == null ? 0 : 1

  bucket = aws_s3_bucket_versioning.evidence.bucket
  role   = var.replication.role_arn

  rule {
    id       = "evidence"
    priority = 1
    status   = "Enabled"

    filter {
      prefix = var.prefix
    }

    # A marker that someone manages to put here must not hide the copy too.
    delete_marker_replication {
      status = "Disabled"
    }

    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }

    destination {
      bucket  = var.replication.bucket_arn
      account = var.replication.account_id

      access_control_translation {
        owner = "Destination"
      }

      encryption_configuration {
        replica_kms_key_id = var.replication.kms_key_arn
      }
    }
  }
}
