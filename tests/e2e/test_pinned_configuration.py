"""What is pinned in the ledger holds, on a real engine: whatever the repository says, calls itself or leaves out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import gatekit
import pytest
import stateserver
import support

STACKS = """approvals = 0

[[gate.stack]]
pattern = "example.test/team/*"
approvals = 1"""
RULES = """[[rule]]
name = "no creation"
when = 'change.action == "create"'
severity = "deny"
"""


def push(project: support.Project) -> str:
    """Pin what stands in the folder, and return what is said."""
    return project.tfaudit("config", "push", "--yes").stdout


def rewrite(project: support.Project, old: str, new: str) -> None:
    """Change the configuration as a pull request would."""
    file = project.folder / "tfaudit.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def shared(project: support.Project, alice: gatekit.Person) -> Iterator[support.Project]:
    """A project whose state is in a backend, applied once under a name that a pattern of the bundle gates."""
    gated = gatekit.set_up(project, alice, gate=STACKS)
    with stateserver.state_server("operator", "secret") as address:
        (gated.folder / "backend.tf").write_text(
            f'terraform {{\n  backend "http" {{\n    address = "{address}"\n  }}\n}}\n'
        )
        shared = replace(
            gated,
            environment={**gated.environment, "TF_HTTP_USERNAME": "operator", "TF_HTTP_PASSWORD": "secret"},
        )
        shared.run_engine("init", "-input=false")
        push(shared)
        shared.tfaudit("plan", "-out=change.plan")
        gatekit.approve(shared, alice, "change.plan")
        shared.tfaudit("apply", "change.plan")
        yield shared


def renamed(project: support.Project, stack: str) -> support.Project:
    """Return the project with its stack's name given by the repository alone, which asks for no gate."""
    environment = {key: value for key, value in project.environment.items() if key != "TFAUDIT_STACK"}
    file = project.folder / "tfaudit.toml"
    kept = [
        line for line in file.read_text().partition("\n# gate\n")[0].splitlines() if not line.startswith("stack = ")
    ]
    file.write_text("\n".join([f'stack = "{stack}"', *kept]) + "\n")
    return replace(project, environment=environment)


def test_another_name_does_not_lead_to_a_looser_pattern(shared: support.Project) -> None:
    """A stack that calls itself otherwise keeps the gate of the name that its state was applied under.

    Nor does it help to plan under the new name first, or to run anything else.
    """
    elsewhere = renamed(shared, "sandbox/mine")
    change = ("apply", "-auto-approve", "-var=size=large")
    assert gatekit.codes(elsewhere.tfaudit(*change, code=77)) == {"no-approval"}
    elsewhere.tfaudit("plan", "-var=size=large")
    elsewhere.tfaudit("taint", "terraform_data.web")
    again = renamed(elsewhere, "sandbox/other")
    assert gatekit.codes(again.tfaudit(*change, code=77)) == {"no-approval"}
    assert gatekit.findings(again) == []


def test_nor_for_a_state_in_a_file(project: support.Project, alice: gatekit.Person) -> None:
    """What the state belongs to is told by the git remote, which no pull request changes."""
    for command in (("init", "-q"), ("remote", "add", "origin", "https://example.test/team/project.git")):
        subprocess.run(["git", *command], cwd=project.folder, env=project.environment, check=True)
    gated = gatekit.set_up(project, alice, gate=STACKS)
    named = renamed(gated, "example.test/team/project")
    gatekit.write_gate(named, alice, gate=STACKS)
    push(named)
    named.tfaudit("plan", "-out=change.plan")
    gatekit.approve(named, alice, "change.plan")
    named.tfaudit("apply", "change.plan")
    elsewhere = renamed(named, "sandbox/mine")
    done = elsewhere.tfaudit("apply", "-auto-approve", "-var=size=large", code=77)
    assert gatekit.codes(done) == {"no-approval"}
    assert gatekit.deployed(elsewhere) == "small"
    assert gatekit.findings(elsewhere) == []


