"""What do the records before a run's own say: was the state changed without one, and has this actor been here before?

Read back along the links that the records of one state sign, a bounded number of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from tfaudit import canonical
from tfaudit.alerts.limiting import ROOT

if TYPE_CHECKING:
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Working

ACTORS: Final = f"{ROOT}actors/"
MAX_RECORDS: Final = 60
"""Earlier records of the state that are looked at."""
Version = tuple[str, int]
"""Lineage and serial of a state."""

_CLOSING: Final = frozenset({"outcome", "operation"})
_SETTLED: Final = frozenset({"outcome", "operation", "adopt"})


def of_state(reader: Reader, key: str) -> Iterator[Record]:
    """Yield the last records of a state, the newest first; errors as :meth:`Reader.before`."""
    here = reader.last_of_state(key)
    for _ in range(MAX_RECORDS):
        if here is None:
            return
        yield here
        here = reader.before(here)


class Past:
    """The records of a run's state before the run's own, the newest first, each read once."""

    def __init__(self, reader: Reader, own: Record) -> None:
        self._reader = reader
        self._own = own
        self._found: list[Record] = []
        self._rest = self._walk()
        self.is_whole = False
        """Whether the first record of the state has been seen."""

    def __iter__(self) -> Iterator[Record]:
        yield from self._found
        for found in self._rest:
            self._found.append(found)
            yield found

    @property
    def looked(self) -> int:
        """How many have been looked at."""
        return len(self._found)

    def _walk(self) -> Iterator[Record]:
        run_id, here = self._own.predicate.get("run_id"), self._own
        for _ in range(MAX_RECORDS):
            earlier = self._reader.before(here)
            if earlier is None:
                self.is_whole = True
                return
            here = earlier
            if here.predicate.get("run_id") != run_id:
                yield here


def met(own: Record) -> Version | None:
    """Return lineage and serial of the state that a run met; None where its record says nothing of it."""
    return _version(own, "before")


def is_unrecorded(past: Iterable[Record], met: Version | None) -> bool:
    """Return whether a state that was met is none that a record left behind; ``past``: the newest first.

    Only what is certain: the version that the last finished run left is known, and what was met is later, or of another
    lineage. ``verify`` looks at the whole log. Raises what reading the records does.
    """
    if met is None or met == ("", 0):
        return False
    closed: set[object] = set()
    for record in past:
        if _version(record, "before") == met and record.kind == "plan":
            return False  # whoever made that plan has met it already, and told of it
        if record.kind in _CLOSING:
            closed.add(record.predicate.get("intent"))
        if record.kind in _SETTLED:
            left = _version(record, "after") or (_version(record, "before") if record.kind == "adopt" else None)
            # A lower serial is a plan that was made before that run, or a state that was put back.
            return left is not None and (left[0] != met[0] or met[1] > left[1])
        if record.kind == "intent" and record.record_id not in closed:
            return False  # it still goes on, or nobody saw its end
    return False


def is_first_time(past: Past, reader: Reader, working: Working, own: Record, actor: str) -> bool:
    """Return whether nobody of that name has changed the state before, as far as was looked; others have.

    Who has been seen is remembered in the working store. Errors as :meth:`Reader.before`.
    """
    if own.state is None:
        return False
    key = f"{ACTORS}{_digest(own.state, actor)}"
    stream = working.open(key, limit=1)
    if stream is not None:
        stream.close()
        return False
    intents = [record for record in past if record.kind == "intent"]
    known = any(_principal(text) == actor for text in reader.values(intents, "/actor"))
    working.create(key, b"")
    return bool(intents) and not known


def _version(record: Record, side: str) -> Version | None:
    state = record.predicate.get("state")
    match state.get(side) if isinstance(state, dict) else None:
        case {"lineage": str(lineage), "serial": int(serial)}:
            return lineage, serial
    return None


def _principal(text: bytes | None) -> str | None:
    try:
        found: Any = json.loads(text) if text is not None else None
    except ValueError:
        return None
    name = found.get("principal") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


def _digest(*parts: str) -> str:
    return hashlib.sha256(canonical.frame(*(part.encode(errors="replace") for part in parts))).hexdigest()
