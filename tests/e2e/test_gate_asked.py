"""``tfaudit gate``, ``inspect`` and ``verify`` on gated runs of a real engine."""

from __future__ import annotations

import json
import subprocess
import time

import gatekit
import pytest
import support

from tfaudit import schema

pytestmark = pytest.mark.engine

PATIENCE = 60
"""Seconds that a gate which waits is given."""


@pytest.fixture
def planned(project: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> support.Project:
    """A project with a plan file that needs an approval."""
    gated = gatekit.set_up(project, alice, bob)
    gated.tfaudit("plan", "-out=change.plan")
    return gated


def ask(project: support.Project, *options: str, code: int = 0, what: str = "change.plan") -> dict[str, object]:
    """Return what the gate says, held against its schema."""
    answer = json.loads(project.tfaudit("gate", what, "--json", *options, code=code).stdout)
    schema.validate("gate.v1", answer)
    return dict(answer)


def test_the_answer_names_who_approved_with_what(planned: support.Project, alice: gatekit.Person) -> None:
    """Before and after, by the plan file and by the run's id."""
    before = ask(planned, code=77)
    assert (before["decision"], before["required"], before["approvals"]) == ("deny", 1, [])
    assert [reason["code"] for reason in before["reasons"]] == ["no-approval"]  # type: ignore[attr-defined]
    gatekit.approve(planned, alice, "change.plan")
    after = ask(planned)
    assert (after["decision"], after["reasons"]) == ("allow", [])
    (approval,) = after["approvals"]  # type: ignore[misc]
    assert approval["approver"] == alice.principal
    fingerprint = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(alice.key)], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert approval["key"] == fingerprint
    plans = [record for record in gatekit.records(planned) if record["kind"] == "plan"]
    assert after == ask(planned, what=str(plans[0]["run_id"]))
    assert (after["plan_digest"], after["plan_record"]) == (plans[0]["plan_digest"], plans[0]["record_id"])


def test_an_approval_in_a_file_is_counted(planned: support.Project, alice: gatekit.Person) -> None:
    """As the apply will count it."""
    gatekit.approve(planned, alice, "change.plan", "--out", "word.json")
    ask(planned, code=77)
    done = planned.tfaudit("--approval", "word.json", "gate", "change.plan", "--json")
    assert json.loads(done.stdout)["approvals"][0]["source"] == "file"


def test_a_gate_that_waits_goes_on_when_the_approval_comes(planned: support.Project, alice: gatekit.Person) -> None:
    """It says once what it waits for."""
    with waiting(planned) as gate:
        assert "waiting for approval" in gate.stderr.readline()  # type: ignore[union-attr]
        gatekit.approve(planned, alice, "change.plan")
        out, err = gate.communicate(timeout=PATIENCE)
    assert (gate.returncode, json.loads(out)["decision"]) == (0, "allow")
    assert "waiting" not in err


def test_a_gate_that_waits_ends_at_once_on_a_rejection(planned: support.Project, bob: gatekit.Person) -> None:
    """There is nothing left to wait for."""
    with waiting(planned) as gate:
        gate.stderr.readline()  # type: ignore[union-attr]
        gatekit.reject(planned, bob, "change.plan")
        out, _ = gate.communicate(timeout=PATIENCE)
    assert gate.returncode == 77
    assert "rejected" in {reason["code"] for reason in json.loads(out)["reasons"]}


def test_waiting_can_be_interrupted(planned: support.Project) -> None:
    """Ctrl-C ends it with 130 and without a traceback."""
    with waiting(planned) as gate:
        gate.stderr.readline()  # type: ignore[union-attr]
        time.sleep(0.2)
        gate.send_signal(2)
        _, err = gate.communicate(timeout=PATIENCE)
    assert gate.returncode == 130
    assert err.strip() in ("", "tfaudit: interrupted")


def waiting(project: support.Project) -> subprocess.Popen[str]:
    """Start a gate that waits for longer than any test."""
    command = [str(support.TFAUDIT), "gate", "change.plan", "--json", "--wait", "10m"]
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_wait_that_is_no_time_is_a_usage_error(project: support.Project) -> None:
    """As is asking for two forms at once."""
    project.tfaudit("gate", "change.plan", "--wait", "soon", code=64)
    project.tfaudit("gate", "change.plan", "--json", "--format", "markdown", code=64)


