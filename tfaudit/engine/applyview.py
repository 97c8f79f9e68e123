"""What must change in the engine's human apply of a saved plan when it is the second half of one run?

Only for engines that print for people themselves: with ``-json-into`` beside it, or without any stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tfaudit.engine.human import diagnostics
from tfaudit.engine.human.diagnostics import Diagnostic, Style, product
from tfaudit.engine.human.printed import TOP, WARNING, plain, split_warnings
from tfaudit.engine.terminal import DEFAULT_WIDTH

_EVENT = re.compile(
    r"\S.*: (Creating|Modifying|Destroying|Reading|Still |Provisioning|Refreshing|Importing|Opening|Closing|Renewing)"
)
_SUMMARY = re.compile(rb"Apply complete! Resources: .*?(\d+) destroyed\b.*?(?=\x1b|\r?\n|$)")


@dataclass(slots=True, kw_only=True)
class ApplyText:
    """Edits the standard output of ``apply PLANFILE``, as it comes, to what one ``apply`` or ``destroy`` shows.

    Warnings of the plan that were held join those of the apply, before its summary; ``destroy`` gets its own summary.
    """

    brand: str = "tofu"
    colour: bool = True
    error_width: int = DEFAULT_WIDTH
    destroy: bool = False
    compact_warnings: bool = False
    held: tuple[Diagnostic, ...] = ()
    told: tuple[Diagnostic, ...] = ()
    _lines: list[bytes] = field(init=False, default_factory=list)
    _partial: bytes = field(init=False, default=b"")
    _summed: bool = field(init=False, default=False)
    _failed: bool = field(init=False, default=False)

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown now, of everything fed so far."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        return b"".join(self._line(line + b"\n") for line in lines)

    def close(self, *, exit_code: int) -> bytes:
        """What is left at the end; ``exit_code`` as a shell sees it: an engine that was killed tells no warnings."""
        rest, self._partial = self._partial, b""
        lines, self._lines = [*self._lines, *([rest] if rest else [])], []
        if self._summed:
            return b"" if self.destroy and plain(rest) else b"".join(lines)
        if self._failed or exit_code > 1:
            return b"".join(lines)
        return self._with_held(lines, compact=self.compact_warnings and exit_code == 0)

    def _line(self, line: bytes) -> bytes:
        text = plain(line)
        if self._summed:
            return b"" if self.destroy else line
        if self._failed:
            return line
        if self._lines and text.removeprefix("│ ").startswith("Error: ") and plain(self._lines[-1]) in ("", TOP):
            # On one terminal the errors come here too, below the warnings.
            self._failed = True
            *lines, above = self._lines
            self._lines = []
            return self._with_held(lines, compact=False) + above + line
        if text.startswith("Apply complete! "):
            self._summed = True
            lines, self._lines = self._lines, []
            # The blank line above the summary begins its colours: it belongs to it.
            blank = lines.pop() if lines and not plain(lines[-1]) else b""
            return (
                self._with_held(lines, compact=self.compact_warnings)
                + blank
                + (_destroyed(line) if self.destroy else line)
            )
        if self._waits(text):
            self._lines.append(line)
            return b""
        lines, self._lines = self._lines, []
        before, warnings = self._split(lines)
        return before + self._report(warnings, compact=self.compact_warnings) + line

    def _waits(self, text: str) -> bool:
        """Whether the line may stand in or above the warnings that come before the summary."""
        if self.colour:
            return text in ("", TOP, "╵") or (bool(self._lines) and text.startswith("│"))
        if any(plain(line) for line in self._lines):
            return not _EVENT.match(text)
        return not text or (bool(self._lines) and text.startswith(WARNING))

    def _split(self, lines: list[bytes]) -> tuple[bytes, list[Diagnostic]]:
        """What stands above the warnings, and those that were not told with the plan."""
        before, warnings = split_warnings(lines, boxed=self.colour)
        places = [one.place for one in self.told]
        fresh = []
        for one in warnings:
            if one.place in places:
                places.remove(one.place)
            else:
                fresh.append(one)
        return before, fresh

    def _with_held(self, lines: list[bytes], *, compact: bool) -> bytes:
        before, warnings = self._split(lines)
        return before + self._report([*self.held, *warnings], compact=compact)

    def _report(self, warnings: list[Diagnostic], *, compact: bool) -> bytes:
        style = Style(colour=self.colour, width=self.error_width, brand=product(self.brand))
        pieces = diagnostics.report(warnings, style, compact=compact)
        return b"".join(piece.data for piece in pieces)


def _destroyed(line: bytes) -> bytes:
    return _SUMMARY.sub(rb"Destroy complete! Resources: \1 destroyed.", line, count=1)
