"""What deploy/aws allows and denies: its policies, rendered by a real engine and asked case by case."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import hcl2
import iampolicy
import pytest

from tfaudit import config
from tfaudit.engine import find
from tfaudit.errors import UnavailableError

MODULE = Path(__file__).resolve().parents[2] / "deploy" / "aws"
SCHEMA = Path(__file__).with_name("deploy") / "aws-provider-6.25.json"

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::acme-evidence"
WORKING = "arn:aws:s3:::acme-working"
KEYS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
GITHUB, GITLAB, KEEPER, PEOPLE, SEQUENCER = (
    f"{ROLE}/tfaudit/acme-writer-{name}" for name in ("ci-github", "ci-gitlab", "keeper", "people", "sequencer")
)
AUDITOR = f"{ROLE}/tfaudit/acme-auditor"
FOUNDER = f"{ROLE}/founder"
ADMIN = f"{ROLE}/admin"
OWNER = f"arn:aws:iam::{ACCOUNT}:root"

WRITERS = {
    "ci-github": {"github": [{"repository": "acme/infra", "environment": "production"}]},
    "ci-gitlab": {"gitlab": [{"project": "acme/infra", "ref": "main"}], "read_disclosures": False},
    "keeper": {"principals": [f"{ROLE}/records-office"], "keeper": True},
    "people": {"principals": [f"{ROLE}/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Platform_*"]},
    "sequencer": {"github": [{"repository": "acme/infra", "branch": "main"}]},
}
PLAIN = {
    "region": "eu-west-1",
    "account_id": ACCOUNT,
    "name": "acme",
    "evidence_bucket": "acme-evidence",
    "working_bucket": "acme-working",
    "key_arns": {
        "evidence": f"{KEYS}/evidence",
        "working": f"{KEYS}/working",
        "log": f"{KEYS}/log",
        "record": {writer: f"{KEYS}/record-{writer}" for writer in WRITERS},
    },
    "retention": {"days": 400},
    "writers": WRITERS,
    "sequencer": "sequencer",
    "auditors": {"principals": ["arn:aws:iam::210987654321:role/audit"], "external_id": "2026"},
    "founders": [FOUNDER],
}
REPLICA = {
    "account_id": "210987654321",
    "bucket_arn": "arn:aws:s3:::acme-replica",
    "kms_key_arn": "arn:aws:kms:eu-central-1:210987654321:key/replica",
}


@pytest.fixture(scope="session")
def engine():
    """The argv prefix of an engine; the policies need no provider."""
    try:
        return find.command({"PATH": os.environ["PATH"]}, name=None, own="")
    except UnavailableError:
        pytest.skip("there is no terraform or tofu on PATH, and no embedded one")


@pytest.fixture(scope="session")
def render(engine, tmp_path_factory):
    """A function from the ledger's variables to its policies."""
    rendered = planned(engine, MODULE / "modules" / "policies", tmp_path_factory.mktemp("policies"))
    return lambda code=0, **changes: rendered(json.dumps({**PLAIN, **changes}), code)


@pytest.fixture(scope="session")
def replica(engine, tmp_path_factory):
    """The policies of a copy in the second account."""
    rendered = planned(engine, MODULE / "modules" / "replica" / "policies", tmp_path_factory.mktemp("replica"))
    values = {"account_id": REPLICA["account_id"], "bucket": "acme-replica", "source_account_id": ACCOUNT}
    return rendered(json.dumps({**values, "source_role": "/tfaudit/acme-replication"}), 0)


