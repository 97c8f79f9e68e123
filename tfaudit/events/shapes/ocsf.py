"""How does a document stand in OCSF 1.8: class API Activity (6003), profile cloud?

https://schema.ocsf.io/1.8.0/classes/api_activity?profiles=cloud; the whole mapping stands in docs/schemas.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tfaudit.events.shapes import reading, severity
from tfaudit.events.shapes.reading import Actor, Body, integer, member, text, texts

VERSION: Final = "1.8.0"
CLASS: Final = 6003

_ACTIVITIES: Final = {"unknown": 0, "create": 1, "read": 2, "access": 2, "check": 2, "update": 3, "delete": 4}
_OTHER: Final = 99
_ACTIVITY_NAMES: Final = {0: "Unknown", 1: "Create", 2: "Read", 3: "Update", 4: "Delete"}
_SEVERITIES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
_STATUSES: Final = {
    "success": (1, "Success"),
    "failure": (2, "Failure"),
    "unknown": (0, "Unknown"),
    "planned": (_OTHER, "Planned"),
    "pending": (_OTHER, "Pending"),
    "not-reached": (_OTHER, "Not reached"),
}
_PERSONS: Final = frozenset({"github", "gitlab", "email", "os", "ssh"})
_EMAIL: Final = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")
_MAPPED: Final = frozenset({"id", "time", "severity", "outcome", "reason", "ticket"})
"""Members that stand elsewhere in the event, whole; all others go to ``unmapped``."""


def shape(body: Body) -> dict[str, Any]:
    """Return the OCSF event of a document. Values stand in it as the engine spelled them."""
    acting = reading.actor(body)
    activity, activity_name = _activity(body)
    grave = severity.grade(body)
    started, elapsed = reading.duration(body)
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": activity_name,
        "actor": _actor(body, acting),
        "api": _api(body),
        "category_name": "Application Activity",
        "category_uid": 6,
        "class_name": "API Activity",
        "class_uid": CLASS,
        "cloud": _cloud(body, acting),
        "message": reading.message(body),
        "metadata": _metadata(body),
        "severity": _SEVERITIES.get(grave, "Unknown"),
        "severity_id": grave if grave in _SEVERITIES else 0,
        "src_endpoint": _endpoint(acting),
        "time": reading.milliseconds(body.get("time")) or 0,
        "type_name": f"API Activity: {_ACTIVITY_NAMES.get(activity, 'Other')}",
        "type_uid": CLASS * 100 + activity,
        "unmapped": {"tfaudit": _unmapped(body)},
        **_status(body),
    }
    if started is not None:
        begun = reading.milliseconds(started) or 0
        event["start_time"] = begun
        if elapsed is not None:
            event["end_time"] = begun + elapsed
    if elapsed is not None:
        event["duration"] = elapsed
    if resource := _resource(body):
        event["resources"] = [resource]
    if enrichments := list(_enrichments(body)):
        event["enrichments"] = enrichments
    return event


def _unmapped(body: Body) -> dict[str, Any]:
    mapped = _MAPPED | {"attributes"} if body.get("address") else _MAPPED
    return {
        name: value
        for name, value in body.items()
        if name not in mapped and value is not None and value is not False and value != []
    }


def _activity(body: Body) -> tuple[int, str]:
    if body.get("kind") == "record":
        record = str(body.get("record") or "record")
        return (2, "Read") if record == "access" else (_OTHER, record.capitalize())
    what = reading.deed(body)
    known = _ACTIVITIES.get(what, _OTHER)
    return known, _ACTIVITY_NAMES.get(known) or what.capitalize()


def _actor(body: Body, acting: Actor | None) -> dict[str, Any]:
    found: dict[str, Any] = {"app_name": (acting.agent if acting else None) or "tfaudit"}
    session = {"uid": text(body.get("run_id")), "issuer": acting.issuer or acting.source if acting else None}
    if session := {name: value for name, value in session.items() if value}:
        found["session"] = session
    if acting is not None:
        user: dict[str, Any] = {"name": acting.principal, "uid": acting.principal, "type": "Unknown", "type_id": 0}
        if acting.kind in _PERSONS and acting.agent is None:
            user |= {"type": "User", "type_id": 1}
        if acting.email and _EMAIL.fullmatch(acting.email):
            user["email_addr"] = acting.email
        if acting.account:
            user["account"] = {"uid": acting.account, "type": "AWS Account", "type_id": 10}
        found["user"] = user
    policies = body.get("policy")
    decided = text(body.get("decision"))
    told = [one for one in policies if isinstance(one, Mapping)] if isinstance(policies, list | tuple) else []
    if told or decided in ("allow", "deny"):
        found["authorizations"] = [
            {"decision": decided or "unknown"},
            *({"decision": _verdict(one), "policy": _policy(one)} for one in told),
        ]
    return found


def _verdict(policy: Mapping[str, Any]) -> str:
    for name, verdict in (("failed", "failed"), ("denied", "deny"), ("required", "require"), ("warned", "warn")):
        if policy.get(name):
            return verdict
    return "allow"


def _policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "name": text(policy.get("engine")) or "policy",
        "uid": text(policy.get("digest")),
        "version": text(policy.get("version")),
    }
    return {name: value for name, value in found.items() if value}


def _api(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = {"operation": text(body.get("command")) or reading.deed(body)}
    service = reading.provider(body) or text(member(body, "engine", "brand"))
    if service:
        found["service"] = {"name": service}
    if run := text(body.get("run_id")):
        request: dict[str, Any] = {"uid": run}
        if arguments := texts(body.get("arguments")):
            request["data"] = {"arguments": arguments}
        found["request"] = request
    response: dict[str, Any] = {}
    if (code := integer(member(body, "result", "exit_code"))) is not None:
        response["code"] = code
    if error := text(member(body, "outcome", "error")):
        response["error_message"] = error
    outcome = body.get("outcome")
    if isinstance(outcome, Mapping):
        response["data"] = outcome
    if response:
        found["response"] = response
    return found


def _cloud(body: Body, acting: Actor | None) -> dict[str, Any]:
    name = reading.cloud(body, acting)
    found: dict[str, Any] = {"provider": name or reading.provider(body) or "unknown"}
    if name == "AWS" and acting is not None and acting.account:
        found["account"] = {"uid": acting.account, "type": "AWS Account", "type_id": 10}
    return found


def _endpoint(acting: Actor | None) -> dict[str, Any]:
    """Return where it was done from: the host, or the platform that ran the job; ``unknown`` where neither is told."""
    found = {"name": acting.host, "svc_name": acting.source} if acting is not None else {}
    return {name: value for name, value in found.items() if value} or {"name": "unknown"}


def _metadata(body: Body) -> dict[str, Any]:
    product = {"name": "tfaudit", "vendor_name": "tfaudit", "version": text(member(body, "tfaudit", "version"))}
    found = {
        "uid": str(body.get("id")),
        "correlation_uid": text(body.get("run_id")),
        "event_code": str(body.get("kind")),
        # What a sink with a limit of its own left out.
        "is_truncated": True if body.get("shortened") else None,
        "log_name": text(member(body, "log", "origin")),
        "log_provider": "tfaudit",
        "original_event_uid": text(body.get("event_id")),
        "original_time": text(body.get("time")),
        "product": {name: value for name, value in product.items() if value},
        "profiles": ["cloud"],
        "sequence": integer(member(body, "log", "position")),
        "version": VERSION,
    }
    return {name: value for name, value in found.items() if value is not None}


def _status(body: Body) -> dict[str, Any]:
    ended = reading.status(body)
    if ended is None:
        return {}
    number, name = _STATUSES[ended]
    found: dict[str, Any] = {"status": name, "status_id": number}
    code = text(member(body, "outcome", "status")) or text(member(body, "result", "status"))
    reasons = texts(body.get("reasons"))
    if reasons or code:
        found["status_code"] = reasons[0] if reasons else code
    if body.get("decision") == "deny":
        found["status_detail"] = f"denied: {', '.join(reasons)}" if reasons else "denied"
    return found


def _resource(body: Body) -> dict[str, Any] | None:
    address = text(body.get("address"))
    if not address:
        return None
    found = {
        "name": address,
        "uid": text(member(body, "outcome", "id")),
        "uid_alt": text(body.get("deposed")),
        "type": text(body.get("type")),
        "namespace": text(body.get("stack")),
        "provider": text(body.get("provider")),
    }
    resource: dict[str, Any] = {name: value for name, value in found.items() if value}
    if module := text(body.get("module")):
        resource["group"] = {"name": module, "type": "module"}
    if attributes := body.get("attributes"):
        resource["data"] = {"attributes": attributes}
    return resource


def _enrichments(body: Body) -> Iterator[dict[str, Any]]:
    approvals, approvers = texts(body.get("approvals")), texts(body.get("approved_by"))
    for at, approval in enumerate(approvals):
        # Withheld names are none: nobody is put in their place.
        data = {"approved_by": approvers[at]} if len(approvers) == len(approvals) else {}
        yield {"name": "approval", "value": approval, "type": "approval", "provider": "tfaudit", "data": data}
    for name in ("reason", "ticket"):
        if found := text(body.get(name)):
            yield {"name": name, "value": found, "type": name, "provider": "tfaudit", "data": {name: found}}
    if body.get("break_glass"):
        due = text(body.get("review_by"))
        data = {"review_by": due} if due else {}
        yield {"name": "break-glass", "value": "true", "type": "break-glass", "provider": "tfaudit", "data": data}
