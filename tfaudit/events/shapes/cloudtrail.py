"""How does a document stand in CloudTrail Lake: the ``eventData`` of PutAuditEvents, within its limits?

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-integration-event-schema.html. There, a field that is
too long is rejected, not cut. So it is cut here, at a character's boundary, and ``additionalEventData.shortened`` names
what was. The ledger keeps the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tfaudit.events.shapes import reading, severity
from tfaudit.events.shapes.reading import Actor, Body, member, text, texts
from tfaudit.events.shapes.writing import encode

VERSION: Final = "1"
SOURCE: Final = "tfaudit"

SHORT: Final = 256
"""Bytes of version, errorCode and errorMessage."""
KIND: Final = 128
"""Bytes of userIdentity.type."""
LONG: Final = 1024
"""Bytes of each other text field."""
REQUEST: Final = 100_000
"""Bytes of requestParameters as JSON; of responseElements as well."""
ADDITIONAL: Final = 28_000
"""Bytes of additionalEventData as JSON."""
_RESERVED: Final = 2_500
"""Of those, kept for the names of what was shortened."""
_NAMES: Final = 30
"""So many of them are told by name …"""
_NAME: Final = 64
"""… and so many characters of each."""
_LEAST: Final = 200
"""A member is not shortened below so many bytes, but left out."""

_VERBS: Final = {
    "no-op": "Keep",
    "create": "Create",
    "read": "Read",
    "update": "Update",
    "delete": "Delete",
    "replace": "Replace",
    "forget": "Forget",
    "import": "Import",
    "move": "Move",
}
_NOUNS: Final = {
    "resource-change": "Resource",
    "outcome": "ResourceOutcome",
    "drift": "DriftedResource",
    "deferred-change": "DeferredResource",
    "output-change": "Output",
}
_REQUEST: Final = (
    "stack",
    "workspace",
    "address",
    "previous_address",
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "index",
    "provider",
    "action",
    "actions",
    "action_reason",
    "importing",
    "source",
    "trigger",
    "arguments",
    "plan",
    "attributes",
)
"""What was asked for."""
_ELSEWHERE: Final = frozenset({"id", "time", "actor", "outcome", "result", "shortened", *_REQUEST})


class EventData(NamedTuple):
    """The content of one audit event."""

    content: bytes
    """JSON, UTF-8: what goes into ``eventData`` as a string, and what its checksum is of."""
    shortened: tuple[str, ...]
    """What was cut or left out to fit, as in ``requestParameters.attributes``; empty where all is there."""


def event_data(body: Body, *, account: str) -> EventData:
    """Return the ``eventData`` of a document; ``account`` is the one that owns the channel."""
    cut: dict[str, None] = {}

    def clip(value: str, limit: int, name: str) -> str:
        found = _clipped(value, limit)
        if len(found) != len(value):
            cut[name] = None
        return found

    event: dict[str, Any] = {
        "version": VERSION,
        "userIdentity": _identity(reading.actor(body), clip),
        "eventSource": SOURCE,
        "eventName": clip(event_name(body), LONG, "eventName"),
        "eventTime": _time(body),
        "UID": clip(str(body.get("id")), LONG, "UID"),
        "recipientAccountId": account,
        "userAgent": clip(_agent(body), LONG, "userAgent"),
        "requestParameters": _fitted(_request(body), REQUEST, "requestParameters", cut),
    }
    if response := _response(body):
        event["responseElements"] = _fitted(response, REQUEST, "responseElements", cut)
    code, error = _error(body)
    if code is not None:
        event["errorCode"] = clip(code, SHORT, "errorCode")
    if error is not None:
        event["errorMessage"] = clip(error, SHORT, "errorMessage")
    additional = _fitted(_additional(body), ADDITIONAL - _RESERVED, "additionalEventData", cut)
    if cut:
        additional["shortened"] = [name[:_NAME] for name in cut][:_NAMES]
    event["additionalEventData"] = additional
    return EventData(encode(event), tuple(cut))


def event_name(body: Body) -> str:
    """Return what CloudTrail calls the event: ``UpdateResource``, ``DeleteResourceOutcome``, ``IntentRecord`` …"""
    kind = str(body.get("kind"))
    if kind == "record":
        return f"{_camel(str(body.get('record') or ''))}Record"
    if noun := _NOUNS.get(kind):
        return f"{_VERBS.get(reading.deed(body), 'Change')}{noun}"
    return _camel(kind)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _identity(acting: Actor | None, clip: Callable[[str, int, str], str]) -> dict[str, Any]:
    if acting is None:
        # Both are required. Nobody is put in the place of somebody whose name is withheld.
        return {"type": "withheld", "principalId": "withheld"}
    details = {
        "level": acting.level,
        "evidence": acting.source,
        "issuer": acting.issuer,
        "email": acting.email,
        "host": acting.host,
        "awsAccount": acting.account,
        "agent": acting.agent,
        "onBehalfOf": acting.on_behalf_of,
    }
    return {
        "type": clip(acting.kind, KIND, "userIdentity.type"),
        "principalId": clip(acting.principal, LONG, "userIdentity.principalId"),
        "details": {
            name: clip(value, LONG, f"userIdentity.details.{name}") for name, value in details.items() if value
        },
    }


def _time(body: Body) -> str:
    found = reading.moment(str(body.get("time")))
    return f"{found.isoformat()[:19]}Z" if found is not None else "1970-01-01T00:00:00Z"


def _agent(body: Body) -> str:
    version = text(member(body, "tfaudit", "version"))
    return f"tfaudit/{version}" if version else "tfaudit"


def _request(body: Body) -> dict[str, Any]:
    return {name: body[name] for name in _REQUEST if _said(body.get(name))}


def _response(body: Body) -> dict[str, Any]:
    return {name: body[name] for name in ("outcome", "result") if _said(body.get(name))}


def _additional(body: Body) -> dict[str, Any]:
    found = {name: value for name, value in body.items() if name not in _ELSEWHERE and _said(value)}
    found["severity"] = severity.grade(body)
    return found


def _said(value: object) -> bool:
    return value is not None and value is not False and value != []


def _error(body: Body) -> tuple[str | None, str | None]:
    """Return the code and the message of what went wrong; None where nothing did."""
    reasons = texts(body.get("reasons"))
    if body.get("decision") == "deny":
        return (reasons[0] if reasons else "denied"), f"denied: {', '.join(reasons)}" if reasons else "denied"
    if reading.status(body) == "failure":
        code = text(member(body, "outcome", "status")) or text(member(body, "result", "status"))
        return code or "failed", text(member(body, "outcome", "error"))
    return None, None


def _clipped(value: str, limit: int) -> str:
    """Return as much of the text as ``limit`` bytes of UTF-8 hold, whole characters."""
    if len(value) * 4 <= limit:
        return value
    encoded = value.encode()
    return value if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def _fitted(members: dict[str, Any], limit: int, where: str, cut: dict[str, None]) -> dict[str, Any]:
    """Return the members, shortened to ``limit`` bytes of JSON, the largest first; note in ``cut`` what was."""
    whole = encode(members)
    if len(whole) <= limit:
        return members
    # What a string spells by escapes only is not counted by its characters: so all is measured as JSON.
    sizes = {name: len(encode({name: value})) for name, value in members.items()}
    found = dict(members)
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        total = sum(sizes.values()) + 1
        if total <= limit:
            break
        room = limit - (total - sizes[name])
        cut[f"{where}.{name}"] = None
        shorter = _shorter(found[name], max(room - len(encode(name)) - 4, 0)) if room > _LEAST else None
        if shorter is None:
            del found[name]
            sizes[name] = 0
        else:
            found[name] = shorter
            sizes[name] = len(encode({name: shorter}))
    return found


def _shorter(value: object, limit: int) -> object | None:
    """Return as much of a value as ``limit`` bytes of JSON hold; None where there is no such part."""
    if isinstance(value, str):
        return _shorter_text(value, limit)
    if isinstance(value, list | tuple):
        return _without_values(value, limit) if _have_values(value) else _shorter_list(value, limit)
    return None


def _shorter_text(value: str, limit: int) -> str | None:
    # A control character takes six bytes, a quote two.
    found = _clipped(value, limit)
    while found and len(encode(found)) > limit:
        found = found[: len(found) * 5 // 6]
    return found or None


def _shorter_list(items: list[Any] | tuple[Any, ...], limit: int) -> list[Any] | None:
    found: list[Any] = []
    size = 2
    for item in items:
        size += len(encode(item)) + 1
        if size > limit:
            break
        found.append(item)
    return found or None


def _have_values(items: list[Any] | tuple[Any, ...]) -> bool:
    return all(isinstance(item, Mapping) and "path" in item for item in items)


def _without_values(attributes: list[Any] | tuple[Any, ...], limit: int) -> list[Any] | None:
    """Return the attributes, without the values of the largest; where that is not enough, the first of them."""
    sizes = [len(encode(attribute)) + 1 for attribute in attributes]
    over = sum(sizes) + 2 - limit
    found: list[Any] = list(attributes)
    for at in sorted(range(len(sizes)), key=lambda at: (-sizes[at], at)):
        if over <= 0:
            return found
        bare = {name: value for name, value in attributes[at].items() if name not in ("before", "after")}
        bare["shortened"] = True
        smaller = len(encode(bare)) + 1
        if smaller < sizes[at]:
            over -= sizes[at] - smaller
            found[at] = bare
    return found if over <= 0 else _shorter_list(found, limit)
