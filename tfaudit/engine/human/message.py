"""What does a line of the engine's stream hold, and how does the engine spell its parts for people?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from tfaudit.engine.human import values

_MODULES = ("terraform.ui", "tofu.ui")
_LONGEST_ID = 80

# The engine's numbers know no bounds, msgspec's own floats do.
DECODER = msgspec.json.Decoder(float_hook=float)


def decode(line: bytes) -> dict[str, Any] | None:
    """The line's message, or None when the line is not the engine's own."""
    try:
        message = DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(message, dict) and message.get("@module") in _MODULES:
        return message
    return None


def destroyed(text: str, changes: dict[str, Any]) -> str:
    """The summary that ``destroy`` gives, from that of an apply of its plan."""
    rest = text.partition(" destroyed.")[2]
    return f"Destroy complete! Resources: {changes.get('remove', 0)} destroyed.{rest}"


def import_label(subject: str | Mapping[str, object]) -> str:
    """The label that the engine prints for an import: of an id, or of an identity's attributes."""
    if isinstance(subject, str):
        return f"id={subject}"
    return "identity=" + ",".join(f"{name}={value}" for name, value in sorted(subject.items()) if value is not None)


def subject(message: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The address and the action of a line about a resource, and the object that holds them."""
    hook = member(message, "hook")
    return text_of(member(hook, "resource"), "addr"), text_of(hook, "action"), hook


def member(message: dict[str, Any], key: str) -> dict[str, Any]:
    """The object at the key; empty when there is none."""
    found = message.get(key)
    return found if isinstance(found, dict) else {}


def text_of(message: dict[str, Any], key: str) -> str:
    """The string at the key; empty when there is none."""
    found = message.get(key)
    return found if isinstance(found, str) else ""


def id_label(hook: dict[str, Any]) -> str:
    """``id=…`` or ``name=…``; empty unless both are known."""
    key, value = text_of(hook, "id_key"), text_of(hook, "id_value")
    return f"{key}={value}" if key and value else ""


def shorten(text: str) -> str:
    """An id of more than 80 characters without its middle."""
    if len(text) <= _LONGEST_ID:
        return text
    half = _LONGEST_ID // 2
    return f"{text[: half - 1]}...{text[len(text) - half + 2 :]}"


def _seconds(hook: dict[str, Any]) -> int:
    elapsed = hook.get("elapsed_seconds")
    return int(elapsed) if isinstance(elapsed, int | float) and math.isfinite(elapsed) else 0


def duration(hook: dict[str, Any]) -> str:
    """The elapsed time as Go spells whole seconds: ``5s``, ``1m5s``, ``1h0m5s``."""
    minutes, seconds = divmod(_seconds(hook), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def clock(hook: dict[str, Any]) -> str:
    """The elapsed time as ``01m05s``; hours count as minutes."""
    minutes, seconds = divmod(_seconds(hook), 60)
    return f"{minutes:02d}m{seconds:02d}s"


def trigger(hook: dict[str, Any]) -> str:
    """What invoked an action, in brackets after a space; empty when that is unknown."""
    resource = text_of(member(member(hook, "lifecycle"), "resource"), "addr")
    if not resource and "invoke" in hook:
        resource = "CLI"
    return f" (triggered by {resource})" if resource else ""


def outputs(line: bytes) -> str:
    """The output values of an ``outputs`` line, one after the other by name, with a line feed at the end."""
    try:
        found = values.parse(line)["outputs"]
    except RecursionError:
        return "(nested too deeply to be shown)\n"
    lines = []
    for name, output in sorted(found.items()):
        if not isinstance(output, dict) or not ("value" in output or "type" in output or output.get("sensitive")):
            continue
        shown = "<sensitive>" if output.get("sensitive") else _value(output)
        lines.append(f"{name} = {shown}\n")
    return "".join(lines).strip() + "\n"


def _value(output: dict[str, Any]) -> str:
    try:
        return values.show(output.get("value"), output.get("type"))
    except RecursionError:
        return "(nested too deeply to be shown)"


def state_dump(line: bytes) -> bytes:
    """The state of an emergency dump, laid out over lines; the line itself when it is nested too deeply."""
    try:
        text = values.indented(values.parse(line)["state"])
    except RecursionError:
        return line if line.endswith(b"\n") else line + b"\n"
    return f"{text}\n\n".encode("utf-8", "replace")
