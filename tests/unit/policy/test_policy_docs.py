"""Tests of the rules in docs/policy.md: whoever copies them gets rules that work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from plankit import change
from policykit import db, hits, judged, only

from tfaudit.config.gating import PolicySettings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "policy.md").read_text("utf-8")


def block(begin):
    """Return the code block of the page that begins so."""
    (found,) = re.findall(rf"```\w+\n({re.escape(begin)}.*?)```", PAGE, re.DOTALL)
    return found


def test_the_rules_in_cel_work(tmp_path):
    """Each of them is evaluated, and holds for what it is written for."""
    (tmp_path / "rules.toml").write_text(block("# rules.toml"), "utf-8")
    settings = PolicySettings(cel=tmp_path / "rules.toml", defaults=False)
    changes = [db(), db("aws_db_instance.b"), *(db(f"aws_x.c{n}") for n in range(25))]
    changes += [change("aws_vpc.d", ("create",), None, {"tags": {"owner": "x"}})]
    changes += [change("aws_s3_bucket.e", ("create",), None, {"tags": None})]
    found = only(
        judged(settings, *changes, actor={"principal": "os:a", "level": "claimed", "identities": [], "agent": "a"})
    )
    names = {rule for rule, _ in hits(found)}
    assert len(names) == found.rules == 6


def test_the_rule_in_rego_works(tmp_path):
    """It denies what it is written for."""
    pytest.importorskip("regorus")
    (tmp_path / "x.rego").write_text(block("package main"), "utf-8")
    settings = PolicySettings(rego=tmp_path / "x.rego", engine="regorus", defaults=False)
    found = only(judged(settings, change("aws_s3_bucket.a", ("delete",), {"x": 1}, None)))
    assert [finding.message for finding in found.findings] == ["aws_s3_bucket.a: buckets stay"]
