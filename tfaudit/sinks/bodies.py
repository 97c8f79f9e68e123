"""What does a document say: a record's own, and each of its lines', in the native schema ``delivered-document.v1``?

Pure but for what the disclosures are read from. A body holds what the ledger discloses and no more: attribute values of
which the engine or tfaudit kept nothing are not there to be given away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.native import RecordFacts, change_event
from tfaudit.events.shapes import severity
from tfaudit.events.summary import summary
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosure
    from tfaudit.ledger.record import Record
    from tfaudit.sinks.disclosures import Disclosures

Body = dict[str, Any]

_LINE: Final = msgspec.json.Decoder()
_TEXTS: Final = ("summary", "detail")
_OF_THE_CHANGE: Final = (
    "address",
    "previous_address",
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "index",
    "provider",
    "actions",
    "action",
    "action_reason",
)
"""What an outcome's document repeats of the change that it is about."""
_OF_THE_STATEMENT: Final = (
    "result",
    "plan",
    "state",
    "intent",
    "plan_record",
    "engine",
    "tfaudit",
    "source",
    "retention",
    "config",
)
_DECIDED: Final = ("reasons", "required", "policy", "review_by", "bundle")


def shared(record: Record, shown: Disclosures) -> Body:
    """Return the members that the record's own document and those of all its lines have alike."""
    predicate = record.predicate
    return {
        "time": ids.time_text(record.time),
        "run_id": _text(predicate, "run_id"),
        "stack": _text(predicate, "stack"),
        "record_id": record.record_id,
        "record": record.kind,
        "workspace": _text(predicate, "workspace"),
        "actor": shown.value(predicate, "/actor"),
        "command": _text(_table(predicate, "command"), "name"),
        "arguments": _texts(_table(predicate, "command"), "arguments"),
        "decision": _text(_table(predicate, "decision"), "decision"),
        **_approval(predicate, shown),
        "reason": shown.value(predicate, "/reason"),
        "ticket": shown.value(predicate, "/ticket"),
        "plan_digest": _text(_table(predicate, "plan"), "sha256"),
    }


def record_body(
    record: Record, common: Mapping[str, Any], *, log: Mapping[str, object], unrecorded: Mapping[str, int] | None
) -> Body:
    """Return the document of the record itself.

    ``log`` says where it stands: origin, position, and the size, root and signed note of the checkpoint that holds it.
    ``unrecorded`` is the serial that the state should have had and the one that was met, where the two differ.
    """
    predicate = record.predicate
    decision = _table(predicate, "decision")
    return _graded(
        {
            **common,
            "id": f"{record.record_id}/0",
            "kind": "record",
            "summary": summary(record.kind, predicate),
            **{name: decision.get(name) for name in _DECIDED},
            **{name: predicate.get(name) for name in _OF_THE_STATEMENT},
            "capture": predicate.get("capture"),
            "events": record.event_count,
            "recovered": "recovered" in predicate,
            "leaf": record.leaf.hex(),
            "log": dict(log),
            "unrecorded": unrecorded,
        }
    )


def line_body(
    line: bytes, disclosure: Disclosure | None, *, number: int, common: Mapping[str, Any], values: bool
) -> Body:
    """Return the document of an event line that is no outcome; :class:`InputError` for what is no event line.

    Without ``values`` it says what changed, and neither from what nor to what.
    """
    record_id = common["record_id"]
    event = change_event(line, disclosure, number=number, facts=_facts(common))
    if event["kind"] == "note":
        event["facts"] = parsed(line).get("facts", {})
    return _graded(_body(event, common, f"{record_id}/{number}", values=values))


def outcome_body(
    line: bytes,
    disclosure: Disclosure | None,
    change: bytes | None,
    change_disclosure: Disclosure | None,
    *,
    number: int,
    common: Mapping[str, Any],
    values: bool,
) -> Body:
    """Return the document of an outcome line: what came of the change whose event line is ``change``.

    Where that is not known (None), the address is the one that the outcome line prints.
    """
    outcome = parsed(line)
    intent, _, change_number = str(outcome.get("event_id", "")).rpartition("/")
    about = parsed(change) if change is not None else {"address": outcome.get("address")}
    about = {**{name: about[name] for name in _OF_THE_CHANGE if name in about}, "kind": "outcome"}
    event = change_event(
        msgspec.json.encode(about),
        change_disclosure,
        number=int(change_number) if change_number.isdigit() else 0,
        facts=_facts(common, record_id=intent),
        outcome_line=line,
        outcome_disclosure=disclosure,
    )
    return _graded(_body(event, common, f"{common['record_id']}/{number}", values=values))


def parsed(line: bytes) -> Mapping[str, Any]:
    """Return the members of an event line; :class:`InputError` for what is none."""
    try:
        found = _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("an event line can't be read") from error
    if not isinstance(found, dict):
        raise InputError("an event line is no object")
    return found


def _facts(common: Mapping[str, Any], *, record_id: str | None = None) -> RecordFacts:
    return RecordFacts(
        record_id=record_id or common["record_id"],
        run_id=common["run_id"] or common["record_id"],
        time=common["time"],
        stack=common["stack"] or "",
        outcome_record_id=common["record_id"],
    )


def _body(event: Body, common: Mapping[str, Any], document_id: str, *, values: bool) -> Body:
    # The engine's own word for a diagnostic's severity gives way to ours, which is a number.
    word = event.pop("severity", None)
    body = {**event, **common, "id": document_id, "diagnostic_severity": word}
    return body if values else _without_values(body)


def _graded(body: Body) -> Body:
    return body | {"severity": severity.of(body)}


def _without_values(body: Body) -> Body:
    """Return the body with neither attribute values nor the texts and ids in which an engine repeats them."""
    kept: Body = {
        **body,
        "attributes": [
            {
                **attribute,
                "before": None,
                "after": None,
                "withheld": attribute["withheld"] or attribute["before"] is not None or attribute["after"] is not None,
            }
            for attribute in body["attributes"]
        ],
    }
    kept.update({name: None for name in _TEXTS if name in body})
    if body["importing"] is not None:
        kept["importing"] = {"id": None}
    if body["outcome"] is not None:
        kept["outcome"] = {**body["outcome"], "id": None, "error": None}
    if "instances" in body:
        kept["instances"] = [{**one, "problems": [None for _ in one["problems"]]} for one in body["instances"]]
    return kept


def _approval(predicate: Mapping[str, Any], shown: Disclosures) -> Body:
    decision = _table(predicate, "decision")
    named = _texts(decision, "approvals")
    principals: list[str] | None = []
    if named:
        basis = shown.value(predicate, "/decision/basis")
        votes = basis.get("votes") if isinstance(basis, dict) else None
        known = {one.get("id"): one.get("approver") for one in votes or () if isinstance(one, dict)}
        principals = [str(known.get(one, "unknown")) for one in named] if isinstance(votes, list) else None
    return {
        "approvals": named,
        "approved_by": principals,
        "break_glass": decision.get("break_glass") is True,
    }


def _table(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _texts(members: Mapping[str, Any], name: str) -> list[str]:
    value = members.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
