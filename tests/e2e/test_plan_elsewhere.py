"""Plans of a real engine say where they put their state, and a change of place between plan and apply is found."""

from __future__ import annotations

import os

import pytest
import support

from tfaudit.engine import argv
from tfaudit.engine.workdir import Workdir
from tfaudit.runs.planplace import elsewhere

pytestmark = [pytest.mark.engine]

_LOCAL = 'terraform {\n  backend "local" {}\n}\n'
_RESOURCE = 'resource "terraform_data" "a" {}\n'


def lines(project: support.Project) -> tuple[str, ...]:
    """Return what is said of the project's plan file, as its folder stands now."""
    workdir = Workdir.of(argv.parse(("apply", "tfplan"), {}), {}, project.folder)
    fd = os.open(project.folder / "tfplan", os.O_RDONLY)
    try:
        return elsewhere(workdir, fd)
    finally:
        os.close(fd)


def test_a_plan_without_a_backend(project: support.Project) -> None:
    """A plan of a folder without a backend belongs there; after a change of workspace it no longer does."""
    project.write(_RESOURCE)
    project.run_engine("init", "-input=false")
    project.run_engine("plan", "-out=tfplan")
    assert lines(project) == ()
    project.run_engine("workspace", "new", "other")
    (line,) = lines(project)
    assert "type local, workspace default" in line


def test_a_plan_with_another_path(project: support.Project) -> None:
    """A plan made with one path of the local backend doesn't belong where another one is initialised."""
    project.write(_LOCAL + _RESOURCE)
    project.run_engine("init", "-input=false", "-backend-config=path=one.tfstate")
    project.run_engine("plan", "-out=tfplan")
    assert lines(project) == ()
    project.run_engine("init", "-input=false", "-reconfigure", "-backend-config=path=two.tfstate")
    (line,) = lines(project)
    assert "elsewhere" in line
    project.run_engine("apply", "tfplan")
    assert (project.folder / "one.tfstate").exists()
    assert not (project.folder / "two.tfstate").exists()