def planned(engine, module, folder):
    """Return a function from a module's variables (JSON) to its outputs as planned, or the error where one is due."""
    for file in module.glob("*.tf"):
        shutil.copy(file, folder)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}

    def run(*args, code=0):
        done = subprocess.run(
            [*engine, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run("init", "-no-color")

    @functools.cache
    def rendered(text, code):
        (folder / "terraform.tfvars.json").write_text(text)
        done = run("plan", "-no-color", "-input=false", "-out", "plan", code=code)
        if code:
            return re.sub(r"[\s│╷╵]+", " ", done.stderr)
        outputs = json.loads(run("show", "-json", "plan").stdout)["planned_values"]["outputs"]
        return MappingProxyType({name: told["value"] for name, told in outputs.items()})

    return rendered


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, and what becomes of it."""

    who: str
    action: str
    resource: str
    allowed: bool
    context: dict[str, str] = field(default_factory=dict)
    administrator: bool = False
    """Whether someone has attached a policy that allows everything to the module's own role."""

    def __str__(self):
        name, _, key = self.resource.rpartition(":")[2].partition("/")
        return f"{self.who.rpartition('/')[2]} {self.action} {key or name} {' '.join(self.context.values())}"


def put(who, key, *, allowed, **more):
    """A create of an evidence object as tfaudit sends it; None in ``more`` takes a key out."""
    usual = {
        "s3:if-none-match": "*",
        "s3:ObjectCreationOperation": "true",
        "s3:object-lock-mode": "GOVERNANCE",
        "s3:object-lock-remaining-retention-days": "399",
    }
    named = {f"s3:{name.replace('_', '-')}": value for name, value in more.items()}
    if "s3:creation" in named:
        named["s3:ObjectCreationOperation"] = named.pop("s3:creation")
    context = {name: value for name, value in {**usual, **named}.items() if value is not None}
    return Case(who=who, action="s3:PutObject", resource=f"{BUCKET}/{key}", allowed=allowed, context=context)


def case(who, action, resource, *, allowed, **context):
    """A request about anything else."""
    return Case(who=who, action=action, resource=resource, allowed=allowed, context=context)


RECORD = "ledger/records/{}/2026/11/24/23/019abc00-0000-7000-8000-000000000000.jsonl"
COMMIT = "ledger/commits/000000000000002a"
DISCLOSURE = f"{WORKING}/ledger/disclosures/019abc00-0000-7000-8000-000000000000.jsonl"

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
        for who in (GITHUB, SEQUENCER, AUDITOR, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:DeleteObjectVersion", f"{BUCKET}/{RECORD.format('ci-github')}", allowed=who == KEEPER)
        for who in (GITHUB, SEQUENCER, AUDITOR, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:BypassGovernanceRetention", f"{BUCKET}/{COMMIT}", allowed=False)
        for who in (GITHUB, SEQUENCER, AUDITOR, ADMIN, OWNER, KEEPER, FOUNDER)
    ),
    *(
        case(who, "s3:PutObjectLegalHold", f"{BUCKET}/{RECORD.format('people')}", allowed=who == KEEPER)
        for who in (GITHUB, PEOPLE, AUDITOR, ADMIN, KEEPER)
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
    *(case(who, f"s3:{one}", BUCKET, allowed=False) for one in SETTINGS for who in (GITHUB, SEQUENCER, AUDITOR)),
    *(case(ADMIN, f"s3:{one}", BUCKET, allowed=True) for one in SETTINGS),
)

READS = (
    *(
        case(who, action, f"{BUCKET}/{key}", allowed=True)
        for who in (GITHUB, GITLAB, SEQUENCER, AUDITOR)
        for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention")
        for key in ("ledger/genesis.json", RECORD.format("people"), COMMIT)
    ),
    *(
        case(who, action, BUCKET, allowed=True)
        for who in (GITHUB, AUDITOR)
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
            (ADMIN, False),
            (OWNER, False),
            (FOUNDER, True),
        )
    ),
    case(SEQUENCER, "kms:Sign", f"{KEYS}/log", allowed=True),
    case(GITHUB, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(PEOPLE, "kms:Sign", f"{KEYS}/log", allowed=False),
    case(ADMIN, "kms:Sign", f"{KEYS}/log", allowed=False),
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
            for who in (GITHUB, AUDITOR)
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
    )
)

CASES = (*CREATES, *KEPT, *READS, *WORK, *SIGNING, *CARELESS)


@pytest.mark.parametrize("asked", CASES, ids=str)
def test_a_request(render, asked):
    """What the principal's, the bucket's and the key's policies make of one request together."""
    assert decided(render(), asked) is asked.allowed


@pytest.mark.parametrize("name", ["evidence_bucket_policy", "working_bucket_policy"])
def test_every_denial_is_needed(render, name):
    """Without any one of a bucket's statements some request of the table would be answered otherwise."""
    made = render()
    policy = json.loads(made[name])
    needless = []
    for index, statement in enumerate(policy["Statement"]):
        rest = [one for position, one in enumerate(policy["Statement"]) if position != index]
        changed = {**made, name: json.dumps({**policy, "Statement": rest})}
        if all(decided(changed, asked) is asked.allowed for asked in CASES):
            needless.append(statement["Sid"])
    assert needless == [], needless


@pytest.mark.parametrize("writer", [GITHUB, GITLAB, PEOPLE])
def test_without_a_sequencer_every_writer_commits(render, writer):
    """Where none is named, each writer's role may create commits and sign with the log key."""
    made = render(sequencer=None)
    assert decided(made, put(writer, COMMIT, allowed=True))
    assert decided(made, case(writer, "kms:Sign", f"{KEYS}/log", allowed=True))
    assert not decided(made, put(ADMIN, COMMIT, allowed=False))


def test_without_keepers_and_founders_nobody_is_exempt(render):
    """An empty list exempts nobody, rather than everybody."""
    made = render(writers={**WRITERS, "keeper": {"principals": [ADMIN]}}, founders=[])
    for who in (KEEPER, FOUNDER, ADMIN, OWNER):
        assert not decided(made, case(who, "s3:DeleteObjectVersion", f"{BUCKET}/{COMMIT}", allowed=False))
        assert not decided(made, case(who, "s3:PutObjectLegalHold", f"{BUCKET}/{COMMIT}", allowed=False))
        assert not decided(made, case(who, "s3:DeleteObject", DISCLOSURE, allowed=False))
        assert not decided(made, put(who, COMMIT, allowed=False))
        assert not decided(made, put(who, RECORD.format("ci-github"), allowed=False))


def test_administrators_are_the_only_ones_to_change_settings(render):
    """Where they are named, everybody else is refused, whatever IAM says."""
    made = render(administrators=[ADMIN])
    for one in SETTINGS:
        assert decided(made, case(ADMIN, f"s3:{one}", BUCKET, allowed=True))
        assert not decided(made, case(FOUNDER, f"s3:{one}", BUCKET, allowed=False))
        assert not decided(made, case(GITHUB, f"s3:{one}", WORKING, allowed=False))


def test_an_auditor_may_be_given_disclosures(render):
    """Values are shown to an auditor only where that is asked for."""
    made = render(auditors={"principals": [ADMIN], "disclosures": True})
    via = {"kms:ViaService": "s3.eu-west-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": WORKING}
    assert decided(made, case(AUDITOR, "s3:GetObject", DISCLOSURE, allowed=True))
    assert decided(made, case(AUDITOR, "kms:Decrypt", f"{KEYS}/working", allowed=True, **via))
    assert not decided(made, case(AUDITOR, "s3:PutObject", DISCLOSURE, allowed=False))


def test_an_auditor_with_another_policy_stays_a_reader(render):
    """The role's own denials stand against whatever else comes to be attached to it."""
    own = json.loads(render()["role_policies"]["auditor"])
    for action in ("s3:PutObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention", "kms:Sign"):
        request = iampolicy.Request(AUDITOR, action, f"{BUCKET}/{COMMIT}", {})
        assert iampolicy.decide([own, EVERYTHING], request) == "deny"


# --- who may take a role ----------------------------------------------------------------------------------------------

TRUST = (
    # (trust of the writer, the token's claims, whether it is let in)
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:acme/infra:environment:production"},
        True,
    ),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:environment:staging"}, False),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:ref:refs/heads/main"}, False),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:pull_request"}, False),
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:evil/infra:environment:production"},
        False,
    ),
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:acme/infra:environment:production", "aud": "https://github.com/acme"},
        False,
    ),
    ({"repository": "acme/infra", "environment": "a:b"}, {"sub": "repo:acme/infra:environment:a%3Ab"}, True),
    ({"repository": "acme/infra", "branch": "main"}, {"sub": "repo:acme/infra:ref:refs/heads/main"}, True),
    ({"repository": "acme/infra", "branch": "main"}, {"sub": "repo:acme/infra:ref:refs/heads/main2"}, False),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme@12/infra@34:environment:production", "repository_id": "34"},
        True,
    ),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme/infra:environment:production", "repository_id": "34"},
        False,
    ),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme@12/infra@35:environment:production", "repository_id": "35"},
        False,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p", "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"},
        True,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p", "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/x"},
        False,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p"},
        False,
    ),
    (
        {"repository": "acme/infra", "subject": "repository_id:34:environment:p"},
        {"sub": "repository_id:34:environment:p"},
        True,
    ),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:branch:ref:main"}, True),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:tag:ref:main"}, False),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:branch:ref:main2"}, False),
    (
        {"project": "acme/infra", "ref": "v1", "ref_type": "tag"},
        {"sub": "project_path:acme/infra:ref_type:tag:ref:v1"},
        True,
    ),
    (
        {"project": "acme/infra", "project_id": "7", "ref": "main", "environment": "production"},
        {"sub": "project_path:acme/infra:project_id:7:ref_type:branch:ref:main:environment:production"},
        True,
    ),
    (
        {"project": "acme/infra", "project_id": "7", "ref": "main", "environment": "production"},
        {"sub": "project_path:acme/infra:project_id:8:ref_type:branch:ref:main:environment:production"},
        False,
    ),
)


