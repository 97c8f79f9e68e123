"""What a machine remembers of the gate that a ledger pins, for when that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfaudit.runs.gatememory import may_go_on, remember

GENESIS = "sha256:" + "a" * 64
STATE, OTHER = "b" * 64, "c" * 64


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a cache of its own."""
    return {"XDG_CACHE_HOME": str(tmp_path)}


@pytest.mark.parametrize("trusted", [False, True])
def test_of_a_ledger_that_was_never_read_the_environment_decides(home: dict[str, str], trusted: bool) -> None:
    """The repository's authors may not."""
    assert may_go_on(home, GENESIS, STATE, trusted=trusted) is trusted
    assert may_go_on({}, GENESIS, STATE, trusted=trusted) is trusted


def test_a_ledger_that_pins_nothing_holds_nobody_back(home: dict[str, str]) -> None:
    """Whatever the state is; another ledger is not known by that."""
    remember(home, GENESIS, STATE, pinned=False, gated=False)
    assert may_go_on(home, GENESIS, OTHER, trusted=False)
    assert not may_go_on(home, "sha256:" + "d" * 64, STATE, trusted=False)


def test_under_a_pinned_gate_only_states_that_were_seen_ungated_go_on(home: dict[str, str]) -> None:
    """Whoever wants it: what was not seen may be gated."""
    remember(home, GENESIS, STATE, pinned=True, gated=False)
    assert may_go_on(home, GENESIS, STATE, trusted=False)
    assert not may_go_on(home, GENESIS, OTHER, trusted=True)
    assert not may_go_on(home, GENESIS, None, trusted=True)


def test_what_was_seen_last_holds(home: dict[str, str]) -> None:
    """A gate that was pinned since, and one that was taken away."""
    remember(home, GENESIS, STATE, pinned=False, gated=False)
    remember(home, GENESIS, STATE, pinned=True, gated=True)
    assert not may_go_on(home, GENESIS, STATE, trusted=True)
    remember(home, GENESIS, STATE, pinned=True, gated=False)
    assert may_go_on(home, GENESIS, STATE, trusted=False)
    remember(home, GENESIS, STATE, pinned=True, gated=True)
    assert not may_go_on(home, GENESIS, STATE, trusted=True)


def test_a_place_that_can_not_be_written_costs_nothing(tmp_path: Path) -> None:
    """The run goes on; nothing is remembered."""
    (tmp_path / "tfaudit").write_text("no folder")
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    remember(environ, GENESIS, STATE, pinned=True, gated=True)
    assert not may_go_on(environ, GENESIS, STATE, trusted=False)
