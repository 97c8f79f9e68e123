"""How far has a sink been delivered to: the place of the next document, durable and never moved back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.errors import ConfigError, InputError, LedgerError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.sinks.shelf import Shelf

NAME: Final = "cursor.json"
FORMAT: Final = "tfaudit-cursor/v1"


class Place(NamedTuple):
    """A document's place in the order of delivery."""

    position: int
    """Of its record in the log: the leaf's index."""
    line: int
    """0 is the record itself, from 1 on its event lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Everything before ``next`` was accepted by the sink or is a dead letter."""

    ledger: str
    """The digest of the ledger's genesis."""
    url: str
    """SHA-256 of the sink's URL."""
    next: Place
    time: int
    """When it was moved last, milliseconds since the epoch."""


def url_digest(url: str) -> str:
    """Return what a cursor says of the place that a sink is."""
    return hashlib.sha256(url.encode()).hexdigest()


def read(shelf: Shelf, *, ledger: str) -> Cursor | None:
    """Return the cursor; None for a sink that nothing was delivered to yet.

    Raises :class:`LedgerError` where it can't be read, and :class:`ConfigError` where it is about another ledger than
    the one with the genesis digest ``ledger``.
    """
    found = shelf.read(NAME)
    if found is None:
        return None
    match found:
        case {
            "format": "tfaudit-cursor/v1",
            "ledger": str(of),
            "url": str(url),
            "position": int(position),
            "line": int(line),
            "time": time,
        } if position >= 0 and line >= 0:
            if of != ledger:
                raise ConfigError(
                    f'what was delivered to "{shelf.sink}" came from another ledger',
                    hint="give the sink another name, or each ledger a working store of its own",
                )
            try:
                return Cursor(
                    ledger=of, url=url, next=Place(position, line), time=ids.parse_time(time, what="cursor's time")
                )
            except InputError:
                pass
    raise LedgerError(
        f'the cursor of "{shelf.sink}" is in no form that this version knows',
        hint=f"remove delivery/{shelf.sink}/{NAME} in the working store to deliver everything again",
    )


def advance(shelf: Shelf, cursor: Cursor) -> bool:
    """Put the cursor there, durable on return; False where another job has moved it further meanwhile.

    Raises :class:`LedgerError` when the store failed: the cursor may or may not have moved.
    """
    now = read(shelf, ledger=cursor.ledger)
    if now is not None and now.next > cursor.next:
        return False
    shelf.put(
        NAME,
        {
            "format": FORMAT,
            "ledger": cursor.ledger,
            "url": cursor.url,
            "position": cursor.next.position,
            "line": cursor.next.line,
            "time": ids.time_text(cursor.time),
        },
    )
    return True
