"""How does a change event stand in a row of CSV? One row an event, a fixed list of columns.

The columns never change their names or order within a major version; new ones come at the end. Cells that a spreadsheet
would take for a formula begin with an apostrophe, and control characters are escaped.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any, Final

from tfaudit.events.native import encode, plain

COLUMNS: Final = (
    "event_id",
    "record_id",
    "run_id",
    "time",
    "stack",
    "workspace",
    "command",
    "actor",
    "actor_level",
    "decision",
    "reason",
    "ticket",
    "kind",
    "action",
    "actions",
    "action_reason",
    "address",
    "previous_address",
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "index",
    "provider",
    "source_file",
    "source_line",
    "changed",
    "attributes",
    "importing",
    "withheld",
    "outcome",
    "outcome_started",
    "outcome_elapsed_seconds",
    "outcome_id",
    "outcome_error",
    "outcome_inferred",
    "outcome_record_id",
    "plan_digest",
    "approved_by",
    "approvals",
    "break_glass",
    "agent",
    "on_behalf_of",
)
"""What each holds stands in docs/export.md."""

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def header() -> bytes:
    """Return the first line."""
    return _line(COLUMNS)


def row(event: Mapping[str, Any]) -> bytes:
    """Return an event's line (RFC 4180, UTF-8)."""
    shown = plain({name: value for name, value in event.items() if name != "attributes"})
    outcome, source = shown.get("outcome") or {}, shown.get("source") or {}
    actor = shown.get("actor")
    principal = actor if isinstance(actor, dict) else {"principal": actor}
    agent = principal.get("agent") or {}
    attributes = event.get("attributes") or []
    members: dict[str, object] = {
        **shown,
        "record_id": str(shown["event_id"]).partition("/")[0],
        "actor": principal.get("principal"),
        "actor_level": principal.get("level"),
        "actions": " ".join(shown["actions"]) or None,
        "source_file": source.get("file"),
        "source_line": source.get("line"),
        "changed": " ".join(attribute["path"] for attribute in attributes) or None,
        "attributes": encode({"attributes": attributes})[14:-1].decode("utf-8", "replace") if attributes else None,
        "outcome": outcome.get("status"),
        **{f"outcome_{name}": outcome.get(name) for name in ("started", "elapsed_seconds", "id", "error", "inferred")},
        "outcome_record_id": outcome.get("record_id"),
        "approved_by": " ".join(shown.get("approved_by") or ()) or None,
        "approvals": " ".join(shown.get("approvals") or ()) or None,
        "break_glass": shown.get("break_glass") or None,
        "agent": agent.get("name"),
        "on_behalf_of": agent.get("on_behalf_of"),
    }
    return _line(_cell(members.get(column)) for column in COLUMNS)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = value if isinstance(value, str) else encode({"": value})[4:-1].decode("utf-8", "replace")
    text = _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return f"'{text}" if _FORMULA.match(text.lstrip(" ")) else text


def _line(cells: Any) -> bytes:  # noqa: ANN401 - an iterable of texts
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")
