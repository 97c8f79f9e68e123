"""What came of each planned change? The engine's machine-readable apply stream, line by line, to outcomes.

The change list comes from the plan; the stream says when each change started and how it ended. Provisioner output,
snippets and the state that a failing engine dumps into its log are never kept; what is not JSON, or not known, is
passed over. Replaces are two steps in either order. Two deletes of one address (the current and a deposed object) carry
nothing to tell them apart: they are paired by order, and where they overlapped and ended differently both are unknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from tfaudit.plan.exactjson import Json
from tfaudit.plan.messages import Diagnostic as Diagnostic
from tfaudit.plan.messages import action_of, address_of, read_diagnostic, string, utc
from tfaudit.plan.redact import Redactor

Status = Literal["applied", "errored", "not-reached", "unknown"]

_STEPS: Final = frozenset({"create", "read", "update", "delete", "invoke"})
MAX_LINE: Final = 16 << 20
"""A longer line of the stream is passed over."""

_MAX_UNPLANNED: Final = 1000
_INTERRUPTIONS: Final = ("Interrupt received", "Two interrupts received", "Stopping operation")
_decoder: Final = msgspec.json.Decoder()


class IndexedChange(NamedTuple):
    """A planned change as the tracker needs it: the real address joins the stream, the printed one is recorded."""

    event_id: str
    address: str
    printed: str
    deposed: str | None
    actions: tuple[str, ...]
    """As the engine spelled them; ``("invoke",)`` for an action invocation."""


class Step(NamedTuple):
    """One half of a replace."""

    action: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one change."""

    event_id: str
    address: str
    """The address as the change line prints it."""
    deposed: str | None
    status: Status
    started: str | None
    """RFC 3339, UTC, milliseconds; None where no start was seen."""
    elapsed_seconds: int | None
    """The sum over the steps that ended; None where none did."""
    id: str | None
    """The id of the object after the change (before it, for a delete), redacted."""
    error: str | None
    """The engine's error diagnostics for this address, redacted."""
    inferred: bool
    """True where no event says so, but the exit code and the state's serial do."""
    steps: tuple[Step, ...]
    """Both halves of a replace that did not wholly apply; else empty."""
    provisioner: str | None
    """The provisioner that failed: the object exists all the same (tainted)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What came of the whole apply."""

    outcomes: tuple[Outcome, ...]
    """One for each indexed change, in the index's order."""
    diagnostics: tuple[Diagnostic, ...]
    counts: Mapping[str, int]
    """How many outcomes have each status."""
    change_summary: Mapping[str, int | str] | None
    """The engine's own last words; a failed or interrupted apply has none."""
    engine_version: str | None
    unplanned: tuple[str, ...]
    """Addresses, redacted, that the engine touched although the plan does not list them."""
    interrupted: bool
    """True where the engine said that it was."""


class _Slot:
    """One change while its steps come in."""

    __slots__ = ("change", "done", "elapsed", "expected", "id", "overlapped", "provisioner", "running", "started")

    def __init__(self, change: IndexedChange) -> None:
        self.change = change
        self.expected = tuple(action for action in change.actions if action in _STEPS)
        self.done: list[Status] = []
        self.running = False
        self.overlapped = False
        self.started: str | None = None
        self.elapsed: int | None = None
        self.id: str | None = None
        self.provisioner: str | None = None

    def awaits(self, action: str) -> bool:
        """Return whether the step that would start next is ``action``."""
        return not self.running and self.expected[len(self.done) : len(self.done) + 1] == (action,)


