"""Tests of all policies together: what is configured, what can't be read, which digest it has."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plankit import change, plan_of
from policykit import ACTOR, db, hits, judged, only, rule, settings_of

from tfaudit.config.gating import GateRule, PolicySettings
from tfaudit.errors import ConfigError
from tfaudit.identity.actor import Agent, Evidence, combine
from tfaudit.policy import evaluate
from tfaudit.policy.digest import policy_digest

GATE = (GateRule(name="g", when="true", approvals=1),)
MODULE = b'package main\nimport rego.v1\ndeny contains "x" if true\n'


def children():
    """Return the processes that this one has started and not ended."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_without_settings_the_rules_that_come_along_warn():
    """No [policy] at all still has the default set."""
    one = only(judged(None, db()))
    assert [(finding.rule, finding.severity) for finding in one.findings] == [("data-loss", "warn")]


def test_nothing_configured_is_nothing_evaluated():
    """Without any rule there is no evaluation, which is not an evaluation of no rule."""
    assert judged(PolicySettings(defaults=False), db()) == ()


def test_each_engine_gives_an_evaluation(tmp_path):
    """CEL and Rego stand side by side."""
    pytest.importorskip("regorus")
    (tmp_path / "x.rego").write_bytes(MODULE)
    settings = settings_of(tmp_path, rule("true"), rego=tmp_path / "x.rego", engine="regorus")
    assert [one.engine for one in judged(settings, db())] == ["cel", "regorus"]


@pytest.mark.parametrize("what", ["missing", "pipe", "large", "broken", "empty", "folder"])
def test_rules_that_can_not_be_read_deny(tmp_path, what):
    """Whatever lies there in place of rules is an error, not an exception, and not no rule."""
    path = tmp_path / "rules.toml"
    match what:
        case "pipe":
            os.mkfifo(path)
        case "large":
            path.write_bytes(b"#" * (2 << 20))
        case "broken":
            path.write_bytes(b"\x00\xff")
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
    found = judged(PolicySettings(cel=path, rego=path.with_suffix(".rego")), db())
    assert [one.error is not None for one in found] == [True, True, False]


def test_a_gates_rule_that_asks_for_null_denies():
    """The gate's rules are read as strictly as the policy's."""
    gate = (GateRule(name="g", when="change.after == null", approvals=1),)
    (one,) = judged(PolicySettings(defaults=False), db(), gate=gate)
    assert "asks for null" in (one.error or "")


def test_a_plan_that_can_not_be_read_denies():
    """A change that is no object fails the evaluation."""
    plan = plan_of(db())
    broken = replace(plan, parts=replace(plan.parts, changes=[type(plan.parts.changes[0])(b"[]")]))
    found = evaluate.evaluate(None, (), broken, b"", actor=ACTOR, environ={})
    assert only(found).error is not None


def test_rego_without_the_plans_json_denies(tmp_path):
    """A caller that has no document gets an error, not an evaluation of nothing."""
    (tmp_path / "x.rego").write_bytes(MODULE)
    settings = PolicySettings(rego=tmp_path / "x.rego", defaults=False)
    found = evaluate.evaluate(settings, (), plan_of(db()), b"", actor=ACTOR, environ={})
    assert only(found).error is not None


def test_what_is_evaluated_is_what_was_read(tmp_path):
    """Files that change after the start change neither the digest nor the findings."""
    settings = settings_of(tmp_path, rule("true", name="old"))
    with evaluate.start(settings, (), environ={}) as pending:
        before = pending.digest
        settings_of(tmp_path, rule("true", name="new"))
        found = pending.evaluate(plan_of(db()), b"", actor=ACTOR)
        assert hits(only(found)) == [("old", None)]
        assert pending.digest == before
    assert evaluate.policies_digest(settings) != before


def test_a_second_evaluation_of_the_same_start_denies(tmp_path):
    """The child answers once; asking again is an error, not the first answer."""
    with evaluate.start(settings_of(tmp_path, rule("true")), (), environ={}) as pending:
        pending.evaluate(plan_of(db()), b"", actor=ACTOR)
        assert only(pending.evaluate(plan_of(db()), b"", actor=ACTOR)).error is not None


