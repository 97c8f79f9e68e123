"""What stands ready while a run goes on: its screen, its input, its plan file, and what is gathered meanwhile."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from tfaudit.engine.human import DEFAULT_WIDTH, JsonFilter
from tfaudit.engine.output import Output
from tfaudit.engine.planview import PlanText
from tfaudit.engine.scratch import Scratch
from tfaudit.engine.signals import Relay
from tfaudit.engine.stdin import Input
from tfaudit.runs.ready import Background, Ready, get_ready, preload
from tfaudit.runs.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where the engine's output goes, and what it looks like there."""

    out: Output
    err: Output
    brand: str
    """``terraform`` or ``tofu``, as the engine calls itself in its hints."""
    colour: bool
    width: int
    error_width: int
    """Columns of stdout and stderr; the engine's default where they are no terminals."""
    compact_warnings: bool

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return the screen of this process."""
        return cls(
            out=Output(1),
            err=Output(2),
            brand="tofu" if run.engine.brand == "opentofu" else "terraform",
            colour=not run.invocation.no_color,
            width=_columns(1),
            error_width=_columns(2),
            compact_warnings=run.invocation.switch("compact-warnings", default=False),
        )


def _columns(fd: int) -> int:
    try:
        return os.get_terminal_size(fd).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the plan's half of an apply was shown, which its other half goes on with. At most one of the two is there."""

    text: PlanText | None = None
    """For people."""
    json: bool = False
    """The user wants the machine-readable stream."""
    joined: JsonFilter | None = None
    """What makes one stream of the plan's and the apply's; None for a plan that was saved before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run under way."""

    run: Run
    relay: Relay
    stack: ExitStack
    """Closed when the run is over; what must live as long is entered here."""
    stdin: Input
    screen: Screen
    ready: Background[Ready]
    scratch: Scratch
    """The plan file: written by the engine, sealed, and applied from here."""

    @classmethod
    def set(cls, run: Run, relay: Relay, stack: ExitStack) -> Self:
        """Start what can go on while the engine plans."""
        stdin = Input.of(run.invocation)
        stack.callback(stdin.close)
        stack.callback(run.scan.stop)
        return cls(
            run=run,
            relay=relay,
            stack=stack,
            stdin=stdin,
            screen=Screen.of(run),
            scratch=stack.enter_context(Scratch("plan")),
            ready=Background(lambda: _prepared(run)),
        )


def _prepared(run: Run) -> Ready:
    ready = get_ready(run)
    preload()
    return ready
