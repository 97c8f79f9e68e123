# Two keys that encrypt, and one that signs for each writer and for the log. The root key of the ledger is not among
# them: it is kept away from AWS.
resource "aws_kms_key" "evidence" {
  description             = "${var.name}: encrypts the evidence. Whoever deletes it deletes the ledger."
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = module.policies.key_policies["evidence"]
  tags                    = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_key" "working" {
  description             = "${var.name}: encrypts disclosures"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  policy                  = module.policies.key_policies["working"]
  tags                    = var.tags
}

resource "aws_kms_key" "log" {
  description              = "${var.name}: signs checkpoints"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = 30
  policy                   = module.policies.key_policies["log"]
  tags                     = var.tags
}

resource "aws_kms_key" "record" {
  for_each = var.writers

  description              = "${var.name}: signs the records of ${each.key}"
  key_usage                = "SIGN_VERIFY"
  customer_master_key_spec = "ECC_NIST_P256"
  deletion_window_in_days  = 30
  policy                   = module.policies.key_policies["record/${each.key}"]
  tags                     = var.tags
}

resource "aws_kms_alias" "key" {
  for_each = merge(
    {
      evidence = aws_kms_key.evidence.key_id
      working  = aws_kms_key.working.key_id
      log      = aws_kms_key.log.key_id
    },
    { for writer, key in aws_kms_key.record : "record-${writer}" => key.key_id },
  )

  name          = "alias/${var.name}-${each.key}"
  target_key_id = each.value
}
