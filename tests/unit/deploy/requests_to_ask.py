"""Requests to a ledger's buckets and keys, and what must become of each."""

from __future__ import annotations

from dataclasses import replace

from deploykit import (
    ADMIN,
    APPROVER,
    AUDITOR,
    BUCKET,
    COMMIT,
    DISCLOSURE,
    FOUNDER,
    GITHUB,
    GITLAB,
    KEEPER,
    KEYS,
    OWNER,
    PEOPLE,
    RECORD,
    SEQUENCER,
    WORKING,
    case,
    put,
)

# Every principal here has an IAM policy of its own: the module's roles the module's, all others one that allows
# everything, so that what is refused is refused by the bucket's or the key's policy.
CREATES = (
    # Each writer to its own prefix.
    put(GITHUB, RECORD.format("ci-github"), allowed=True),
    put(GITHUB, RECORD.format("ci-gitlab"), allowed=False),
    put(GITHUB, RECORD.format("ci-github-2"), allowed=False),
    put(GITHUB, RECORD.format("people"), allowed=False),
    put(GITLAB, RECORD.format("ci-gitlab"), allowed=True),
    put(GITLAB, RECORD.format("ci-github"), allowed=False),
    put(PEOPLE, RECORD.format("people"), allowed=True),
    put(SEQUENCER, RECORD.format("sequencer"), allowed=True),
    put(SEQUENCER, RECORD.format("ci-github"), allowed=False),
    put(AUDITOR, RECORD.format("ci-github"), allowed=False),
    put(ADMIN, RECORD.format("ci-github"), allowed=False),
    put(OWNER, RECORD.format("ci-github"), allowed=False),
    put(KEEPER, RECORD.format("keeper"), allowed=True),
    put(ADMIN, RECORD.format("keeper"), allowed=False),
    # It puts back the first lines of what it prunes, conditionally like everybody.
    put(KEEPER, RECORD.format("ci-github"), allowed=True),
    put(KEEPER, RECORD.format("ci-github"), allowed=False, if_none_match=None),
    put(KEEPER, COMMIT, allowed=False),
    put(FOUNDER, RECORD.format("ci-github"), allowed=True),
    # Approvers where approvals lie, as those who are writers there do; and nothing that the log is made of.
    put(APPROVER, RECORD.format("people"), allowed=True),
    put(APPROVER, RECORD.format("people"), allowed=False, if_none_match=None),
    put(APPROVER, RECORD.format("people"), allowed=False, object_lock_remaining_retention_days="1"),
    *(put(APPROVER, RECORD.format(prefix), allowed=False) for prefix in ("ci-github", "keeper", "people-2", "nobody")),
    put(APPROVER, COMMIT, allowed=False),
    put(APPROVER, "ledger/tokens/42.tsr", allowed=False),
    put(APPROVER, "ledger/cosignatures/42/key", allowed=False),
    put(APPROVER, "ledger/genesis.json", allowed=False),
    put(APPROVER, "ledger/probe/019abc00", allowed=False, object_lock_remaining_retention_days="0"),
    # Commits to who holds the log key.
    put(SEQUENCER, COMMIT, allowed=True),
    put(GITHUB, COMMIT, allowed=False),
    put(PEOPLE, COMMIT, allowed=False),
    put(ADMIN, COMMIT, allowed=False),
    put(FOUNDER, COMMIT, allowed=True),
    put(SEQUENCER, "ledger/tokens/42.tsr", allowed=True),
    put(GITHUB, "ledger/cosignatures/42/key", allowed=False),
    # Genesis to who sets up.
    put(FOUNDER, "ledger/genesis.json", allowed=True),
    put(GITHUB, "ledger/genesis.json", allowed=False),
    put(SEQUENCER, "ledger/genesis.json", allowed=False),
    # Nothing beside the ledger.
    put(FOUNDER, "other/genesis.json", allowed=False),
    put(FOUNDER, "genesis.json", allowed=False),
    put(ADMIN, "ledger/index/head", allowed=False),
    put(FOUNDER, RECORD.format("nobody"), allowed=False),
    put(GITHUB, "ledger/probe/019abc00", allowed=True, object_lock_remaining_retention_days="0"),
    # Only conditional creates; a multipart upload is started and filled without a condition, and ended with one.
    put(GITHUB, RECORD.format("ci-github"), allowed=False, if_none_match=None),
    put(FOUNDER, "ledger/genesis.json", allowed=False, if_none_match=None),
    put(GITHUB, RECORD.format("ci-github"), allowed=True, if_none_match=None, creation="false"),
    # Locks: as configured, or none named and so the bucket's default.
    put(GITHUB, RECORD.format("ci-github"), allowed=False, object_lock_mode="COMPLIANCE"),
    put(GITHUB, RECORD.format("ci-github"), allowed=False, object_lock_remaining_retention_days="398"),
    put(GITHUB, RECORD.format("ci-github"), allowed=False, object_lock_remaining_retention_days="1"),
    put(GITHUB, RECORD.format("ci-github"), allowed=True, object_lock_remaining_retention_days="431"),
    put(GITHUB, RECORD.format("ci-github"), allowed=False, object_lock_remaining_retention_days="432"),
    put(GITHUB, "ledger/probe/1", allowed=False, object_lock_remaining_retention_days="36500"),
    put(
        GITHUB,
        RECORD.format("ci-github"),
        allowed=True,
        object_lock_mode=None,
        object_lock_remaining_retention_days=None,
    ),
    # Encryption: the bucket's, or the same by name.
    put(GITHUB, RECORD.format("ci-github"), allowed=False, x_amz_server_side_encryption="AES256"),
    put(
        GITHUB,
        RECORD.format("ci-github"),
        allowed=True,
        x_amz_server_side_encryption="aws:kms",
        x_amz_server_side_encryption_aws_kms_key_id=f"{KEYS}/evidence",
    ),
    put(
        GITHUB,
        RECORD.format("ci-github"),
        allowed=False,
        x_amz_server_side_encryption="aws:kms",
        x_amz_server_side_encryption_aws_kms_key_id="arn:aws:kms:eu-west-1:999999999999:key/another",
    ),
    put(GITHUB, RECORD.format("ci-github"), allowed=False, x_amz_server_side_encryption_customer_algorithm="AES256"),
    # Transport.
    case(ADMIN, "s3:GetObject", f"{BUCKET}/{COMMIT}", allowed=False, **{"aws:SecureTransport": "false"}),
    case(ADMIN, "s3:ListBucket", BUCKET, allowed=False, **{"s3:TlsVersion": "1.1"}),
    case(ADMIN, "s3:ListBucket", BUCKET, allowed=True, **{"s3:TlsVersion": "1.3"}),
)

