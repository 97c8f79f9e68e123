"""What is somebody asked to approve: which plan's record, what it binds, and the text that is shown of it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.gate import shown
from tfaudit.gate.breakglass import OVERRIDDEN
from tfaudit.gate.persons import principal_name
from tfaudit.ledger import disclosed
from tfaudit.runs import gatechange, planrecord

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.events.native import Event
    from tfaudit.export.changes import Source
    from tfaudit.export.entries import Row
    from tfaudit.export.view import View
    from tfaudit.gate.basis import Basis
    from tfaudit.gate.model import Subject, Vote, VoteKind
    from tfaudit.gate.shown import Attribute, Change
    from tfaudit.ledger.record import Record
    from tfaudit.runs.planrecord import Planned

_MOST_REASONS: Final = 10
_QUESTIONS: Final[Mapping[VoteKind, str]] = {
    "approval": "Approve this plan?",
    "rejection": "Reject this plan?",
    "break-glass": "Break the glass: apply this plan without approvals and through freezes?",
    "review": "Review this break-glass run: was it right to apply this?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One plan record (for a review: an intent), and what is asked about it."""

    kind: VoteKind
    record_id: str
    run_id: str | None
    subject: Subject
    basis: Basis
    involved: frozenset[str]
    """Every name of who asked, and of whoever broke the glass where that is reviewed: none of them may judge it."""
    text: str
    """What the person is shown."""

    @property
    def shown(self) -> str:
        """The digest of the text, which is signed."""
        return shown.digest(self.text)


def about(view: View, name: str, kind: VoteKind, *, cwd: Path) -> Asked:
    """Return what is asked about a plan file, or about a run or record of this id or the start of one.

    Raises :class:`InputError` where the ledger has no such plan or it was made without a gate, and
    :class:`VerificationError` where its record is altered or contradicts itself.
    """
    planned = planrecord.find(view, name, "intent" if kind == "review" else "plan", cwd=cwd)
    row, record = planned.row, planned.record
    found, request, subject = planned.basis, planned.request, planned.subject
    if kind == "review" and _table(record.predicate, "decision").get("break_glass") is not True:
        raise InputError(f"run {row.run_id} broke no glass, so there is nothing to review")
    # A no counts without the key, too.
    binding = kind in ("approval", "break-glass")
    if binding and gatechange.change_key(view.reader, record.record_id, subject.key_commitment) is None:
        raise InputError(
            f"plan {record.record_id} can't be approved any more: its change key is gone",
            hint="was it applied already? plan again",
        )
    words = _words(record, found) if kind == "review" else ()
    heading = shown.Heading(question=_QUESTIONS[kind], facts=tuple(_facts(view, planned, words)))
    text = shown.render(heading, map(_change, _events(view, row)), found.evaluations or ())
    return Asked(
        kind=kind,
        record_id=record.record_id,
        run_id=row.run_id,
        subject=subject,
        basis=found,
        involved=request.identities.union(*({principal_name(one.approver), f"ssh:{one.key}"} for one in words)),
        text=text,
    )


def _words(record: Record, found: Basis) -> tuple[Vote, ...]:
    """Return the words on which the run went ahead."""
    named = _table(record.predicate, "decision").get("approvals") or ()
    return tuple(vote for vote in found.votes or () if vote.id in named)


def _facts(view: View, planned: Planned, words: tuple[Vote, ...]) -> Iterator[tuple[str, str]]:
    """Yield what is to be known before the changes."""
    yield from _asking(planned)
    yield from _place(planned)
    yield from _gate(planned)
    if planned.record.kind == "intent":
        yield "word by", ", ".join(f"{one.approver} ({one.kind})" for one in words)
        yield "review by", str(_table(planned.record.predicate, "decision").get("review_by") or "")
        closing = view.index.closing(planned.record.record_id)
        status = msgspec.json.decode(closing.entry)["status"] if closing is not None else None
        yield "outcome", str(status or "not known yet")


