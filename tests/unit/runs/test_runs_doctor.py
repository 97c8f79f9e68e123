"""What does doctor find on a machine where something is amiss?"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from tfaudit import config
from tfaudit.runs import doctor, setup
from tfaudit.runs.run import World, no_step


@pytest.fixture
def world(tmp_path):
    """A world with a plain environment and no engine, in a folder that is a stack."""
    return World(
        environ={"PATH": "/usr/bin:/bin", "TFAUDIT_ENGINE": str(tmp_path / "none"), "TFAUDIT_STACK": "a"},
        cwd=tmp_path,
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=lambda _line: None,
        step=no_step,
    )


def test_a_working_store_that_takes_nothing_is_found(tmp_path, world):
    """Without disclosures no run is recorded; nothing is left of the probe where it can be written."""
    setup.make(setup.propose(tmp_path, world), world)
    loaded = config.load(cwd=tmp_path, environ=world.environ, machine_file=tmp_path / "no such file")
    working = tmp_path / ".tfaudit" / "working"

    def found():
        return {check.name: check for check in doctor.examine(loaded, world)}["working"]

    assert (found().result, found().message) == ("ok", f"{working} can be written and erased")
    assert not (working / "probe").exists()
    if (working / ".tmp").exists():
        (working / ".tmp").rmdir()
    (working / ".tmp").touch()
    assert (found().result, found().exit_code) == ("failed", 74)


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="there is no statvfs here")
def test_space_is_looked_for_where_there_is_least(tmp_path, world, monkeypatch):
    """The ledger, the working store and the spool may lie on disks of their own."""
    setup.make(setup.propose(tmp_path, world), world)
    loaded = config.load(cwd=tmp_path, environ=world.environ, machine_file=tmp_path / "no such file")
    real = os.statvfs

    def full(place):
        found = real(place)
        return os.statvfs_result((*found[:4], 0, *found[5:])) if str(place).endswith("working") else found

    monkeypatch.setattr(os, "statvfs", full)
    (check,) = (check for check in doctor.examine(loaded, world) if check.name == "space")
    assert (check.result, check.message) == ("warning", f"0 MiB are free where {tmp_path}/.tfaudit/working lies")
