"""A plan file is known by the record of the run that made it, and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from electionkit import HOUR, STATE
from ledgerkit import Place, add, make

from tfaudit.ledger import ids
from tfaudit.ledger.planned import is_recorded
from tfaudit.ledger.reader import Reader

SHA = "3" * 64
FACTS = {"refers": SHA, "plan": {"sha256": SHA}, "command": {"name": "plan", "options": []}, "state": {"key": STATE}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty ledger."""
    return make(tmp_path)


def known(place: Place, *, state_key: str | None = STATE, hours: int = 1) -> bool:
    """Tell whether the plan file is known by a record of the last hours."""
    now = ids.milliseconds(place.clock())
    reader = Reader.open(evidence=place.evidence, working=place.working, genesis_digest=None)
    return is_recorded(reader, SHA, state_key=state_key, since=now - hours * HOUR, now=now)


def test_a_plan_that_was_recorded(place: Place) -> None:
    """The record of a plan makes its file known."""
    assert not known(place)
    ledger = place.open()
    add(ledger, "plan", **FACTS)
    add(ledger, "plan", **{**FACTS, "plan": {"sha256": "4" * 64}})
    assert known(place)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("plan", {"command": {"name": "apply", "options": []}}),
        ("intent", {}),
        ("plan", {"plan": {"sha256": "4" * 64}}),
        ("plan", {"state": {"key": "5b" * 32}}),
        ("plan", {"plan": None}),
    ],
    ids=["a refused apply", "an intent", "another file", "another state", "no file"],
)
def test_records_that_make_no_file_known(place: Place, kind: str, facts: dict[str, object]) -> None:
    """A run that only met the file, and one on another state or of another file, don't count."""
    add(place.open(), kind, **{**FACTS, **facts})
    assert not known(place)
