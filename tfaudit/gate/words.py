"""How does the gate put times and texts into a message: one line, safe to print anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TOLERANCE: Final = 5 * 60 * 1000
"""Milliseconds by which the clocks of two machines may disagree."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = 200
_LISTED: Final = 5


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds, rounded down."""
    return span // timedelta(milliseconds=1)


def instant(moment: datetime) -> int:
    """Return a moment in milliseconds since the epoch; one without a zone is UTC, one with another zone is that."""
    aware = moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment
    return milliseconds(aware - _EPOCH)


def moment(time: int) -> str:
    """Return the time in UTC to the second, as RFC 3339; the bare number where it lies outside of the calendar."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=time):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError):
        return str(time)


def line(text: str) -> str:
    """Return the text on one line, what can't be printed escaped, cut off at 200 characters.

    What an approval, a plan or a rule says was chosen by somebody: it must not steer the reader's terminal.
    """
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in cut)


def listed(texts: Iterable[str], *, most: int = _LISTED) -> str:
    """Return the texts with commas between them, each once, in order; beyond ``most`` only how many more."""
    each = list(dict.fromkeys(texts))
    shown = ", ".join(line(text) for text in each[:most])
    return f"{shown} and {len(each) - most} more" if len(each) > most else shown
