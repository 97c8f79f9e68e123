"""What the tests of deploy/aws stand on: a ledger's variables, its policies as an engine renders them, requests."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import iampolicy

MODULE = Path(__file__).resolve().parents[3] / "deploy" / "aws"

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::acme-evidence"
WORKING = "arn:aws:s3:::acme-working"
KEYS = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
GITHUB, GITLAB, KEEPER, PEOPLE, SEQUENCER = (
    f"{ROLE}/tfaudit/acme-writer-{name}" for name in ("ci-github", "ci-gitlab", "keeper", "people", "sequencer")
)
AUDITOR = f"{ROLE}/tfaudit/acme-auditor"
APPROVER = f"{ROLE}/tfaudit/acme-approver"
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
    "approvers": {"principals": [f"{ROLE}/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Developer_*"]},
    "founders": [FOUNDER],
}
REPLICA = {
    "account_id": "210987654321",
    "bucket_arn": "arn:aws:s3:::acme-replica",
    "kms_key_arn": "arn:aws:kms:eu-central-1:210987654321:key/replica",
}


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
