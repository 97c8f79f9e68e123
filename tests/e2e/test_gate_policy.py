"""Rules over a plan, on a real engine: what denies, what warns, and what asks for more people."""

from __future__ import annotations

from pathlib import Path

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine

RULES = """
[[rule]]
name = "nothing huge"
when = 'change.type == "terraform_data" && change.after.input == "huge"'
severity = "deny"
message = "{change.address} may not be huge"

[[rule]]
name = "large is noticed"
when = 'change.type == "terraform_data" && change.after.input == "large"'
severity = "warn"
message = "{change.address} becomes large"
"""
DBA = """approvals = 1

[gate.groups]
dba = ["bob@example.com"]

[[gate.rule]]
name = "a web server takes a DBA"
when = 'change.action == "create"'
approvals = 2
groups = ["dba"]
"""


def _with_rules(project: support.Project, rules: str) -> None:
    (project.folder / "rules.toml").write_text(rules)
    with (project.folder / "tfaudit.toml").open("a") as file:
        file.write('\n[policy]\ncel = "rules.toml"\n')


def test_a_rule_denies_what_people_approved(project: support.Project, alice: gatekit.Person) -> None:
    """No approval goes past a rule that denies; the reason names rule and resource."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, RULES)
    gated.write(gatekit.SMALL.replace('"small"', '"huge"'))
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    done = gated.tfaudit("apply", "first.plan", code=77)
    assert gatekit.codes(done) == {"policy-deny"}
    assert "terraform_data.web may not be huge" in done.stderr
    assert gatekit.findings(gated) == []


@pytest.mark.parametrize("way", ["an option", "the environment", "a pattern of the repository's"])
def test_no_way_to_give_a_value_hides_it_from_a_rule(project: support.Project, alice: gatekit.Person, way: str) -> None:
    """A value is left out of records for where it comes from; what it would do is looked at all the same."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, RULES.replace("huge", "0.0.0.0/0"))
    options = ["-var=size=0.0.0.0/0"] if way == "an option" else []
    if way == "the environment":
        gated.environment["TF_VAR_size"] = "0.0.0.0/0"
    if way == "a pattern of the repository's":
        gated.write('size = "0.0.0.0/0"\n', "terraform.tfvars")
        with (gated.folder / "tfaudit.toml").open("a") as file:
            file.write('\n[capture]\nredact = ["input"]\n')
    gated.tfaudit("plan", "-out=first.plan", *options)
    gatekit.approve(gated, alice, "first.plan")
    assert gatekit.codes(gated.tfaudit("apply", "first.plan", code=77)) == {"policy-deny"}


def test_a_rule_warns(project: support.Project, alice: gatekit.Person) -> None:
    """A warning is said and recorded, and stops nothing."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, RULES)
    gated.write(gatekit.SMALL.replace('"small"', '"large"'))
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    done = gated.tfaudit("apply", "first.plan")
    assert "terraform_data.web becomes large" in done.stderr
    assert gatekit.findings(gated) == []


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("", id="empty"),
        pytest.param(RULES.replace("change.after.input ==", "change.after.nothing.there =="), id="a field that isn't"),
        pytest.param(RULES.replace("==", "=!"), id="no CEL"),
    ],
)
def test_a_policy_that_checks_nothing_denies(project: support.Project, alice: gatekit.Person, broken: str) -> None:
    """A policy that can't be evaluated has not passed."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, broken)
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan", code=None)
    done = gated.tfaudit("apply", "first.plan", code=77)
    assert "policy-error" in gatekit.codes(done)
    assert gatekit.deployed(gated) is None


def test_rules_changed_after_the_approval_need_another(project: support.Project, alice: gatekit.Person) -> None:
    """What was approved stood under other rules."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, RULES)
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    (gated.folder / "rules.toml").write_text(RULES.replace('"huge"', '"enormous"'))
    assert "other-policy" in gatekit.codes(gated.tfaudit("apply", "first.plan", code=77))


def test_a_rule_asks_for_people_of_a_group(
    project: support.Project, alice: gatekit.Person, bob: gatekit.Person, tmp_path: Path
) -> None:
    """Two of the group are wanted, and one person outside doesn't stand in for one inside."""
    carol = gatekit.person(tmp_path / "keys", "carol")
    gate = DBA.replace('["bob@example.com"]', '["bob@example.com", "carol@example.com"]')
    gated = gatekit.set_up(project, alice, bob, carol, gate=gate)
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    gatekit.approve(gated, bob, "first.plan")
    assert gatekit.codes(gated.tfaudit("apply", "first.plan", code=77)) == {"quorum"}
    gatekit.approve(gated, carol, "first.plan")
    gated.tfaudit("apply", "first.plan")
    assert gatekit.findings(gated) == []


def test_a_secret_reaches_no_message(project: support.Project, alice: gatekit.Person) -> None:
    """Rules see what is withheld as withheld."""
    gated = gatekit.set_up(project, alice)
    _with_rules(gated, RULES.replace('change.after.input == "huge"', 'change.after.input.contains("hunter2")'))
    gated.write(
        'variable "password" {\n sensitive = true\n default = "hunter2-hunter2"\n}\n'
        'resource "terraform_data" "web" {\n input = var.password\n}\n'
    )
    gated.tfaudit("plan", "-out=first.plan")
    gatekit.approve(gated, alice, "first.plan")
    done = gated.tfaudit("apply", "first.plan", code=None)
    assert "policy-deny" not in gatekit.codes(done)
    assert "hunter2" not in done.stderr
    stored = b"".join(path.read_bytes() for path in (gated.folder / ".tfaudit").rglob("*") if path.is_file())
    assert b"hunter2" not in stored
