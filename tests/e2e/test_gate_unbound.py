"""What an apply takes besides its plan: refused where no plan binds it, seen where the change digest covers it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gatekit
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.slow]

STEPRUN = Path(__file__).with_name("steprun.py")

_CONFIGURATION = """
variable "size" { default = "small" }
variable "pin" {
  type      = string
  ephemeral = true
}
resource "terraform_data" "web" {
  input = var.size
  provisioner "local-exec" {
    command = "sh ${path.module}/deploy.sh ${var.size}"
  }
}
module "called" { source = "./called" }
"""


@pytest.fixture
def approved(project: support.Project, tmp_path: Path) -> support.Project:
    """A gated project with an approved plan, in a file and to be planned again; nothing is applied yet but a first."""
    alice = gatekit.person(tmp_path / "people", "alice")
    job = gatekit.set_up(project, alice)
    job.write('resource "terraform_data" "inner" {}\n', "called/main.tf")
    job.write("true\n", "called/inner.sh")
    job.write("true\n", "deploy.sh")
    job.write(_CONFIGURATION)
    job = with_environment(job, TF_VAR_pin="0815")
    job.run_engine("init", "-input=false")
    job.run_engine("apply", "-auto-approve", "-input=false")
    job.write(_CONFIGURATION.replace('"small"', '"large"'))
    job.tfaudit("plan", "-out=change.plan", "-input=false")
    gatekit.approve(job, alice, "change.plan")
    return job


def with_environment(project: support.Project, **more: str) -> support.Project:
    """Return the project with more in its environment."""
    return replace(project, environment={**project.environment, **more})


def override(project: support.Project) -> support.Project:
    """Return the project with a provider's own build in the engine's configuration."""
    path = project.write('provider_installation {\n  dev_overrides { "x/y" = "/tmp" }\n  direct {}\n}\n', "engine.tfrc")
    return with_environment(project, TF_CLI_CONFIG_FILE=str(path))


UNBOUND: dict[str, Callable[[support.Project], support.Project]] = {
    "another ephemeral value": lambda it: with_environment(it, TF_VAR_pin="0816"),
    "a state elsewhere": lambda it: with_environment(it, TF_CLI_ARGS="-state-out=elsewhere.tfstate"),
    "options that were not there": lambda it: with_environment(it, TF_CLI_ARGS_apply="-var=pin=0815"),
    "a provider's own build": override,
    "a running provider": lambda it: with_environment(it, TF_REATTACH_PROVIDERS="{}"),
}


@pytest.mark.parametrize("change", UNBOUND.values(), ids=UNBOUND)
def test_an_input_that_no_plan_binds(
    approved: support.Project, change: Callable[[support.Project], support.Project]
) -> None:
    """It is refused, for the approved file and for a plan made again; without it the apply goes on."""
    for command in (("apply", "-input=false", "change.plan"), ("apply", "-auto-approve")):
        denied = change(approved).tfaudit(*command, code=77)
        assert "unbound-input" in gatekit.codes(denied)
        assert gatekit.deployed(approved) == "small"
    approved.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(approved) == "large"


EDITS: dict[str, tuple[str, str, str]] = {
    "a provisioner that refers to something": ("main.tf", "${var.size}", "${var.size}; touch evil"),
    "a script that the configuration names": ("deploy.sh", "true", "touch evil"),
    "a script of a module": ("called/inner.sh", "true", "touch evil"),
    "a module": ("called/main.tf", "{}", "{ input = 1 }"),
}


@pytest.mark.parametrize(("name", "old", "new"), EDITS.values(), ids=EDITS)
def test_an_edit_that_the_plan_does_not_show(approved: support.Project, name: str, old: str, new: str) -> None:
    """A plan made again after the edit is another one, until the edit is undone."""
    path = approved.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    denied = approved.tfaudit("apply", "-auto-approve", code=77)
    assert "other-plan" in gatekit.codes(denied)
    path.write_text(text)
    approved.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(approved) == "large"
    assert gatekit.findings(approved) == []


def test_switches_that_change_nothing(approved: support.Project) -> None:
    """How an apply is shown and how fast it goes is not asked about."""
    quick = with_environment(approved, TF_CLI_ARGS_apply="-parallelism=2 -no-color", TF_IN_AUTOMATION="1")
    quick.tfaudit("apply", "-input=false", "-lock-timeout=5s", "change.plan")
    assert gatekit.deployed(approved) == "large"


MEANWHILE = {
    "a script of a module": ("called/inner.sh", "touch evil\n"),
    "a script that the configuration names": ("deploy.sh", "touch evil\n"),
    "the engine's configuration": (".terraformrc", 'provider_installation { dev_overrides { "x/y" = "/tmp" } }\n'),
}


@pytest.mark.parametrize(("name", "text"), MEANWHILE.values(), ids=MEANWHILE)
def test_an_edit_between_the_gates_look_and_the_apply(approved: support.Project, name: str, text: str) -> None:
    """What the apply reads from disk is looked at once more when the intent stands: the run ends before it began."""
    path = Path(approved.environment["HOME"]) / name if name.startswith(".") else approved.folder / name
    editing = [sys.executable, "-c", f"import pathlib; pathlib.Path({str(path)!r}).write_text({text!r})"]
    done = subprocess.run(
        [sys.executable, str(STEPRUN), "intent", json.dumps(editing), "apply", "-input=false", "change.plan"],
        cwd=approved.folder,
        env=approved.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    assert done.returncode == 77, done.stderr
    assert gatekit.codes(done) == {"unbound-input"}
    assert gatekit.deployed(approved) == "small"
    assert not (approved.folder / "evil").exists()
    assert gatekit.records(approved)[-1]["status"] == "not-started"
    assert gatekit.findings(approved) == []


def test_a_plan_that_can_not_be_shown_is_denied(approved: support.Project) -> None:
    """Nobody knows what it would do: under a gate that is recorded, and not as a run without one."""
    folder = approved.folder
    with zipfile.ZipFile(folder / "change.plan") as made, zipfile.ZipFile(folder / "other.plan", "w") as other:
        for name in made.namelist():
            other.writestr(name, b"" if name == "tfplan" else made.read(name))
    done = approved.tfaudit("apply", "-no-color", "other.plan", code=65)
    assert "Error: " in done.stderr
    assert "denied (no-plan)" in done.stderr
    record = gatekit.records(approved)[-1]
    assert (record["kind"], record["decision"], record["status"]) == ("plan", "deny", "denied")
