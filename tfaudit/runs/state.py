"""Which version is the state in now: read from the file where the backend is local, asked of the engine elsewhere."""

from __future__ import annotations

from typing import Final

from tfaudit.engine import process, workdir
from tfaudit.engine.argv import state_pull_call
from tfaudit.engine.signals import Relay
from tfaudit.engine.workdir import parse_state_id, read_state_id
from tfaudit.errors import InputError, TfauditError
from tfaudit.runs.facts import StateId
from tfaudit.runs.run import Run

MAX_STATE_BYTES: Final = 1 << 30


def current(run: Run, relay: Relay, *, after: bool = False) -> StateId | None:
    """Return lineage and serial of the state as it is stored now; ``after`` the command, which may write elsewhere.

    ``StateId("", 0)`` where there is none yet, None where it can't be read: the record then says nothing of it.
    """
    try:
        path = run.workdir.state_path(run.invocation, after=after)
        found = read_state_id(path) if path is not None else _pulled(run, relay)
    except TfauditError:
        return None
    return StateId(lineage=found.lineage, serial=found.serial) if found else StateId(lineage="", serial=0)


def _pulled(run: Run, relay: Relay) -> workdir.StateId | None:
    call = state_pull_call(run.invocation, run.world.environ)
    pulled = process.capture(run.engine.command, call, relay=relay, limit=MAX_STATE_BYTES)
    if pulled.ended.code != 0:
        raise InputError(f"the engine's state pull ended with {pulled.ended.code}")
    return parse_state_id(pulled.stdout, what="what state pull printed")


def rose(before: StateId | None, after: StateId | None) -> bool | None:
    """Whether the state was written between the two; None where either is not known."""
    if before is None or after is None:
        return None
    return after.lineage != before.lineage or after.serial > before.serial
