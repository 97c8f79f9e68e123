"""Tests of ``tfaudit policy test``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from plankit import change, plan_json

from tfaudit import schema

TFAUDIT = Path(sys.executable).with_name("tfaudit")
DENY = """[[rule]]
name = "no database goes"
when = 'change.action == "delete" && change.type == "aws_db_instance"'
severity = "deny"
message = "{change.address} stays"
"""
REQUIRE = """[[rule]]
name = "networks"
when = 'change.type == "aws_vpc"'
severity = "require"
approvals = 2
groups = ["network"]
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a plan that deletes a database and makes a network."""
    (tmp_path / "plan.json").write_bytes(
        plan_json(
            change("aws_db_instance.a", ("delete",), {"x": 1}, None), change("aws_vpc.b", ("create",), None, {"x": 1})
        )
    )
    (tmp_path / "tfaudit.toml").write_text('[policy]\ncel = "rules.toml"\ndefaults = false\n')
    return tmp_path


def run(place, *arguments, rules=None, **environ):
    """Return what the command says."""
    if rules is not None:
        (place / "rules.toml").write_text(rules)
    return subprocess.run(
        [TFAUDIT, *arguments],
        cwd=place,
        env={"PATH": os.environ["PATH"], "HOME": str(place), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_rule_that_denies_is_told_and_exits_77(place):
    """Each finding is a line, in its own words."""
    done = run(place, "policy", "test", "plan.json", rules=DENY + REQUIRE)
    assert done.returncode == 77
    assert "2 rules evaluated" in done.stdout
    assert "deny     no database goes: aws_db_instance.a stays\n" in done.stdout
    assert "require  networks: networks (aws_vpc.b): 2 approvals of network\n" in done.stdout


def test_what_only_requires_exits_0(place):
    """Approvals are not looked for here."""
    assert run(place, "policy", "test", "plan.json", rules=REQUIRE).returncode == 0


def test_json_has_its_schema(place):
    """What --json prints is what the schema says."""
    done = run(place, "policy", "test", "plan.json", "--json", rules=DENY)
    document = json.loads(done.stdout)
    schema.validate("policy-test.v1", document)
    assert (document["denied"], document["broken"], done.returncode) == (True, False, 77)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("", "has no rule"),
        (DENY + "x = 1", "unknown key"),
        (DENY.replace("change.type ==", "change.type =="[:-1]), "is no CEL"),
        (DENY.replace("change.type", "change.tipe"), 'names a field that is not there ("tipe")'),
    ],
)
def test_rules_that_can_not_be_evaluated_exit_78(place, rules, said):
    """What is wrong with them is told."""
    done = run(place, "policy", "test", "plan.json", rules=rules)
    assert done.returncode == 78
    assert said in done.stdout


@pytest.mark.parametrize("name", ["nope.json", "rules.toml", "."])
def test_what_is_no_plan_exits_65(place, name):
    """A file that isn't there, one that is none, and a folder."""
    assert run(place, "policy", "test", name, rules=DENY).returncode == 65


def test_rules_may_be_given_on_the_command_line(place):
    """--cel stands in place of the configuration's file."""
    (place / "other.toml").write_text(REQUIRE)
    done = run(place, "policy", "test", "plan.json", "--cel", "other.toml", rules=DENY)
    assert (done.returncode, "networks" in done.stdout, "database" in done.stdout) == (0, True, False)


def test_rules_see_who_is_said_to_act(place):
    """--actor is the principal of the actor."""
    rules = '[[rule]]\nname = "r"\nwhen = \'actor.principal == "github:1"\'\nseverity = "deny"\n'
    assert run(place, "policy", "test", "plan.json", "--actor", "github:1", rules=rules).returncode == 77
    assert run(place, "policy", "test", "plan.json", rules=rules).returncode == 0


def test_the_gates_rules_are_tried_too(place):
    """A [[gate.rule]] of the configuration is among them."""
    gate = '[[gate.rule]]\nname = "g"\nwhen = \'change.action == "create"\'\napprovals = 3\n'
    (place / "tfaudit.toml").write_text("[policy]\ndefaults = false\n" + gate)
    assert "require  g: g (aws_vpc.b): 3 approvals\n" in run(place, "policy", "test", "plan.json").stdout


def test_a_value_of_the_environment_hides_nothing(place):
    """What a TF_VAR_ variable holds, a rule sees all the same, and nobody is shown."""
    (place / "plan.json").write_bytes(plan_json(change("aws_x.a", ("create",), None, {"it": "swordfish-4711"})))
    rules = '[[rule]]\nname = "r"\nwhen = \'after("/it", "").startsWith("swordfish")\'\nseverity = "deny"\n'
    done = run(place, "policy", "test", "plan.json", rules=rules, TF_VAR_it="swordfish-4711")
    assert done.returncode == 77
    assert "4711" not in done.stdout + done.stderr


@pytest.mark.engine
def test_a_plan_file_is_shown_by_its_engine(place):
    """A plan file is as good as the JSON of one, in the folder that it was made in."""
    (place / "main.tf").write_text('resource "terraform_data" "a" {\n  input = "x"\n}\n')
    for command in (["init", "-input=false"], ["plan", "-input=false", "-out=p"]):
        subprocess.run(["terraform", *command], cwd=place, check=True, capture_output=True)
    rules = '[[rule]]\nname = "r"\nwhen = \'after("/input", "") == "x"\'\nseverity = "deny"\n'
    done = run(place, "policy", "test", "p", rules=rules)
    assert (done.returncode, "terraform_data.a" in done.stdout) == (77, True)
