"""Which change events does a record hold, joined with what came of them?

An intent's event lines are joined with the lines of the record that closes it. Both files are read once, side by side,
so that memory does not grow with them. An intent without plan lines (``state mv``, ``import``, a remote apply …) is one
change event itself, of kind ``operation``; its event id ends in 0, as the statement's line number in disclosures does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.native import Event, RecordFacts, change_event
from tfaudit.export import disclosed
from tfaudit.export.approved import approval
from tfaudit.export.disclosed import Lines
from tfaudit.export.touched import event_head

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosure
    from tfaudit.export.entries import Row
    from tfaudit.export.touched import EventHead
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store

_AWAITED: Final = frozenset({"resource-change", "action-invocation"})
"""The kinds of lines that an apply acts on, so that each has its outcome."""
_STATUS: Final = {
    "applied": "applied",
    "succeeded": "applied",
    "errored": "errored",
    "not-started": "not-reached",
    "declined": "not-reached",
}

Chooser = Callable[[int, "EventHead"], bool]


def every(_number: int, _event: EventHead) -> bool:
    """Choose every event line."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A record, and where its bytes and its disclosures are."""

    row: Row
    reader: Reader
    working: Store

    def record(self) -> Record:
        """Return its statement; errors as :meth:`Reader.record`."""
        return self.reader.record(self.row.line)


class _Outcomes:
    """The outcome lines of the record that closes an intent, found by event id; asked for in ascending order."""

    def __init__(self, source: Source, status: str, lines: Lines) -> None:
        self.record_id = source.row.record_id
        self._lines = lines
        self._events = source.reader.events(source.row.line)
        self._passed: dict[str, tuple[bytes, Disclosure | None]] = {}
        self._otherwise = b'{"inferred":true,"kind":"outcome","status":"%b"}' % status.encode()

    def of(self, event_id: str) -> tuple[bytes, Disclosure | None]:
        """Return the event's outcome line and its disclosure; where there is no line, what the whole run came to."""
        if event_id in self._passed:
            return self._passed.pop(event_id)
        for number, line in self._events:
            wanted = _outcome_of(line)
            if wanted is None:
                continue
            found = line, self._lines.of(number)
            if wanted == event_id:
                return found
            self._passed[wanted] = found
        return self._otherwise, None

    def finish(self) -> None:
        """Read on to the end, so that the lines are checked against the root that the record signs."""
        for _ in self._events:
            pass


class _OutcomeHead(msgspec.Struct):
    kind: str
    event_id: str | None = None


_outcome_head: Final = msgspec.json.Decoder(_OutcomeHead)


def _outcome_of(line: bytes) -> str | None:
    try:
        parsed = _outcome_head.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("an outcome line can't be read") from error
    return parsed.event_id if parsed.kind == "outcome" else None


def change_events(source: Source, closed: Source | None, choose: Chooser = every) -> Iterator[Event]:
    """Yield the chosen change events of a plan or intent record, ``closed`` being the record that closes it.

    Raises :class:`VerificationError` where a record is altered (at the latest after the last event) and
    :class:`InputError` where a line can't be read.
    """
    record = source.record()
    closing = closed.record() if closed is not None else None
    facts = record_facts(source, record, closed)
    if source.row.kind == "intent" and "plan" not in record.predicate and not record.event_count:
        yield operation_event(record, facts, closing)
        return
    with ExitStack() as stack:
        lines = stack.enter_context(Lines(source.working, source.row.record_id))
        outcomes = None
        if closed is not None and closing is not None:
            beside = stack.enter_context(Lines(closed.working, closed.row.record_id))
            outcomes = _Outcomes(closed, _status(closing), beside)
        for number, line in source.reader.events(source.row.line):
            event = event_head(line)
            if choose(number, event):
                awaited = outcomes is not None and event.kind in _AWAITED
                outcome = outcomes.of(f"{source.row.record_id}/{number}") if awaited and outcomes else (None, None)
                yield change_event(
                    line,
                    lines.of(number),
                    number=number,
                    facts=facts,
                    outcome_line=outcome[0],
                    outcome_disclosure=outcome[1],
                )
        if outcomes is not None:
            outcomes.finish()


def other_events(source: Source) -> Iterator[Event]:
    """Yield what a record says besides outcomes and changes: diagnostics and notes. Errors as above."""
    facts = record_facts(source, source.record(), None)
    with Lines(source.working, source.row.record_id) as lines:
        for number, line in source.reader.events(source.row.line):
            if event_head(line).kind != "outcome":
                yield change_event(line, lines.of(number), number=number, facts=facts)


def record_facts(source: Source, record: Record, closed: Source | None) -> RecordFacts:
    """Return what a record gives to each of its change events."""
    predicate, record_id = record.predicate, source.row.record_id
    shown = disclosed.statement(source.working, record_id)
    return RecordFacts(
        record_id=record_id,
        run_id=source.row.run_id or record_id,
        time=str(predicate.get("time")),
        stack=source.row.stack or "",
        actor=disclosed.member(shown, record_id, predicate, "actor"),
        plan_digest=source.row.plan_digest,
        outcome_record_id=closed.row.record_id if closed is not None else None,
        extra={
            "record": source.row.kind,
            "workspace": predicate.get("workspace"),
            "command": _member(predicate, "command", "name"),
            "arguments": _member(predicate, "command", "arguments") or [],
            "decision": _member(predicate, "decision", "decision"),
            **approval(shown, record_id, predicate),
            "reason": disclosed.member(shown, record_id, predicate, "reason"),
            "ticket": disclosed.member(shown, record_id, predicate, "ticket"),
        },
    )


def operation_event(record: Record, facts: RecordFacts, closing: Record | None) -> Event:
    """Return the change event that an intent without plan lines is."""
    named = _member(record.predicate, "command", "arguments")
    arguments = [text for text in named if isinstance(text, str)] if isinstance(named, list) else []
    moved = facts.extra["command"] == "state mv" and len(arguments) == 2
    members = {
        "kind": "operation",
        "address": arguments[-1] if moved or len(arguments) == 1 else None,
        "previous_address": arguments[0] if moved else None,
    }
    outcome = None
    if closing is not None:
        result = closing.predicate.get("result")
        started = result.get("started") if isinstance(result, dict) else None
        outcome = msgspec.json.encode(
            {"kind": "outcome", "status": _status(closing)} | ({"started": started} if started else {})
        )
    line = msgspec.json.encode({name: text for name, text in members.items() if text})
    return change_event(line, None, number=0, facts=facts, outcome_line=outcome)


def _status(record: Record) -> str:
    return _STATUS.get(str(_member(record.predicate, "result", "status")), "unknown")


def _member(predicate: Mapping[str, Any], name: str, key: str) -> Any:  # noqa: ANN401 - a statement's own JSON
    value = predicate.get(name)
    return value.get(key) if isinstance(value, dict) else None
