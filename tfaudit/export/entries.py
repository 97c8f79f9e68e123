"""What does one record say in a line of the log?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.summary import summary
from tfaudit.ledger import ids
from tfaudit.ledger.commit import RecordLine

if TYPE_CHECKING:
    from tfaudit.errors import TfauditError
    from tfaudit.ledger.record import Record


class Row(NamedTuple):
    """One record as the reading views know it: the columns of the index."""

    position: int
    """The leaf's index in the log; for a record that no commit holds, its rank among those from :data:`PENDING` on."""
    commit: int
    """-1 while no commit holds it."""
    place: str
    """``log``, ``staged`` (in the store, for a commit to adopt) or ``spool`` (on this machine only)."""
    leaf: bytes
    writer: str
    record_id: str
    kind: str
    run_id: str | None
    time: int
    """The record's own, milliseconds since the epoch."""
    stack: str | None
    intent: str | None
    """The intent that the record closes."""
    recovered: int
    """1 where someone else closed the intent, since the run itself was killed."""
    plan_digest: str | None
    actor_digest: str | None
    entry: bytes
    """The fixed members of the log entry, JSON."""
    kept_size: int | None = None
    """The size of the disclosures when the actor was kept in the index."""
    kept_actor: bytes | None = None
    """The actor then, JSON."""

    @property
    def line(self) -> RecordLine:
        """What a commit says of the record, as far as reading it needs."""
        return RecordLine(
            leaf=self.leaf, writer=self.writer, record_id=self.record_id, kind=self.kind, refers=None, state=None
        )


PENDING: Final = 1 << 62
"""Positions from here on are no leaf indices: records that no commit holds, oldest first."""


def row(record: Record, *, position: int, commit: int, place: str) -> Row:
    """Return the row of a record that was read."""
    predicate = record.predicate
    return Row(
        position=position,
        commit=commit,
        place=place,
        leaf=record.leaf,
        writer=record.writer,
        record_id=record.record_id,
        kind=record.kind,
        run_id=_text(predicate, "run_id"),
        time=record.time,
        stack=_text(predicate, "stack"),
        intent=_text(predicate, "intent"),
        recovered=int(bool(predicate.get("recovered"))),
        plan_digest=_text(_table(predicate, "plan"), "sha256"),
        actor_digest=_text(_table(predicate, "actor"), "digest"),
        entry=msgspec.json.encode(_fixed(record)),
    )


def unreadable(line: RecordLine, *, position: int, commit: int, problem: str) -> Row:
    """Return the row of a record that the log holds and that can't be read: ``problem`` says why."""
    time = ids.record_time(line.record_id)
    fixed: dict[str, object] = {
        "record_id": line.record_id,
        "kind": line.kind,
        "run_id": None,
        "time": ids.time_text(time),
        "stack": None,
        "workspace": None,
        "command": None,
        "arguments": [],
        "summary": problem,
        "decision": None,
        "review_by": None,
        "status": None,
        "exit_code": None,
        "events": None,
        "intent": None,
        "plan_digest": None,
        "capture": None,
        "key": line.key,
    }
    return Row(
        position=position,
        commit=commit,
        place="log",
        leaf=line.leaf,
        writer=line.writer,
        record_id=line.record_id,
        kind=line.kind,
        run_id=None,
        time=time,
        stack=None,
        intent=None,
        recovered=0,
        plan_digest=None,
        actor_digest=None,
        entry=msgspec.json.encode(fixed),
    )


def fault(record_id: str, error: TfauditError) -> str:
    """Return a sentence on why a record can't be read, with its id in it."""
    return str(error) if record_id in error.message else f"record {record_id}: {error}"


def entry(row: Row, *, actor: object, closed_by: str | None) -> dict[str, Any]:
    """Return the whole log entry, the format ``log-entry.v1``."""
    found: dict[str, Any] = msgspec.json.decode(row.entry)
    found["actor"] = actor
    found["position"] = row.position if row.position < PENDING else None
    found["commit"] = row.commit if row.commit >= 0 else None
    found["place"] = row.place
    found["version_id"] = found["retain_until"] = None
    found["closed_by"] = closed_by
    if row.kind == "intent" and closed_by is None:
        found["summary"] += "; no outcome yet"
    return found


def _fixed(record: Record) -> dict[str, object]:
    predicate = record.predicate
    command, result = _table(predicate, "command"), _table(predicate, "result")
    arguments = command.get("arguments")
    return {
        "record_id": record.record_id,
        "kind": record.kind,
        "run_id": _text(predicate, "run_id"),
        "time": ids.time_text(record.time),
        "stack": _text(predicate, "stack"),
        "workspace": _text(predicate, "workspace"),
        "command": _text(command, "name"),
        "arguments": list(arguments) if isinstance(arguments, list) else [],
        "summary": summary(record.kind, predicate),
        "decision": _text(_table(predicate, "decision"), "decision"),
        "review_by": _review_by(_table(predicate, "decision")),
        "status": _text(result, "status"),
        "exit_code": _integer(result, "exit_code"),
        "events": record.event_count,
        "intent": _text(predicate, "intent"),
        "plan_digest": _text(_table(predicate, "plan"), "sha256"),
        "capture": _text(predicate, "capture"),
        "key": ids.record_key(record.writer, record.record_id),
    }


def _review_by(decision: Mapping[str, Any]) -> str | None:
    """Return until when somebody has to review a run that broke the glass; None for every other one."""
    due = _text(decision, "review_by") if decision.get("break_glass") is True else None
    try:
        return None if due is None else ids.time_text(ids.parse_time(due, what="review_by"))
    except InputError:
        # Nobody else writes such a time; what can't be read is due at once.
        return ids.time_text(0)


def _table(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _integer(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