SETTINGS = (
    "DeleteBucket",
    "DeleteBucketPolicy",
    "PutBucketObjectLockConfiguration",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketVersioning",
    "PutEncryptionConfiguration",
    "PutLifecycleConfiguration",
    "PutReplicationConfiguration",
)
KEPT = (
    # Markers are nobody's, versions the keepers' once their lock is over.
    *(
        case(who, "s3:DeleteObject", f"{BUCKET}/{RECORD.format('ci-github')}", allowed=False)
        for who in (GITHUB, SEQUENCER, AUDITOR, APPROVER, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:DeleteObjectVersion", f"{BUCKET}/{RECORD.format('ci-github')}", allowed=who == KEEPER)
        for who in (GITHUB, SEQUENCER, AUDITOR, APPROVER, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:BypassGovernanceRetention", f"{BUCKET}/{COMMIT}", allowed=False)
        for who in (GITHUB, SEQUENCER, AUDITOR, APPROVER, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:PutObjectLegalHold", f"{BUCKET}/{RECORD.format('people')}", allowed=who == KEEPER)
        for who in (GITHUB, PEOPLE, AUDITOR, APPROVER, ADMIN, KEEPER)
    ),
    # Extending is the writers' for their own and the keepers'; S3 itself refuses shortening.
    case(
        GITHUB,
        "s3:PutObjectRetention",
        f"{BUCKET}/{RECORD.format('ci-github')}",
        allowed=True,
        **{"s3:object-lock-mode": "GOVERNANCE", "s3:object-lock-remaining-retention-days": "400"},
    ),
    case(GITHUB, "s3:PutObjectRetention", f"{BUCKET}/{RECORD.format('people')}", allowed=False),
    case(
        KEEPER,
        "s3:PutObjectRetention",
        f"{BUCKET}/{COMMIT}",
        allowed=False,
        **{"s3:object-lock-mode": "COMPLIANCE", "s3:object-lock-remaining-retention-days": "400"},
    ),
    case(
        KEEPER,
        "s3:PutObjectRetention",
        f"{BUCKET}/{COMMIT}",
        allowed=False,
        **{"s3:object-lock-mode": "GOVERNANCE", "s3:object-lock-remaining-retention-days": "3650"},
    ),
    *(
        case(who, f"s3:{one}", BUCKET, allowed=False)
        for one in SETTINGS
        for who in (GITHUB, SEQUENCER, AUDITOR, APPROVER)
    ),
    *(case(ADMIN, f"s3:{one}", BUCKET, allowed=True) for one in SETTINGS),
)

READS = (
    *(
        case(who, action, f"{BUCKET}/{key}", allowed=True)
        for who in (GITHUB, GITLAB, SEQUENCER, AUDITOR, APPROVER)
        for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention")
        for key in ("ledger/genesis.json", RECORD.format("people"), COMMIT)
    ),
    *(
        case(who, action, BUCKET, allowed=True)
        for who in (GITHUB, AUDITOR, APPROVER)
        for action in ("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketObjectLockConfiguration")
    ),
    case(GITHUB, "s3:GetObject", f"{BUCKET}/elsewhere", allowed=False),
    case(AUDITOR, "s3:GetBucketPolicy", BUCKET, allowed=True),
    case(AUDITOR, "s3:ListBucket", WORKING, allowed=False),
    case(AUDITOR, "s3:GetObject", DISCLOSURE, allowed=False),
    case(ADMIN, "s3:GetObject", DISCLOSURE, allowed=False),
    case(GITHUB, "s3:GetObject", DISCLOSURE, allowed=True),
    case(GITLAB, "s3:GetObject", DISCLOSURE, allowed=False),
    case(KEEPER, "s3:GetObject", DISCLOSURE, allowed=True),
    # What is approved is shown by its values.
    case(APPROVER, "s3:GetObject", DISCLOSURE, allowed=True),
    case(APPROVER, "s3:GetObject", f"{WORKING}/ledger/head", allowed=True),
    case(APPROVER, "s3:ListBucket", WORKING, allowed=True),
    case(APPROVER, "s3:GetObject", f"{WORKING}/ledger/pruning/1", allowed=False),
    case(APPROVER, "s3:GetObject", f"{BUCKET}/elsewhere", allowed=False),
)

WORK = (
    case(GITLAB, "s3:PutObject", DISCLOSURE, allowed=True, **{"s3:if-none-match": "*"}),
    case(GITLAB, "s3:PutObject", DISCLOSURE, allowed=False, **{"s3:ObjectCreationOperation": "true"}),
    case(KEEPER, "s3:PutObject", DISCLOSURE, allowed=True, **{"s3:ObjectCreationOperation": "true"}),
    case(GITHUB, "s3:DeleteObject", DISCLOSURE, allowed=False),
    case(ADMIN, "s3:DeleteObject", DISCLOSURE, allowed=False),
    case(KEEPER, "s3:DeleteObject", DISCLOSURE, allowed=True),
    case(KEEPER, "s3:PutObject", f"{WORKING}/ledger/pruning/1", allowed=True, **{"s3:ObjectCreationOperation": "true"}),
    case(KEEPER, "s3:DeleteObject", f"{WORKING}/ledger/pruning/1", allowed=True),
    case(
        GITHUB,
        "s3:PutObject",
        f"{WORKING}/ledger/head",
        allowed=True,
        **{"s3:ObjectCreationOperation": "true"},
    ),
    case(GITHUB, "s3:DeleteObject", f"{WORKING}/ledger/index/states/1", allowed=True),
    case(GITHUB, "s3:DeleteObject", f"{WORKING}/ledger/probe", allowed=True),
    case(GITHUB, "s3:PutObject", f"{WORKING}/ledger/pruning/1", allowed=False),
    case(GITHUB, "s3:PutObject", f"{WORKING}/another/head", allowed=False),
    case(AUDITOR, "s3:PutObject", f"{WORKING}/ledger/head", allowed=False),
    case(APPROVER, "s3:PutObject", DISCLOSURE, allowed=True, **{"s3:if-none-match": "*"}),
    case(APPROVER, "s3:PutObject", DISCLOSURE, allowed=False, **{"s3:ObjectCreationOperation": "true"}),
    *(
        case(APPROVER, action, f"{WORKING}/ledger/{key}", allowed=False, **{"s3:if-none-match": "*"})
        for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
        for key in ("head", "index/states/1", "outbox/1", "probe", "pruning/1")
    ),
    case(APPROVER, "s3:DeleteObject", DISCLOSURE, allowed=False),
    case(APPROVER, "s3:DeleteObjectVersion", DISCLOSURE, allowed=False),
    case(GITHUB, "s3:PutBucketObjectLockConfiguration", WORKING, allowed=False),
    case(
        GITHUB, "s3:PutObject", f"{WORKING}/ledger/head", allowed=False, **{"s3:x-amz-server-side-encryption": "AES256"}
    ),
    case(
        GITHUB,
        "s3:PutObject",
        f"{WORKING}/ledger/head",
        allowed=False,
        **{
            "s3:x-amz-server-side-encryption": "aws:kms",
            "s3:x-amz-server-side-encryption-aws-kms-key-id": f"{KEYS}/evidence",
        },
    ),
    case(
        GITHUB,
        "s3:PutObject",
        f"{WORKING}/ledger/head",
        allowed=False,
        **{"s3:x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ),
    case(ADMIN, "s3:ListBucket", WORKING, allowed=False, **{"aws:SecureTransport": "false"}),
    case(ADMIN, "s3:ListBucket", WORKING, allowed=False, **{"s3:TlsVersion": "1.1"}),
)

SIGNING = (
    *(
        case(who, "kms:Sign", f"{KEYS}/record-{writer}", allowed=allowed)
        for writer in ("ci-github", "people")
        for who, allowed in (
            (GITHUB, writer == "ci-github"),
            (GITLAB, False),
            (PEOPLE, writer == "people"),
            (SEQUENCER, False),
            (AUDITOR, False),
            (APPROVER, False),
            (ADMIN, False),
            (OWNER, False),
            (FOUNDER, True),
        )
    ),
    case(SEQUENCER, "kms:Sign", f"{KEYS}/log", allowed=True),
    case(GITHUB, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(PEOPLE, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(ADMIN, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(APPROVER, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(GITHUB, "kms:GetPublicKey", f"{KEYS}/record-ci-github", allowed=True),
    case(AUDITOR, "kms:GetPublicKey", f"{KEYS}/log", allowed=True),
    case(ADMIN, "kms:GetPublicKey", f"{KEYS}/log", allowed=True),
    *(
        case(
            who,
            action,
            f"{KEYS}/{bucket}",
            allowed=allowed,
            **{"kms:ViaService": via, "kms:EncryptionContext:aws:s3:arn": context},
        )
        for who, action, bucket, via, context, allowed in (
            (GITHUB, "kms:GenerateDataKey", "evidence", "s3.eu-west-1.amazonaws.com", BUCKET, True),
            (GITHUB, "kms:Decrypt", "evidence", "s3.eu-west-1.amazonaws.com", f"{BUCKET}/{COMMIT}", True),
            (GITHUB, "kms:Decrypt", "evidence", "s3.eu-west-1.amazonaws.com", "arn:aws:s3:::acme-evidence-2", False),
            (GITHUB, "kms:Decrypt", "evidence", "rds.eu-west-1.amazonaws.com", BUCKET, False),
            (GITHUB, "kms:Decrypt", "working", "s3.eu-west-1.amazonaws.com", WORKING, True),
            (AUDITOR, "kms:Decrypt", "evidence", "s3.eu-west-1.amazonaws.com", BUCKET, True),
            (AUDITOR, "kms:GenerateDataKey", "evidence", "s3.eu-west-1.amazonaws.com", BUCKET, False),
            (AUDITOR, "kms:Decrypt", "working", "s3.eu-west-1.amazonaws.com", WORKING, False),
            (APPROVER, "kms:GenerateDataKey", "evidence", "s3.eu-west-1.amazonaws.com", BUCKET, True),
            (APPROVER, "kms:GenerateDataKey", "working", "s3.eu-west-1.amazonaws.com", WORKING, True),
            (APPROVER, "kms:Decrypt", "working", "s3.eu-west-1.amazonaws.com", "arn:aws:s3:::acme-working-2", False),
            (APPROVER, "kms:Decrypt", "working", "rds.eu-west-1.amazonaws.com", WORKING, False),
        )
    ),
    case(GITHUB, "kms:ScheduleKeyDeletion", f"{KEYS}/evidence", allowed=False),
    case(AUDITOR, "kms:ScheduleKeyDeletion", f"{KEYS}/evidence", allowed=False),
)


# What the buckets' and the keys' policies refuse to a role of the module's, even one that may do everything.
CARELESS = tuple(
    replace(asked, administrator=True)
    for asked in (
        *(
            case(who, f"s3:{one}", bucket, allowed=False)
            for one in SETTINGS
            for who in (GITHUB, AUDITOR, APPROVER)
            for bucket in (BUCKET, WORKING)
        ),
        *(put(GITHUB, RECORD.format(writer), allowed=False) for writer in ("ci-gitlab", "people", "sequencer")),
        put(GITLAB, RECORD.format("ci-github"), allowed=False),
        put(GITHUB, "ledger/genesis.json", allowed=False),
        put(GITHUB, COMMIT, allowed=False),
        put(GITHUB, "elsewhere", allowed=False),
        case(GITLAB, "s3:GetObject", DISCLOSURE, allowed=False),
        case(GITHUB, "s3:DeleteObjectVersion", f"{BUCKET}/{COMMIT}", allowed=False),
        case(GITHUB, "s3:DeleteObject", DISCLOSURE, allowed=False),
        case(GITHUB, "kms:Sign", f"{KEYS}/log", allowed=False),
        case(GITHUB, "kms:Sign", f"{KEYS}/record-people", allowed=False),
        *(put(APPROVER, RECORD.format(writer), allowed=False) for writer in ("ci-github", "keeper", "sequencer")),
        put(APPROVER, "ledger/genesis.json", allowed=False),
        put(APPROVER, COMMIT, allowed=False),
        case(APPROVER, "s3:DeleteObjectVersion", f"{BUCKET}/{RECORD.format('people')}", allowed=False),
        case(APPROVER, "s3:DeleteObject", DISCLOSURE, allowed=False),
        case(APPROVER, "kms:Sign", f"{KEYS}/log", allowed=False),
        case(APPROVER, "kms:Sign", f"{KEYS}/record-people", allowed=False),
    )
)

CASES = (*CREATES, *KEPT, *READS, *WORK, *SIGNING, *CARELESS)
