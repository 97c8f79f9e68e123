"""Runs under a gate, on a real engine: denied, approved and applied, approved then changed, used up, rejected."""

from __future__ import annotations

import json
import subprocess
import time

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine


@pytest.fixture
def gated(project: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> support.Project:
    """A project whose applies need one approval, by Alice or Bob."""
    return gatekit.set_up(project, alice, bob)


@pytest.fixture
def deployed(gated: support.Project, alice: gatekit.Person) -> support.Project:
    """The same with its first apply behind it."""
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    gated.tfaudit("apply", "first.plan")
    return gated


def _change(project: support.Project, size: str) -> None:
    project.write(gatekit.SMALL.replace('"small"', f'"{size}"'))


def test_an_apply_that_nobody_approved_is_denied_and_recorded(gated: support.Project) -> None:
    """It ends with 77, says why and how to go on, changes nothing, and the denial is in the ledger."""
    done = gated.tfaudit("apply", "-auto-approve", code=77)
    assert gatekit.codes(done) == {"no-approval"}
    assert gatekit.deployed(gated) is None
    last = gatekit.records(gated)[-1]
    assert last["kind"] == "plan"
    # Made again, a first plan would be another file: to approve this run would be of no use.
    assert "tfaudit plan -out=FILE, tfaudit approve FILE, tfaudit apply FILE" in done.stderr
    assert gatekit.findings(gated) == []


def test_an_approved_plan_file_is_applied(gated: support.Project, alice: gatekit.Person) -> None:
    """Plan, approve, gate, apply: exit 0 throughout, and verify recomputes the decision."""
    gated.tfaudit("plan", "-out=change.plan")
    assert json.loads(gated.tfaudit("gate", "change.plan", "--json", code=77).stdout)["decision"] == "deny"
    gatekit.approve(gated, alice, "change.plan", "--reason", "reviewed")
    answer = json.loads(gated.tfaudit("gate", "change.plan", "--json").stdout)
    assert answer["decision"] == "allow"
    assert answer["reasons"] == []
    done = gated.tfaudit("apply", "change.plan")
    assert "approved by 1" in done.stderr
    assert gatekit.deployed(gated) == "small"
    assert gatekit.findings(gated) == []


def test_an_approved_run_may_be_planned_again(deployed: support.Project, bob: gatekit.Person) -> None:
    """The denied run is approved by its id; the next apply plans the same change anew and goes on."""
    _change(deployed, "large")
    denied = deployed.tfaudit("apply", "-auto-approve", code=77)
    assert f"tfaudit approve {gatekit.last_run(deployed)}" in denied.stderr
    gatekit.approve(deployed, bob, gatekit.last_run(deployed))
    deployed.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(deployed) == "large"
    assert gatekit.findings(deployed) == []


def test_another_change_than_the_approved_one_is_denied(deployed: support.Project, alice: gatekit.Person) -> None:
    """The approval is for the change that was seen, and the denial says that it is another plan."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    _change(deployed, "huge")
    done = deployed.tfaudit("apply", "-auto-approve", code=77)
    assert "other-plan" in gatekit.codes(done)
    assert gatekit.deployed(deployed) == "small"


def test_an_approval_serves_once(deployed: support.Project, alice: gatekit.Person) -> None:
    """The same change, undone and planned again, needs an approval of its own."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    deployed.tfaudit("apply", "change.plan")
    done = deployed.tfaudit("apply", "change.plan", code=77)
    assert gatekit.codes(done) & {"already-used", "state-moved"}


def test_a_plan_of_an_empty_state_does_not_serve_elsewhere(gated: support.Project, alice: gatekit.Person) -> None:
    """A first plan's approval is for that very file: a plan made again is another."""
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    time.sleep(1.1)  # within one second the engine writes the very same bytes again
    done = gated.tfaudit("apply", "-auto-approve", code=77)
    assert "other-plan" in gatekit.codes(done)
    assert gatekit.deployed(gated) is None


def test_a_rejection_stops_an_approved_change(
    deployed: support.Project, alice: gatekit.Person, bob: gatekit.Person
) -> None:
    """Whoever rejects later has the last word."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    gatekit.reject(deployed, bob, "change.plan", "--reason", "not on a Friday")
    done = deployed.tfaudit("apply", "change.plan", code=77)
    assert "rejected" in gatekit.codes(done)
    assert gatekit.deployed(deployed) == "small"


def test_of_two_applies_under_one_approval_one_goes_on(deployed: support.Project, alice: gatekit.Person) -> None:
    """The first intent in the log uses the approval up; the other run ends with 77 and has changed nothing."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    command = [str(support.TFAUDIT), "apply", "-lock-timeout=60s", "change.plan"]
    running = [
        subprocess.Popen(
            command,
            cwd=deployed.folder,
            env=deployed.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ended = [(*each.communicate(timeout=support.TIMEOUT), each.returncode) for each in running]
    assert sorted(code for *_, code in ended) == [0, 77], ended
    assert gatekit.deployed(deployed) == "large"
    assert gatekit.findings(deployed) == []


def test_two_are_needed_where_two_are_asked_for(
    gated: support.Project, alice: gatekit.Person, bob: gatekit.Person
) -> None:
    """One approval of two is no quorum; one person's second is not a second person's."""
    gatekit.write_gate(gated, alice, bob, gate="approvals = 2")
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    gatekit.approve(gated, alice, "first.plan")
    assert gatekit.codes(gated.tfaudit("apply", "first.plan", code=77)) == {"quorum"}
    gatekit.approve(gated, bob, "first.plan")
    done = gated.tfaudit("apply", "first.plan")
    assert "approved by 2" in done.stderr
    assert gatekit.findings(gated) == []


def test_an_approval_is_brought_as_a_file(deployed: support.Project, alice: gatekit.Person) -> None:
    """Whoever has no access to the ledger signs a file; the run carries it in, and the log holds it afterwards."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan", "--out", "alice.approval")
    deployed.tfaudit("apply", "change.plan", code=77)
    deployed.tfaudit("--approval", "alice.approval", "apply", "change.plan")
    assert "approval" in [record["kind"] for record in gatekit.records(deployed)]
    assert gatekit.deployed(deployed) == "large"
    assert gatekit.findings(deployed) == []


def test_a_state_elsewhere_is_refused(deployed: support.Project, alice: gatekit.Person) -> None:
    """TF_CLI_ARGS can't turn an approved change onto another state."""
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    elsewhere = {**deployed.environment, "TF_CLI_ARGS_apply": "-state=elsewhere.tfstate"}
    done = subprocess.run(
        [str(support.TFAUDIT), "apply", "change.plan"],
        cwd=deployed.folder,
        env=elsewhere,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 77
    assert "unbound-input" in gatekit.codes(done)


@pytest.mark.parametrize("command", [("refresh",), ("test",)])
def test_what_cant_be_looked_into_is_denied(deployed: support.Project, command: tuple[str, ...]) -> None:
    """A command whose changes nobody can see beforehand has nothing to approve."""
    done = deployed.tfaudit(*command, code=77)
    # That votes on other plans are no votes on this goes without saying.
    assert gatekit.codes(done) == {"unbound-input"}
    assert gatekit.findings(deployed) == []


def test_nothing_to_change_needs_no_approval(deployed: support.Project) -> None:
    """An apply without changes goes through."""
    deployed.tfaudit("apply", "-auto-approve")
    assert gatekit.findings(deployed) == []


def test_a_freeze_stops_an_approved_change(deployed: support.Project, alice: gatekit.Person) -> None:
    """During a freeze nothing is applied."""
    freeze = '[[gate.freeze]]\nname = "always"\nfrom = 2020-01-01T00:00:00Z\nto = 2120-01-01T00:00:00Z'
    gatekit.write_gate(deployed, alice, gate=f"approvals = 1\n{freeze}")
    _change(deployed, "large")
    deployed.tfaudit("plan", "-out=change.plan")
    gatekit.approve(deployed, alice, "change.plan")
    assert "freeze" in gatekit.codes(deployed.tfaudit("apply", "change.plan", code=77))
