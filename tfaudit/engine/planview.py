"""What must change in the engine's human plan when it is one half of an apply, and how is approval asked for?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tfaudit.engine.human import diagnostics
from tfaudit.engine.human.diagnostics import Diagnostic, Style, product
from tfaudit.engine.human.jsonlines import ASKED_TWICE
from tfaudit.engine.human.paint import paint
from tfaudit.engine.human.printed import TOP, WARNING, plain, split_warnings
from tfaudit.engine.human.wrap import wrap
from tfaudit.engine.terminal import DEFAULT_WIDTH

Mode = Literal["normal", "destroy", "refresh-only"]

_RULE = re.compile(r"─{2,}$")
_ASKING = "Enter a value: "
_FAILED = "Planning failed. "
_NEXT_STEP = ("Saved the plan to:", "Terraform has generated configuration", "OpenTofu has generated configuration")
# Lines of the plan itself: a warning above one of them was not the plan's last word.
_PLAN_LINE = re.compile(
    r"(Terraform|OpenTofu) (used the selected providers to generate|(will perform|planned) the following actions)"
    r"|No changes\. |Changes to Outputs:$|Note: Objects have changed outside|Plan: \d+ to "
    r"|\S.*: (Refreshing state\.\.\.|Reading\.\.\.|Read complete after|Preparing import\.\.\.|Opening\.\.\.)"
)


@dataclass(slots=True, kw_only=True)
class PlanText:
    """Edits the standard output of ``plan -out=PATH``, as it comes, to what ``apply`` or ``plan`` shows in its place.

    The hint about the saved plan goes; a plain ``plan`` gets its note instead. For an apply, warnings that end the plan
    wait until :meth:`close` knows whether approval will be asked for. Questions of the engine come through at once.
    """

    mode: Literal["apply", "plan"]
    brand: str = "terraform"
    colour: bool = True
    width: int = DEFAULT_WIDTH
    error_width: int = DEFAULT_WIDTH
    note: bool = False
    """Mode ``plan``: no ``-out`` was given, so the engine would have said so (not with ``TF_IN_AUTOMATION``)."""
    sealed: bool = False
    """Mode ``plan``: the file lies elsewhere than the engine wrote it, so its hint goes and no note takes its place."""
    compact_warnings: bool = False
    """The user's ``-compact-warnings``; an apply's internal plan runs without it."""
    held: tuple[Diagnostic, ...] = field(init=False, default=())
    """After :meth:`close`: warnings to be told with those of the apply."""
    told: tuple[Diagnostic, ...] = field(init=False, default=())
    """After :meth:`close`: warnings that the second process repeats and the user has seen, or will see as held."""
    _lines: list[bytes] = field(init=False, default_factory=list)
    _texts: list[str] = field(init=False, default_factory=list)
    _opening: str = field(init=False, default="")
    _rule_at: int | None = field(init=False, default=None)
    _partial: bytes = field(init=False, default=b"")
    _midline: bool = field(init=False, default=False)
    _early: list[Diagnostic] = field(init=False, default_factory=list)

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown now, of everything fed so far."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        out = [self._line(line + b"\n") for line in lines]
        return b"".join([*out, self._rest()])

    def close(self, *, exit_code: int, asked: bool, recorded: bool, applyable: bool = False) -> bytes:
        """What to print at the plan's end.

        ``asked``: the approval prompt follows. ``recorded``: the plan holds changes of resources or outputs, if only
        no-ops. ``applyable`` matters where the engine left its hint out (``TF_IN_AUTOMATION``) and ``note`` is wanted.
        """
        lines = [line for line in (*self._lines, self._partial) if line]
        body, tail = _split_tail(lines, self._rule_at)
        self._forget()
        self._partial = b""
        if self.sealed:
            return b"".join(body)
        if self.mode == "plan":
            wanted = self.note and (bool(tail) or applyable)
            return b"".join(body) + (self._note(tail) if wanted else b"" if self.note else b"".join(tail))
        if exit_code != 0:
            return b"".join(body if recorded else _without_failure(body))
        before, warnings = split_warnings(body, boxed=self.colour)
        repeated = [one for one in warnings if one.summary in ASKED_TWICE]
        self.told = (*self._early, *repeated)
        if asked:
            return before + b"".join(
                piece.data for piece in diagnostics.report(warnings, self._style(), compact=self.compact_warnings)
            )
        self.held = tuple(one for one in warnings if not one.check)
        return before

    def _style(self) -> Style:
        return Style(colour=self.colour, width=self.error_width, brand=product(self.brand))

    def _line(self, line: bytes) -> bytes:
        if self._midline:
            self._midline = False
            return line
        if line.startswith(b" ") and not self._lines:
            # Most of a plan: nothing that could be held back begins with a space.
            return line
        text = plain(line)
        if self._lines and not self._continues(text):
            return self._release() + self._line(line)
        if not self._lines and not self._starts(text):
            return line
        # What resets the colours of the text above stands at the start of this line, and is not held with it.
        start = 0 if self._lines else _own_start(line, text)
        self._hold(line[start:], text)
        return line[:start]

    def _rest(self) -> bytes:
        """The unfinished line, when it can be shown: it is a question, or begins like nothing that is held back."""
        text = plain(self._partial)
        if not self._midline and not text.endswith(_ASKING):
            undecided = not text or text.startswith("\x1b") or "\ufffd" in text
            if undecided or self._opening or self._rule_at is not None or self._may_start(text):
                return b""
        self._midline = True
        rest, self._partial = self._partial, b""
        return self._release() + rest

    def _may_start(self, text: str) -> bool:
        starts = ("─", TOP, WARNING, _FAILED) if self.mode == "apply" else ("─",)
        return any(start.startswith(text) or text.startswith(start) for start in starts)

    def _starts(self, text: str) -> bool:
        return not text or bool(_RULE.match(text)) or (self.mode == "apply" and self.colour and text == TOP)

    def _continues(self, text: str) -> bool:
        """Whether the lines held so far, with this one, may still be the end of the plan."""
        if self._rule_at is not None:
            return _may_announce([*self._texts[self._rule_at + 1 :], text])
        if not text or self._is_rule(text):
            return True
        if self.mode == "plan":
            return False
        opening = self._opening or text
        if opening.startswith(_FAILED):
            return True
        if self.colour:
            return self._continues_box(text)
        return opening.startswith(WARNING) and not _PLAN_LINE.match(text)

    def _continues_box(self, text: str) -> bool:
        last = self._texts[-1]
        if last == TOP:
            return text.startswith(f"│ {WARNING}")
        if last.startswith("│"):
            return text.startswith("│") or text == "╵"
        return text == TOP

    def _hold(self, line: bytes, text: str) -> None:
        if self._rule_at is None and self._is_rule(text):
            self._rule_at = len(self._lines)
        self._opening = self._opening or text
        self._lines.append(line)
        self._texts.append(text)

    def _is_rule(self, text: str) -> bool:
        """Whether this is the rule; on a terminal that tells no width it is another blank line under the first."""
        if self.width <= 1:
            blank = not text and bool(self._texts) and not self._texts[-1]
            return blank and not self._opening.startswith(_FAILED)
        return bool(_RULE.match(text))

    def _forget(self) -> None:
        self._lines, self._texts, self._opening, self._rule_at = [], [], "", None

    def _release(self) -> bytes:
        lines = self._lines
        self._forget()
        self._early += [one for one in split_warnings(lines, boxed=self.colour)[1] if not one.check]
        return b"".join(lines)

    def _note(self, tail: Sequence[bytes]) -> bytes:
        generated = _generated(tail)
        command = "tofu" if self.brand == "tofu" else "terraform"
        text = (
            f"Note: You didn't use the -out option to save this plan, so {product(self.brand)} can't guarantee to "
            f'take exactly these actions if you run "{command} apply" now.'
        )
        wrapped = wrap(f"\n{text}", self.width - 1) if self.width else f"\n{text}"
        return f"{self._rule()}{generated}{wrapped}\n".encode()

    def _rule(self) -> str:
        if self.width <= 1:
            return "\n\n"
        return paint("[dark_gray]\n", colour=self.colour).removesuffix("\x1b[0m") + (
            "─" * (self.width - 1) + ("\x1b[0m\n" if self.colour else "\n")
        )


def _own_start(line: bytes, text: str) -> int:
    """Where the sequences at the start of a blank line or of a box's top edge begin to be its own."""
    if text:
        return max(line.rfind(b"\x1b[33m"), 0)
    start = line.rfind(b"\x1b[90m")
    return start if start >= 0 else len(line.rstrip(b"\r\n"))


