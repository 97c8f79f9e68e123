"""Breaking the glass, on a real engine: on an on-call person's word, marked, and looked at by somebody else later."""

from __future__ import annotations

import json
import time

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine

GATE = """approvals = 2

[gate.groups]
on-call = ["carol@example.com"]

[gate.break_glass]
groups = ["on-call"]
review_within = "{within}"

[[gate.freeze]]
name = "always"
from = 2020-01-01T00:00:00Z
to = 2120-01-01T00:00:00Z
"""


def _pinned(
    project: support.Project, *approvers: gatekit.Person, within: str = "48h", push: bool = True
) -> support.Project:
    ready = gatekit.set_up(project, *approvers, gate=GATE.format(within=within))
    if push:
        ready.tfaudit("config", "push", "--yes")
    ready.tfaudit("plan", "-out=fix.plan")
    return ready


def _exported(project: support.Project) -> list[str]:
    project.tfaudit("export", "--format", "jsonl", "-o", "events.jsonl")
    return (project.folder / "events.jsonl").read_text().splitlines()


def test_the_word_of_who_is_on_call_overrides_approvals_and_freezes(
    project: support.Project, alice: gatekit.Person, carol: gatekit.Person
) -> None:
    """The run goes on, every one of its events is marked, and a review by another person closes it."""
    gated = _pinned(project, alice, carol)
    gatekit.approve(gated, carol, "fix.plan", "--break-glass", "--reason", "outage")
    assert {"freeze", "quorum"} & gatekit.codes(gated.tfaudit("apply", "fix.plan", code=77))
    done = gated.tfaudit("--break-glass", "apply", "fix.plan")
    assert "BREAK-GLASS" in done.stderr
    assert "nobody is told that the glass is broken: no [[alert]] asks for break-glass" in done.stderr
    examined = gated.tfaudit("doctor", code=None)
    assert "a broken glass alerts nobody" in examined.stdout + examined.stderr
    assert gatekit.deployed(gated) == "small"
    events = [json.loads(line) for line in _exported(gated)]
    assert events
    assert all(event["break_glass"] is True for event in events if event["run_id"] == gatekit.last_run(gated))
    assert gatekit.findings(gated) == []
    gated.tfaudit("log", "--overdue")
    run = gatekit.last_run(gated)
    gatekit.approve(gated, alice, run, "--review", "--reason", "was needed")
    gated.tfaudit("log", "--overdue")
    assert gatekit.findings(gated) == []


def test_a_review_that_nobody_made_in_time_is_overdue(
    project: support.Project, alice: gatekit.Person, carol: gatekit.Person
) -> None:
    """`log --overdue` names the run and ends with 76; who broke the glass can't review it."""
    gated = _pinned(project, alice, carol, within="1s")
    gatekit.approve(gated, carol, "fix.plan", "--break-glass")
    gated.tfaudit("--break-glass", "apply", "fix.plan")
    run = gatekit.last_run(gated)
    time.sleep(1.1)
    assert run in gated.tfaudit("log", "--overdue", code=76).stdout
    gatekit.approve(gated, carol, run, "--review", code=None)
    assert run in gated.tfaudit("log", "--overdue", code=76).stdout
    gatekit.approve(gated, alice, run, "--review")
    gated.tfaudit("log", "--overdue")


def test_a_repository_alone_cant_allow_it(
    project: support.Project, alice: gatekit.Person, carol: gatekit.Person
) -> None:
    """Only a pinned configuration does: a pull request could name anybody."""
    gated = _pinned(project, alice, carol, push=False)
    gatekit.approve(gated, carol, "fix.plan", "--break-glass", code=None)
    gated.tfaudit("--break-glass", "apply", "fix.plan", code=77)
    assert gatekit.deployed(gated) is None


def test_an_ordinary_approver_cant_break_the_glass(
    project: support.Project, alice: gatekit.Person, carol: gatekit.Person
) -> None:
    """It takes a member of the group that may."""
    gated = _pinned(project, alice, carol)
    gatekit.approve(gated, alice, "fix.plan", "--break-glass", code=None)
    gated.tfaudit("--break-glass", "apply", "fix.plan", code=77)
    assert gatekit.deployed(gated) is None
