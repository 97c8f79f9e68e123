# What each role may do: its own policy. The buckets' policies deny the same things to everyone else.
locals {
  list_evidence = {
    Sid    = "ListEvidence"
    Effect = "Allow"
    Action = [
      "s3:GetBucketLocation",
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketPolicy",
      "s3:GetBucketVersioning",
      "s3:ListBucket",
      "s3:ListBucketVersions",
    ]
    Resource = local.evidence_arn
  }
  read_evidence = {
    Sid    = "ReadEvidence"
    Effect = "Allow"
    Action = [
      "s3:GetObject",
      "s3:GetObjectLegalHold",
      "s3:GetObjectRetention",
      "s3:GetObjectVersion",
    ]
    Resource = local.readable
  }
  list_working = {
    Sid    = "ListWorking"
    Effect = "Allow"
    Action = [
      "s3:GetBucketLocation",
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketPolicy",
      "s3:GetBucketVersioning",
      "s3:ListBucket",
      "s3:ListBucketVersions",
    ]
    Resource = local.working_arn
  }

  # A key is used through S3 only, and for this bucket only. With a bucket key the context is the bucket, else the object.
  use_key = {
    for bucket, its in local.buckets : bucket => {
      for use, actions in {
        write = ["kms:Decrypt", "kms:GenerateDataKey"]
        read  = ["kms:Decrypt"]
        } : use => {
        Sid      = "Use${title(bucket)}Key"
        Effect   = "Allow"
        Action   = actions
        Resource = its.key
        Condition = {
          StringEquals = { "kms:ViaService" = "s3.${var.region}.${var.dns_suffix}" }
          StringLike   = { "kms:EncryptionContext:aws:s3:arn" = [its.arn, "${its.arn}/*"] }
        }
      }
    }
  }

  # What a keeper may do beyond a writer.
  keeping = [
    {
      Sid      = "ExtendAndHold"
      Effect   = "Allow"
      Action   = ["s3:PutObjectLegalHold", "s3:PutObjectRetention"]
      Resource = local.locked
    },
    {
      # Of what is past its lock the events go; the record's first line is put back, so that the log stays whole.
      Sid      = "Prune"
      Effect   = "Allow"
      Action   = ["s3:DeleteObjectVersion", "s3:PutObject"]
      Resource = "${local.evidence}records/*"
    },
    {
      Sid      = "Erase"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      Resource = ["${local.working}disclosures/*", "${local.working}pruning/*"]
    },
  ]

  writer_policies = {
    for writer, its in var.writers : writer => {
      Version = "2012-10-17"
      Statement = concat(
        [
          local.list_evidence,
          local.read_evidence,
          {
            # Retention goes with the same request as the object.
            Sid      = "WriteEvidence"
            Effect   = "Allow"
            Action   = ["s3:PutObject", "s3:PutObjectRetention"]
            Resource = local.writable[writer]
          },
          local.use_key.evidence.write,
          local.list_working,
          {
            Sid      = "WriteWorking"
            Effect   = "Allow"
            Action   = "s3:PutObject"
            Resource = concat(local.derived, ["${local.working}disclosures/*"])
          },
          {
            Sid    = "ReadWorking"
            Effect = "Allow"
            Action = ["s3:GetObject", "s3:GetObjectVersion"]
            Resource = concat(
              local.derived,
              its.read_disclosures ? ["${local.working}disclosures/*"] : [],
            )
          },
          {
            Sid      = "RemoveDerived"
            Effect   = "Allow"
            Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
            Resource = local.derived
          },
          local.use_key.working.write,
          {
            Sid    = "Sign"
            Effect = "Allow"
            Action = ["kms:GetPublicKey", "kms:Sign"]
            Resource = concat(
              [var.key_arns.record[writer]],
              contains(local.committers, writer) ? [var.key_arns.log] : [],
            )
          },
        ],
        [for statement in local.keeping : statement if its.keeper],
        local.deliver,
        local.use_sink_keys,
      )
    }
  }

  # The denials are so that no other policy that comes to be attached makes more of an auditor than a reader.
  auditor_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        merge(local.list_evidence, {
          Action = concat(local.list_evidence.Action, [
            "s3:GetBucketPublicAccessBlock",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
          ])
        }),
        local.read_evidence,
        local.use_key.evidence.read,
        {
          Sid      = "SeeSigningKeys"
          Effect   = "Allow"
          Action   = ["kms:DescribeKey", "kms:GetPublicKey"]
          Resource = concat([var.key_arns.log], values(var.key_arns.record))
        },
        {
          Sid    = "DenyEveryChange"
          Effect = "Deny"
          Action = [
            "kms:Create*",
            "kms:Disable*",
            "kms:Encrypt",
            "kms:GenerateDataKey*",
            "kms:Put*",
            "kms:ReEncrypt*",
            "kms:ScheduleKeyDeletion",
            "kms:Sign",
            "s3:BypassGovernanceRetention",
            "s3:Delete*",
            "s3:Put*",
            "s3:Replicate*",
            "s3:RestoreObject",
          ]
          Resource = "*"
        },
      ],
      [
        for statement in [
          local.list_working,
          {
            Sid      = "ReadDisclosures"
            Effect   = "Allow"
            Action   = ["s3:GetObject", "s3:GetObjectVersion"]
            Resource = concat(local.derived, ["${local.working}disclosures/*"])
          },
          local.use_key.working.read,
        ] : statement if try(var.auditors.disclosures, false)
      ],
    )
  }

  # People who approve. Their own keys sign what they write, so that they need no key of the ledger's: a record that they
  # stage waits for a writer to commit it. They see values, since that is what they judge.
  approver_policy = {
    Version = "2012-10-17"
    Statement = [
      local.list_evidence,
      local.read_evidence,
      {
        Sid      = "WriteApprovals"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:PutObjectRetention"]
        Resource = [for prefix, place in local.own_records : place if prefix == "people"]
      },
      local.use_key.evidence.write,
      local.list_working,
      {
        Sid      = "WriteDisclosures"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.working}disclosures/*"
      },
      {
        Sid      = "ReadWorking"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = concat(local.derived, ["${local.working}disclosures/*"])
      },
      local.use_key.working.write,
    ]
  }

  replication_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadConfiguration"
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = local.evidence_arn
      },
      {
        Sid    = "ReadVersions"
        Effect = "Allow"
        Action = [
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectVersionAcl",
          "s3:GetObjectVersionForReplication",
          "s3:GetObjectVersionTagging",
        ]
        Resource = "${local.evidence_arn}/*"
      },
      local.use_key.evidence.read,
      {
        # No s3:ReplicateDelete: a marker stays where it was made.
        Sid      = "WriteReplica"
        Effect   = "Allow"
        Action   = ["s3:ObjectOwnerOverrideToBucketOwner", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource = "${try(var.replica.bucket_arn, "")}/*"
      },
      {
        Sid       = "EncryptReplica"
        Effect    = "Allow"
        Action    = ["kms:Encrypt", "kms:GenerateDataKey"]
        Resource  = try(var.replica.kms_key_arn, "")
        Condition = { StringLike = { "kms:ViaService" = "s3.*.${var.dns_suffix}" } }
      },
    ]
  }
}
