"""What an attacker tries against the gate, on a real engine: each try is denied by name and changes nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine

STEPRUN = Path(__file__).with_name("steprun.py")
EPHEMERAL = """
variable "token" {
  type      = string
  ephemeral = true
  default   = "none"
}

resource "terraform_data" "web" {
  input = "small"
}

resource "terraform_data" "hook" {
  provisioner "local-exec" {
    command = "true"
    environment = { TOKEN = var.token }
  }
}
"""


@pytest.fixture
def gated(project: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> support.Project:
    """A project with one apply behind it, the next of which is planned and approved by Alice."""
    ready = gatekit.set_up(project, alice, bob)
    ready.tfaudit("plan", "-out=first.plan")
    gatekit.approve(ready, alice, "first.plan")
    ready.tfaudit("apply", "first.plan")
    ready.write(gatekit.SMALL.replace('"small"', '"large"'))
    ready.tfaudit("plan", "-out=change.plan")
    gatekit.approve(ready, alice, "change.plan")
    return ready


@pytest.fixture
def pinned(project: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> support.Project:
    """A project whose gate the organisation has pinned with the root key, which the pull request doesn't have."""
    ready = gatekit.set_up(project, alice, bob)
    ready.tfaudit("config", "push", "--yes")
    (ready.folder / ".tfaudit/keys/root.pem").rename(ready.folder.parent / "root.pem")
    return ready


def _meanwhile(
    project: support.Project, step: str, meanwhile: list[str], *command: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(STEPRUN), step, json.dumps(meanwhile), *command],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )


def test_a_rejection_that_comes_between_the_decision_and_the_intent_wins(
    gated: support.Project, bob: gatekit.Person
) -> None:
    """The log up to the intent's own place decides: the run ends as not started, with 77."""
    rejecting = [str(support.TFAUDIT), "reject", "change.plan", "--key", str(bob.key), "--yes"]
    done = _meanwhile(gated, "intent", rejecting, "apply", "change.plan")
    assert done.returncode == 77, done.stderr
    assert gatekit.codes(done) == {"rejected"}
    assert gatekit.deployed(gated) == "small"
    assert [record["kind"] for record in gatekit.records(gated)][-3:] == ["rejection", "intent", "outcome"]
    assert gatekit.findings(gated) == []


def test_a_rejection_after_the_intent_comes_too_late_and_shows(gated: support.Project, bob: gatekit.Person) -> None:
    """What has begun isn't stopped half way; the log says which came first."""
    rejecting = [str(support.TFAUDIT), "reject", "change.plan", "--key", str(bob.key), "--yes"]
    done = _meanwhile(gated, "confirm", rejecting, "apply", "change.plan")
    assert done.returncode == 0, done.stderr
    assert gatekit.findings(gated) == []


def test_a_plan_file_swapped_after_the_gate_is_denied(gated: support.Project) -> None:
    """The gate's word is for the file's bytes: another plan under the same name has no approval."""
    gated.tfaudit("gate", "change.plan")
    gated.write(gatekit.SMALL.replace('"small"', '"evil"'))
    gated.run_engine("plan", "-out=change.plan")
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert "other-plan" in gatekit.codes(done)
    assert gatekit.deployed(gated) == "small"


def test_a_plan_file_swapped_while_it_is_applied_changes_nothing(gated: support.Project) -> None:
    """What was looked into is what is applied: the file on disk no longer matters."""
    (gated.folder / "evil.plan").write_bytes(b"not a plan")
    swapping = [sys.executable, "-c", "import os; os.replace('evil.plan', 'change.plan')"]
    done = _meanwhile(gated, "intent", swapping, "apply", "change.plan")
    assert done.returncode == 0, done.stderr
    assert gatekit.deployed(gated) == "large"


def test_an_approval_for_one_stack_serves_no_other(gated: support.Project) -> None:
    """The same files as another stack are another stack."""
    other = replace(gated, environment={**gated.environment, "TFAUDIT_STACK": "example.test/team/other"})
    done = other.tfaudit("apply", "change.plan", code=77)
    # Where the state lies in a file, another stack's is another state: no plan of that was recorded.
    assert gatekit.codes(done) <= {"other-stack", "no-approval", "unbound-input"}
    assert gatekit.deployed(gated) == "small"


def test_an_approver_removed_since_counts_no_more(gated: support.Project, bob: gatekit.Person) -> None:
    """Whoever is no longer in the approvers file has approved nothing."""
    gatekit.write_gate(gated, bob)
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert "unknown-approver" in gatekit.codes(done)


def test_a_state_that_moved_on_needs_an_approval_of_its_own(gated: support.Project) -> None:
    """The approval is for one version of the state."""
    gated.run_engine("state", "mv", "terraform_data.web", "terraform_data.moved")
    gated.run_engine("state", "mv", "terraform_data.moved", "terraform_data.web")
    gated.run_engine("plan", "-out=again.plan")
    done = gated.tfaudit("apply", "again.plan", code=77)
    assert "state-moved" in gatekit.codes(done)


def test_an_ephemeral_variable_with_another_value_is_refused(gated: support.Project, alice: gatekit.Person) -> None:
    """What the plan doesn't hold must be what it was at the plan."""
    gated.write(EPHEMERAL)
    told = replace(gated, environment={**gated.environment, "TF_VAR_token": "approved"})
    told.tfaudit("plan", "-out=change.plan")
    gatekit.approve(told, alice, "change.plan")
    other = replace(gated, environment={**gated.environment, "TF_VAR_token": "another"})
    assert "unbound-input" in gatekit.codes(other.tfaudit("apply", "change.plan", code=77))
    told.tfaudit("apply", "change.plan")


