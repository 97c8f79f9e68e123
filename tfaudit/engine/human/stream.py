"""Which lines would the engine have printed for people, had it not been asked for its JSON stream?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tfaudit.engine.human import diagnostics
from tfaudit.engine.human import message as parts
from tfaudit.engine.human.diagnostics import Diagnostic, Piece, Style, product
from tfaudit.engine.human.wrap import wrap
from tfaudit.engine.terminal import DEFAULT_WIDTH

"""The columns that both engines assume where the stream is no terminal."""


_START = {"create": "Creating...", "update": "Modifying...", "delete": "Destroying...", "read": "Reading..."}
_STILL = {
    "create": "Still creating...",
    "update": "Still modifying...",
    "delete": "Still destroying...",
    "read": "Still reading...",
    "open": "Still opening...",
    "renew": "Still renewing...",
    "close": "Still closing...",
}
_DONE = {
    "create": "Creation complete",
    "update": "Modifications complete",
    "delete": "Destruction complete",
    "read": "Read complete",
    "open": "Opening complete",
    "renew": "Renewal complete",
    "close": "Closing complete",
}
_EPHEMERAL_START = {
    "open": "Opening...",
    "renew": "Renewing...",
    "close": "Closing...",
    "read": "Configuration unknown, deferring...",
}
_STATE_SAVED = (
    "The state of your infrastructure has been saved to the path below. This state is required to modify and destroy "
    "your infrastructure, so keep it safe. To inspect the complete state use the `{command} show` command."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the run that is stood in for would have looked like."""

    brand: str = "terraform"
    """``terraform`` or ``tofu``."""
    colour: bool = True
    """No ``-no-color`` was given: both engines colour pipes too."""
    width: int = DEFAULT_WIDTH
    """Columns of standard output when it is a terminal."""
    error_width: int = DEFAULT_WIDTH
    """Columns of standard error when it is a terminal."""
    destroy: bool = False
    """The command was ``destroy`` (``apply -destroy`` ends as ``apply`` does)."""
    compact_warnings: bool = False
    state_out: str | None = None
    """The value of ``-state-out``."""
    held: tuple[Diagnostic, ...] = ()
    """Warnings of the plan that the engine would tell only now, since it did not ask for approval."""
    told: tuple[Diagnostic, ...] = ()
    """Warnings that were shown with the plan, and that a second process of the engine would repeat."""
    imports: tuple[tuple[str, str], ...] = ()
    """Address and label (``id=…``) of what the plan imports: the stream has no line for it."""


