"""What does a record say, in a few words?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_PLANNED: Final = ("create", "update", "replace", "delete", "forget", "read", "unknown")


def summary(kind: str, predicate: Mapping[str, Any]) -> str:
    """Return what a record says, in a few words."""
    command, result = _table(predicate, "command"), _table(predicate, "result")
    name = _text(command, "name") or kind
    arguments = [text for text in command.get("arguments") or () if isinstance(text, str)]
    what = " ".join([name, *arguments])
    match kind:
        case "plan" | "intent":
            text = f"{what}: {planned(_table(predicate, 'plan'))}" if "plan" in predicate else what
            status = _text(result, "status")
            text = text if status in (None, "planned") else f"{text}; {status}"
            return f"{text}; BREAK-GLASS" if _table(predicate, "decision").get("break_glass") is True else text
        case "outcome" | "operation":
            text = f"{what}: {_text(result, 'status') or 'unknown'}"
            counts = happened(_table(result, "counts"))
            code = _integer(result, "exit_code")
            text += f", {counts}" if counts else ""
            text += f" (exit {code})" if code else ""
            return f"{text}; closed by another run" if predicate.get("recovered") else text
        case "retention":
            said = _table(predicate, "retention")
            records, until = said.get("records"), _text(said, "before") or _text(said, "until")
            about = f"{len(records)} records" if isinstance(records, list) else until
            return " ".join(part for part in (_text(said, "action") or what, about) if part)
        case "approval" | "rejection" if plan_record := _text(predicate, "plan_record"):
            return f"{kind} of plan {plan_record}"
        case "config":
            keys = f"keys of generation {_table(predicate, 'keys').get('generation')}"
            return f"gate pinned; {keys}" if "bundle" in predicate else keys
        case _:
            return what


def planned(plan: Mapping[str, Any]) -> str:
    """Return what a plan would do, as in ``2 to create, 1 to delete``."""
    counts = _table(plan, "counts")
    parts = [f"{number} to {name}" for name in _PLANNED if (number := _integer(counts, name))]
    for name, text in (("moved", "moved"), ("imported", "to import"), ("outputs", "to change in outputs")):
        if number := _integer(counts, name):
            parts.append(f"{number} {text}")
    if plan.get("errored") is True:
        parts.append("errored")
    return ", ".join(parts) or "no changes"


def happened(counts: Mapping[str, Any]) -> str:
    """Return what came of the changes, as in ``2 applied, 1 errored``; empty where there were none."""
    return ", ".join(f"{number} {name}" for name in counts if (number := _integer(counts, name)))


def _table(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if isinstance(value, str) else None


def _integer(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