def test_what_was_started_and_not_asked_is_ended(tmp_path):
    """Closing leaves no process behind."""
    before = children()
    pending = evaluate.start(settings_of(tmp_path, rule("true")), (), environ={})
    pending.close()
    pending.close()
    assert children() <= before


def test_a_child_that_can_not_be_started_denies(tmp_path, monkeypatch):
    """Without an interpreter nothing is evaluated."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nope"))
    assert "can't be started" in (only(judged(settings_of(tmp_path, rule("true")), db())).error or "")


def test_who_acts_is_told_to_the_rules():
    """Principal, level and names; no agent where there is none."""
    mine = Evidence(source="x", level="claimed", principal="os:alice", claims=(), identities=("os:alice",))
    view = evaluate.actor_view(combine([mine]))
    assert (view["principal"], view["level"], view["identities"]) == ("os:alice", "claimed", ["os:alice"])
    assert "agent" not in view


def test_an_agent_is_told_to_the_rules():
    """An agent's name, and for whom it says to act; bytes that are no text are spelled out."""
    mine = Evidence(source="x", level="claimed", principal="os:al\udce9", claims=(), identities=("os:al\udce9",))
    view = evaluate.actor_view(combine([mine], Agent(name="robot", on_behalf_of="email:a@example.com", recognised="X")))
    assert (view["agent"], view["on_behalf_of"]) == ("robot", "email:a@example.com")
    assert view["principal"] == "os:al\\xe9"


@pytest.mark.parametrize(
    "other",
    [
        {"defaults": False},
        {"reveal": True},
        {"rego_version": "v0"},
        {"input": "hcp"},
        {"cel": None},
        {"rego": None},
    ],
)
def test_the_digest_knows_what_is_evaluated(tmp_path, other):
    """Whatever changes the rules or what they see is another policy."""
    (tmp_path / "x.rego").write_bytes(MODULE)
    settings = settings_of(tmp_path, rule("true"), defaults=True, rego=tmp_path / "x.rego")
    assert policy_digest(settings) != policy_digest(replace(settings, **other))


@pytest.mark.parametrize("other", [{"engine": "opa"}, {"timeout_seconds": 1}, {"memory_mb": 99}])
def test_the_digest_does_not_know_how_it_is_evaluated(tmp_path, other):
    """Engine and limits are no part of the rules."""
    settings = settings_of(tmp_path, rule("true"))
    assert policy_digest(settings) == policy_digest(replace(settings, **other))


def test_the_gates_rules_are_in_the_digest_of_all(tmp_path):
    """An approval binds the gate's rules too."""
    settings = settings_of(tmp_path, rule("true"))
    assert evaluate.policies_digest(settings, GATE) != evaluate.policies_digest(settings)
    with evaluate.start(settings, GATE, environ={}) as pending:
        assert pending.digest == evaluate.policies_digest(settings, GATE)


def test_the_digest_of_what_can_not_be_read_is_refused(tmp_path):
    """Nothing unreadable can be pinned."""
    with pytest.raises(ConfigError):
        policy_digest(PolicySettings(cel=tmp_path / "nope"))


def test_an_unreadable_policy_has_another_digest_than_none(tmp_path):
    """What is bound by an approval says that it could not be read."""
    with evaluate.start(PolicySettings(cel=tmp_path / "nope"), (), environ={}) as pending:
        assert pending.digest != evaluate.policies_digest(PolicySettings())


def test_more_changes_never_take_a_finding_away(tmp_path):
    """What a plan was found to break, a larger plan breaks too."""
    settings = settings_of(tmp_path, rule('change.action == "delete"'))
    small = hits(only(judged(settings, db())))
    large = hits(only(judged(settings, db(), change("aws_x.y", ("create",), None, {"a": 1}), db("aws_db.z"))))
    assert set(small) <= set(large)
