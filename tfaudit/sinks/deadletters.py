"""Which documents will a sink never take, and why?

A dead letter holds no content: what it is about can be made again from the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError
from tfaudit.ledger import ids
from tfaudit.sinks.cursor import Place
from tfaudit.sinks.model import MAX_REASON

if TYPE_CHECKING:
    from tfaudit.sinks.shelf import Shelf

FOLDER: Final = "dead/"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One document that a sink refused for good, or that could not be made."""

    id: str
    """The document's, ``<record id>/<line>``."""
    place: Place
    reason: str
    time: int
    """When, milliseconds since the epoch."""
    rest: bool = False
    """The record can't be read: all lines from this one on are meant."""

    @property
    def name(self) -> str:
        """What it is called in the store."""
        return _name(self.id)


def put(shelf: Shelf, letter: DeadLetter) -> None:
    """Keep a dead letter, durable on return; raises :class:`LedgerError` when the store failed."""
    shelf.put(
        letter.name,
        {
            "id": letter.id,
            "position": letter.place.position,
            "line": letter.place.line,
            "reason": shown(letter.reason),
            "time": ids.time_text(letter.time),
            "rest": letter.rest,
        },
    )


def shown(reason: str) -> str:
    """Return a reason on one line, as much of it as is kept."""
    return _CONTROL.sub(" ", reason)[:MAX_REASON].encode("utf-8", "backslashreplace").decode()


def count(shelf: Shelf) -> int:
    """Return how many there are; raises :class:`LedgerError` when the store failed."""
    return sum(1 for _ in shelf.names(FOLDER))


def every(shelf: Shelf) -> Iterator[DeadLetter]:
    """Yield them, by record id and line; what is no dead letter is passed over. Errors as :func:`put`."""
    for name in list(shelf.names(FOLDER)):
        match shelf.read(name):
            case {
                "id": str(document_id),
                "position": int(position),
                "line": int(line),
                "reason": str(reason),
                "time": time,
                "rest": bool(rest),
            }:
                try:
                    moment = ids.parse_time(time, what="dead letter's time")
                except InputError:
                    continue
                yield DeadLetter(id=document_id, place=Place(position, line), reason=reason, time=moment, rest=rest)


def remove(shelf: Shelf, document_id: str) -> None:
    """Forget the one about a document that was accepted after all; errors as :func:`put`."""
    shelf.remove(_name(document_id))


def _name(document_id: str) -> str:
    return f"{FOLDER}{document_id.replace('/', '-')}.json"
