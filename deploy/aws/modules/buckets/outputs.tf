output "evidence" {
  description = "The evidence bucket's name, known once its lock is set."
  value       = aws_s3_bucket_object_lock_configuration.evidence.bucket
}

output "working" {
  description = "The working bucket's name."
  value       = aws_s3_bucket.working.id
}
