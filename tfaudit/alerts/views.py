"""What do a record and an event look like to an alert's own expression?

Nothing in them is null: what isn't known of a record or an event is an empty text, zero or an empty list, so that an
expression need not ask first. Only a value of an attribute is not there where there is none, or where it is withheld:
``has(one.after)``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tfaudit.events import native
from tfaudit.events.native import RecordFacts
from tfaudit.ledger import ids
from tfaudit.plan.model import Counts

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosure
    from tfaudit.ledger.record import Record

_TEXTS: Final = (
    "kind",
    "address",
    "previous_address",
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "provider",
    "action",
    "action_reason",
    "deferred_reason",
    "trigger",
    "check_kind",
    "status",
    "severity",
    "code",
)


_COUNTS: Final = (*Counts.__struct_fields__, "applied", "errored", "not_reached")


def record_view(record: Record, actor: bytes | None) -> dict[str, Any]:
    """Return ``record``: who, where, what and what came of it; ``actor`` is the disclosed one, None where withheld."""
    predicate = record.predicate
    command, result, plan, source = (_object(predicate.get(key)) for key in ("command", "result", "plan", "source"))
    decision = _object(predicate.get("decision"))
    who = _object(json.loads(actor)) if actor else {}
    agent = _object(who.get("agent"))
    exit_code = result.get("exit_code")
    return {
        "id": record.record_id,
        "kind": record.kind,
        "time": ids.time_text(record.time),
        "run_id": _text(predicate, "run_id"),
        "stack": _text(predicate, "stack"),
        "workspace": _text(predicate, "workspace"),
        "command": _text(command, "name"),
        "options": _texts(command.get("options")),
        "capture": _text(predicate, "capture"),
        "actor": {
            "principal": _text(who, "principal"),
            "level": _text(who, "level"),
            "agent": _text(agent, "name"),
        },
        "decision": _text(decision, "decision"),
        "reasons": _texts(decision.get("reasons")),
        "break_glass": decision.get("break_glass") is True,
        "status": _text(result, "status"),
        "exit_code": exit_code if isinstance(exit_code, int) else -1,
        "counts": dict.fromkeys(_COUNTS, 0) | _counts(plan) | _counts(result),
        "events": record.event_count,
        "commit": _text(source, "commit"),
        "spooled": record.spooled is not None,
    }


def event_view(line: bytes, disclosure: Disclosure | None, *, number: int, record: Record) -> dict[str, Any]:
    """Return ``event``: one line of a record, with the values that are disclosed.

    Raises :class:`InputError` for what is no event line.
    """
    facts = RecordFacts(record_id=record.record_id, run_id="", time="", stack="")
    event = native.plain(native.change_event(line, disclosure, number=number, facts=facts))
    spelled = _object(json.loads(line))
    index = event.get("index")
    return {
        "id": event["event_id"],
        **{name: _text(event, name) for name in _TEXTS},
        "index": "" if index is None else str(index),
        "actions": _texts(event.get("actions")),
        "importing": event.get("importing") is not None,
        "withheld": event.get("withheld") is True,
        "event_id": _text(spelled, "event_id") if spelled.get("kind") == "outcome" else event["event_id"],
        "attributes": [_attribute(one) for one in event["attributes"]],
    }


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attribute without a value that isn't there."""
    return {name: value for name, value in attribute.items() if value is not None}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    counts = _object(value.get("counts"))
    return {name.replace("-", "_"): one for name, one in counts.items() if isinstance(one, int)}