def _split_tail(lines: list[bytes], rule: int | None) -> tuple[list[bytes], list[bytes]]:
    """The lines before and from the rule (and the blank line above it) under which the saved plan is announced."""
    texts = [plain(line) for line in lines]
    if rule is None or not any(texts[rule + 1 :]):
        return lines, []
    start = rule - 1 if rule and not texts[rule - 1] else rule
    return lines[:start], lines[start:]


def _may_announce(texts: Sequence[str]) -> bool:
    """Whether these lines, wrapped as narrowly as may be, begin the announcement under the rule."""
    beginning = " ".join(" ".join(texts[:12]).split())
    return any(beginning.startswith(step) or step.startswith(beginning) for step in _NEXT_STEP)


def _generated(tail: Sequence[bytes]) -> str:
    """The paragraph about generated configuration, with the blank line above it, when the tail holds it."""
    texts = [plain(line) for line in tail]
    start = next((at for at, text in enumerate(texts) if text and not _RULE.match(text)), 0)
    if "has generated" not in " ".join(texts[start : start + 3]):
        return ""
    stop = next((at for at, text in enumerate(texts) if at > start and not text), len(texts))
    return "\n" + "".join(f"{text}\n" for text in texts[start:stop])


def _without_failure(lines: Sequence[bytes]) -> list[bytes]:
    texts = [plain(line) for line in lines]
    at = next((at for at, text in enumerate(texts) if text.startswith(_FAILED)), None)
    if at is None:
        return list(lines)
    # It stands between two blank lines; the reset of its colours is at the start of what follows.
    start = at - 1 if at and not texts[at - 1] else at
    rest = list(lines[at + 2 :])
    if rest:
        rest[0] = rest[0].removeprefix(b"\x1b[0m")
    return [*lines[:start], *rest]


