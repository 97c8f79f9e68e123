# Names that everything else is made of. Roles' ARNs are put together from their names, so that the keys' policies can
# name roles whose own policies name the keys; nothing of what the keys need may depend on var.key_arns.
locals {
  evidence_arn = "arn:${var.partition}:s3:::${var.evidence_bucket}"
  working_arn  = "arn:${var.partition}:s3:::${var.working_bucket}"
  in_bucket    = var.prefix == "" ? "" : "${var.prefix}/"
  evidence     = "${local.evidence_arn}/${local.in_bucket}"
  working      = "${local.working_arn}/${local.in_bucket}"
  account_root = "arn:${var.partition}:iam::${var.account_id}:root"

  role_names = merge(
    { for writer in keys(var.writers) : "writer/${writer}" => "${var.name}-writer-${writer}" },
    { for name in ["auditor"] : name => "${var.name}-auditor" if var.auditors != null },
    { for name in ["approver"] : name => "${var.name}-approver" if var.approvers != null },
    { for name in ["replication"] : name => "${var.name}-replication" if var.replica != null },
  )
  role_arns = {
    for key, name in local.role_names : key => "arn:${var.partition}:iam::${var.account_id}:role${var.role_path}${name}"
  }
  # For denials only: one pattern for all writers is shorter than their names, and one that fits too many is safe there.
  role_patterns = concat(
    ["arn:${var.partition}:iam::${var.account_id}:role${var.role_path}${var.name}-writer-*"],
    [for key, arn in local.role_arns : arn if !startswith(key, "writer/")],
  )
  writer_arns    = { for writer in keys(var.writers) : writer => local.role_arns["writer/${writer}"] }
  committers     = var.sequencer == null ? keys(var.writers) : [var.sequencer]
  committer_arns = [for writer in local.committers : lookup(local.writer_arns, writer, "")]
  keeper_arns    = [for writer, its in var.writers : local.writer_arns[writer] if its.keeper]
  auditor_arns   = [for key, arn in local.role_arns : arn if key == "auditor"]
  approver_arns  = [for key, arn in local.role_arns : arn if key == "approver"]

  # Who may create records under which prefix. Approvals lie under records/people/, whether or not there is a writer of
  # that name; approvers share it, since each record is signed by a key of its own.
  record_arns = merge(
    { for writer, arn in local.writer_arns : writer => [arn] },
    { for prefix in ["people"] : prefix => concat(local.approver_arns, [for writer, arn in local.writer_arns : arn if writer == prefix]) if var.approvers != null },
  )

  # Where a writer's role may create objects. What stands above the records is for holders of the log key alone.
  own_records = { for prefix in keys(local.record_arns) : prefix => "${local.evidence}records/${prefix}/*" }
  committed   = ["${local.evidence}commits/*", "${local.evidence}tokens/*", "${local.evidence}cosignatures/*"]
  writable = {
    for writer in keys(var.writers) : writer => concat(
      [local.own_records[writer], "${local.evidence}probe/*"],
      contains(local.committers, writer) ? local.committed : [],
    )
  }
  # What the working bucket holds beside disclosures, and may lose.
  derived  = [for key in ["alerts/*", "delivery/*", "head", "index/*", "outbox/*", "probe"] : "${local.working}${key}"]
  locked   = concat(["${local.evidence}genesis.json", "${local.evidence}records/*"], local.committed)
  readable = concat(local.locked, ["${local.evidence}probe/*"])
}
