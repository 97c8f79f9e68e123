"""Which of several jobs delivers to a sink at this moment?

A lease ends by itself: a job that was killed holds up the others for less than a minute, and nobody waits for one. Each
taking has a number, created on condition that nobody has; so of two that find a lease ended, one takes it. What is
behind a lost lease is only that a document is sent twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.sinks.shelf import Shelf

FOLDER: Final = "lease/"
LENGTH: Final = 40_000
"""Milliseconds."""
_LEAST: Final = 25_000
"""It is renewed where less of it is left: longer than one answer is waited for."""
_DIGITS: Final = 12
_NAME: Final = re.compile(rf"{FOLDER}[0-9]{{{_DIGITS}}}\.json")


class Lease:
    """The right to deliver to one sink; :func:`take` is the way to it."""

    def __init__(self, shelf: Shelf, number: int, now: Callable[[], int]) -> None:
        self._shelf = shelf
        self._number = number
        self._now = now
        self._until = now() + LENGTH

    def keep(self) -> bool:
        """Renew the lease where that is due; False where another job has taken it over.

        Raises :class:`LedgerError` when the store failed.
        """
        now = self._now()
        if now + _LEAST < self._until:
            return True
        # Not only the next number: whoever took it may be done, and those after them have removed what they left.
        if any(_number(name) > self._number for name in _names(self._shelf)):
            return False
        self._shelf.put(_name(self._number), _until(now + LENGTH))
        self._until = now + LENGTH
        return True

    def release(self) -> None:
        """Let the next job deliver at once; raises :class:`LedgerError` when the store failed."""
        # Not now: the next job's clock may be behind.
        self._shelf.put(_name(self._number), _until(0))


def take(shelf: Shelf, now: Callable[[], int]) -> Lease | int:
    """Return the lease, or until when another job has it; ``now`` is the time in milliseconds since the epoch.

    Raises :class:`LedgerError` when the store failed.
    """
    last, until, names = _last(shelf)
    if until > now():
        return until
    if not shelf.create(_name(last + 1), _until(now() + LENGTH)):
        return now() + LENGTH
    # A crash here leaves numbers that nobody holds: the next one who takes the lease removes them, if it may. The last
    # one stays: whoever lists a folder at this moment may not see the new one yet, and must not begin from nothing.
    with suppress(LedgerError):
        for name in names[:-1]:
            shelf.remove(name)
    return Lease(shelf, last + 1, now)


def held(shelf: Shelf) -> int:
    """Return until when a job has the lease, milliseconds since the epoch; in the past where none has."""
    return _last(shelf)[1]


def _last(shelf: Shelf) -> tuple[int, int, list[str]]:
    names = _names(shelf)
    if not names:
        return 0, 0, []
    document = shelf.read(names[-1]) or {}
    try:
        until = ids.parse_time(document.get("until"), what="lease")
    except InputError:
        until = 0
    return _number(names[-1]), until, names


def _names(shelf: Shelf) -> list[str]:
    return [name for name in shelf.names(FOLDER) if _NAME.fullmatch(name)]


def _number(name: str) -> int:
    return int(name[len(FOLDER) :].partition(".")[0])


def _name(number: int) -> str:
    return f"{FOLDER}{number:0{_DIGITS}d}.json"


def _until(time: int) -> dict[str, object]:
    return {"until": ids.time_text(time)}