def test_an_edited_provisioner_is_another_change(gated: support.Project, alice: gatekit.Person) -> None:
    """It changes no resource change, but it changes what the apply does."""
    provisioned = 'resource "terraform_data" "web" {{\n input = "small"\n}}\nresource "terraform_data" "hook" {{\n'
    provisioned += ' provisioner "local-exec" {{\n command = "echo {}"\n }}\n}}\n'
    gated.write(provisioned.format("good"))
    gated.tfaudit("apply", "-auto-approve", code=77)
    gatekit.approve(gated, alice, gatekit.last_run(gated))
    gated.write(provisioned.format("evil"))
    assert "other-plan" in gatekit.codes(gated.tfaudit("apply", "-auto-approve", code=77))
    gated.write(provisioned.format("good"))
    gated.tfaudit("apply", "-auto-approve")


def test_the_approver_who_asked_for_it_is_refused(gated: support.Project, bob: gatekit.Person) -> None:
    """Approving oneself under another name is caught where the names are joined."""
    with (gated.folder / "tfaudit.toml").open("a") as file:
        file.write('\n[identities]\nbob = ["email:bob@example.com", "github:4711"]\n')
    dora = replace(gated, environment={**gated.environment, "GITHUB_ACTOR_ID": "4711"})
    dora.write(gatekit.SMALL.replace('"small"', '"own"'))
    dora.tfaudit("plan", "-out=own.plan")
    gatekit.approve(dora, bob, "own.plan")
    assert "self-approval" in gatekit.codes(dora.tfaudit("apply", "own.plan", code=77))


@pytest.mark.parametrize(
    "loosened",
    [
        pytest.param(("approvals = 1", "approvals = 0"), id="no approvals"),
        pytest.param(("approvals = 1", "approvals = 1\nallow_self_approval = true"), id="self-approval"),
        pytest.param(("approvals = 1", 'approvals = 1\nexpires = "30d"'), id="longer"),
    ],
)
def test_a_pull_request_that_loosens_the_gate_is_refused(pinned: support.Project, loosened: tuple[str, str]) -> None:
    """What the organisation pinned can only be tightened: 78, and nothing is applied."""
    file = pinned.folder / "tfaudit.toml"
    file.write_text(file.read_text().replace(*loosened))
    done = pinned.tfaudit("apply", "-auto-approve", code=78)
    assert "gate-changed" in done.stderr
    assert gatekit.deployed(pinned) is None
    record = gatekit.records(pinned)[-1]
    assert (record["kind"], record["decision"], record["status"]) == ("plan", "deny", "denied")


def test_a_refused_configuration_is_recorded_whatever_is_run_under_it(pinned: support.Project) -> None:
    """A plan goes on, and says that its apply would not; a saved plan and a refresh are stopped: each is recorded."""
    file = pinned.folder / "tfaudit.toml"
    file.write_text(file.read_text().replace("approvals = 1", "approvals = 0"))
    planned = pinned.tfaudit("plan", "-out=change.plan")
    assert "its apply would be denied: gate-changed: gate.approvals" in planned.stderr
    pinned.tfaudit("apply", "change.plan", code=78)
    pinned.tfaudit("refresh", code=78)
    *_, plan, saved, refresh = gatekit.records(pinned)
    assert [one["decision"] for one in (plan, saved, refresh)] == ["deny"] * 3
    assert [one["status"] for one in (plan, saved, refresh)] == ["planned", "denied", "denied"]
    assert "gate.approvals" in pinned.tfaudit("inspect", str(saved["run_id"])).stdout
    assert gatekit.findings(pinned) == []


def test_a_pull_request_that_adds_an_approver_is_refused(pinned: support.Project, tmp_path: Path) -> None:
    """An approvers file with somebody who is not pinned is refused."""
    mallory = gatekit.person(tmp_path / "keys", "mallory")
    with (pinned.folder / "approvers").open("a") as file:
        file.write(mallory.line)
    assert "gate-changed" in pinned.tfaudit("apply", "-auto-approve", code=78).stderr


def test_a_pull_request_that_takes_the_gate_out_is_gated_all_the_same(pinned: support.Project) -> None:
    """Without a [gate] of the repository's own the pinned one holds."""
    file = pinned.folder / "tfaudit.toml"
    file.write_text(file.read_text().partition("\n# gate\n")[0])
    done = pinned.tfaudit("apply", "-auto-approve", code=77)
    assert gatekit.codes(done) == {"no-approval"}


def test_a_pull_request_that_goes_to_another_ledger_is_refused(pinned: support.Project) -> None:
    """A ledger of its own making is not the one that the protected environment names."""
    genesis = hashlib.sha256((pinned.folder / ".tfaudit/ledger/genesis.json").read_bytes()).hexdigest()
    elsewhere = replace(pinned, environment={**pinned.environment, "TFAUDIT_GENESIS": f"sha256:{genesis}"})
    (elsewhere.folder / ".tfaudit").rename(elsewhere.folder / ".tfaudit.real")
    toml = (elsewhere.folder / "tfaudit.toml").read_text()
    (elsewhere.folder / "tfaudit.toml").unlink()
    pinned.tfaudit("setup", "--yes")
    (elsewhere.folder / "tfaudit.toml").write_text(toml)
    elsewhere.tfaudit("apply", "-auto-approve", code=78)
    assert gatekit.deployed(pinned) is None
