"""How does a change event look to people: one line, and a line for each attribute that changed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tfaudit.cli.output import printable, style

_SIGNS: Final = {"create": "+", "delete": "-", "update": "~", "replace": "±", "forget": ".", "read": "<"}
_COLOURS: Final = {"create": "green", "delete": "red", "update": "yellow", "replace": "red"}
_STATUS_COLOURS: Final = {"applied": "green", "errored": "red", "not-reached": "yellow", "unknown": "yellow"}
_LONGEST: Final = 240
"""Characters of one value; ``--json`` has all of it."""


def decoded(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event for the functions below: its attributes' values stay as the engine spelled them."""
    from tfaudit.events.native import plain

    shown = plain({name: value for name, value in event.items() if name != "attributes"})
    return shown | {"attributes": event["attributes"]}


def headline(event: Mapping[str, Any]) -> str:
    """Return what is to happen to what, and what came of it, in one line."""
    action = event["action"]
    sign = style(_SIGNS.get(action or "", " "), _COLOURS.get(action or "", "dim"))
    parts = [f"{sign} {style(printable(_name(event)), 'bold')}", _what(event)]
    outcome = event["outcome"]
    if outcome is not None:
        status = style(outcome["status"], _STATUS_COLOURS.get(outcome["status"], "dim"))
        parts.append(f"{status}{_took(outcome)}")
    if event["source"]:
        parts.append(style(printable(f"{event['source']['file']}:{event['source']['line']}"), "dim"))
    return "  ".join(part for part in parts if part)


def details(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each changed attribute, and what went wrong."""
    for attribute in event["attributes"]:
        yield f"{printable(attribute['path'] or 'value')}: {_change(event, attribute)}"
    for instance in event.get("instances", ()):
        for problem in instance["problems"]:
            yield f"{printable(str(instance['address']))}: {_value(problem)}"
    if event["kind"] == "diagnostic" and event.get("detail"):
        yield from _lines(str(event["detail"]))
    outcome = event["outcome"]
    if outcome is not None and outcome.get("error"):
        yield from (style(line, "red") for line in _lines(str(outcome["error"])))


def _name(event: Mapping[str, Any]) -> str:
    match event["kind"]:
        case "diagnostic":
            return f"{event['severity']}: {event.get('summary') or '(withheld)'}"
        case "note":
            return f"note: {event['code']}"
        case "operation":
            return " ".join([event["command"] or "operation", *event["arguments"]])
    deposed = f" (deposed object {event['deposed']})" if event["deposed"] else ""
    return f"{event['address'] or event['kind']}{deposed}"


def _what(event: Mapping[str, Any]) -> str:
    parts: list[str] = []
    if event["kind"] not in ("resource-change", "diagnostic", "note", "operation"):
        parts.append(event["kind"])
    if event["kind"] == "check":
        parts.append(event["status"] or "")
    elif event["action"] and not (event["action"] == "no-op" and (event["previous_address"] or event["importing"])):
        parts.append(event["action"])
    if event["previous_address"] and event["kind"] != "operation":
        parts.append(f"moved from {event['previous_address']}")
    if event["importing"]:
        parts.append(f"imported {_value(event['importing']['id'])}" if event["importing"]["id"] else "imported")
    if event["action_reason"]:
        parts.append(f"({event['action_reason']})")
    return printable(" ".join(parts))


def _took(outcome: Mapping[str, Any]) -> str:
    seconds = outcome["elapsed_seconds"]
    return f" in {seconds} s" if seconds else ""


def _change(event: Mapping[str, Any], attribute: Mapping[str, Any]) -> str:
    before, after = _side(attribute, "before"), _side(attribute, "after")
    if attribute["sensitive"]:
        text = "(sensitive)"
    elif attribute["unknown"]:
        text = "(known after apply)" if before == "null" else f"{before} -> (known after apply)"
    elif event["action"] == "create" and attribute["before"] is None:
        text = after
    elif event["action"] == "delete" and attribute["after"] is None:
        text = before
    else:
        text = f"{before} -> {after}"
    return f"{text} (forces replacement)" if attribute["forces_replacement"] else text


def _side(attribute: Mapping[str, Any], side: str) -> str:
    if attribute[side] is None and attribute["withheld"] and not attribute["sensitive"]:
        return "(withheld)"
    return _value(attribute[side])


def _value(value: object) -> str:
    from tfaudit.events.native import encode

    text = printable(encode({"": value})[4:-1].decode("utf-8", "replace"))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _lines(text: str) -> list[str]:
    return [printable(line) for line in text.split("\n") if line.strip()]


def write(lines: Iterator[str] | list[str], indent: str = "") -> None:
    """Write lines to stdout, on a terminal each cut to its width if it holds no colours."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        whole = indent + line
        if width is not None and len(whole) > width and "\033" not in whole:
            whole = whole[: max(width - 1, 1)] + "…"
        sys.stdout.write(whole + "\n")
