"""What has happened that somebody may want to be told of, and to whom?

A fact holds who, where, addresses, counts and fixed words. No attribute value ever comes into one, so none can leave
by an alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from tfaudit import canonical
from tfaudit.plan.personal import is_personal

if TYPE_CHECKING:
    from tfaudit.alerts.widening import Widening

Event = Literal[
    "denied",
    "break-glass",
    "unrecorded-change",
    "verification-failure",
    "logging-failure",
    "outside-hours",
    "first-time-actor",
    "destroy",
    "widening",
    "when",
]
"""What is told of: the words of ``on``, and ``when`` for an alert's own expression."""

URGENT: Final[tuple[Event, ...]] = (
    "break-glass",
    "unrecorded-change",
    "verification-failure",
    "logging-failure",
    "widening",
    "destroy",
    "denied",
    "outside-hours",
    "first-time-actor",
    "when",
)
"""The most urgent first: where one message tells of several things, the first gives it its title."""

MAX_ADDRESSES: Final = 10
"""Addresses that one fact names; of the others only the number is told."""
_LONGEST: Final = 200
_KEY: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_MARKUP: Final = str.maketrans({"<": "\u2039", ">": "\u203a", "`": "'", "\u2028": " ", "\u2029": " "})
_MENTION: Final = re.compile(r"@(?=everyone|here|channel|all\b)", re.IGNORECASE)

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Which run a fact is about; each is None where it isn't known or there is none."""

    run_id: str | None = None
    stack: str | None = None
    workspace: str | None = None
    command: str | None = None
    actor: str | None = None
    """The principal."""
    level: str | None = None
    """How far that is proven."""
    agent: str | None = None
    commit: str | None = None
    record_id: str | None = None
    origin: str | None = None
    position: int | None = None
    """The record's place in the log."""
    counts: str | None = None
    """As in ``2 to create, 1 to delete``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that has happened."""

    event: Event
    headline: str
    """One line, lower case, without values."""
    key: tuple[str, ...]
    """What makes it the same as another."""
    again: timedelta | None = None
    """How long the same is not told again; None: it happens once, and whoever finds it tells it."""
    addresses: tuple[str, ...] = ()
    """What it is about, each line fit to be shown."""
    count: int = 0
    """How many things it is about, where that is counted."""
    more: str | None = None
    """The command that shows more; None: ``tfaudit inspect`` of the run."""
    rule: str | None = None
    """The :func:`tfaudit.alerts.rules.ident` of the alert whose own expression it is."""
    label: str | None = None
    """What a title calls it; None: by the event."""


def shown(text: str) -> str:
    """Return a text that is safe in any chat: one line, not too long, no markup, nobody called."""
    line = canonical.readable(text).translate(_MARKUP)
    line = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in line)
    line = _MENTION.sub("@\u200b", line).replace("://", ":/\u200b/")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def address(text: str) -> str:
    """Return a resource address as an alert shows it: an instance key that is personal data is left out."""
    return shown(_KEY.sub(lambda found: '["…"]' if is_personal(found[1]) else found[0], text))


