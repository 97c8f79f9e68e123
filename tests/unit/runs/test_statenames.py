"""A state keeps the names that it was recorded under since something was last applied to it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from tfaudit import config
from tfaudit.ledger import statenames
from tfaudit.runs import ledgers, setup
from tfaudit.runs.run import World, no_step

STATE = "a" * 64
OTHER = "b" * 64


class Log:
    """A ledger that records are appended to by name."""

    def __init__(self, folder):
        self.world = World(
            environ={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(folder.parent)},
            cwd=folder,
            clock=lambda: datetime.now(UTC),
            entropy=os.urandom,
            say=lambda _line: None,
            step=no_step,
        )
        setup.make(setup.propose(folder, self.world), self.world)
        self.config = config.load(cwd=folder, environ={}, machine_file=folder / "none")

    def add(self, kind, stack, command="plan", *, state=STATE, spooled=False, **members):
        """Append a record, or let it wait in the spool first."""
        ledger = ledgers.open_ledger(self.config, self.world)
        facts = {"stack": stack, "command": {"name": command}, "state": {"key": state}, **members}
        with ledger.draft(kind) as draft:
            if spooled:
                ledger.keep(draft, facts)
            else:
                ledger.append(draft, facts)
        if spooled:
            ledger.drain()

    def names(self, state=STATE):
        """Return the names at the log's end."""
        return statenames.names(ledgers.open_reader(self.config), state)


@pytest.fixture
def log(tmp_path):
    """A new ledger in which something was applied to the state as ``one``."""
    made = Log(tmp_path)
    made.add("plan", "zero")
    made.add("intent", "one", "apply")
    made.add("outcome", "one", "apply")
    return made


def test_a_state_that_was_never_recorded_has_no_name(log):
    """Another state's records give this one no name."""
    assert log.names(OTHER) == ()


def test_the_last_apply_settles_the_name(log):
    """What the state was called before its last apply counts no more."""
    assert log.names() == ("one",)


def test_what_anyone_may_run_settles_nothing(log):
    """Plans and ungated commands under other names add theirs, and the applied one stays."""
    log.add("plan", "two")
    log.add("intent", "three", "taint")
    log.add("operation", "three", "taint")
    log.add("plan", "elsewhere", state=OTHER)
    assert log.names() == ("three", "two", "one")


def test_nor_does_any_number_of_it(log):
    """However often something is run under another name that no gate holds back, the applied one stays."""
    for _ in range(50):
        log.add("operation", "two", "untaint")
    assert log.names() == ("two", "one")


def test_a_plan_under_a_pinned_gate_carries_the_names_on(log):
    """What such a record says it was known as is taken over, and nothing before it is read."""
    log.add("plan", "two", decision={"decision": "deny", "reasons": [], "known_as": ["one"]})
    log.add("plan", "three")
    assert log.names() == ("three", "two", "one")


def test_an_approved_apply_under_another_name_settles_that(log):
    """Once it was allowed by the rules of both names, the new one alone is left."""
    log.add("intent", "two", "apply", decision={"decision": "allow", "reasons": [], "known_as": ["one"]})
    assert log.names() == ("two",)


def test_a_record_that_was_signed_without_a_ledger_breaks_no_chain(log):
    """A record that names none before it, because it waited in the spool, does not hide those before it."""
    log.add("plan", "two", spooled=True)
    assert log.names() == ("two", "one")
    log.add("plan", "three")
    assert log.names() == ("three", "two", "one")


def test_the_first_record_ends_it(tmp_path):
    """A state that nothing was applied to has the names of all its records."""
    made = Log(tmp_path)
    made.add("plan", "one")
    made.add("plan", "two")
    assert made.names() == ("two", "one")
