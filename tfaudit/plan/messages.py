"""What does one message of the engine's machine-readable stream say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from tfaudit.plan.exactjson import Json
from tfaudit.plan.redact import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """An error or warning of the engine, redacted; its snippet is never kept."""

    severity: str
    address: str | None
    summary: str
    detail: str
    file: str | None
    line: int | None


def read_diagnostic(said: Mapping[str, Json], redactor: Redactor) -> Diagnostic:
    """Return the diagnostic of a ``diagnostic`` message, redacted; an absolute path loses its folders."""
    place = said.get("range")
    place = place if isinstance(place, dict) else {}
    start = place.get("start")
    line = start.get("line") if isinstance(start, dict) else None
    file = string(place.get("filename"))
    address = string(said.get("address"))
    summary = string(said.get("summary")) or ""
    return Diagnostic(
        severity=string(said.get("severity")) or "error",
        address=redactor.address(address) if address else None,
        summary=redactor.text(summary),
        detail=redactor.text(_without_output(summary, string(said.get("detail")) or "")),
        file=PurePath(file).name if file and PurePath(file).is_absolute() else file,
        line=line if isinstance(line, int) else None,
    )


def address_of(hook: Mapping[str, Json]) -> str:
    """Return the address of the hook's resource, or of the action that it invokes."""
    for key in ("resource", "action"):
        subject = hook.get(key)
        if isinstance(subject, dict):
            return string(subject.get("addr")) or ""
    return ""


def action_of(hook: Mapping[str, Json]) -> str:
    """Return what the hook does to its resource; ``invoke`` for a provider action."""
    action = hook.get("action")
    return "invoke" if isinstance(action, dict) else string(action) or ""


def string(value: Json) -> str | None:
    """Return a text; None for anything else."""
    return value if isinstance(value, str) else None


def _without_output(summary: str, detail: str) -> str:
    """Return a diagnostic's detail without what a failed provisioner printed: that is stored nowhere."""
    if not summary.endswith("provisioner error"):
        return detail
    said, output, _ = detail.partition("Output:")
    return f"{said}{output} (not recorded)" if output else said


def utc(timestamp: Json) -> str | None:
    """Return an engine's local timestamp as RFC 3339 in UTC with milliseconds; None where it is none."""
    if not isinstance(timestamp, str):
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
