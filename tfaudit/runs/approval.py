"""Does the user approve: the engine's own question, asked in its words between its plan and its apply."""

from __future__ import annotations

from typing import Literal

from tfaudit.engine import planview
from tfaudit.engine.output import Output
from tfaudit.engine.planview import Mode
from tfaudit.engine.signals import Interrupted, Relay
from tfaudit.engine.stdin import Input

Answer = Literal["yes", "declined", "no-answer", "interrupted"]


def ask(
    *,
    relay: Relay,
    stdin: Input,
    out: Output,
    err: Output,
    brand: str,
    colour: bool,
    mode: Mode,
    workspace: str,
    actions: bool,
    widths: tuple[int, int],
) -> Answer:
    """Ask whether to perform the plan's actions and return the answer; every text is the engine's.

    ``widths`` are the columns of stdout and stderr.
    """
    width, error_width = widths
    out.write(planview.prompt(brand=brand, colour=colour, mode=mode, workspace=workspace, actions=actions))
    try:
        line = stdin.read_line(relay)
    except Interrupted:
        out.write(planview.interrupted(brand=brand, width=width) + b"\n")
        err.write(planview.ask_failed(reason="interrupted", colour=colour, error_width=error_width))
        return "interrupted"
    if not line.endswith(b"\n"):
        err.write(planview.ask_failed(reason="EOF", colour=colour, error_width=error_width))
        return "no-answer"
    out.write(planview.answered())
    if planview.approves(line):
        return "yes"
    out.write(planview.declined(mode=mode))
    return "declined"