def test_nor_by_a_repository_of_its_own_within_the_commit(project: support.Project, alice: gatekit.Person) -> None:
    """HEAD, refs and a config with another remote, committed beside the configuration, are not what git is asked of."""
    above = project.folder.parent
    for command in (("init", "-q"), ("remote", "add", "origin", "https://example.test/team/project.git")):
        subprocess.run(["git", *command], cwd=above, env=project.environment, check=True)
    gated = gatekit.set_up(project, alice, gate=STACKS)
    named = renamed(gated, "example.test/team/project")
    gatekit.write_gate(named, alice, gate=STACKS)
    push(named)
    named.tfaudit("plan", "-out=change.plan")
    gatekit.approve(named, alice, "change.plan")
    named.tfaudit("apply", "change.plan")
    elsewhere = renamed(named, "sandbox/mine")
    for folder in ("objects", "refs"):
        (elsewhere.folder / folder).mkdir()
    (elsewhere.folder / "HEAD").write_text("ref: refs/heads/main\n")
    remote = '[remote "origin"]\n\turl = https://example.test/sandbox/mine.git\n'
    (elsewhere.folder / "config").write_text(f'[core]\n\tbare = false\n\tworktree = "{elsewhere.folder}"\n{remote}')
    done = elsewhere.tfaudit("apply", "-auto-approve", "-var=size=large", code=77)
    assert gatekit.codes(done) == {"no-approval"}
    assert gatekit.deployed(elsewhere) == "small"


def test_a_bundle_that_is_pinned_meanwhile_decides(project: support.Project, alice: gatekit.Person) -> None:
    """What was planned and approved under one bundle is applied under the one that is in force by then."""
    gated = gatekit.set_up(project, alice)
    push(gated)
    gated.tfaudit("plan", "-out=change.plan")
    gatekit.approve(gated, alice, "change.plan")
    rewrite(gated, "approvals = 1", "approvals = 2")
    assert "gate.approvals: 1 → 2" in push(gated)
    rewrite(gated, "approvals = 2\n", "")
    assert gatekit.codes(gated.tfaudit("apply", "change.plan", code=77)) == {"quorum"}
    assert gatekit.deployed(gated) is None


def test_without_the_bundles_content_nothing_is_applied(project: support.Project, alice: gatekit.Person) -> None:
    """Where the bundle is gone from the working store, nobody knows what the gate is: 74, until it is pinned anew."""
    gated = gatekit.set_up(project, alice)
    push(gated)
    (record,) = [str(one["record_id"]) for one in gatekit.records(gated) if one["kind"] == "config"]
    (gated.folder / f".tfaudit/working/disclosures/{record}.jsonl").unlink()
    rewrite(gated, "[gate]", "[capture]\n[gate]")
    assert record in gated.tfaudit("apply", "-auto-approve", code=74).stderr
    assert gatekit.deployed(gated) is None
    push(gated)
    assert gatekit.codes(gated.tfaudit("apply", "-auto-approve", code=77)) == {"no-approval"}


def test_a_pull_request_that_changes_the_policy_is_refused(project: support.Project, alice: gatekit.Person) -> None:
    """Rules that are edited, or taken out, are others than the pinned ones."""
    gated = gatekit.set_up(project, alice, gate='approvals = 1\n[policy]\ncel = "rules.toml"')
    rules = gated.folder / "rules.toml"
    rules.write_text(RULES)
    push(gated)
    assert "policy-deny" in gatekit.codes(gated.tfaudit("apply", "-auto-approve", code=77))
    rules.write_text(RULES.replace('"create"', '"delete"'))
    assert "gate-changed: policy" in refused(gated)
    rules.write_text(RULES)
    rewrite(gated, '[policy]\ncel = "rules.toml"', "")
    assert "gate-changed: policy" in refused(gated)


def refused(project: support.Project) -> str:
    """Return what is said where the gate was changed."""
    done: subprocess.CompletedProcess[str] = project.tfaudit("apply", "-auto-approve", code=78)
    assert gatekit.deployed(project) is None
    return done.stderr
