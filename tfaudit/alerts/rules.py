"""Which of the facts does an alert tell of?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfaudit.alerts.facts import Fact
    from tfaudit.config.delivering import AlertSettings

_SATURDAY: Final = 5
_NIGHT: Final = timedelta(days=1)


def chosen(alert: AlertSettings, facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return those of the facts that the alert asks for, in their order."""
    return tuple(fact for fact in facts if _wants(alert, fact))


def ident(alert: AlertSettings) -> str:
    """Return what tells an alert from every other: two files may give the same name to two."""
    told = "\n".join((alert.name, alert.when or "", *alert.to))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _wants(alert: AlertSettings, fact: Fact) -> bool:
    if fact.event == "when":
        return fact.rule == ident(alert)
    if fact.event not in alert.on:
        return False
    return fact.event != "destroy" or fact.count >= alert.destroys


def is_outside(hours: str, at: datetime) -> bool:
    """Return whether a local time lies outside ``07:00-19:00``, Monday to Friday; the last minute does not count.

    Hours that go past midnight (``22:00-06:00``) belong to the day on which they begin. Equal ends are the whole day.
    """
    begin, end = (time.fromisoformat(text) for text in hours.split("-"))
    now = at.time()
    if begin < end:
        return at.weekday() >= _SATURDAY or not begin <= now < end
    if begin == end or now >= begin:
        return at.weekday() >= _SATURDAY
    return now >= end or (at - _NIGHT).weekday() >= _SATURDAY
