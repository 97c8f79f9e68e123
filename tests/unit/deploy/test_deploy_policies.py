"""What deploy/aws allows and denies: its policies, rendered by a real engine and asked case by case."""

from __future__ import annotations

import json

import iampolicy
import pytest
from deploykit import (
    ADMIN,
    APPROVER,
    AUDITOR,
    BUCKET,
    COMMIT,
    DISCLOSURE,
    EVERYTHING,
    FOUNDER,
    GITHUB,
    GITLAB,
    KEEPER,
    KEYS,
    OWNER,
    PEOPLE,
    RECORD,
    WORKING,
    WRITERS,
    case,
    decided,
    keys_of,
    put,
)
from requests_to_ask import CASES, SETTINGS

from tfaudit.ledger import s3_policy


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


def test_doctor_finds_nothing_to_add(render):
    """The module's own bucket policy denies all that doctor looks for."""
    assert s3_policy.wrongs("GOVERNANCE", 400)
    for made in (render(), render(sequencer=None)):
        policy = made["evidence_bucket_policy"]
        bucket, _, prefix = BUCKET.removeprefix("arn:aws:s3:::").partition("/")
        place = {"bucket": bucket, "prefix": f"{prefix}/" if prefix else ""}
        assert s3_policy.allowed(policy, **place, mode="GOVERNANCE", days=400) == ()


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


def test_without_approvers_only_the_writer_people_has_that_prefix(render):
    """Where no approvers are named there is no role for them, and nobody is let in for their sake."""
    made = render(approvers=None)
    assert "approver" not in made["role_arns"]
    key = RECORD.format("people")
    assert decided(made, put(PEOPLE, key, allowed=True))
    assert not decided(made, put(APPROVER, key, allowed=False))
    assert not decided(made, case(APPROVER, "s3:GetObject", DISCLOSURE, allowed=False))


def test_approvals_need_no_writer_people(render):
    """Where no writer has the name `people`, the prefix is the approvers' alone."""
    writers = {name: its for name, its in WRITERS.items() if name != "people"}
    made = render(writers=writers, key_arns=keys_of(*writers))
    key = RECORD.format("people")
    assert decided(made, put(APPROVER, key, allowed=True))
    for who in (GITHUB, PEOPLE, AUDITOR, ADMIN, OWNER):
        assert not decided(made, put(who, key, allowed=False))
    assert decided(made, put(KEEPER, key, allowed=True))
    nobody = render(writers=writers, key_arns=keys_of(*writers), approvers=None)
    assert not decided(nobody, put(FOUNDER, key, allowed=False))