def test_a_plan_that_moved_on_is_told_of(planned: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> None:
    """Once another plan was applied, this one's approval is for a state that is no more."""
    gatekit.approve(planned, alice, "change.plan")
    planned.tfaudit("plan", "-out=other.plan", "-var=size=large")
    gatekit.approve(planned, bob, "other.plan")
    planned.tfaudit("apply", "other.plan")
    assert "state-moved" in {reason["code"] for reason in ask(planned, code=77)["reasons"]}  # type: ignore[attr-defined]


def test_a_rejected_plan_does_not_hold_back_the_next(
    planned: support.Project, alice: gatekit.Person, bob: gatekit.Person
) -> None:
    """A rejection is of what was seen; what was made of it since is judged anew, by the gate and by the apply."""
    gatekit.reject(planned, bob, "change.plan")
    planned.tfaudit("plan", "-out=better.plan", "-var=size=tiny")
    gatekit.approve(planned, alice, "better.plan")
    assert ask(planned, what="better.plan")["decision"] == "allow"
    planned.tfaudit("apply", "better.plan")
    assert gatekit.deployed(planned) == "tiny"


def test_the_text_and_the_comment(planned: support.Project, alice: gatekit.Person) -> None:
    """Both say what is missing, then who approved."""
    denied = planned.tfaudit("gate", "change.plan", code=77).stdout
    assert denied.startswith("denied: plan ")
    assert "no-approval" in denied
    gatekit.approve(planned, alice, "change.plan")
    assert f"{alice.principal} with SHA256:" in planned.tfaudit("gate", "change.plan").stdout
    comment = planned.tfaudit("gate", "change.plan", "--format", "markdown").stdout
    assert comment.startswith("### ")
    assert f"`{alice.principal}`" in comment
    assert "| create | 1 |" in comment


def test_a_plan_without_a_gate_is_not_judged(project: support.Project) -> None:
    """There is nothing to decide."""
    project.write(gatekit.SMALL)
    project.tfaudit("setup", "--yes")
    project.run_engine("init", "-input=false")
    project.tfaudit("plan", "-out=change.plan")
    assert "without a gate" in project.tfaudit("gate", "change.plan", code=65).stderr


def test_inspect_shows_who_approved_and_why_it_was_denied(planned: support.Project, alice: gatekit.Person) -> None:
    """Of a run that was denied, one that went on, and of the approval itself."""
    planned.tfaudit("apply", "change.plan", code=77)
    denied = gatekit.last_run(planned)
    assert "no-approval: no approval counts" in planned.tfaudit("inspect", denied).stdout
    assert "denied" in planned.tfaudit("log", "--run", denied).stdout
    gatekit.approve(planned, alice, "change.plan", "--reason", "it is time")
    word = str(gatekit.records(planned)[-1]["record_id"])
    planned.tfaudit("apply", "change.plan")
    applied = planned.tfaudit("inspect", gatekit.last_run(planned)).stdout
    assert f"{alice.principal} with SHA256:" in applied
    shown = planned.tfaudit("inspect", word).stdout
    assert alice.principal in shown
    assert "it is time" in shown
    for name in (denied, gatekit.last_run(planned), word):
        schema.validate("inspect.v1", json.loads(planned.tfaudit("inspect", name, "--json").stdout))


def test_an_erased_change_key_leaves_the_ledger_whole(planned: support.Project, alice: gatekit.Person) -> None:
    """After the apply nobody can compare with the plan's digest any more, and verify knows why."""
    gatekit.approve(planned, alice, "change.plan")
    planned.tfaudit("apply", "change.plan")
    plan = next(record for record in gatekit.records(planned) if record["kind"] == "plan")
    path = planned.folder / ".tfaudit" / "working" / "disclosures" / f"{plan['record_id']}.jsonl"
    own = json.loads(path.read_text().splitlines()[-1])
    (key,) = (value for value in own["values"] if value[0] == "/change/key")
    assert key == ["/change/key", "value", None, None]
    assert gatekit.findings(planned) == []
    path.write_text(path.read_text().replace('"/reason"', '"/ticket"').replace("/decision/basis", "/decision/other"))
    assert gatekit.findings(planned) == ["altered-disclosure"]