@pytest.mark.parametrize(("trust", "claims", "allowed"), TRUST)
def test_a_token(render, trust, claims, allowed):
    """A role is given to a CI system's token whose claims are those that it trusts, and to no other."""
    kind, issuer = ("gitlab", "gitlab.com") if "project" in trust else ("github", "token.actions.githubusercontent.com")
    made = render(writers={"one": {kind: [trust]}}, sequencer=None, key_arns=keys_of("one"))
    policy = json.loads(made["trust_policies"]["writer/one"])
    context = {f"{issuer}:{name}": value for name, value in {"aud": "sts.amazonaws.com", **claims}.items()}
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    request = iampolicy.Request(provider, "sts:AssumeRoleWithWebIdentity", None, context)
    assert (iampolicy.decide([policy], request) == "allow") is allowed
    stranger = iampolicy.Request(f"{provider}.evil.test", request.action, None, context)
    assert iampolicy.decide([policy], stranger) == "none"


SSO = f"{ROLE}/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Platform_0123456789abcdef"


@pytest.mark.parametrize(
    ("role", "who", "external_id", "allowed"),
    [
        ("writer/people", SSO, None, True),
        ("writer/people", SSO.replace("Platform", "Developer"), None, False),
        ("writer/people", SSO.replace(ACCOUNT, "999999999999"), None, False),
        ("auditor", "arn:aws:iam::210987654321:role/audit", "2026", True),
        ("auditor", "arn:aws:iam::210987654321:role/audit", None, False),
        ("auditor", "arn:aws:iam::210987654321:role/audit2", "2026", False),
        ("auditor", GITHUB, "2026", False),
    ],
)
def test_a_principal(render, role, who, external_id, allowed):
    """A role is given to the people whose ARN fits the pattern, with the external id where there is one."""
    policy = json.loads(render()["trust_policies"][role])
    context = {"sts:ExternalId": external_id} if external_id else {}
    assert (iampolicy.decide([policy], iampolicy.Request(who, "sts:AssumeRole", None, context)) == "allow") is allowed


