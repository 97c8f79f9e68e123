output "evidence" {
  description = "The evidence bucket's name."
  value       = aws_s3_bucket.evidence.id
}

output "working" {
  description = "The working bucket's name."
  value       = aws_s3_bucket.working.id
}
