"""In which words is somebody told: one message of all that an alert asks for, and nothing that a value could be in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tfaudit.alerts.facts import URGENT, shown

if TYPE_CHECKING:
    from tfaudit.alerts.facts import Fact, Subject

Urgency = Literal["failure", "warning", "info"]
"""In apprise's words."""

_FAILURES: Final = frozenset({"break-glass", "unrecorded-change", "verification-failure", "logging-failure"})
_NOTES: Final = frozenset({"first-time-actor", "outside-hours"})
MAX_TEXT: Final = 3_500
"""Characters of a message: the least that the usual targets take without cutting it themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent."""

    title: str
    text: str
    urgency: Urgency
    events: tuple[str, ...]
    """The words of what it tells, the most urgent first."""
    about: dict[str, Any]
    """The run, for machines: run_id, stack, workspace, actor, commit, record_id, position; no key where not known."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that a plain webhook is sent."""
        return {
            "title": self.title,
            "text": self.text,
            "urgency": self.urgency,
            "events": list(self.events),
            "about": self.about,
        }


def compose(subject: Subject, facts: Sequence[Fact]) -> Message:
    """Return the one message that tells of all the facts, of which there is at least one."""
    ordered = sorted(facts, key=lambda fact: URGENT.index(fact.event))
    first = ordered[0]
    where = f" on {shown(subject.stack)}" if subject.stack else ""
    lines: list[str] = []
    for fact in ordered:
        lines.append(fact.headline[:1].upper() + fact.headline[1:])
        lines += [f"- {each}" for each in fact.addresses]
    lines += _subject_lines(subject)
    shows = dict.fromkeys(fact.more or _inspect(subject) for fact in ordered)
    lines += [f"more: {command}" for command in shows if command]
    return Message(
        title=f"tfaudit: {shown(first.label or first.event)}{where}",
        text=_cut("\n".join(lines)),
        urgency=_urgency({fact.event for fact in ordered}),
        events=tuple(dict.fromkeys(fact.event for fact in ordered)),
        about=_about(subject),
    )


def held_back(alert: str, event: str, until: str) -> Message:
    """Return the message that says that no more of a kind is told before a time."""
    return Message(
        title=f"tfaudit: many alerts ({event})",
        text=(
            f'"{shown(alert)}" has told of {event} so often that more of it is held back until {until}.\n'
            "What comes meanwhile is told in one summary then.\nmore: tfaudit log"
        ),
        urgency="warning",
        events=(event,),
        about={},
    )


def summary(alert: str, titles: Sequence[str], first: str, last: str) -> Message:
    """Return the message that tells of all that was held back: how many of which title, between which times."""
    counted = Counter(titles).most_common()
    lines = [f'{len(titles)} alerts of "{shown(alert)}" were held back between {first} and {last}:']
    lines += [f"- {count} of {shown(title)}" for title, count in counted[:20]]
    if len(counted) > 20:
        lines.append(f"- and {sum(count for _, count in counted[20:])} more")
    lines.append("more: tfaudit log")
    return Message(
        title=f"tfaudit: {len(titles)} alerts in summary",
        text=_cut("\n".join(lines)),
        urgency="warning",
        events=("summary",),
        about={},
    )


def _subject_lines(subject: Subject) -> list[str]:
    lines = []
    if subject.actor:
        proven = f" ({subject.level})" if subject.level else ""
        agent = f", by the agent {shown(subject.agent)}" if subject.agent else ""
        lines.append(f"who: {shown(subject.actor)}{proven}{agent}")
    if subject.stack:
        workspace = f", workspace {shown(subject.workspace)}" if subject.workspace else ""
        lines.append(f"stack: {shown(subject.stack)}{workspace}")
    if subject.command and subject.counts:
        lines.append(f"{shown(subject.command)}: {subject.counts}")
    if subject.run_id:
        commit = f", commit {shown(subject.commit)}" if subject.commit else ""
        lines.append(f"run: {subject.run_id}{commit}")
    if subject.record_id:
        placed = subject.origin is not None and subject.position is not None
        place = f" at {subject.position} of {shown(subject.origin or '')}" if placed else ""
        lines.append(f"record: {subject.record_id}{place}")
    return lines


def _about(subject: Subject) -> dict[str, Any]:
    told = {
        "run_id": subject.run_id,
        "stack": subject.stack,
        "workspace": subject.workspace,
        "command": subject.command,
        "actor": subject.actor,
        "commit": subject.commit,
        "record_id": subject.record_id,
        "origin": subject.origin,
        "position": subject.position,
    }
    return {name: shown(one) if isinstance(one, str) else one for name, one in told.items() if one is not None}


def _inspect(subject: Subject) -> str | None:
    return f"tfaudit inspect {subject.run_id}" if subject.run_id else None


def _urgency(events: set[str]) -> Urgency:
    if events & _FAILURES:
        return "failure"
    return "info" if events <= _NOTES else "warning"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
