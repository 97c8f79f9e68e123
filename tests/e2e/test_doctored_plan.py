"""A plan file that was changed behind its plan, or that writes its state elsewhere, is not what was approved."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gatekit
import pytest
import support

pytestmark = [pytest.mark.engine]

_TWO = """
variable "size" { default = "small" }
resource "terraform_data" "web" { input = var.size }
resource "terraform_data" "other" { input = "untouched" }
"""


def doctored(plan: Path, target: Path, old: bytes, new: bytes) -> None:
    """Copy a plan file with a piece of the state in it replaced, and nothing else."""
    with zipfile.ZipFile(plan) as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "tfstate":
                assert old in content
                content = content.replace(old, new)
            archive.writestr(member.filename, content)


@pytest.fixture
def gated(project: support.Project, tmp_path: Path) -> tuple[support.Project, gatekit.Person]:
    """A gated project with a state of two resources, and an approver."""
    alice = gatekit.person(tmp_path / "people", "alice")
    project.write(_TWO)
    project.run_engine("init", "-input=false")
    project.run_engine("apply", "-auto-approve", "-input=false")
    job = gatekit.set_up(project, alice)
    job.write(_TWO)
    return job, alice


def test_a_plan_file_with_another_state_in_it(gated: tuple[support.Project, gatekit.Person]) -> None:
    """The state that a plan file starts from is no part of its plan: only the file that tfaudit saw made is applied."""
    job, alice = gated
    job.tfaudit("plan", "-out=approved", "-var=size=large", "-input=false")
    gatekit.approve(job, alice, "approved")
    doctored(job.folder / "approved", job.folder / "doctored", b"untouched", b"doctored!")
    shown = [job.run_engine("show", "-no-color", name).stdout for name in ("approved", "doctored")]
    assert shown[0] == shown[1]
    for _ in range(2):  # the record of the first try makes the file no better known
        denied = job.tfaudit("apply", "-input=false", "doctored", code=77)
        assert "unbound-input" in gatekit.codes(denied)
    job.tfaudit("apply", "-input=false", "approved")
    assert "doctored!" not in (job.folder / "terraform.tfstate").read_text()
    assert gatekit.deployed(job) == "large"


def test_a_second_plan_file_of_the_same_change(gated: tuple[support.Project, gatekit.Person]) -> None:
    """A file planned again by tfaudit runs under the approval of the first."""
    job, alice = gated
    job.tfaudit("plan", "-out=first", "-var=size=large", "-input=false")
    gatekit.approve(job, alice, "first")
    job.tfaudit("plan", "-out=second", "-var=size=large", "-input=false")
    job.tfaudit("apply", "-input=false", "second")
    assert gatekit.deployed(job) == "large"


def test_a_plan_file_whose_state_is_elsewhere(gated: tuple[support.Project, gatekit.Person]) -> None:
    """A saved plan names its own backend; where that is another than the folder's, it is refused."""
    job, alice = gated
    job.write(f'terraform {{\n  backend "local" {{}}\n}}\n{_TWO}')
    job.run_engine("init", "-input=false", "-force-copy", "-backend-config=path=elsewhere.tfstate")
    job.tfaudit("plan", "-out=approved", "-var=size=large", "-input=false")
    gatekit.approve(job, alice, "approved")
    job.run_engine("init", "-input=false", "-reconfigure", "-backend-config=path=terraform.tfstate")
    denied = job.tfaudit("apply", "-input=false", "approved", code=77)
    assert "unbound-input" in gatekit.codes(denied)
