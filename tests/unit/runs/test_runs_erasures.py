"""What a keeper erases for jobs that may not: what outcomes state of the plans that their own runs went by."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tfaudit import config
from tfaudit.cli.main import main
from tfaudit.config import Config
from tfaudit.ledger import erasing, ids
from tfaudit.ledger.log import Ledger
from tfaudit.runs import erasures, ledgers
from tfaudit.runs.gatechange import KEY_POINTER
from tfaudit.runs.run import World, no_step


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A new ledger's configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["setup", "--yes"], shim=None) == 0
    return config.load(cwd=tmp_path, environ={})


@pytest.fixture
def ledger(here: Config, tmp_path: Path) -> Ledger:
    """The ledger."""
    world = World(
        environ={}, cwd=tmp_path, clock=lambda: datetime.now(UTC), entropy=os.urandom, say=print, step=no_step
    )
    return ledgers.open_ledger(here, world)


def plan(ledger: Ledger) -> str:
    """Append a plan with a change key, and return its record id."""
    with ledger.draft("plan") as draft:
        change = {"digest": "0" * 64, "key": draft.disclose(KEY_POINTER, b'{"inputs":{},"key":"00"}')}
        ledger.append(draft, {"run_id": draft.record_id, "stack": "s", "change": change})
    return draft.record_id


def applied(ledger: Ledger, went_by: str, *erased: dict[str, str], also: tuple[str, ...] = ()) -> None:
    """Append intent and outcome of a run that went by a plan, or several, and states erasures."""
    with ledger.draft("intent") as intent:
        decision: dict[str, object] = {"decision": "allow", "reasons": [], "plan_record": went_by}
        if also:
            decision["also"] = [{"plan_record": one, "change_digest": "0" * 64} for one in also]
        ledger.append(intent, {"run_id": intent.record_id, "stack": "s", "decision": decision})
    with ledger.draft("outcome") as draft:
        facts = {"run_id": intent.record_id, "stack": "s", "intent": intent.record_id, "erased": list(erased)}
        ledger.append(draft, facts)


def stated(here: Config, record_id: str) -> dict[str, str]:
    """Return what an outcome states of erasing a plan's key."""
    erasure = erasing.prepare(ledgers.working_of(here), record_id, KEY_POINTER)
    assert erasure is not None
    return erasure.statement()


def is_there(here: Config, record_id: str) -> bool:
    """Tell whether a plan's key is still disclosed."""
    return erasing.prepare(ledgers.working_of(here), record_id, KEY_POINTER) is not None


def test_what_an_outcome_states_is_erased_once(here: Config, ledger: Ledger) -> None:
    """The key of the plan that the run went by goes; other plans keep theirs."""
    first, second = plan(ledger), plan(ledger)
    applied(ledger, first, stated(here, first))
    assert erasures.carry_out(here, since=0) == 1
    assert (is_there(here, first), is_there(here, second)) == (False, True)
    assert erasures.carry_out(here, since=0) == 0


def test_the_keys_of_all_plans_that_were_voted_on_are_erased(here: Config, ledger: Ledger) -> None:
    """Votes may name several records of the same plan."""
    first, second, third = plan(ledger), plan(ledger), plan(ledger)
    applied(ledger, first, stated(here, first), stated(here, second), stated(here, third), also=(second,))
    assert erasures.carry_out(here, since=0) == 2
    assert [is_there(here, one) for one in (first, second, third)] == [False, False, True]


def test_an_outcome_lets_go_of_no_other_plans_key(here: Config, ledger: Ledger) -> None:
    """Whoever can write outcomes can't have a keeper erase the key of somebody else's plan."""
    mine, others = plan(ledger), plan(ledger)
    applied(ledger, mine, stated(here, others))
    assert erasures.carry_out(here, since=0) == 0
    assert is_there(here, others)


@pytest.mark.parametrize("change", [{"disclosures": "0" * 64}, {"pointer": "/actor"}])
def test_what_the_file_would_not_be_afterwards_stays(here: Config, ledger: Ledger, change: dict[str, str]) -> None:
    """Only the change key, and only where the file comes to what the outcome says."""
    one = plan(ledger)
    applied(ledger, one, {**stated(here, one), **change})
    assert erasures.carry_out(here, since=0) == 0
    assert is_there(here, one)


def test_older_records_than_asked_for_are_not_looked_at(here: Config, ledger: Ledger) -> None:
    """A keeper that runs every day looks at what is new."""
    one = plan(ledger)
    applied(ledger, one, stated(here, one))
    assert erasures.carry_out(here, since=ids.milliseconds(datetime(2999, 1, 1, tzinfo=UTC))) == 0
    assert is_there(here, one)