def prompt(*, brand: str, colour: bool, mode: Mode, workspace: str, actions: bool = False) -> bytes:
    """The question for approval, for standard output; it ends where the answer is typed.

    ``actions``: the plan, a refresh-only one, was asked for by ``-invoke``.
    """
    name = product(brand)
    named = f' in workspace "{workspace}"' if workspace != "default" else ""
    undo = "There is no undo. Only 'yes' will be accepted to confirm."
    match mode:
        case "destroy":
            query = f"Do you really want to destroy all resources{named}?"
            terms = (f"{name} will destroy all your managed infrastructure, as shown above.", undo)
        case "refresh-only" if actions:
            query = "Would you like to invoke the specified actions?"
            terms = (
                f"{name} will invoke the actions described above, and any changes will be written to the state "
                "without modifying real infrastructure",
                undo,
            )
        case "refresh-only":
            of = f' for "{workspace}"' if workspace != "default" else ""
            query = f"Would you like to update the {name} state{of} to reflect these detected changes?"
            terms = (
                f"{name} will write these changes to the state without modifying any real infrastructure.",
                undo,
            )
        case _:
            query = f"Do you want to perform these actions{named}?"
            terms = (f"{name} will perform the actions described above.", "Only 'yes' will be accepted to approve.")
    text = f"[reset][bold]\n{query}[reset]\n" + "".join(f"  {term}\n" for term in terms)
    return paint(f"{text}\n  [bold]Enter a value:[reset] ", colour=colour).encode()


def approves(answer: bytes) -> bool:
    """Whether the answer is the one word that approves."""
    return answer.rstrip() == b"yes"


def answered() -> bytes:
    """What follows an answer, whichever it was, on standard output."""
    return b"\n"


def declined(*, mode: Mode) -> bytes:
    """What is said when the answer was another one than yes, on standard output; the exit code is 1."""
    return b"Destroy cancelled.\n" if mode == "destroy" else b"Apply cancelled.\n"


def ask_failed(*, reason: Literal["EOF", "interrupted"], colour: bool, error_width: int = DEFAULT_WIDTH) -> bytes:
    """The error when no answer came, on standard error; the exit code is 1."""
    style = Style(colour=colour, width=error_width)
    return diagnostics.draw(
        Diagnostic(severity="error", summary=f"error asking for approval: {reason}"), style
    ).encode()


def interrupted(*, brand: str, width: int = DEFAULT_WIDTH) -> bytes:
    """What the engine says on the first interrupt, on standard output."""
    text = (
        "\nInterrupt received.\n"
        f"Please wait for {product(brand)} to exit or data loss may occur.\n"
        "Gracefully shutting down...\n"
    )
    return f"{wrap(text, width - 1) if width else text}\n".encode()
