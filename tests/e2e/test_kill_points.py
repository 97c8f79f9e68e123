"""A run killed at any step leaves a ledger that is whole, and an end that can be told truthfully."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import support

KILLRUN = Path(__file__).with_name("killrun.py")
CONFIGURATION = """
resource "terraform_data" "kept" {
  count = 2
  input = "n${count.index}"
}
output "kept" {
  value = terraform_data.kept[0].output
}
"""


def killed_at(project: support.Project, step: int, log: Path) -> int:
    """Apply and die at the step of that number; return the exit code."""
    command = [sys.executable, str(KILLRUN), str(step), str(log), "apply", "-auto-approve"]
    done = subprocess.run(
        command,
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    return done.returncode


def settle(project: support.Project) -> None:
    """Wait until the engine that outlived tfaudit has saved its state and freed its lock."""
    deadline = time.monotonic() + 30
    while (project.folder / ".terraform.tfstate.lock.info").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)


def verify(project: support.Project) -> dict:
    """Return verify's report."""
    return json.loads(project.tfaudit("verify", "--json", code=None).stdout)


def prepared(base: support.Project, folder: Path) -> support.Project:
    """Return a copy of an initialised project with a ledger of its own."""
    project = support.Project(folder=folder, engine=base.engine, environment=base.environment)
    folder.mkdir()
    project.write(CONFIGURATION)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    return project


@pytest.mark.engine
@pytest.mark.slow
def test_killed_at_every_step(project: support.Project, tmp_path: Path) -> None:
    """At each step: verify finds at most an open run, recover closes it, and what is recorded is what happened."""
    log = tmp_path / "steps"
    whole = prepared(project, tmp_path / "whole")
    assert killed_at(whole, 0, log) == 0
    names = log.read_text().splitlines()
    assert {"plan", "show", "intent", "staged", "committed", "apply", "applied", "outcome"} <= set(names)
    for number, name in enumerate(names, start=1):
        place = prepared(project, tmp_path / f"killed-{number}")
        assert killed_at(place, number, tmp_path / "log") == -9, name
        settle(place)
        report = verify(place)
        assert {finding["code"] for finding in report["findings"]} <= {"open-run"}, (number, name, report)
        assert report["ok"], (number, name, report)
        recovered = json.loads(place.tfaudit("recover", "--json").stdout)
        assert recovered["running"] == [], (number, name)
        assert verify(place)["findings"] == [], (number, name)
        check_truth(place, number, name, is_after_intent="intent" in names[:number])
        place.tfaudit("apply", "-auto-approve")
        report = verify(place)
        assert report["ok"], (number, name, report)
        assert report["findings"] == [], (number, name, report)


def check_truth(place: support.Project, number: int, name: str, *, is_after_intent: bool) -> None:
    """Whatever is recorded as applied is in the state; whatever is in the state has an intent."""
    state = set(place.run_engine("state", "list", code=None).stdout.split())
    entries = [json.loads(line) for line in place.tfaudit("log", "--json").stdout.splitlines()]
    if state:
        assert is_after_intent, (number, name)
        assert any(entry["kind"] == "intent" for entry in entries), (number, name)
    for entry in entries:
        if entry["kind"] != "intent":
            continue
        shown = json.loads(place.tfaudit("inspect", "--json", entry["run_id"]).stdout)
        for event in shown["events"]:
            if event["outcome"] and event["outcome"]["status"] == "applied" and event["type"]:
                assert event["address"] in state, (number, name, event)


@pytest.mark.engine
@pytest.mark.parametrize("stranger", [False, True], ids=["by the run", "another state"])
def test_what_is_not_the_runs_own_state_proves_nothing(
    project: support.Project, tmp_path: Path, stranger: bool
) -> None:
    """A creation whose object stands in the state is taken for applied there, and in no other state."""
    place = prepared(project, tmp_path / "place")
    place.write('resource "terraform_data" "first" {}')
    place.tfaudit("apply", "-auto-approve")
    place.write(CONFIGURATION)
    log = tmp_path / "steps"
    whole = prepared(project, tmp_path / "whole")
    assert killed_at(whole, 0, log) == 0
    # Before the engine applies, or when it just has.
    step = log.read_text().splitlines().index("apply" if stranger else "applied") + 1
    assert killed_at(place, step, tmp_path / "log") == -9
    settle(place)
    if stranger:
        (place.folder / "terraform.tfstate").unlink()
        place.run_engine("apply", "-auto-approve")
    (closed,) = json.loads(place.tfaudit("recover", "--json").stdout)["closed"]
    events = json.loads(place.tfaudit("inspect", "--json", closed).stdout)["events"]
    made = [event["outcome"]["status"] for event in events if event["address"].startswith("terraform_data.kept")]
    assert made == ["unknown" if stranger else "applied"] * 2
