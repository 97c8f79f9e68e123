"""Which moment does someone mean by ``2026-03-01``, ``2026-03-01T12:00`` or ``7d``? In UTC where no zone is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tfaudit.errors import UsageError

_DAY: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_AGO: Final = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HINT: Final = "as in 2026-03-01, 2026-03-01T12:30Z, 2026-03, or 7d for seven days ago"


def start(text: str, *, now: datetime) -> datetime:
    """Return the first moment that ``text`` names, in UTC; ``now`` is what ``7d`` counts back from.

    Raises :class:`UsageError` for a text that names none.
    """
    return _span(text, now)[0]


def end(text: str, *, now: datetime) -> datetime:
    """Return the moment after the last that ``text`` names: of a day, month or year, that is when it is over."""
    return _span(text, now)[1]


def _span(text: str, now: datetime) -> tuple[datetime, datetime]:
    try:
        if match := _AGO.fullmatch(text):
            moment = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
            return moment, moment
        if match := _DAY.fullmatch(text):
            return _calendar(int(match[1]), match[2], match[3])
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no date", hint=_HINT) from error
    return moment, moment


def _calendar(year: int, month: str | None, day: str | None) -> tuple[datetime, datetime]:
    first = datetime(year, int(month or 1), int(day or 1), tzinfo=UTC)
    if day is not None:
        return first, first + timedelta(days=1)
    if month is not None:
        return first, (first + timedelta(days=32)).replace(day=1)
    return first, first.replace(year=year + 1)
