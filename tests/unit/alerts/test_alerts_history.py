"""What earlier records tell: a state that nobody left behind, and who acts for the first time. On a real ledger."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "ledger"))

import ledgerkit

from tfaudit.alerts import history
from tfaudit.ledger.record import Record

STATE = "ab" * 32
OTHER = "cd" * 32


class Runs:
    """Runs on one state, as the pipeline records them."""

    def __init__(self, folder: Path) -> None:
        self.place = ledgerkit.make(folder)
        self.ledger = self.place.open()
        self.count = 0

    def add(
        self,
        kind: str,
        run: str,
        *,
        before: int | None = None,
        after: int | None = None,
        actor: str = "github:1",
        intent: str | None = None,
        lineage: str = "l",
        state: str = STATE,
    ) -> str:
        """Append a record and return its id."""
        described: dict[str, object] = {"key": state}
        if before is not None:
            described["before"] = {"lineage": lineage if before else "", "serial": before}
        if after is not None:
            described["after"] = {"lineage": lineage, "serial": after}
        with self.ledger.draft(kind) as draft:
            told: dict[str, object] = {"run_id": run, "state": described}
            told["actor"] = draft.disclose("/actor", json.dumps({"principal": actor}).encode())
            if intent is not None:
                told["intent"] = intent
            self.ledger.append(draft, told)
            return draft.record_id

    def apply(self, before: int, after: int | None, **more: str) -> None:
        """Record a whole apply; ``after`` None: nobody saw its end."""
        self.count += 1
        run = f"run-{self.count}"
        intent = self.add("intent", run, before=before, **more)
        self.add("outcome", run, before=before, after=after, intent=intent, **more)

    def own(self, before: int, *, kind: str = "intent", **more: str) -> tuple[history.Past, Record]:
        """Record what the present run met and return its past."""
        record_id = self.add(kind, "own", before=before, **more)
        reader = self.ledger.reader()
        entry = reader.find(record_id)
        assert entry is not None
        own = reader.record(entry.line)
        return history.Past(reader, own), own

    def is_unrecorded(self, before: int, **more: str) -> bool:
        """Return whether a run that meets this serial meets what nobody left."""
        past, own = self.own(before, **more)
        return history.is_unrecorded(past, history.met(own))

    def is_first_time(self, actor: str) -> bool:
        """Return whether somebody who applies now does so for the first time."""
        past, own = self.own(9, actor=actor)
        return history.is_first_time(past, self.ledger.reader(), self.place.working, own, actor)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """An empty ledger."""
    return Runs(tmp_path / "place")


def test_a_serial_that_the_last_run_left_is_explained(runs: Runs) -> None:
    """The usual case."""
    runs.apply(0, 3)
    runs.apply(3, 5)
    assert not runs.is_unrecorded(5)


def test_a_later_serial_shows_a_change_past_tfaudit(runs: Runs) -> None:
    """Somebody applied in between."""
    runs.apply(0, 3)
    assert runs.is_unrecorded(4)


def test_another_lineage_shows_a_state_that_was_put_in_place_of_the_first(runs: Runs) -> None:
    """Whatever its serial."""
    runs.apply(0, 3)
    assert runs.is_unrecorded(3, lineage="other")


def test_a_plan_from_before_the_last_run_is_only_stale(runs: Runs) -> None:
    """A lower serial says nothing."""
    runs.apply(0, 3)
    runs.apply(3, 5)
    assert not runs.is_unrecorded(3)


@pytest.mark.parametrize("after", [None, 3])
def test_after_a_run_whose_end_nobody_knows_nothing_is_certain(runs: Runs, after: int | None) -> None:
    """It may have left any serial; so may one that still goes on."""
    runs.apply(0, 2)
    if after is None:
        runs.apply(2, None)
    else:
        runs.add("intent", "running", before=2)
    assert not runs.is_unrecorded(7)


def test_who_met_it_first_has_told_of_it(runs: Runs) -> None:
    """An apply of a plan that met the gap tells nothing new."""
    runs.apply(0, 3)
    assert runs.is_unrecorded(4, kind="plan")
    runs.add("plan", "earlier", before=4)
    assert not runs.is_unrecorded(4)


def test_the_run_s_own_records_and_other_states_explain_nothing(runs: Runs) -> None:
    """Its plan record comes before its intent."""
    runs.apply(0, 3)
    runs.apply(0, 4, state=OTHER)
    runs.add("plan", "own", before=4)
    assert runs.is_unrecorded(4)


def test_a_first_run_on_a_state_meets_whatever_there_is(runs: Runs) -> None:
    """Nothing was recorded before."""
    assert not runs.is_unrecorded(12)


def test_a_state_as_it_is_now_can_be_held_against_the_log(runs: Runs) -> None:
    """For `recover`, which writes no record of its own."""
    runs.apply(0, 3)
    reader = runs.ledger.reader()
    assert not history.is_unrecorded(history.of_state(reader, STATE), ("l", 3))
    assert history.is_unrecorded(history.of_state(reader, STATE), ("l", 4))
    assert not history.is_unrecorded(history.of_state(reader, OTHER), ("l", 4))


def test_somebody_new_on_a_stack_is_told_once(runs: Runs) -> None:
    """Who has changed it before isn't new; nor is who was told of."""
    runs.apply(0, 3)
    assert not runs.is_first_time("github:1")
    assert runs.is_first_time("github:2")
    assert not runs.is_first_time("github:2")


def test_the_first_run_on_a_stack_surprises_nobody(runs: Runs) -> None:
    """There is nobody that it could be another than."""
    assert not runs.is_first_time("github:1")


def test_whoever_only_planned_has_not_changed_it(runs: Runs) -> None:
    """Plans are everybody's."""
    runs.apply(0, 3)
    runs.add("plan", "earlier", before=3, actor="github:2")
    assert runs.is_first_time("github:2")


def test_so_many_records_are_looked_at_and_no_more(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long history does not make an alert late: the message says how far it looked."""
    monkeypatch.setattr(history, "MAX_RECORDS", 6)
    runs.apply(0, 1, actor="github:2")
    for serial in range(1, 6):
        runs.apply(serial, serial + 1)
    past, own = runs.own(6, actor="github:2")
    assert history.is_first_time(past, runs.ledger.reader(), runs.place.working, own, "github:2")
    assert (past.is_whole, past.looked) == (False, 6)
