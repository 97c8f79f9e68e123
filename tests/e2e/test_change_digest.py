"""The change digest on a real engine: plans that would do the same agree, any difference that matters is seen."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import digesting
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("change-digest")]

MAIN = """\
variable "size" { type = number }
variable "unused" { default = "a" }
variable "password" {
  type      = string
  sensitive = true
  default   = "one"
}
locals { list = ["z", "a", "m"] }
resource "terraform_data" "each" {
  for_each = toset(local.list)
  input    = { key = each.key, size = var.size, html = "<a&b>", unicode = "\\u00e9", now = timestamp(), empty = [] }
}
resource "terraform_data" "replaced" {
  input            = var.password
  triggers_replace = [var.size]
  provisioner "local-exec" {
    command = "echo ${var.unused} >/dev/null"
  }
}
resource "terraform_data" "fixed" {
  input = { half = 0.5, none = null }
}
module "called" {
  source = "./called"
  size   = var.size
}
output "size" { value = var.size }
output "password" {
  value     = var.password
  sensitive = true
}
output "later" { value = terraform_data.each["a"].output }
check "sound" {
  assert {
    condition     = terraform_data.fixed.id != ""
    error_message = "no"
  }
}
"""
CALLED = """\
variable "size" { type = number }
resource "terraform_data" "inner" {
  count = 2
  input = [var.size, count.index]
  provisioner "local-exec" {
    command = "sh ${path.module}/run.sh"
  }
}
"""


def summary(project: support.Project, *options: str, size: int = 2, file: str = "tfplan") -> bytes:
    """Plan, and return the summary of the plan."""
    return digesting.summary(project, f"-var=size={size}", *options, file=file)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, engine: support.Engine) -> support.Project:
    """A project with a state, in which the next plan updates, replaces and reads."""
    folder = tmp_path_factory.mktemp("applied") / "project"
    folder.mkdir()
    home = folder.parent / "home"
    project = support.Project(folder=folder, engine=engine, environment=support.environment_for(home, engine))
    project.write(MAIN)
    project.write(CALLED, "called/main.tf")
    project.write("true\n", "called/run.sh")
    project.run_engine("init", "-input=false")
    project.run_engine("apply", "-auto-approve", "-input=false", "-var=size=1")
    return project


@pytest.fixture(scope="module")
def expected(applied: support.Project) -> bytes:
    """The summary of the plan that nothing is changed in."""
    return summary(applied)


@pytest.fixture
def copied(applied: support.Project, tmp_path: Path) -> Iterator[support.Project]:
    """A copy of the project to change, in another place."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(applied.folder, folder, symlinks=True)
    yield replace(applied, folder=folder)
    shutil.rmtree(folder)


def edit(project: support.Project, old: str, new: str, name: str = "main.tf") -> None:
    """Replace a piece of a file."""
    path = project.folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_second_plan_agrees(applied: support.Project, expected: bytes) -> None:
    """Planned again a second later, into another file, one at a time: the same."""
    time.sleep(1.1)
    assert summary(applied, "-parallelism=1", "-lock=false", file="other.plan") == expected
    assert summary(applied, "-refresh=false") == expected


def test_another_place_agrees(copied: support.Project, expected: bytes) -> None:
    """Planned in another folder, with logs and notes beside it: the same."""
    copied.write("x", "crash.log")
    copied.write("x", "README.md")
    automated = replace(copied, environment={**copied.environment, "TF_IN_AUTOMATION": "1"})
    assert summary(automated, "-no-color") == expected


EDITS = {
    "a value": ("half = 0.5", "half = 0.25", "main.tf"),
    "a number spelled differently": ("half = 0.5", "half = 0.50", "main.tf"),
    "null against absent": (", none = null", "", "main.tf"),
    "an empty map for an empty list": ("empty = []", "empty = {}", "main.tf"),
    "unicode": ("\\u00e9", "e\\u0301", "main.tf"),
    "known instead of unknown": ("timestamp()", '"now"', "main.tf"),
    "an output": ('output "size" { value = var.size }', 'output "size" { value = var.size + 1 }', "main.tf"),
    "an output gone": ('output "size" { value = var.size }', "", "main.tf"),
    "the order of a replacement": (
        "triggers_replace = [var.size]",
        "triggers_replace = [var.size]\n  lifecycle { create_before_destroy = true }",
        "main.tf",
    ),
    "a provisioner with a reference": ("echo ${var.unused}", "echo again ${var.unused}", "main.tf"),
    "an instance": ('["z", "a", "m"]', '["z", "a"]', "main.tf"),
    "a module's source": ('"./called"', '"./other"', "main.tf"),
    "a module's configuration": ("count.index]", "count.index, 3]", "called/main.tf"),
    "a module's script": ("true", "false", "called/run.sh"),
    "a condition": ('!= ""', '== ""', "main.tf"),
    "a default that nothing uses": ('default = "a"', 'default = "b"', "main.tf"),
}


@pytest.mark.parametrize(("old", "new", "name"), EDITS.values(), ids=EDITS)
def test_an_edit_is_seen(copied: support.Project, expected: bytes, old: str, new: str, name: str) -> None:
    """Each of these edits gives another summary, whether or not the plan JSON shows it."""
    if new == '"./other"':
        shutil.copytree(copied.folder / "called", copied.folder / "other")
    edit(copied, old, new, name)
    copied.run_engine("init", "-input=false")
    assert summary(copied) != expected


@pytest.mark.parametrize(
    "option",
    [
        "-var=password=two",
        "-var=unused=b",
        "-var=size=3",
        "-replace=terraform_data.fixed",
        "-target=terraform_data.fixed",
        "-destroy",
        "-refresh-only",
    ],
)
def test_an_option_that_changes_the_plan_is_seen(applied: support.Project, expected: bytes, option: str) -> None:
    """A sensitive value, a variable that nothing uses, and every option that changes what is done are seen."""
    assert summary(applied, option) != expected


def test_the_lock_file_is_seen(copied: support.Project, expected: bytes) -> None:
    """A lock file, and any edit to it, is seen."""
    lock = copied.write("# nothing\n", ".terraform.lock.hcl")
    first = summary(copied)
    lock.write_text("# nothing is locked\n")
    assert len({first, summary(copied), expected}) == 3


def test_a_taint_is_seen(copied: support.Project, expected: bytes) -> None:
    """A resource marked for replacement in the state is seen."""
    copied.run_engine("taint", "terraform_data.fixed")
    assert summary(copied) != expected


def test_a_value_that_is_new_at_each_plan(copied: support.Project) -> None:
    """What the configuration takes from the time of the plan makes every plan another one, as it must."""
    edit(copied, "timestamp()", "plantimestamp()")
    first = summary(copied)
    time.sleep(1.1)
    assert summary(copied) != first


def test_nothing_to_do(copied: support.Project) -> None:
    """Plans that change nothing agree too, and an output alone tells them apart."""
    edit(copied, "now = timestamp(), ", "")
    copied.run_engine("apply", "-auto-approve", "-input=false", "-var=size=2")
    first = summary(copied)
    assert summary(copied, file="again") == first
    copied.write('output "more" { value = 1 }\n', "more.tf")
    assert summary(copied) != first