def _asking(planned: Planned) -> Iterator[tuple[str, str]]:
    """Yield who asks for what, and why."""
    source, record = planned.source, planned.record
    predicate, stack = record.predicate, planned.subject.stack
    command = _table(predicate, "command")
    line = [command.get("name"), *command.get("options", ()), *command.get("arguments", ())]
    yield "command", " ".join(str(word) for word in line if word)
    yield "stack", f"{stack}, workspace {predicate.get('workspace', 'default')}"
    actor = _disclosed(source, record, "/actor")
    yield "asked by", _who(actor)
    yield "agent", _agent(actor, planned.request.agent)
    yield "why", _text(_disclosed(source, record, "/reason"))
    ticket = _text(_disclosed(source, record, "/ticket"))
    yield "ticket", f"{ticket} (claimed)" if ticket else ""


def _place(planned: Planned) -> Iterator[tuple[str, str]]:
    """Yield where it would be done, from what."""
    predicate, subject = planned.record.predicate, planned.subject
    source = _table(predicate, "source")
    parts = [subject.commit, source.get("repository"), source.get("path")]
    dirty = ", with changes that are not committed" if source.get("dirty") else ""
    yield "source", " ".join(str(part) for part in parts if part) + dirty if subject.commit else ""
    where = f"serial {subject.serial} of lineage {subject.lineage}" if subject.lineage else "none yet"
    yield "state", f"{where}, backend {subject.backend}"
    yield "target", subject.target or ""
    engine = _table(predicate, "engine")
    yield "engine", f"{engine.get('brand', '')} {engine.get('version', '')}".strip()
    yield "plan file", f"sha256:{subject.plan_sha256}"
    yield "recorded", str(predicate.get("time"))
    yield "run", f"{planned.row.run_id or ''}, record {planned.record.record_id}".lstrip(", ")
    yield "ledger", subject.origin


def _gate(planned: Planned) -> Iterator[tuple[str, str]]:
    """Yield how many must approve, and what no approval mends; that approvals are missing goes without saying."""
    yield "gate", f"{_table(planned.record.predicate, 'decision').get('required', 0)} must approve"
    lasting = [one for one in planned.basis.reasons if one.code == "freeze" or one.code not in OVERRIDDEN]
    for reason in lasting[:_MOST_REASONS]:
        yield "denied", f"{reason.code}: {reason.message}"
    if len(lasting) > _MOST_REASONS:
        yield "denied", f"and {len(lasting) - _MOST_REASONS} reasons more"


def _who(actor: object) -> str:
    match actor:
        case {"principal": str(principal), "level": str(level)}:
            return f"{principal} ({level})"
    return "(withheld)"


def _agent(actor: object, name: str | None) -> str:
    """Return which software agent asks, and for whom."""
    match actor:
        case {"agent": {"name": str(name), "on_behalf_of": str(person)}}:
            return f"{name}, a software agent, for {person}"
    return f"{name}, a software agent, for nobody that it names" if name else ""


def _disclosed(source: Source, record: Record, pointer: str) -> object:
    text = disclosed.value(source.working, record, pointer)
    return None if text is None else msgspec.json.decode(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _table(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _events(view: View, row: Row) -> Iterator[Event]:
    """Yield the events that the text is about."""
    for event in view.changes(row):
        if event["kind"] != "check" or event["status"] in ("fail", "error"):
            yield event


def _change(event: Event) -> Change:
    from tfaudit.events.native import plain

    known = plain({name: value for name, value in event.items() if name != "attributes"})
    return shown.Change(
        kind=known["kind"],
        address=known["address"] or known["kind"],
        action=known["action"] or known.get("status"),
        deposed=known["deposed"],
        previous_address=known["previous_address"],
        reason=known["action_reason"],
        importing=bool(known["importing"]),
        attributes=tuple(map(_attribute, event["attributes"])),
    )


def _attribute(attribute: Mapping[str, Any]) -> Attribute:
    return shown.Attribute(
        path=attribute["path"],
        before=_raw(attribute["before"]),
        after=_raw(attribute["after"]),
        sensitive=attribute["sensitive"],
        unknown=attribute["unknown"],
        withheld=attribute["withheld"],
        forces_replacement=attribute["forces_replacement"],
    )


def _raw(value: object) -> str | None:
    """Return a value's JSON text as the engine spelled it."""
    return None if value is None else msgspec.json.encode(value).decode()