def test_s3_alone_replicates(render):
    """The replication role is S3's, for this bucket; it may write to the replica, and deletes nothing there."""
    made = render(replica=REPLICA)
    trust = json.loads(made["trust_policies"]["replication"])
    context = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": BUCKET}
    assert iampolicy.decide([trust], iampolicy.Request("s3.amazonaws.com", "sts:AssumeRole", None, context)) == "allow"
    context["aws:SourceArn"] = WORKING
    assert iampolicy.decide([trust], iampolicy.Request("s3.amazonaws.com", "sts:AssumeRole", None, context)) == "none"
    own = json.loads(made["role_policies"]["replication"])
    role = f"{ROLE}/tfaudit/acme-replication"
    wanted = {"s3:ReplicateObject": "allow", "s3:ReplicateDelete": "none", "s3:DeleteObject": "none"}
    for action, answer in wanted.items():
        assert iampolicy.decide([own], iampolicy.Request(role, action, f"{REPLICA['bucket_arn']}/x", {})) == answer


COPIER = f"{ROLE}/tfaudit/acme-replication"
COPY = f"{REPLICA['bucket_arn']}/{COMMIT}"


@pytest.mark.parametrize(
    ("who", "action", "answer"),
    [
        (COPIER, "s3:ReplicateObject", "allow"),
        (COPIER, "s3:ObjectOwnerOverrideToBucketOwner", "allow"),
        (COPIER, "s3:ReplicateDelete", "deny"),
        (COPIER, "s3:PutObject", "deny"),
        (COPIER, "s3:DeleteObjectVersion", "deny"),
        (COPIER, "s3:GetObject", "none"),
        (GITHUB, "s3:ReplicateObject", "deny"),
        ("arn:aws:iam::210987654321:root", "s3:PutObject", "deny"),
        ("arn:aws:iam::210987654321:root", "s3:DeleteObject", "deny"),
        ("arn:aws:iam::210987654321:role/admin", "s3:BypassGovernanceRetention", "deny"),
        ("arn:aws:iam::210987654321:role/admin", "s3:GetObject", "none"),
    ],
)
def test_a_copy_is_made_by_replication_alone(replica, who, action, answer):
    """Into the second account's bucket comes what the replication role brings, and nobody takes anything out."""
    policy = json.loads(replica["bucket_policy"])
    iampolicy.check(policy)
    context = {"aws:SecureTransport": "true"}
    assert iampolicy.decide([policy], iampolicy.Request(who, action, COPY, context)) == answer
    assert iampolicy.decide([policy], iampolicy.Request(who, action, COPY, {"aws:SecureTransport": "false"})) == "deny"


