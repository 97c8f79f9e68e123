"""What is a change event, once line, disclosures and outcome are joined?

This is the native form that ``inspect``, ``history`` and ``export`` give, the schema ``change-event.v1``. Values stand
in it as the engine spelled them (``msgspec.Raw``); one whose disclosure is absent, erased or does not open its digest
is null, with ``withheld`` true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.commitment import Disclosed, Disclosure, opens, value_digest

Event = dict[str, Any]

_decoder: Final = msgspec.json.Decoder()
_encoder: Final = msgspec.json.Encoder(order="sorted")

_PLAIN: Final = (
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "index",
    "provider",
    "action",
    "action_reason",
    "source",
    "deferred_reason",
    "trigger",
    "check_kind",
    "status",
    "passed",
    "severity",
    "code",
)


class _Attribute(msgspec.Struct, gc=False):
    path: str
    before: str | None = None
    after: str | None = None


class _Problem(msgspec.Struct, gc=False):
    digest: str


class _Instance(msgspec.Struct, gc=False):
    problems: list[_Problem] = []


class _Line(msgspec.Struct):
    """What is relied on in an event line: a record's key signed it, nobody checked it."""

    kind: str
    address: str | None = None
    previous_address: str | None = None
    deposed: str | None = None
    attributes: list[_Attribute] = []
    instances: list[_Instance] = []


_checked: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What a change event takes from the record that holds its line."""

    record_id: str
    run_id: str
    time: str
    """The record's own time, RFC 3339."""
    stack: str
    actor: object = None
    """The disclosed actor; None where it is withheld."""
    plan_digest: str | None = None
    """SHA-256 of the plan file, hex; None where there was none."""
    outcome_record_id: str | None = None
    """The record that holds the outcome line; None where there is no outcome yet."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further members of every event (command, reason, ticket, decision), each null where it is absent."""


class _Opened:
    """The disclosed values of one line that open the digests they claim to."""

    def __init__(self, record_id: str, line: Mapping[str, Any], disclosure: Disclosure | None) -> None:
        self._record_id = record_id
        self._address = line.get("address", "")
        self._deposed = line.get("deposed")
        values = disclosure.values if disclosure is not None else ()
        self._values: dict[tuple[str, str], Disclosed] = {(value.pointer, value.side): value for value in values}

    def value(self, digest: str, pointer: str, side: str = "value") -> msgspec.Raw | None:
        """Return the value behind ``digest``; None where it is withheld, or something else was put in its place."""
        value = self._values.get((pointer, side))
        if value is None or not opens(digest, self._record_id, self._address, self._deposed, value):
            return None
        return msgspec.Raw(value.text or b"null")

    def hidden_address(self, pointer: str, printed: str) -> msgspec.Raw | None:
        """Return the address of which ``printed`` hides an instance key behind the first digits of its digest."""
        value = self._values.get((pointer, "value"))
        if value is None or value.salt is None or value.text is None:
            return None
        digest = value_digest(self._record_id, "", self._deposed, pointer, "value", value.salt, value.text)
        return msgspec.Raw(value.text) if f'["~{digest[:16]}"]' in printed else None

    def member(self, line: Mapping[str, Any], key: str) -> msgspec.Raw | None:
        """Return the value that the line commits to at ``key``."""
        committed = line.get(key)
        if not isinstance(committed, dict) or not isinstance(committed.get("digest"), str):
            return None
        return self.value(committed["digest"], f"/{key}")


