"""What do the mappings read out of a document's body: who, when, in which cloud, what was done, and how it ended?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tfaudit.events.shapes.writing import encode

Body = Mapping[str, Any]
"""A document: the native change event's members and ``id``, ``record_id``, ``record``, ``severity``; of a record, its
summary (schema ``delivered-document.v1``). Any member but ``id``, ``time``, ``kind`` may be absent or null."""

Status = Literal["planned", "pending", "success", "failure", "not-reached", "unknown"]

_text_decoder: Final = msgspec.json.Decoder(str)

_OUTCOMES: Final[Mapping[str, Status]] = {"applied": "success", "errored": "failure", "not-reached": "not-reached"}
_RESULTS: Final[Mapping[str, Status]] = {
    "planned": "success",
    "applied": "success",
    "succeeded": "success",
    "errored": "failure",
    "interrupted": "failure",
    "killed": "failure",
    "denied": "failure",
    "declined": "not-reached",
    "not-started": "not-reached",
    "unknown": "unknown",
}
_CHECKS: Final[Mapping[str, Status]] = {"pass": "success", "fail": "failure", "error": "failure"}
_CLOUDS: Final = {
    "aws": "AWS",
    "awscc": "AWS",
    "google": "GCP",
    "google-beta": "GCP",
    "azurerm": "Azure",
    "azuread": "Azure",
    "azapi": "Azure",
    "azurestack": "Azure",
    "alicloud": "Alibaba",
    "digitalocean": "DigitalOcean",
    "hcloud": "Hetzner",
    "ibm": "IBM",
    "oci": "Oracle",
}
_CHANGES: Final = frozenset({"resource-change", "drift", "deferred-change", "output-change", "outcome"})
_SEEN: Final = frozenset({"drift", "diagnostic", "note"})
"""Kinds of what was seen, and is at its end."""
_DEFERRED: Final = frozenset({"deferred-change", "deferred-action-invocation"})
_INVOCATIONS: Final = frozenset({"action-invocation", "deferred-action-invocation"})


class Actor(NamedTuple):
    """Who acted, as far as it is disclosed."""

    principal: str
    kind: str
    """What the principal's name begins with: ``github``, ``aws``, ``email``, ``os`` …"""
    level: str | None
    source: str | None
    """What names the principal: ``github-actions``, ``aws-sts`` …"""
    issuer: str | None
    """Of the token that proves it."""
    email: str | None
    host: str | None
    account: str | None
    """The AWS account of the credentials that the run had."""
    agent: str | None
    on_behalf_of: str | None


def actor(body: Body) -> Actor | None:
    """Return who acted; None where that is withheld or was not recorded."""
    recorded = body.get("actor")
    if isinstance(recorded, str) and recorded:
        recorded = {"principal": recorded}
    principal = text(recorded.get("principal")) if isinstance(recorded, Mapping) else None
    if not isinstance(recorded, Mapping) or not principal:
        return None
    source = issuer = email = host = account = None
    evidence = recorded.get("evidence")
    for one in evidence if isinstance(evidence, list | tuple) else ():
        if not isinstance(one, Mapping):
            continue
        said = one.get("claims")
        claims: Mapping[str, object] = said if isinstance(said, Mapping) else {}
        if source is None and one.get("principal") == principal:
            source, issuer = text(one.get("source")), text(claims.get("iss"))
        email = email or text(claims.get("email")) or text(claims.get("user_email"))
        host = host or text(claims.get("host"))
        account = account or (text(claims.get("account")) if one.get("source") == "aws-sts" else None)
    kind, colon, rest = principal.partition(":")
    found = recorded.get("agent")
    agent: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    return Actor(
        principal=principal,
        kind=kind if colon and kind else "unknown",
        level=text(recorded.get("level")),
        source=source,
        issuer=issuer,
        email=rest if kind == "email" and rest else email,
        host=host,
        account=account,
        agent=text(agent.get("name")),
        on_behalf_of=text(agent.get("on_behalf_of")),
    )


def text(value: object) -> str | None:
    """Return a value as text: a string as it is, anything else as its JSON; None of null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, msgspec.Raw):
        raw = bytes(value)
        if raw == b"null":
            return None
        try:
            return _text_decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            # No string, or one that is half a surrogate pair.
            return raw.decode("utf-8", "replace")
    return encode(value).decode()


def json_text(value: object) -> str | None:
    """Return a value's JSON as text, numbers spelled as the engine spelled them; None of null."""
    if value is None:
        return None
    found = encode(value)
    return None if found == b"null" else found.decode()


