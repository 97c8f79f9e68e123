"""How is a run's plan, and the question after it, shown: with the engine's own words and on the user's own screen.

The engine waits for this module; what makes something of its output is imported when there is some.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tfaudit.engine import process
from tfaudit.engine.argv import help_filter, plan_call
from tfaudit.engine.signals import Interrupted
from tfaudit.runs.stage import Stage, View

if TYPE_CHECKING:
    from tfaudit.engine.human import JsonFilter
    from tfaudit.engine.planview import Mode, PlanText
    from tfaudit.engine.process import Ended
    from tfaudit.runs.approval import Answer
    from tfaudit.runs.planning import Planned


def plan(stage: Stage) -> Ended:
    """Run the user's own plan, with the saved file in our scratch where they wanted none."""
    run, invocation, screen = stage.run, stage.run.invocation, stage.screen

    @cache
    def text() -> PlanText:
        from tfaudit.engine import planview

        return planview.PlanText(
            mode="plan",
            brand=screen.brand,
            colour=screen.colour,
            width=screen.width,
            note="TF_IN_AUTOMATION" not in run.world.environ,
            sealed=run.seal,
        )

    edited = (invocation.out is None or run.seal) and not invocation.json
    run.world.step("plan")
    ended = process.run_human(
        run.engine.command,
        plan_call(invocation, run.world.environ, out=stage.scratch.path, sealed=run.seal),
        relay=stage.relay,
        stdin=stage.stdin,
        pass_fds=stage.scratch.fds,
        edit=(lambda chunk: text().feed(chunk)) if edited else None,
    )
    if edited:
        screen.out.write(text().close(exit_code=ended.code, asked=False, recorded=False))
    return ended


def sealed_plan(stage: Stage) -> Ended:
    """Run the user's own plan with the saved file in our scratch, and write theirs encrypted."""
    from tfaudit.runs import sealing

    run = stage.run
    out = run.invocation.out or ""
    to = sealing.recipients(run.world.environ, run.world.cwd)
    ended = plan(stage)
    if stage.scratch.size:
        stage.scratch.seal()
        sealing.seal(stage.scratch, run.workdir.root / out, to)
        run.world.say(f"the plan is sealed in {out}; tfaudit --sealed apply {out} opens it")
    return ended


def new_view(stage: Stage) -> View:
    """Return how an apply's two halves are to be shown."""
    screen, invocation = stage.screen, stage.run.invocation

    @cache
    def joined() -> JsonFilter:
        from tfaudit.engine.human import JsonFilter

        return JsonFilter(destroy=invocation.command == "destroy")

    @cache
    def text() -> PlanText:
        from tfaudit.engine import planview

        return planview.PlanText(
            mode="apply",
            brand=screen.brand,
            colour=screen.colour,
            width=screen.width,
            error_width=screen.error_width,
            compact_warnings=screen.compact_warnings,
        )

    return View(json=True, joined=joined) if invocation.json else View(text=text)


def first_half(stage: Stage, view: View) -> Ended:
    """Run the first half of an apply: the engine's plan, shown as the engine's apply would show it."""
    run, out, text = stage.run, stage.screen.out, view.text
    call = plan_call(run.invocation, run.world.environ, out=stage.scratch.path)
    run.world.step("plan")
    if view.joined is not None:
        joined = view.joined
        return process.run_lines(
            run.engine.command,
            call,
            relay=stage.relay,
            on_line=lambda line: out.write(b"".join(joined().plan(line))),
            pass_fds=stage.scratch.fds,
        )
    return process.run_human(
        run.engine.command,
        call,
        relay=stage.relay,
        stdin=stage.stdin,
        pass_fds=stage.scratch.fds,
        edit=(lambda chunk: text().feed(chunk)) if text is not None else None,
        line_filter=help_filter(run.invocation),
    )


def close_first_half(stage: Stage, planned: Planned, ended: Ended, view: View, *, asked: bool) -> None:
    """Show what the engine says after its plan and before its question, which is ``asked`` next or not."""
    if view.text is not None:
        stage.screen.out.write(view.text().close(exit_code=ended.code, asked=asked, recorded=planned.holds_changes))
    if view.joined is not None:
        stage.screen.out.write(b"".join(view.joined().planned(exit_code=ended.code, recorded=planned.holds_changes)))


def is_interrupted(stage: Stage) -> bool:
    """Whether a signal came while no engine ran to take it; then say what the engine would."""
    try:
        stage.relay.heed()
    except Interrupted:
        from tfaudit.engine import planview

        stage.screen.out.write(planview.interrupted(brand=stage.screen.brand, width=stage.screen.width))
        return True
    return False


def ask(stage: Stage) -> Answer:
    """Ask the engine's question and return the answer."""
    from tfaudit.runs import approval

    run, screen, invocation = stage.run, stage.screen, stage.run.invocation
    run.world.step("ask")
    mode: Mode = "destroy" if invocation.destroy else "refresh-only" if invocation.refresh_only else "normal"
    return approval.ask(
        relay=stage.relay,
        stdin=stage.stdin,
        out=screen.out,
        err=screen.err,
        brand=screen.brand,
        colour=screen.colour,
        mode=mode,
        workspace=run.workdir.workspace,
        actions=bool(invocation.values("invoke")),
        widths=(screen.width, screen.error_width),
    )