def change_event(
    line: bytes,
    disclosure: Disclosure | None,
    *,
    number: int,
    facts: RecordFacts,
    outcome_line: bytes | None = None,
    outcome_disclosure: Disclosure | None = None,
) -> Event:
    """Return the joined event of the event line ``number`` (counted from 1) of the record that ``facts`` describe.

    Raises :class:`InputError` for a line that is no event line. What the disclosures do not open is null.
    """
    parsed = _parse(line)
    opened = _Opened(facts.record_id, parsed, disclosure)
    event: Event = {
        "event_id": f"{facts.record_id}/{number}",
        "run_id": facts.run_id,
        "time": facts.time,
        "stack": facts.stack,
        "kind": parsed["kind"],
        "actor": facts.actor,
        "plan_digest": facts.plan_digest,
        "address": _address(opened, parsed, "address"),
        "previous_address": _address(opened, parsed, "previous_address"),
        **{key: parsed.get(key) for key in _PLAIN},
        "actions": parsed.get("actions", []),
        "attributes": [_attribute(opened, attribute) for attribute in parsed.get("attributes", ())],
        "importing": _importing(opened, parsed),
        "withheld": bool(parsed.get("withheld")),
        "outcome": None,
        **facts.extra,
    }
    if parsed["kind"] == "check":
        event["instances"] = [_instance(opened, at, entry) for at, entry in enumerate(parsed.get("instances", ()))]
    if parsed["kind"] == "diagnostic":
        event["summary"], event["detail"] = opened.member(parsed, "summary"), opened.member(parsed, "detail")
    if outcome_line is not None:
        event["outcome"] = _outcome(outcome_line, outcome_disclosure, facts)
    return event


def encode(event: Mapping[str, object]) -> bytes:
    """Return the JSON of an event, keys sorted, values spelled as the engine spelled them; one line, no newline."""
    return _encoder.encode(event)


def plain(event: Mapping[str, object]) -> Event:
    """Return the event with its values decoded, for rendering; numbers beyond a double's range become text."""
    decoded: Event = _plain_decoder.decode(encode(event))
    return decoded


_plain_decoder: Final = msgspec.json.Decoder(float_hook=lambda text: text)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        _checked.decode(line)
        parsed: dict[str, Any] = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("an event line can't be read") from error
    return parsed


def _address(opened: _Opened, parsed: Mapping[str, Any], key: str) -> object:
    """Return an address, with the instance key that the line hides where its disclosure is there."""
    address = parsed.get(key)
    if not isinstance(address, str) or '["~' not in address:
        return address
    revealed = opened.hidden_address(f"/{key}", address)
    return address if revealed is None else revealed


def _attribute(opened: _Opened, attribute: Mapping[str, Any]) -> Event:
    path = attribute["path"]
    event: Event = {
        "path": path,
        "before": None,
        "after": None,
        **{key: bool(attribute.get(key)) for key in ("sensitive", "redacted", "unknown", "forces_replacement")},
    }
    withheld = bool(attribute.get("sensitive"))
    for side in ("before", "after"):
        digest = attribute.get(side)
        if digest is not None:
            event[side] = opened.value(digest, path, side)
            withheld = withheld or event[side] is None
    return event | {"withheld": withheld}


def _importing(opened: _Opened, parsed: Mapping[str, Any]) -> object:
    importing = parsed.get("importing")
    if importing is None:
        return None
    return {"id": opened.member(parsed, "importing")}


def _instance(opened: _Opened, at: int, entry: Mapping[str, Any]) -> Event:
    problems = [
        opened.value(problem["digest"], f"/instances/{at}/problems/{number}")
        for number, problem in enumerate(entry.get("problems", ()))
    ]
    return {"address": entry.get("address"), "status": entry.get("status"), "problems": problems}


def _outcome(line: bytes, disclosure: Disclosure | None, facts: RecordFacts) -> Event:
    parsed = _parse(line)
    opened = _Opened(facts.outcome_record_id or "", parsed, disclosure)
    return {
        "record_id": facts.outcome_record_id,
        "status": parsed.get("status"),
        "started": parsed.get("started"),
        "elapsed_seconds": parsed.get("elapsed_seconds"),
        "id": opened.member(parsed, "id"),
        "error": opened.member(parsed, "error"),
        "inferred": bool(parsed.get("inferred")),
        "steps": parsed.get("steps", []),
        "provisioner": parsed.get("provisioner"),
    }