def texts(value: object) -> list[str]:
    """Return a list's members as texts; none of anything else."""
    return [found for one in value if (found := text(one))] if isinstance(value, list | tuple) else []


def member(body: Body, *path: str) -> object:
    """Return what stands at a path; None where nothing does."""
    found: object = body
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def integer(value: object) -> int | None:
    """Return a whole number; None of anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@lru_cache(maxsize=256)
def moment(time: str) -> datetime | None:
    """Return the moment that RFC 3339 text names, in UTC; None where it names none."""
    try:
        found = datetime.fromisoformat(time)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def milliseconds(time: object) -> int | None:
    """Return RFC 3339 text as milliseconds since the epoch; None where it names no moment."""
    found = moment(time) if isinstance(time, str) else None
    return None if found is None else int(found.timestamp() * 1000 + 0.5)


def provider(body: Body) -> str | None:
    """Return the short name of the provider that makes the change: ``aws``, ``google`` …; None where there is none."""
    of_type = text(body.get("type"))
    return _provider(text(body.get("provider")) or "", of_type or "")


@lru_cache(maxsize=1024)
def _provider(address: str, kind: str) -> str | None:
    # registry.example.com/owner/aws; older engines: provider.aws, provider["…/aws"].
    name = address.rstrip('"]').replace('["', "/").replace(".", "/").rpartition("/")[2] if address else ""
    return name or (kind.partition("_")[0] if "_" in kind and kind.partition("_")[0] in _CLOUDS else None)


def cloud(body: Body, acting: Actor | None) -> str | None:
    """Return the cloud's usual name, as in ``AWS``; None where provider and credentials name none."""
    found = _CLOUDS.get(provider(body) or "")
    return found or ("AWS" if acting is not None and acting.account and body.get("provider") is None else None)


def deed(body: Body) -> str:
    """Return what was done, or was to be done.

    create, read, update, delete, replace, forget, no-op, unknown; import and move, where that is all; invoke; else the
    document's kind.
    """
    kind = str(body.get("kind"))
    if kind in _INVOCATIONS:
        return "invoke"
    if kind not in _CHANGES:
        return kind
    action = body.get("action")
    if not isinstance(action, str):
        return "unknown"
    if action == "no-op":
        return "import" if body.get("importing") else "move" if body.get("previous_address") else action
    return action


def status(body: Body) -> Status | None:
    """Return how it ended; None of what has no end, or none that is told: a diagnostic, drift, an output."""
    outcome = body.get("outcome")
    if isinstance(outcome, Mapping):
        return _OUTCOMES.get(str(outcome.get("status")), "unknown")
    kind, record = body.get("kind"), body.get("record")
    if kind == "check":
        return _CHECKS.get(str(body.get("status")), "unknown")
    if kind in _SEEN:
        return None
    if body.get("decision") == "deny":
        return "failure"
    if kind == "record":
        result = member(body, "result", "status")
        if result is not None:
            return _RESULTS.get(str(result), "unknown")
        return "pending" if record == "intent" else "unknown" if record in ("outcome", "operation") else "success"
    if kind == "outcome":
        return "unknown"
    if record == "plan" or kind in _DEFERRED:
        return "planned"
    # What came of an output, the engine does not say.
    return None if kind == "output-change" else "pending"


def duration(body: Body) -> tuple[str | None, int | None]:
    """Return when the deed began, RFC 3339, and how many milliseconds it took; None for what is not known."""
    started = member(body, "outcome", "started") or member(body, "result", "started")
    seconds = integer(member(body, "outcome", "elapsed_seconds"))
    elapsed = seconds * 1000 if seconds is not None else integer(member(body, "result", "elapsed_ms"))
    return (started if isinstance(started, str) and moment(started) else None), elapsed


def message(body: Body) -> str:
    """Return a sentence for people, without any value: what was done to what, and where."""
    stack = text(body.get("stack"))
    where = f" in {stack}" if stack else ""
    if body.get("kind") == "record":
        return f"{text(body.get('summary')) or text(body.get('record')) or 'record'}{where}"
    what = (text(body.get("command")) if body.get("kind") == "operation" else None) or deed(body)
    about = text(body.get("address")) or text(body.get("command")) or text(body.get("code"))
    came = member(body, "outcome", "status")
    ended = f": {came}" if isinstance(came, str) else ""
    return f"{what}{f' {about}' if about else ''}{where}{ended}"
