"""Secrets planted everywhere a run can meet one: none reaches a byte that tfaudit stores, prints or leaves behind."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest
import stateserver
import support
from canaries import found, plant, unwrapped

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("canary")]

_CONFIGURATION = r"""
terraform {
  backend "http" {}
}

variable "marked" {
  type      = string
  sensitive = true
}

variable "from_file" {
  type      = string
  sensitive = true
}

variable "from_line" {
  type      = string
  sensitive = true
}

variable "from_arguments" {
  type      = string
  sensitive = true
}

variable "step" {
  type = number
}

resource "terraform_data" "marked" {
  input = { step = var.step, value = var.marked, nested = [{ deep = "x-${var.from_file}-y" }] }
}

resource "terraform_data" "unmarked" {
  input = {
    step     = var.step
    copied   = nonsensitive(var.marked)
    password = "@named@-${var.step}"
    note     = "token @token@ of step ${var.step}"
    document = jsonencode({ step = var.step, login = { client_secret = "@inside_json@-${var.step}" } })
    list     = [nonsensitive(var.from_line), "step ${var.step}"]
  }
}

resource "terraform_data" "prints" {
  triggers_replace = var.step
  provisioner "local-exec" {
    command = "echo $CANARY_ENVIRONMENT; cp -R \"$TMPDIR\" \"$CANARY_SNAPSHOTS/apply-${var.step}\""
  }
}

output "marked" {
  value     = "${var.from_arguments} at ${var.step}"
  sensitive = true
}

