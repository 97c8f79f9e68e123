"""What stands ready while a run goes on: its screen, its input, its plan file, and what is gathered meanwhile.

The engine waits for this module, so what is needed only once it runs is imported then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tfaudit.engine.output import Output
from tfaudit.engine.scratch import Scratch
from tfaudit.engine.signals import Relay
from tfaudit.engine.stdin import Input
from tfaudit.engine.terminal import DEFAULT_WIDTH
from tfaudit.runs.ready import Background, Ready, prepare
from tfaudit.runs.run import Run

if TYPE_CHECKING:
    from tfaudit.engine.human import JsonFilter
    from tfaudit.engine.planview import PlanText
    from tfaudit.runs.telling import Telling


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
        return os.get_terminal_size(fd).columns
    except OSError:
        return DEFAULT_WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the plan's half of an apply was shown, which its other half goes on with. At most one of the two is there."""

    text: Callable[[], PlanText] | None = None
    """For people."""
    json: bool = False
    """The user wants the machine-readable stream."""
    joined: Callable[[], JsonFilter] | None = None
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
    telling: Telling
    """Who else learns of the run."""

    @classmethod
    def set(cls, run: Run, relay: Relay, stack: ExitStack, telling: Telling) -> Self:
        """Prepare what goes on beside the engine, from the moment that it runs."""
        stdin = Input.of(run.invocation)
        stack.callback(stdin.close)
        stack.callback(run.scan.stop)
        ready = Background(lambda: prepare(run))
        relay.on_start = ready.start
        stack.callback(_close_policy, ready)
        return cls(
            run=run,
            relay=relay,
            stack=stack,
            stdin=stdin,
            screen=Screen.of(run),
            scratch=stack.enter_context(Scratch("plan")),
            ready=ready,
            telling=telling,
        )


def _close_policy(background: Background[Ready]) -> None:
    """End what was started to evaluate the policy, whether or not it came to that."""
    ready = background.peek()
    if ready is None or ready.gate is None:
        return
    from tfaudit.runs.gating import Gate

    if isinstance(ready.gate, Gate):
        ready.gate.policy.close()
