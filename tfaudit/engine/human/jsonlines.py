"""Which lines of two processes make up the one JSON stream that ``apply -json`` would have given?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from tfaudit.engine.human import diagnostics
from tfaudit.engine.human.diagnostics import Diagnostic
from tfaudit.engine.human.message import DECODER, destroyed

ASKED_TWICE = (
    "Value for undeclared variable",
    "Values for undeclared variables",
    "Provider development overrides are in effect",
)
"""Warnings that every process of the engine gives, whatever it is asked to do."""


@dataclass(slots=True)
class JsonFilter:
    """Joins the streams of ``plan -json -out`` and ``apply -json PLANFILE`` to that of ``apply -json -auto-approve``.

    Feed whole lines, first to :meth:`plan`, then, after :meth:`planned`, to :meth:`apply`; :meth:`close` at the end.
    Every line that comes back ends in a line feed and is for standard output.
    """

    destroy: bool = False
    """The command was ``destroy``."""
    _tail: list[bytes] = field(init=False, default_factory=list)
    _warnings: list[tuple[bytes, Diagnostic]] = field(init=False, default_factory=list)
    _told: list[Diagnostic] = field(init=False, default_factory=list)
    _summed: bool = field(init=False, default=False)

    def plan(self, line: bytes) -> list[bytes]:
        """Lines to print for one of the plan's; what follows its summary waits for :meth:`planned`."""
        line = line if line.endswith(b"\n") else line + b"\n"
        message = _decode(line)
        kind = message.get("type")
        if kind == "diagnostic":
            found = diagnostics.parse(message.get("diagnostic"))
            if found.severity == "warning":
                self._told.append(found)
            if self._summed:
                self._warnings.append((line, found))
                return []
        if self._summed or kind == "change_summary":
            self._summed = True
            self._tail.append(line)
            return []
        return [line]

    def planned(self, *, exit_code: int, recorded: bool) -> list[bytes]:
        """The end of the plan. ``recorded``: it holds changes of resources or outputs, if only no-ops.

        A failed plan's diagnostics come at once, a successful one's with those of the apply.
        """
        tail = self._tail if exit_code == 0 or recorded else []
        if exit_code != 0:
            return [*tail, *(line for line, _ in self._warnings)]
        self._warnings = [(line, found) for line, found in self._warnings if not found.check]
        self._told = [found for found in self._told if found.summary in ASKED_TWICE]
        return list(tail)

    def apply(self, line: bytes) -> list[bytes]:
        """Lines to print for one of the apply's."""
        line = line if line.endswith(b"\n") else line + b"\n"
        message = _decode(line)
        match message.get("type"):
            case "version" | "planned_change":
                return []
            case "diagnostic":
                return self._diagnosed(line, diagnostics.parse(message.get("diagnostic")))
            case "change_summary":
                return [*self._held(), _destroyed(line, message) if self.destroy else line]
            case "outputs" if self.destroy:
                return []
            case _:
                return [line]

    def close(self) -> list[bytes]:
        """Nothing is left: warnings of the plan are told with the apply's diagnostics or its summary, or not at all."""
        return []

    def _diagnosed(self, line: bytes, found: Diagnostic) -> list[bytes]:
        for told in self._told:
            if found.severity == "warning" and told.place == found.place:
                self._told.remove(told)
                return []
        return [*self._held(), line]

    def _held(self) -> list[bytes]:
        held, self._warnings = [line for line, _ in self._warnings], []
        return held


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _destroyed(line: bytes, message: dict[str, Any]) -> bytes:
    text, changes = message.get("@message"), message.get("changes")
    if not isinstance(text, str) or not isinstance(changes, dict):
        return line
    line = line.replace(text.encode(), destroyed(text, changes).encode(), 1)
    return line.replace(b'"operation":"apply"', b'"operation":"destroy"', 1)
