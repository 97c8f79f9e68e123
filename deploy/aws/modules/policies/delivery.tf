# What the writers' roles may do at the sinks that copies of the records go to: nothing but that.
locals {
  log_groups = [for arn in var.delivery.cloudwatch_logs : trimsuffix(arn, ":*")]
  copies     = [for place in var.delivery.s3 : "arn:${var.partition}:s3:::${trimsuffix(place, "/")}/*"]

  deliver = [
    for statement in [
      {
        Sid      = "DeliverToCloudTrailLake"
        Effect   = "Allow"
        Action   = ["cloudtrail-data:PutAuditEvents"]
        Resource = var.delivery.cloudtrail_lake
      },
      {
        # The group is made beforehand, with its retention; a stream as it is needed.
        Sid      = "DeliverToCloudWatchLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = flatten([for arn in local.log_groups : [arn, "${arn}:*"]])
      },
      {
        Sid      = "DeliverToEventBridge"
        Effect   = "Allow"
        Action   = ["events:DescribeEventBus", "events:PutEvents"]
        Resource = var.delivery.eventbridge
      },
      {
        Sid      = "DeliverToSns"
        Effect   = "Allow"
        Action   = ["sns:GetTopicAttributes", "sns:Publish"]
        Resource = var.delivery.sns
      },
      {
        # Reading is for the version of what was sent twice, and for doctor's conditional write.
        Sid      = "DeliverToBuckets"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = local.copies
      },
      {
        Sid      = "DeliverAsOtherRoles"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = var.delivery.roles
      },
      {
        Sid      = "ReadSinkSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = var.delivery.secrets
      },
    ] : statement if length(statement.Resource) > 0
  ]

  # A condition makes another type of it: it can't stand in the list above.
  use_sink_keys = [
    for statement in [{
      Sid       = "UseSinkKeys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.delivery.keys
      Condition = { StringLike = { "kms:ViaService" = [for service in ["s3", "sns", "secretsmanager"] : "${service}.*.${var.dns_suffix}"] } }
    }] : statement if length(statement.Resource) > 0
  ]
}