@dataclass(slots=True)
class Renderer:
    """Turns the stream of ``apply -json PLANFILE`` into what ``apply`` prints. Feed whole lines, close at the end.

    Pure: it returns pieces for standard output and standard error in the order in which they belong on a screen. A line
    that is not the engine's (a crash, a wrapper's remark) comes back as it is.
    """

    options: Options
    version: tuple[int, ...] = (0, 0)
    """The engine's version, from the stream's first line."""
    _style: Style = field(init=False)
    _pending: list[Diagnostic] = field(init=False, default_factory=list)
    _held: list[Diagnostic] = field(init=False, default_factory=list)
    _told: list[tuple[str, str | None, int, str]] = field(init=False, default_factory=list)
    _imports: dict[str, str] = field(init=False, default_factory=dict)
    _ids: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._held = list(self.options.held)
        self._told = [one.place for one in self.options.told]
        self._imports = dict(self.options.imports)
        self._restyle()

    def feed(self, line: bytes) -> list[Piece]:
        """What to print for one line of the stream (with or without its line feed)."""
        message = parts.decode(line)
        if message is None:
            return [*self._flush(final=False), Piece("stdout", line if line.endswith(b"\n") else line + b"\n")]
        kind = message.get("type")
        if kind == "diagnostic":
            self._note(diagnostics.parse(message.get("diagnostic")))
            return []
        pieces = self._imported() if kind == "change_summary" else []
        pieces += self._flush(final=kind == "change_summary")
        draw = _DRAW.get(kind) if isinstance(kind, str) else None
        if draw is not None:
            return pieces + draw(self, message, line)
        if kind in _SILENT:
            return pieces
        text = message.get("@message")
        return [*pieces, _out(f"{text}\n")] if isinstance(text, str) and text else pieces

    def close(self) -> list[Piece]:
        """What is left when the stream ends: the reasons of a failure come last."""
        return self._flush(final=bool(self._pending))

    def _note(self, diagnostic: Diagnostic) -> None:
        if diagnostic.severity == "warning" and diagnostic.place in self._told:
            self._told.remove(diagnostic.place)
            return
        self._pending.append(diagnostic)

    def _flush(self, *, final: bool) -> list[Piece]:
        if final:
            self._pending[:0] = self._held
            self._held.clear()
        if not self._pending:
            return []
        batch, self._pending = self._pending, []
        return diagnostics.report(batch, self._style, compact=self.options.compact_warnings)

    def _restyle(self) -> None:
        options = self.options
        self._style = Style(
            colour=options.colour,
            width=options.error_width,
            tags_in_detail=self._since(1, 14),
            brand=product(options.brand),
        )

    def _since(self, *version: int) -> bool:
        return self.options.brand == "terraform" and self.version >= version

    def _say(self, template: str, *parts: str) -> Piece:
        first, *rest = self._style.paint(template).split("%s")
        return _out(first + "".join(part + text for part, text in zip(parts, rest, strict=True)) + "\n")

    def _started(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, action, hook = parts.subject(message)
        pieces = self._imported(address)
        if action not in _START:
            return pieces
        label = parts.id_label(hook)
        self._ids[address] = label
        suffix = f" [{label}]" if label else ""
        return [*pieces, self._say("[reset][bold]%s: %s%s[reset]", address, _START[action], suffix)]

    def _progressed(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, action, hook = parts.subject(message)
        if action not in _STILL:
            return []
        label = self._ids.get(address, "")
        key, _, value = label.partition("=")
        known = f"{key}={parts.shorten(value)}, " if label else ""
        elapsed = parts.clock(hook) if self._since(1, 12) else parts.duration(hook)
        return [self._say("[reset][bold]%s: %s [%s%s elapsed][reset]", address, _STILL[action], known, elapsed)]

    def _completed(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, action, hook = parts.subject(message)
        self._ids.pop(address, None)
        if action not in _DONE:
            return []
        label = parts.id_label(hook)
        suffix = f" [{label}]" if label else ""
        return [self._say("[reset][bold]%s: %s after %s%s", address, _DONE[action], parts.duration(hook), suffix)]

    def _ephemeral(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, action, _hook = parts.subject(message)
        self._ids.pop(address, None)
        verb = _EPHEMERAL_START.get(action)
        return [self._say("[reset][bold]%s: %s", address, verb)] if verb else []

    def _refreshing(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, _action, hook = parts.subject(message)
        label = parts.id_label(hook)
        return [self._say("[reset][bold]%s: Refreshing state...%s", address, f" [{label}]" if label else "")]

    def _provisioning(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, _action, hook = parts.subject(message)
        return [
            self._say("[reset][bold]%s: Provisioning with '%s'...[reset]", address, parts.text_of(hook, "provisioner"))
        ]

    def _provisioned(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        address, _action, hook = parts.subject(message)
        label = self._style.paint("[reset][bold]%s (%s):[reset] ") % (address, parts.text_of(hook, "provisioner"))
        return [_out(f"{label}{parts.text_of(hook, 'output')}\n")]

    def _action(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        hook = parts.member(message, "hook")
        name = parts.text_of(parts.member(hook, "action"), "addr")
        match message.get("type"):
            case "action_start":
                return [self._say("[reset][bold]Action started: %s[reset]", name + parts.trigger(hook))]
            case "action_progress":
                text = parts.text_of(hook, "message")
                return [self._say("[reset][bold]Action %s:[reset] %s[reset]", name + parts.trigger(hook), text)]
            case "action_errored":
                text = parts.text_of(hook, "error")
                return [self._say("[reset][bold][red]Action failed: %s - %s[reset]", name + parts.trigger(hook), text)]
            case _:
                return [self._say("[reset][bold][green]Action complete: %s[reset]", name + parts.trigger(hook))]

    def _logged(self, message: dict[str, Any], line: bytes) -> list[Piece]:
        if "state" in message:
            return [Piece("stderr", parts.state_dump(line))]
        text = parts.text_of(message, "@message")
        fatal = "Two interrupts received" in text
        width = self.options.error_width if fatal else self.options.width
        text = (wrap(text, width - 1) if width else text) + "\n"
        return [Piece("stderr" if fatal else "stdout", text.encode("utf-8", "replace"))]

    def _versioned(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        text = parts.text_of(message, "tofu") or parts.text_of(message, "terraform")
        numbers = text.partition("-")[0].split(".")
        self.version = tuple(int(number) for number in numbers if number.isdecimal())
        self._restyle()
        return []

    def _imported(self, address: str | None = None) -> list[Piece]:
        pieces = []
        for name in (address,) if address is not None else tuple(self._imports):
            label = self._imports.pop(name, None)
            if label is not None:
                pieces.append(self._say("[reset][bold]%s: Importing... [%s]", name, label))
                pieces.append(self._say("[reset][bold]%s: Import complete [%s]", name, label))
        return pieces

    def _summed(self, message: dict[str, Any], _line: bytes) -> list[Piece]:
        changes = parts.member(message, "changes")
        if changes.get("operation") not in ("apply", "destroy"):
            return []
        text = parts.text_of(message, "@message")
        if self.options.destroy:
            text = parts.destroyed(text, changes)
        # Where the closing reset stands differs; without colour both end in one line feed.
        if self._since(1, 14):
            summary = self._say("[reset][bold][green]\n%s", text)
        else:
            summary = _out(self._style.paint("[reset][bold][green]\n%s\n").replace("%s", text, 1))
        return [summary, *self._state_path(changes)]

    def _state_path(self, changes: dict[str, Any]) -> list[Piece]:
        options = self.options
        if not options.state_out or not (changes.get("add") or changes.get("change")):
            return []
        text = _STATE_SAVED.format(command="tofu" if options.brand == "tofu" else "terraform")
        text = wrap(text, options.width - 1) if options.width else text
        return [_out(f"\n{text}\n\nState path: {options.state_out}\n")]

    def _output(self, message: dict[str, Any], line: bytes) -> list[Piece]:
        if self.options.destroy or not isinstance(message.get("outputs"), dict) or not message["outputs"]:
            return []
        return [_out(self._style.paint("[reset][bold][green]\nOutputs:\n\n") + parts.outputs(line))]


def _out(text: str) -> Piece:
    return Piece("stdout", text.encode("utf-8", "replace"))


_DRAW: dict[str, Callable[[Renderer, dict[str, Any], bytes], list[Piece]]] = {
    "version": Renderer._versioned,
    "log": Renderer._logged,
    "apply_start": Renderer._started,
    "apply_progress": Renderer._progressed,
    "apply_complete": Renderer._completed,
    "provision_start": Renderer._provisioning,
    "provision_progress": Renderer._provisioned,
    "refresh_start": Renderer._refreshing,
    "ephemeral_op_start": Renderer._ephemeral,
    "ephemeral_op_progress": Renderer._progressed,
    "ephemeral_op_complete": Renderer._completed,
    "action_start": Renderer._action,
    "action_progress": Renderer._action,
    "action_complete": Renderer._action,
    "action_errored": Renderer._action,
    "change_summary": Renderer._summed,
    "outputs": Renderer._output,
}
_SILENT = frozenset(
    {
        "planned_change",
        "resource_drift",
        "deferred_change",
        "planned_action_invocation",
        "deferred_action_invocation",
        "apply_errored",
        "provision_complete",
        "provision_errored",
        "refresh_complete",
        "ephemeral_op_errored",
    }
)
