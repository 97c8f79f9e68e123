"""Did a run that is in the log make this plan file?

A plan file holds more than its plan shows: the state that the apply starts from, for one. Somebody who changes only
that has a file whose plan reads the same, down to its change digest, and whose apply writes another state or deletes
another object. So of a saved plan it must be known that the engine wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.ledger.live import AHEAD
from tfaudit.ledger.votes import STAGED

if TYPE_CHECKING:
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record

_KIND: Final = "plan"


def is_recorded(reader: Reader, sha256: str, *, state_key: str | None, since: int, now: int) -> bool:
    """Tell whether a record of the command ``plan`` on this state has a plan file of that SHA-256.

    Runs of other commands record plan files too, even those that were refused; they made none. ``since`` is how far
    back is looked and ``now`` the store's time, milliseconds since the epoch; records that wait for a commit count.
    Raises :class:`VerificationError` where a commit or record is altered, :class:`LedgerError` when a store failed.
    """
    lines = [
        entry.line
        for entry in reader.since(since - AHEAD)
        if (entry.line.kind, entry.line.state, entry.line.refers) == (_KIND, state_key, sha256)
    ]
    if any(_made(record, sha256) for record in reader.records(lines)):
        return True
    waiting = reader.staged(now, limit=STAGED)
    return any(one.kind == _KIND and one.state == state_key and _made(one, sha256) for one in waiting)


def _made(record: Record, sha256: str) -> bool:
    plan, command = record.predicate.get("plan"), record.predicate.get("command")
    return (
        isinstance(plan, dict)
        and plan.get("sha256") == sha256
        and isinstance(command, dict)
        and command.get("name") == "plan"
    )
