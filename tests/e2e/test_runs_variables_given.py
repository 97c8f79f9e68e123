"""Variables reach the engine by every way that the shell has; those that can't be given twice are refused by name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import support

pytestmark = pytest.mark.engine
PLAIN = """
variable "size" { default = "small" }
resource "terraform_data" "one" { input = var.size }
output "size" { value = terraform_data.one.output }
"""
EPHEMERAL = """
variable "token" { ephemeral = true }
resource "terraform_data" "one" { input = "x" }
"""


@pytest.fixture
def ready(project: support.Project) -> support.Project:
    """A project with a ledger."""
    project.write(PLAIN)
    project.tfaudit("setup", "--yes")
    return project


def in_shell(project: support.Project, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``tfaudit`` is tfaudit."""
    text = f'tfaudit() {{ "{support.TFAUDIT}" "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", text],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def test_a_variable_file_from_a_process(ready: support.Project) -> None:
    """What the shell opened for the engine, the engine finds: -var-file=<(...)."""
    done = in_shell(ready, "tfaudit apply -auto-approve -no-color -var-file=<(echo 'size = \"large\"')")
    assert done.returncode == 0, done.stderr
    assert 'size = "large"' in done.stdout


def test_a_named_pipe_is_the_engines(ready: support.Project) -> None:
    """A pipe is read by the engine alone, and not waited for afterwards."""
    os.mkfifo(ready.folder / "piped.tfvars")
    line = "(echo 'size = \"large\"' > piped.tfvars) & tfaudit plan -no-color -var-file=piped.tfvars; exit $?"
    done = in_shell(ready, line)
    assert done.returncode == 0, done.stderr
    assert '"large"' in done.stdout


def test_a_piped_ephemeral_variable_is_refused_by_name(ready: support.Project) -> None:
    """It was read once, by the plan; without it the apply would fail half way through the record."""
    if ready.engine.release < (1, 10):
        pytest.skip("this engine has no ephemeral variables")
    ready.write(EPHEMERAL)
    done = in_shell(ready, "tfaudit apply -auto-approve -no-color -var-file=<(echo 'token = \"0123456789\"')")
    assert done.returncode == 65
    assert 'the ephemeral variable "token"' in done.stderr
    assert not Path(ready.folder / "terraform.tfstate").exists()


def test_a_saved_plan_that_lacks_one_is_the_engines_to_refuse(ready: support.Project) -> None:
    """Nobody typed it here: the engine says in its own words what it wants."""
    if ready.engine.release < (1, 10):
        pytest.skip("this engine has no ephemeral variables")
    ready.write(EPHEMERAL)
    ready.run_engine("plan", "-out=saved", "-var=token=0123456789")
    bare = ready.run_engine("apply", "-no-color", "saved", code=1)
    wrapped = ready.tfaudit("apply", "-no-color", "saved", code=1)
    assert (wrapped.stdout, wrapped.stderr.split("tfaudit: ")[0]) == (bare.stdout, bare.stderr)
    ready.tfaudit("verify")
