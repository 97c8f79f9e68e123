"""How is exactly the planned change applied, shown as the engine would show it, and followed change by change?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.engine import brand, process
from tfaudit.engine.applyview import ApplyText
from tfaudit.engine.argv import Call, apply_call
from tfaudit.engine.human import JsonFilter, Options, Piece, Renderer
from tfaudit.engine.process import Ended
from tfaudit.plan.outcome import OutcomeTracker, RunOutcome
from tfaudit.runs import planning, state
from tfaudit.runs.facts import StateId, Status
from tfaudit.runs.stage import Stage, View

if TYPE_CHECKING:
    from tfaudit.runs.intents import Intent
    from tfaudit.runs.planning import Planned

ERRORED_STATE: Final = "errored.tfstate"
_REFUSED: Final = (
    "Saved plan is stale",
    "Saved plan does not match the given state",
    "Error acquiring the state lock",
)
"""How the engine says that it won't so much as begin, since the state is another's or another has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of an apply."""

    ended: Ended
    outcome: RunOutcome
    status: Status
    started: datetime
    finished: datetime
    before: StateId | None
    after: StateId | None
    errored_state: bool
    """The engine could not store the state and left it in the working directory."""


def apply(stage: Stage, planned: Planned, intent: Intent, view: View) -> Applied:
    """Apply the plan in the stage's scratch and return what came of it. ``view`` is how the plan was shown."""
    run = stage.run
    leftover = run.workdir.root / ERRORED_STATE
    started, stale = run.world.clock(), _modified(leftover)
    tracker = OutcomeTracker(intent.index, intent.redactor)
    ended = _run(stage, planned, tracker, view)
    run.world.step("applied")
    after = state.current(run, stage.relay, after=True)
    outcome = tracker.finish(exit_code=ended.code, serial_rose=state.rose(planned.before, after))
    return Applied(
        ended=ended,
        outcome=outcome,
        status=_status(ended, outcome),
        started=started,
        finished=run.world.clock(),
        # What came between the plan and a refused apply is not this run's doing: it met that version, and left it.
        before=after if _is_refused(outcome) else planned.before,
        after=after,
        errored_state=_modified(leftover) != stale,
    )


def not_started(stage: Stage, planned: Planned, intent: Intent) -> Applied:
    """Return the end of a run that was stopped between its intent and its apply: the engine was never asked to."""
    now = stage.run.world.clock()
    nothing = OutcomeTracker(intent.index, intent.redactor).finish(exit_code=1, serial_rose=False)
    outcomes = tuple(replace(each, status="not-reached", inferred=False) for each in nothing.outcomes)
    return Applied(
        ended=Ended(code=1, signal=None, interrupts=1),
        outcome=replace(nothing, outcomes=outcomes, counts={"not-reached": len(outcomes)}),
        status="not-started",
        started=now,
        finished=now,
        before=planned.before,
        after=planned.before,
        errored_state=False,
    )


def _run(stage: Stage, planned: Planned, tracker: OutcomeTracker, view: View) -> Ended:
    """Run the engine's apply in the way that it and the user's options allow."""
    run, path = stage.run, stage.scratch.path
    again = planned.variables.again(run.invocation.variables) if planned.variables else frozenset()

    def call(*, json: bool, json_into: str | None = None) -> Call:
        return apply_call(
            run.invocation, run.world.environ, plan_file=path, json=json, json_into=json_into, ephemeral=again
        )

    if view.json:
        return _in_lines(stage, call(json=True), _as_json(stage, tracker, view.joined() if view.joined else None))
    cache = brand.default_cache(run.world.environ)
    if run.engine.brand == "opentofu" and brand.json_into(run.engine, run.world.environ, cache=cache):
        with closing(process.SideStream(tracker.feed)) as side:
            return _as_it_is(stage, call(json=False, json_into=side.path), side, view)
    if not brand.has_stream(run.engine):
        return _as_it_is(stage, call(json=False), None, view)
    return _rendered(stage, call(json=True), tracker, Renderer(_options(stage, planned, view)))


def _as_it_is(stage: Stage, call: Call, side: process.SideStream | None, view: View) -> Ended:
    """Run an apply that shows its own human output, joined with what the plan's half held back."""
    screen = stage.screen
    text = ApplyText(
        brand=screen.brand,
        colour=screen.colour,
        error_width=screen.error_width,
        destroy=stage.run.invocation.command == "destroy",
        compact_warnings=screen.compact_warnings,
        held=view.text().held if view.text else (),
        told=view.text().told if view.text else (),
    )
    ended = process.run_human(
        stage.run.engine.command,
        call,
        relay=stage.relay,
        stdin=stage.stdin,
        pass_fds=stage.scratch.fds,
        edit=text.feed if view.text else None,
        side=side,
    )
    if view.text:
        screen.out.write(text.close(exit_code=ended.code))
    return ended


def _in_lines(
    stage: Stage, call: Call, on_line: Callable[[bytes], None], on_pause: Callable[[], None] = lambda: None
) -> Ended:
    return process.run_lines(
        stage.run.engine.command,
        call,
        relay=stage.relay,
        on_line=on_line,
        on_pause=on_pause,
        pass_fds=stage.scratch.fds,
    )


def _as_json(stage: Stage, tracker: OutcomeTracker, joined: JsonFilter | None) -> Callable[[bytes], None]:
    """For the user's own ``-json``: a saved plan's stream is shown as it is, else it goes on from the plan's."""

    def show(line: bytes) -> None:
        tracker.feed(line)
        stage.screen.out.write(b"".join(joined.apply(line)) if joined else line + b"\n")

    return show


def _rendered(stage: Stage, call: Call, tracker: OutcomeTracker, renderer: Renderer) -> Ended:
    """Run an apply in lines and show what the engine would; what comes at once is written at once."""
    waiting: list[Piece] = []

    def show(line: bytes) -> None:
        tracker.feed(line)
        waiting.extend(renderer.feed(line))

    def put() -> None:
        for stream, pieces in groupby(waiting, key=attrgetter("stream")):
            (stage.screen.out if stream == "stdout" else stage.screen.err).write(b"".join(one.data for one in pieces))
        waiting.clear()

    ended = _in_lines(stage, call, show, on_pause=put)
    waiting.extend(renderer.close())
    put()
    return ended


def _options(stage: Stage, planned: Planned, view: View) -> Options:
    screen = stage.screen
    return Options(
        brand=screen.brand,
        colour=screen.colour,
        width=screen.width,
        error_width=screen.error_width,
        destroy=stage.run.invocation.command == "destroy",
        compact_warnings=screen.compact_warnings,
        state_out=stage.run.invocation.value("state-out"),
        held=view.text().held if view.text else (),
        told=view.text().told if view.text else (),
        imports=planning.import_labels(planned.plan) if planned.plan else (),
    )


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _is_refused(outcome: RunOutcome) -> bool:
    """Whether the engine changed nothing at all, and said why."""
    if any(each.status != "not-reached" for each in outcome.outcomes):
        return False
    return any(each.severity == "error" and each.summary in _REFUSED for each in outcome.diagnostics)


def _status(ended: Ended, outcome: RunOutcome) -> Status:
    if ended.signal is not None:
        return "killed"
    if ended.code == 0:
        return "applied"
    return "interrupted" if ended.interrupts or outcome.interrupted else "errored"
