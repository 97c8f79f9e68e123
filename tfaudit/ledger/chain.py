"""Which record is the last of a state: by the log's commits, from the end back to where a snapshot takes over.

The snapshot, ``index/states`` in the working store, says of one commit which record of each state was the last then.
That stays true whoever writes another one, so that writers need no lock. It is rebuilt when it is missing, and whoever
falsifies it only makes a record name the wrong predecessor, which ``verify`` shows.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tfaudit import canonical
from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger import commit, head, ids
from tfaudit.ledger.record import Previous
from tfaudit.ledger.store import read

if TYPE_CHECKING:
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store, Working

SNAPSHOT: Final = "index/states"
MAX_SNAPSHOT: Final = 64 << 20
STEP: Final = 128
"""So many commits past the snapshot's a new one is written."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    number: int = -1
    digest: str = ""
    last: dict[str, list[str]] = field(default_factory=dict)
    """State key to [record id, leaf]."""


def last_of_state(evidence: Store, working: Working, state: State, key: str) -> Previous | None:
    """Return the last record of the state ``key`` in the log that ends with ``state``; None where there is none.

    Raises :class:`VerificationError` where a commit is missing or altered, :class:`LedgerError` when the store failed.
    """
    snapshot: _Snapshot | None = None
    found: dict[str, list[str]] = {}
    walked = 0
    for number, raw in head.back_from(evidence, state.number, state.digest):
        if walked and snapshot is None:
            # Mostly the very last commit is this state's; only then nothing more is read.
            snapshot = _read(working)
        if snapshot is not None and number == snapshot.number and sha256(raw).hexdigest() == snapshot.digest:
            found = {**snapshot.last, **found}
            break
        for line in reversed(commit.skim(raw)[2]):
            if line.state is not None:
                found.setdefault(line.state, [line.record_id, line.leaf.hex()])
        walked += 1
        if key in found and walked < STEP:
            # The usual case: the last record of this state is not far back.
            break
    if walked >= STEP:
        _write(working, state, found)
    last = found.get(key)
    return Previous(record_id=last[0], leaf=last[1]) if last else None


def _read(working: Working) -> _Snapshot:
    """Return the snapshot, an empty one where there is none in form."""
    with suppress(LedgerError, InputError):
        match canonical.decode(read(working, SNAPSHOT, limit=MAX_SNAPSHOT) or b"", what=SNAPSHOT):
            case {"commit": int(number), "digest": str(digest), "states": dict(last)} if all(
                map(_usable, last.values())
            ):
                return _Snapshot(number, digest, last)
    return _Snapshot()


def _usable(pair: object) -> bool:
    match pair:
        case [record_id, leaf]:
            return ids.is_record_id(record_id) and commit.is_digest(leaf)
    return False


def _write(working: Working, state: State, last: dict[str, list[str]]) -> None:
    # A derived object: whoever can't write it walks again.
    with suppress(LedgerError):
        working.replace(SNAPSHOT, canonical.encode({"commit": state.number, "digest": state.digest, "states": last}))
