"""How does a document stand in the Elastic Common Schema, versions 8 and 9?

https://www.elastic.co/docs/reference/ecs; the whole mapping stands in docs/schemas.md. What ECS has no field for stands
under ``tfaudit``, so that no name can clash; attribute values are the JSON text of each, since a field of an index can
have one type only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tfaudit.events.shapes import reading, severity
from tfaudit.events.shapes.kinds import is_iam
from tfaudit.events.shapes.reading import Actor, Body, integer, json_text, member, text, texts

VERSION: Final = "8.17.0"
"""All fields used here are in every 8.x since 8.7 and in 9.x."""

_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("creation",),
    "update": ("change",),
    "delete": ("deletion",),
    "replace": ("creation", "deletion"),
    "forget": ("change",),
    "import": ("change",),
    "move": ("change",),
    "unknown": ("change",),
    "invoke": ("change",),
    "operation": ("change",),
    "read": ("access",),
}
"""By what was done; ``info`` for everything else."""
_RECORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "access": ("access",),
    "config": ("change",),
    "erasure": ("deletion",),
    "retention": ("change",),
    "outcome": ("change",),
    "operation": ("change",),
}
_IAM_TYPES: Final = frozenset({"creation", "change", "deletion"})
_OUTCOMES: Final = {
    "success": "success",
    "failure": "failure",
    "not-reached": "failure",
    "pending": "unknown",
    "unknown": "unknown",
}
_CLOUDS: Final = frozenset({"AWS", "Azure", "GCP", "Alibaba", "DigitalOcean", "Oracle", "IBM", "Hetzner"})
_MAPPED: Final = frozenset({"id", "time", "severity", "summary", "detail", "outcome", "attributes", "actor", "reason"})


def shape(body: Body) -> dict[str, Any]:
    """Return the ECS document: nested objects, as Elasticsearch takes them."""
    acting = reading.actor(body)
    document: dict[str, Any] = {
        "@timestamp": str(body.get("time")),
        "ecs": {"version": VERSION},
        "event": _event(body),
        "message": reading.message(body),
        "tfaudit": _own(body, acting),
    }
    if acting is not None:
        document["user"] = _user(acting)
        related = [acting.principal, *([acting.on_behalf_of] if acting.on_behalf_of else []), *_approvers(body)]
        document["related"] = {"user": list(dict.fromkeys(related))}
        if acting.host:
            document["host"] = {"name": acting.host}
            document["related"]["hosts"] = [acting.host]
    elif approvers := _approvers(body):
        document["related"] = {"user": list(dict.fromkeys(approvers))}
    if found := _cloud(body, acting):
        document["cloud"] = found
    if error := text(member(body, "outcome", "error")) or _diagnostic(body):
        document["error"] = {"message": error}
    return document


def _event(body: Body) -> dict[str, Any]:
    ended = reading.status(body)
    types = _types(body, ended)
    started, elapsed = reading.duration(body)
    found: dict[str, Any] = {
        "kind": "event",
        "category": _category(body, types),
        "type": list(types),
        "action": _action(body),
        "outcome": _OUTCOMES.get(ended or ""),
        "id": str(body.get("id")),
        "hash": text(body.get("leaf")),
        "code": str(body.get("kind")),
        "provider": "tfaudit",
        "module": "tfaudit",
        "dataset": "tfaudit.record" if body.get("kind") == "record" else "tfaudit.event",
        "severity": severity.grade(body),
        "reason": text(body.get("reason")),
        "sequence": integer(member(body, "log", "position")),
        "start": started,
        "duration": None if elapsed is None else elapsed * 1_000_000,
    }
    if started is not None and elapsed is not None:
        found["end"] = _end(started, elapsed)
    return {name: value for name, value in found.items() if value is not None}


def _end(started: str, elapsed: int) -> str | None:
    begun = reading.moment(started)
    try:
        ended = None if begun is None else begun + timedelta(milliseconds=elapsed)
    except OverflowError:
        return None
    return None if ended is None else f"{ended.isoformat(timespec='milliseconds')[:23]}Z"


def _types(body: Body, ended: reading.Status | None) -> tuple[str, ...]:
    if body.get("kind") == "record":
        record = str(body.get("record"))
        return ("info",) if ended == "not-reached" else _RECORDS.get(record, ("info",))
    if ended in ("planned", "not-reached") or body.get("decision") == "deny":
        # Nothing was done, and nothing is being done.
        return ("info",)
    return _TYPES.get(reading.deed(body), ("info",))


def _category(body: Body, types: tuple[str, ...]) -> list[str]:
    # ECS expects neither info of the planned only nor access in the category iam; what changes identities is both.
    of_type = text(body.get("type"))
    return ["configuration", "iam"] if is_iam(of_type) and _IAM_TYPES.intersection(types) else ["configuration"]


def _action(body: Body) -> str:
    if body.get("kind") != "record":
        return reading.deed(body)
    record, command = str(body.get("record")), text(body.get("command"))
    if command is None or command == record:
        return f"{record}-denied" if body.get("decision") == "deny" else record
    name = command.replace(" ", "-")
    return f"{name}-denied" if body.get("decision") == "deny" else f"{name}-{record}"


def _user(acting: Actor) -> dict[str, Any]:
    found: dict[str, Any] = {"id": acting.principal, "name": acting.principal}
    if acting.kind != "unknown":
        found["domain"] = acting.kind
        found["name"] = acting.principal.partition(":")[2] or acting.principal
    if acting.email:
        found["email"] = acting.email
    return found


def _approvers(body: Body) -> list[str]:
    return texts(body.get("approved_by"))


def _cloud(body: Body, acting: Actor | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name = reading.cloud(body, acting)
    if name in _CLOUDS:
        found["provider"] = name.lower()
    if name == "AWS" and acting is not None and acting.account:
        found["account"] = {"id": acting.account}
    return found


def _diagnostic(body: Body) -> str | None:
    if body.get("kind") != "diagnostic" or body.get("diagnostic_severity") != "error":
        return None
    return text(body.get("summary"))


def _own(body: Body, acting: Actor | None) -> dict[str, Any]:
    """Return what stands under ``tfaudit``: all that ECS has no field for, each field of one type in every document."""
    found: dict[str, Any] = {
        name: value
        for name, value in body.items()
        if name not in _MAPPED and value is not None and value is not False and value != []
    }
    for name in ("address", "previous_address", "index", "deposed", "status"):
        if name in found:
            found[name] = text(found[name])
    for name in ("summary", "detail"):
        if (said := text(body.get(name))) is not None:
            found[name] = said
    if "importing" in found:
        # An identity of several members as its JSON.
        found["importing"] = {"id": text(member(body, "importing", "id"))}
    if acting is not None:
        found["actor"] = _acting(body, acting)
    attributes = body.get("attributes")
    if isinstance(attributes, list | tuple) and attributes:
        found["attributes"] = [_attribute(one) for one in attributes if isinstance(one, Mapping)]
        found["changed"] = [one["path"] for one in found["attributes"]]
    outcome = body.get("outcome")
    if isinstance(outcome, Mapping):
        found["outcome"] = {name: value for name, value in outcome.items() if name != "error" and value is not None}
        found["outcome"] |= {"id": text(outcome["id"])} if text(outcome.get("id")) else {}
    return found


def _acting(body: Body, acting: Actor) -> dict[str, Any]:
    recorded = body.get("actor")
    found: dict[str, Any] = dict(recorded) if isinstance(recorded, Mapping) else {}
    return {**found, "principal": acting.principal}


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"path": text(attribute.get("path")) or ""}
    for name, value in attribute.items():
        if name in ("before", "after"):
            if (said := json_text(value)) is not None:
                found[name] = said
        elif name != "path" and value:
            found[name] = value
    return found
