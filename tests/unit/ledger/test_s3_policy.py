"""What a bucket policy is seen to deny, and what it is not."""

from __future__ import annotations

import json

import pytest

from tfaudit.ledger import s3_policy

EVERYTHING = "arn:aws:s3:::evidence/*"
NO_CONDITION = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
WHOLE = [
    {"Action": "s3:DeleteObject*"},
    {"Action": "s3:BypassGovernanceRetention"},
    {"Action": "s3:PutObject", "Condition": NO_CONDITION},
    {
        "Action": ["s3:PutObject", "s3:PutObjectRetention"],
        "Condition": {
            "Null": {"s3:object-lock-mode": "false"},
            "StringNotEquals": {"s3:object-lock-mode": "GOVERNANCE"},
        },
    },
    {
        "Action": "s3:PutObject",
        "Condition": {"NumericLessThan": {"s3:object-lock-remaining-retention-days": "365"}},
    },
]


def missing(*statements: dict, mode: str | None = "GOVERNANCE", days: int | None = 400) -> set[str]:
    """Return the statements that a policy of these, each with what it doesn't say filled in, lacks."""
    whole = [{"Effect": "Deny", "Principal": "*", "Resource": EVERYTHING, **one} for one in statements]
    policy = json.dumps({"Version": "2012-10-17", "Statement": whole})
    found = s3_policy.allowed(policy, bucket="evidence", prefix="ledger/", mode=mode, days=days)
    return {each.statement for each in found}


ALL = {each.statement for each in s3_policy.wrongs("GOVERNANCE", 400)}


def test_a_whole_policy_denies_all() -> None:
    """One that says all that docs/aws.md asks for lacks nothing."""
    assert missing(*WHOLE) == set()


def test_no_policy_denies_nothing() -> None:
    """An empty one lacks everything."""
    assert missing() == ALL


@pytest.mark.parametrize("index", range(len(WHOLE)))
def test_each_statement_counts(index: int) -> None:
    """Without any one of them something is open."""
    assert missing(*WHOLE[:index], *WHOLE[index + 1 :])


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "s3:DeleteObject"},
        {"Action": "s3:*"},
        {"Action": "*"},
        {"Action": ["s3:GetObject", "S3:DELETEOBJECT"]},
        {"Action": "s3:Delete?bject"},
        {"NotAction": "s3:GetObject"},
        {"Action": "s3:DeleteObject", "Principal": {"AWS": "*"}},
        {"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::evidence/ledger/*"},
        {"Action": "s3:DeleteObject", "Resource": ["arn:aws:s3:::other/*", EVERYTHING]},
        {"Action": "s3:DeleteObject", "NotResource": "arn:aws:s3:::evidence/probe/*"},
        {"Action": "s3:DeleteObject", "Condition": {"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/keeper"}}},
    ],
)
def test_the_ways_to_deny_a_delete(statement: dict) -> None:
    """Wildcards, lists, negations and exceptions for some are understood."""
    assert "DenyDelete" not in missing(statement)


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "s3:DeleteObject", "Effect": "Allow"},
        {"Action": "s3:DeleteObjectVersion"},
        {"NotAction": ["s3:Delete*"]},
        {"Action": "s3:DeleteObject", "Principal": {"AWS": "arn:aws:iam::1:root"}},
        {"Action": "s3:DeleteObject", "Principal": {"Service": "*"}},
        {"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::evidence"},
        {"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::evidence/probe/*"},
        {"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::evidence/${aws:username}/*"},
        {"Action": "s3:DeleteObject", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Action": "s3:DeleteObject", "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/one"}}},
        {"Action": "s3:DeleteObject", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}},
        {"Action": "s3:DeleteObject", "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": "*"}}},
        {"Action": 5},
    ],
)
def test_what_does_not_deny_a_delete_to_all(statement: dict) -> None:
    """A statement for others, elsewhere, under a condition that need not hold or isn't understood is none."""
    assert "DenyDelete" in missing(statement)


def test_a_word_in_the_policy_is_not_enough() -> None:
    """An action that is named in another statement's Sid or condition denies nothing."""
    assert missing({"Sid": "s3:DeleteObject", "Action": "s3:GetObject"}) == ALL


def test_where_no_retention_is_known_locks_are_not_asked_for() -> None:
    """Without a mode there is no other one."""
    assert missing(*WHOLE[:3], mode=None, days=None) == set()


@pytest.mark.parametrize("policy", ["", "[]", "5", "{}", '{"Statement": 5}', "{"])
def test_what_is_no_policy(policy: str) -> None:
    """Anything else is said to be unreadable."""
    with pytest.raises(ValueError):
        s3_policy.allowed(policy, bucket="b", prefix="", mode=None, days=None)


@pytest.mark.parametrize(
    "statement", [{}, {"Condition": []}, {"Condition": {"Bool": 5}}, {"Resource": {}}, {"Action": None}]
)
def test_odd_statements_deny_nothing(statement: dict) -> None:
    """What is malformed neither raises nor counts."""
    missing({"Action": "s3:DeleteObject", **statement})
