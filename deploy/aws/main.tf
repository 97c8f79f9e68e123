# A tfaudit ledger on S3: two buckets, their keys and policies, and a role for everyone who writes or reads.
#
# What is decided stands in modules/policies, without any resource; what is made stands here, and in modules/buckets.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  evidence_bucket = coalesce(var.evidence_bucket, "${var.name}-evidence")
  working_bucket  = coalesce(var.working_bucket, "${var.name}-working")
  region          = data.aws_region.current.id
}

module "policies" {
  source = "./modules/policies"

  partition       = data.aws_partition.current.partition
  dns_suffix      = data.aws_partition.current.dns_suffix
  region          = local.region
  account_id      = data.aws_caller_identity.current.account_id
  name            = var.name
  role_path       = var.role_path
  prefix          = var.prefix
  evidence_bucket = local.evidence_bucket
  working_bucket  = local.working_bucket
  key_arns = {
    evidence = aws_kms_key.evidence.arn
    working  = aws_kms_key.working.arn
    log      = aws_kms_key.log.arn
    record   = { for writer, key in aws_kms_key.record : writer => key.arn }
  }
  retention      = var.retention
  writers        = var.writers
  sequencer      = var.sequencer
  auditors       = var.auditors
  approvers      = var.approvers
  founders       = var.founders
  administrators = var.administrators
  oidc           = var.oidc
  replica        = var.replica
  delivery       = var.delivery
}

module "buckets" {
  source = "./modules/buckets"

  evidence_bucket  = local.evidence_bucket
  working_bucket   = local.working_bucket
  evidence_key_arn = aws_kms_key.evidence.arn
  working_key_arn  = aws_kms_key.working.arn
  prefix           = var.prefix == "" ? "" : "${var.prefix}/"
  retention        = { mode = module.policies.retention.mode, days = module.policies.retention.days }
  transition       = var.transition
  replication      = var.replica == null ? null : merge(var.replica, { role_arn = aws_iam_role.role["replication"].arn })
  tags             = var.tags
}

resource "aws_s3_bucket_public_access_block" "evidence" {
  bucket = module.buckets.evidence

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_public_access_block" "working" {
  bucket = module.buckets.working

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# S3 takes one change of a bucket's access at a time.
resource "aws_s3_bucket_policy" "evidence" {
  bucket     = module.buckets.evidence
  policy     = module.policies.evidence_bucket_policy
  depends_on = [aws_s3_bucket_public_access_block.evidence]
}

resource "aws_s3_bucket_policy" "working" {
  bucket     = module.buckets.working
  policy     = module.policies.working_bucket_policy
  depends_on = [aws_s3_bucket_public_access_block.working]
}