@pytest.mark.parametrize(
    ("who", "action", "answer"),
    [
        (COPIER, "kms:GenerateDataKey", "allow"),
        (COPIER, "kms:Decrypt", "none"),
        (GITHUB, "kms:GenerateDataKey", "none"),
        ("arn:aws:iam::210987654321:role/auditor", "kms:Decrypt", "allow"),
    ],
)
def test_a_copy_is_read_in_its_own_account(replica, who, action, answer):
    """The copy's key encrypts for the replication role, and decrypts for its own account alone."""
    policy = json.loads(replica["key_policy"])
    iampolicy.check(policy)
    assert iampolicy.decide([policy], iampolicy.Request(who, action, REPLICA["kms_key_arn"], {})) == answer


# --- what is refused, what is rendered --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", config.PROFILE_DAYS)
def test_profiles_are_those_of_tfaudit(render, profile):
    """A profile locks for as many days as tfaudit's own of the same name."""
    made = render(retention={"profile": profile, "mode": "COMPLIANCE"}, replica=REPLICA)
    assert made["retention"]["days"] == config.PROFILE_DAYS[profile]
    assert made["retention"]["least_days"] == config.PROFILE_DAYS[profile] - 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"retention": {"profile": "sec17a4"}, "replica": REPLICA}, "needs a lock that nobody can lift"),
        ({"retention": {"profile": "sec17a4", "mode": "COMPLIANCE"}}, "asks for a second copy"),
        ({"retention": {"profile": "soc2", "days": 3}}, "either a profile or days"),
        ({"retention": {"days": 400, "most_days": 399}}, "less than what new objects are locked for"),
        ({"account_id": "1"}, "has 12 digits"),
    ],
)
def test_what_does_not_fit_is_refused(render, changes, told):
    """A retention that a profile forbids is refused when it is planned, with the reason."""
    assert told in render(code=1, **changes)


def test_compliance_refuses_governance(render):
    """The configured mode is the only one that a request may name; a probe is free."""
    made = render(retention={"days": 400, "mode": "COMPLIANCE"})
    key = RECORD.format("ci-github")
    assert not decided(made, put(GITHUB, key, allowed=False))
    assert decided(made, put(GITHUB, key, allowed=True, object_lock_mode="COMPLIANCE"))
    assert decided(made, put(GITHUB, "ledger/probe/1", allowed=True, object_lock_remaining_retention_days="0"))


def test_a_ledger_may_have_the_whole_bucket(render):
    """Without a prefix the same rules hold from the bucket's root on."""
    made = render(prefix="")
    assert decided(made, put(GITHUB, RECORD.format("ci-github").removeprefix("ledger/"), allowed=True))
    assert not decided(made, put(GITHUB, "ledger/records/ci-github/x", allowed=False))
    assert not decided(made, put(GITHUB, "commits/000000000000002a", allowed=False))


def test_thirty_writers_fit(render):
    """The bucket's policy stays within S3's 20 KB for thirty writers; where it does not, planning says so."""
    many = {f"ci-{number:03d}-of-a-long-name": WRITERS["ci-github"] for number in range(60)}
    thirty = dict(list(many.items())[:30])
    assert render(writers=thirty, sequencer=None, key_arns=keys_of(*thirty))
    assert "longer than the 20 KB" in render(code=1, writers=many, sequencer=None, key_arns=keys_of(*many))