def listed(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return at most :data:`MAX_ADDRESSES` of the addresses, fit to be shown, and how many there are beside them."""
    found = tuple(addresses)
    names = tuple(address(each) for each in found[:MAX_ADDRESSES])
    return (*names, f"and {len(found) - MAX_ADDRESSES} more") if len(found) > MAX_ADDRESSES else names


def denied(subject: Subject, reasons: Sequence[str], refers: str | None) -> Fact:
    """Return that the gate denied a run; the same plan, denied for the same reasons, is told once an hour."""
    codes = tuple(sorted({*reasons}))
    return Fact(
        event="denied",
        headline=f"{subject.command or 'a run'} denied by the gate ({', '.join(codes) or 'no reason given'})",
        key=("denied", subject.stack or "", subject.command or "", subject.actor or "", refers or "", *codes),
        again=HOUR,
    )


def break_glass(subject: Subject, review_by: str | None) -> Fact:
    """Return that a run goes past approvals and freezes, on an on-call person's word."""
    until = f", to be reviewed by {review_by}" if review_by else ", to be reviewed"
    return Fact(
        event="break-glass",
        headline=f"BREAK-GLASS {subject.command or 'run'} goes past approvals and freezes{until}",
        key=("break-glass", subject.run_id or ""),
    )


def destroys(subject: Subject, addresses: Sequence[str], count: int) -> Fact:
    """Return that a run is about to delete or replace resources; ``addresses`` may be some of them."""
    return Fact(
        event="destroy",
        headline=f"destroys {_number(count, 'resource')}",
        key=("destroy", subject.run_id or ""),
        addresses=_some(addresses, count),
        count=count,
    )


def widens(subject: Subject, found: Sequence[Widening]) -> Fact:
    """Return that a run is about to let more people or more of the network in."""
    certain = sum(1 for each in found if each.certain)
    said = [f"widens access in {_number(certain, 'resource')}"] if certain else []
    if len(found) > certain:
        said.append(f"may widen access in {_number(len(found) - certain, 'resource')}")
    lines = [f"{address(each.address)}: {', '.join(each.why)}" for each in found[:MAX_ADDRESSES]]
    return Fact(
        event="widening",
        headline=" and ".join(said),
        key=("widening", subject.run_id or ""),
        addresses=(*lines, f"and {len(found) - MAX_ADDRESSES} more") if len(found) > MAX_ADDRESSES else tuple(lines),
        count=len(found),
    )


def outside_hours(subject: Subject, hours: str) -> Fact:
    """Return that a run changes something when nobody usually works."""
    return Fact(
        event="outside-hours",
        headline=f"{subject.command or 'a run'} outside the usual hours ({hours}, Monday to Friday)",
        key=("outside-hours", subject.run_id or ""),
    )


def first_time(subject: Subject, state: str, *, whole: bool, looked: int) -> Fact:
    """Return that somebody changes a stack for the first time; ``whole``: all its records were looked at."""
    since = "" if whole else f", as far as its last {looked} records tell"
    return Fact(
        event="first-time-actor",
        headline=f"first change of this stack by {shown(subject.actor or 'somebody')}{since}",
        key=("first-time-actor", state, subject.actor or ""),
        again=DAY,
    )


def unrecorded(met: str) -> Fact:
    """Return that a state was changed without a record.

    ``met`` is the key of the record that met it, or what else tells this finding from others.
    """
    return Fact(
        event="unrecorded-change",
        headline="the state was changed without a record: somebody went past tfaudit",
        key=("unrecorded-change", met),
        again=DAY,
        more="tfaudit verify",
    )


def logging_failure(what: str, *, key: str) -> Fact:
    """Return that a record, or a copy of one, does not get where it belongs; told once an hour."""
    return Fact(event="logging-failure", headline=shown(what), key=("logging-failure", key), again=HOUR)


def unverified(codes: Sequence[tuple[str, int]], places: Sequence[str], *, digest: str) -> Fact:
    """Return that ``verify`` found the ledger wanting: its findings' codes, each with a number, and some places."""
    said = ", ".join(f"{count} {code}" for code, count in codes)
    return Fact(
        event="verification-failure",
        headline=f"the ledger does not verify: {said}",
        key=("verification-failure", digest),
        again=DAY,
        addresses=listed(places),
        count=sum(count for _, count in codes),
        more="tfaudit verify",
    )


def matched(rule: str, name: str, record_id: str, kind: str, addresses: Sequence[str], count: int) -> Fact:
    """Return that an alert's own expression holds of a record or of events in it."""
    what = f"of {_number(count, 'event')} of this {kind}" if count else f"of this {kind}"
    return Fact(
        event="when",
        headline=f'"{shown(name)}" holds {what}',
        key=("when", rule, record_id),
        addresses=_some(addresses, count),
        count=count,
        rule=rule,
        label=name,
    )


def unevaluated(rule: str, name: str, why: str) -> Fact:
    """Return that nobody can tell whether an alert's own expression holds."""
    return Fact(
        event="when",
        headline=f'"{shown(name)}" could not be evaluated: {shown(why)}',
        key=("when", rule, why),
        again=HOUR,
        rule=rule,
        label=name,
    )


def _some(addresses: Sequence[str], count: int) -> tuple[str, ...]:
    names = tuple(address(each) for each in addresses[:MAX_ADDRESSES])
    return (*names, f"and {count - len(names)} more") if names and count > len(names) else names


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