output "unmarked" {
  value = "${nonsensitive(var.from_arguments)} at ${var.step}"
}
"""

_FAILING_PROVISIONER = """
resource "terraform_data" "fails" {
  provisioner "local-exec" {
    command = "echo failing with '${nonsensitive(var.from_file)}' $CANARY_ENVIRONMENT; exit 3"
  }
}
"""

_FAILING_CONDITION = """
resource "terraform_data" "refused" {
  lifecycle {
    precondition {
      condition     = var.step < 0
      error_message = "refused: ${nonsensitive(var.from_file)}"
    }
  }
}
"""


_NAMES = [
    "marked",
    "from_file",
    "from_line",
    "from_arguments",
    "named",
    "inside_json",
    "backend",
    "aws_environment",
    "host_token",
    "environment",
    "ci_token",
]


@dataclass(kw_only=True)
class Aftermath:
    """All that is there after the runs, and the secrets that must not be in it."""

    project: support.Project
    canaries: dict[str, str]
    said: list[str]
    temporary: Path
    snapshots: Path


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory, engine):
    """Plan, apply, fail in a provisioner, fail in a condition, move state and destroy, with secrets all about."""
    if engine.release < (1, 4):
        pytest.skip("terraform_data came with Terraform 1.4")
    tmp = tmp_path_factory.mktemp("canary")
    canaries = plant(_NAMES)
    canaries["token"] = "ghp_" + secrets.token_hex(18)
    canaries["marked"] += "<\"\\&é'>"
    for name in ("project", "temporary", "snapshots"):
        (tmp / name).mkdir()
    with stateserver.state_server("operator", canaries["backend"]) as address:
        environment = support.environment_for(
            tmp / "home",
            engine,
            TMPDIR=str(tmp / "temporary"),
            TF_VAR_marked=canaries["marked"],
            TF_CLI_ARGS_plan=f"-var=from_arguments={canaries['from_arguments']}",
            TF_CLI_ARGS_apply=f"-var=from_arguments={canaries['from_arguments']}",
            TF_CLI_ARGS_destroy=f"-var=from_arguments={canaries['from_arguments']}",
            TF_HTTP_ADDRESS=address,
            TF_HTTP_USERNAME="operator",
            AWS_SECRET_ACCESS_KEY=canaries["aws_environment"],
            TF_TOKEN_example_test=canaries["host_token"],
            CANARY_ENVIRONMENT=canaries["environment"],
            CANARY_SNAPSHOTS=str(tmp / "snapshots"),
            GITHUB_ACTIONS="true",
            GITHUB_TOKEN=canaries["ci_token"],
            TFAUDIT_AUDIT_READS="true",
        )
        project = support.Project(folder=tmp / "project", engine=engine, environment=environment)
        said = _live(project, canaries)
    return Aftermath(
        project=project, canaries=canaries, said=said, temporary=tmp / "temporary", snapshots=tmp / "snapshots"
    )


def _live(project, canaries):
    configuration = re.sub(r"@(\w+)@", lambda found: canaries[found[1]], _CONFIGURATION)
    project.write(configuration)
    project.write(f"from_file = {json.dumps(canaries['from_file'])}\n", "canary.tfvars")
    inputs = ["-var-file=canary.tfvars", "-var", f"from_line={canaries['from_line']}"]

    def step(number):
        return [*inputs, "-var", f"step={number}"]

    runs = [
        project.tfaudit("setup", "--yes"),
        project.tfaudit("init", f"-backend-config=password={canaries['backend']}"),
        project.tfaudit("plan", "-out=first.tfplan", *step(1)),
        project.tfaudit("apply", "first.tfplan"),
        project.tfaudit("apply", "-auto-approve", *step(2)),
        project.tfaudit("apply", "-auto-approve", "-json", *step(3)),
    ]
    project.write(_FAILING_PROVISIONER, "more.tf")
    runs.append(project.tfaudit("apply", "-auto-approve", *step(3), code=1))
    project.write(_FAILING_CONDITION, "more.tf")
    runs.append(project.tfaudit("apply", "-auto-approve", *step(3), code=1))
    (project.folder / "more.tf").unlink()
    runs += [
        project.tfaudit("output", "-json"),
        project.tfaudit("state", "pull"),
        project.tfaudit("state", "mv", "terraform_data.unmarked", "terraform_data.moved"),
        project.tfaudit("state", "mv", "terraform_data.moved", "terraform_data.unmarked"),
        project.tfaudit("-v", "destroy", "-auto-approve", *step(3)),
    ]
    said = [line for run in runs for line in run.stderr.splitlines() if line.startswith("tfaudit: ")]
    readers = (["log"], ["log", "--json"], ["verify"], ["verify", "--json"], ["doctor"], ["keys", "list", "--json"])
    told = [project.tfaudit(*command, code=None) for command in readers]
    for run in {json.loads(line)["run_id"] for line in told[1].stdout.splitlines()} - {None}:
        told += [project.tfaudit("inspect", run), project.tfaudit("inspect", run, "--json")]
    told.append(project.tfaudit("history", "terraform_data.unmarked", "--json"))
    for form in ("jsonl", "csv"):
        told.append(project.tfaudit("export", "--format", form, "-o", f"export.{form}"))
        said.append((project.folder / f"export.{form}").read_text())
    return [*said, *(text for each in told for text in (each.stdout, each.stderr))]


def test_the_runs_left_records(aftermath):
    """The ledger is not empty and whole: otherwise finding no secret would say nothing."""
    report = json.loads(aftermath.project.tfaudit("verify", "--json").stdout)
    assert report["ok"] is True
    assert report["records"] >= 15
    assert report["events"] >= 20


def test_no_secret_is_stored(aftermath):
    """No byte of ledger, working store, spool, keys or configuration holds a secret, nor any signed payload."""
    stored = [path for path in (aftermath.project.folder / ".tfaudit").rglob("*") if path.is_file()]
    assert len(stored) > 20
    leaks = [f"{name} in {path}" for path in stored for name in _found(aftermath, unwrapped(path.read_bytes()))]
    assert leaks == []


def test_no_secret_is_said(aftermath):
    """No line of tfaudit's own, no reader's output and no export holds a secret."""
    leaks = {f"{name} in {_place(text)}" for text in aftermath.said for name in _found(aftermath, text.encode())}
    assert leaks == set()


def test_no_secret_lies_in_a_temporary_file(aftermath):
    """Temporary files hold no secret while an apply runs, and none is left after it."""
    taken = [path for path in aftermath.snapshots.rglob("*") if path.is_file()]
    assert len(list(aftermath.snapshots.iterdir())) == 3
    assert [f"{name} in {path}" for path in taken for name in _found(aftermath, path.read_bytes())] == []
    assert list(aftermath.temporary.rglob("*tfaudit*")) == []


def _found(aftermath, content):
    return found(aftermath.canaries, content)


def _place(text):
    return text[:60].split("canary")[0]