@pytest.mark.parametrize("log", [f"{KEYS}/log", None])
@pytest.mark.parametrize("genesis", [f"sha256:{'0' * 64}", None])
@pytest.mark.parametrize("retention", [{"profile": "sox", "days": 2557}, {"profile": None, "days": 400}])
def test_the_printed_configuration_is_tfaudits(engine, tmp_path, log, genesis, retention):
    """What the module prints as tfaudit.toml is read by tfaudit, with what is not given left out."""
    values = {"ledger": "s3://a-b/c", "working": "s3://a-w/c", "writer": "ci", "region": "eu-west-1", "record": "arn:r"}
    values |= {"log": log, "genesis": genesis, "retention": {**retention, "mode": "COMPLIANCE"}}
    template = json.dumps(str(MODULE / "tfaudit.toml.tftpl"))
    (tmp_path / "main.tf").write_text(
        f'output "text" {{\n  value = templatefile({template}, {json.dumps(values)})\n}}\n'
    )
    subprocess.run([*engine, "plan", "-out", "plan"], cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run([*engine, "show", "-json", "plan"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / config.FILE_NAME).write_text(json.loads(shown.stdout)["planned_values"]["outputs"]["text"]["value"])
    read = config.load(cwd=tmp_path, environ={})
    assert (read.ledger, read.working, read.writer, read.genesis) == ("s3://a-b/c", "s3://a-w/c", "ci", genesis)
    assert (read.signer_record, read.signer_log) == ("awskms:arn:r", f"awskms:{log}" if log else None)
    assert read.retention == config.Retention(mode="COMPLIANCE", days=retention["days"], profile=retention["profile"])


def test_every_statement_is_well_formed(render):
    """Statement ids are unique and of letters and digits, as AWS wants; every statement is one the evaluator knows."""
    made = render(replica=REPLICA)
    texts = [made["evidence_bucket_policy"], made["working_bucket_policy"]]
    for name in ("key_policies", "role_policies", "trust_policies"):
        texts += made[name].values()
    for text in texts:
        policy = json.loads(text)
        iampolicy.check(policy)
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


# --- the parts that only a current provider knows ---------------------------------------------------------------------

ALWAYS = {"count", "for_each", "depends_on", "lifecycle", "provider"}
FILES = [file for file in sorted(MODULE.rglob("*.tf")) if "examples" not in file.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE)))
def test_resources_are_as_the_current_provider_has_them(file):
    """Every argument and block is one that provider 6.25 takes there, and none that it needs is missing."""
    known = json.loads(SCHEMA.read_text())
    for block in hcl2.loads(file.read_text()).get("resource", []):
        for kind, named in block.items():
            for name, body in named.items():
                if not name.startswith("__"):
                    _must_fit(body, known[kind.strip('"')], f"{kind}.{name}")


def _must_fit(body, known, where):
    given = {name: told for name, told in body.items() if name not in ALWAYS and not name.startswith("__")}
    for block in given.pop("dynamic", []):
        for name, told in block.items():
            if not name.startswith("__"):
                given.setdefault(name.strip('"'), []).extend(told["content"])
    assert given.keys() <= known.keys(), where
    assert {name for name, told in known.items() if told["required"]} <= given.keys(), where
    for name, value in given.items():
        if "block" in known[name]:
            for each in value:
                _must_fit(each, known[name]["block"], f"{where}.{name}")
        else:
            assert not isinstance(value, list) or not any(isinstance(each, dict) for each in value), f"{where}.{name}"


def test_every_file_is_formatted(engine):
    """`fmt -check` finds nothing to do in the module, its examples and what the tests put into it."""
    for folder in (MODULE, MODULE.parents[1] / "tests" / "e2e" / "deploy"):
        done = subprocess.run(
            [*engine, "fmt", "-check", "-recursive", folder], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "")


# --- asking ---------------------------------------------------------------------------------------------------------

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}]}


def keys_of(*writers):
    """The keys of a ledger with these writers."""
    return {**PLAIN["key_arns"], "record": {writer: f"{KEYS}/record-{writer}" for writer in writers}}


def decided(made, asked):
    """Whether the request is allowed: by the principal's own policy and the resource's, as within one account."""
    by_arn = {arn: made["role_policies"][role] for role, arn in made["role_arns"].items()}
    own = json.loads(by_arn[asked.who]) if asked.who in by_arn else EVERYTHING
    policies = [own, *([EVERYTHING] if asked.administrator else ()), *_of_resource(made, asked.resource)]
    context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "aws:PrincipalArn": asked.who, **asked.context}
    return iampolicy.decide(policies, iampolicy.Request(asked.who, asked.action, asked.resource, context)) == "allow"


def _of_resource(made, resource):
    if resource.startswith(KEYS):
        name = resource.rpartition("/")[2]
        policy = json.loads(made["key_policies"][name.replace("record-", "record/", 1)])
        # "The account decides": what it allows is what IAM policies allow.
        return [{**policy, "Statement": [one for one in policy["Statement"] if one["Effect"] == "Deny"]}]
    bucket = "evidence" if resource.startswith(BUCKET) else "working"
    return [json.loads(made[f"{bucket}_bucket_policy"])]