class OutcomeTracker:
    """Follows one apply. Feed it every line of the stream, then finish."""

    def __init__(self, changes: Iterable[IndexedChange], redactor: Redactor) -> None:
        self._redactor = redactor
        self._slots = [_Slot(change) for change in changes]
        self._at: dict[str, list[_Slot]] = {}
        for slot in self._slots:
            self._at.setdefault(slot.change.address, []).append(slot)
        self._running: dict[tuple[str, str], deque[_Slot]] = {}
        self._diagnostics: dict[Diagnostic, None] = {}
        self._unplanned: dict[str, None] = {}
        self._summary: dict[str, int | str] | None = None
        self._version: str | None = None
        self._interrupted = False
        self._streamed = False

    def feed(self, line: bytes) -> None:
        """Take one line of the stream, with or without its newline; never raises for what the line holds."""
        if len(line) > MAX_LINE or line.lstrip()[:1] != b"{":
            return
        try:
            message = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if isinstance(message, dict):
            self._take(message)

    def finish(self, *, exit_code: int | None, serial_rose: bool | None) -> RunOutcome:
        """Return what came of the apply.

        ``exit_code`` is None where nobody saw the engine end; ``serial_rose`` says whether the state's serial is higher
        than before, None where that is not known.
        """
        finals = [self._status(slot, exit_code, serial_rose) for slot in self._slots]
        statuses = self._disentangled([status for status, _ in finals])
        errors: dict[str, list[str]] = {}
        for diagnostic in self._diagnostics:
            if diagnostic.severity == "error" and diagnostic.address:
                words = f"{diagnostic.summary}: {diagnostic.detail}" if diagnostic.detail else diagnostic.summary
                errors.setdefault(diagnostic.address, []).append(words)
        outcomes = tuple(
            self._outcome(slot, status, inferred, errors)
            for slot, status, (_, inferred) in zip(self._slots, statuses, finals, strict=True)
        )
        counts = {status: statuses.count(status) for status in ("applied", "errored", "not-reached", "unknown")}
        return RunOutcome(
            outcomes=outcomes,
            diagnostics=tuple(self._diagnostics),
            counts=counts,
            change_summary=self._summary,
            engine_version=self._version,
            unplanned=tuple(self._unplanned),
            interrupted=self._interrupted,
        )

    def _take(self, message: dict[str, Json]) -> None:
        kind = message.get("type")
        hook = message.get("hook")
        match kind:
            case "apply_start" | "action_start" if isinstance(hook, dict):
                self._start(hook, message.get("@timestamp"))
            case "apply_complete" | "action_complete" if isinstance(hook, dict):
                self._end(hook, "applied")
            case "apply_errored" | "action_errored" if isinstance(hook, dict):
                self._end(hook, "errored")
            case "provision_errored" if isinstance(hook, dict):
                for slot in self._at.get(self._redactor.address(address_of(hook)), ()):
                    if slot.running:
                        slot.provisioner = string(hook.get("provisioner")) or "unknown"
            case "diagnostic" if isinstance(message.get("diagnostic"), dict):
                self._diagnostics[read_diagnostic(message["diagnostic"], self._redactor)] = None
            case "change_summary" if isinstance(message.get("changes"), dict):
                if message["changes"].get("operation") in ("apply", "destroy"):
                    self._summary = {
                        key: value
                        for key, value in message["changes"].items()
                        if type(value) is int or key == "operation"
                    }
            case "version":
                self._version = string(message.get("terraform")) or string(message.get("tofu"))
            case "log" | None:
                words = string(message.get("@message")) or ""
                self._interrupted = self._interrupted or any(sign in words for sign in _INTERRUPTIONS)
            case _:
                pass
        self._streamed = self._streamed or isinstance(kind, str)

    def _start(self, hook: dict[str, Json], timestamp: Json) -> None:
        address, action = self._redactor.address(address_of(hook)), action_of(hook)
        slot = next((slot for slot in self._at.get(address, ()) if slot.awaits(action)), None)
        if slot is None:
            if action != "read" and address and len(self._unplanned) < _MAX_UNPLANNED:
                self._unplanned[address] = None
            return
        slot.running = True
        slot.started = slot.started or utc(timestamp)
        slot.id = self._id(hook) or slot.id
        running = self._running.setdefault((address, action), deque())
        running.append(slot)
        if len(running) > 1:
            for other in running:
                other.overlapped = True

    def _end(self, hook: dict[str, Json], status: Status) -> None:
        key = (self._redactor.address(address_of(hook)), action_of(hook))
        running = self._running.get(key)
        if not running:
            return
        slot = running.popleft()
        slot.running = False
        slot.done.append(status)
        elapsed = hook.get("elapsed_seconds")
        if isinstance(elapsed, int):
            slot.elapsed = (slot.elapsed or 0) + elapsed
        slot.id = self._id(hook) or slot.id

    def _id(self, hook: dict[str, Json]) -> str | None:
        value = string(hook.get("id_value"))
        return self._redactor.text(value) if value else None

    def _status(self, slot: _Slot, exit_code: int | None, serial_rose: bool | None) -> tuple[Status, bool]:
        """Return how the change ended, and whether that is inferred."""
        if "errored" in slot.done:
            return "errored", False
        if slot.running:
            return "unknown", False
        if slot.done:
            if len(slot.done) == len(slot.expected):
                return "applied", False
            return ("unknown" if exit_code is None else "errored"), False  # half a replace
        if exit_code == 0 and (serial_rose or slot.expected == ("read",)):
            return "applied", True
        if exit_code in (None, 0) or not slot.expected or not self._streamed:
            return "unknown", False
        return "not-reached", False

    def _disentangled(self, statuses: list[Status]) -> list[Status]:
        """Return the statuses, unknown for steps of one address that overlapped and did not all end alike."""
        ends: dict[str, set[Status]] = {}
        for slot, status in zip(self._slots, statuses, strict=True):
            if slot.overlapped:
                ends.setdefault(slot.change.address, set()).add(status)
        return [
            "unknown" if slot.overlapped and len(ends[slot.change.address]) > 1 else status
            for slot, status in zip(self._slots, statuses, strict=True)
        ]

    def _outcome(self, slot: _Slot, status: Status, inferred: bool, errors: Mapping[str, list[str]]) -> Outcome:
        change = slot.change
        said = errors.get(change.address) if status in ("errored", "unknown") else None
        return Outcome(
            event_id=change.event_id,
            address=change.printed,
            deposed=change.deposed,
            status=status,
            started=slot.started,
            elapsed_seconds=slot.elapsed,
            id=slot.id,
            error="\n".join(said) if said else None,
            inferred=inferred,
            steps=tuple(_steps(slot)) if len(slot.expected) > 1 and status != "applied" and slot.started else (),
            provisioner=slot.provisioner,
        )


def _steps(slot: _Slot) -> Iterator[Step]:
    for at, action in enumerate(slot.expected):
        if at < len(slot.done):
            yield Step(action, slot.done[at])
        else:
            yield Step(action, "unknown" if slot.running and at == len(slot.done) else "not-reached")
