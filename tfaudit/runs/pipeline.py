"""In which order does a run do what it does? The only module that knows.

Plan, look into it, ask, record the intent, apply exactly that plan, record the outcome. Nothing changes before the
intent is in the log; what came of it is recorded on every way out.

What isn't needed to start the engine is imported inside the functions: it is loaded while the engine runs.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.engine import planview, process
from tfaudit.engine.argv import Role, help_filter, plan_call, typed_call
from tfaudit.engine.human import JsonFilter
from tfaudit.engine.process import Ended
from tfaudit.engine.signals import Interrupted, Relay
from tfaudit.errors import ConfigError, InputError, LedgerError, TfauditError
from tfaudit.runs.stage import Stage, View

if TYPE_CHECKING:
    from tfaudit.runs.approval import Answer
    from tfaudit.runs.facts import Status
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.run import Run

_NOT_STARTED: Final = Ended(code=1, signal=None, interrupts=0)
"""How the engine ends an apply that nobody approved."""


def execute(run: Run) -> int:
    """Run an audited command and return the exit code to end with: the engine's own, or one of tfaudit's from 64.

    Raises :class:`TfauditError` where tfaudit stops the run before anything changes.
    """
    with Relay() as relay, ExitStack() as stack:
        if run.invocation.refusal is not None:
            from tfaudit.runs.refusal import run_refused

            return run_refused(run, relay)
        if run.config.ledger is None:
            return _without_ledger(run, relay)
        plan_file = run.invocation.plan_file
        match run.invocation.role:
            case Role.APPLY if plan_file is not None:
                return _apply_saved(Stage.set(run, relay, stack), run.workdir.root / plan_file)
            case Role.PLAN if not run.workdir.is_remote:
                return _plan(Stage.set(run, relay, stack))
            case Role.APPLY if not run.workdir.is_remote:
                return _apply(Stage.set(run, relay, stack))
            case role:
                return _as_typed(role, run, relay)


def _as_typed(role: Role, run: Run, relay: Relay) -> int:
    """Run what can't be looked into."""
    from tfaudit.runs import opaque

    match role:
        case Role.PLAN:
            return opaque.plan(run, relay)
        case Role.READ:
            return opaque.read(run, relay)
        case _:
            return opaque.operate(run, relay)


def _without_ledger(run: Run, relay: Relay) -> int:
    """A plan changes nothing, so it goes on unrecorded; all else stops."""
    problem = ConfigError(
        f"no ledger is set up for {run.workdir.root}", hint="run tfaudit setup, or set TFAUDIT_LEDGER"
    )
    if run.invocation.role is not Role.PLAN:
        raise problem
    run.world.say(f"this plan is not recorded: {problem}")
    return process.run_inherit(run.engine.command, typed_call(run.invocation, run.world.environ), relay=relay).code


# --- plan ------------------------------------------------------------------------------------------------------------


def _plan(stage: Stage) -> int:
    """Run the engine's plan and record it. A missing ledger costs the record, not the plan."""
    run = stage.run
    started = run.world.clock()
    ended = _show_plan(stage)
    try:
        _record_plan(stage, ended, started)
    except TfauditError as error:
        run.world.say(f"this plan is not recorded: {error}")
    return ended.code


def _show_plan(stage: Stage) -> Ended:
    """Run the user's own plan, with the saved file in our scratch where they wanted none."""
    run, invocation, screen = stage.run, stage.run.invocation, stage.screen
    text = planview.PlanText(
        mode="plan",
        brand=screen.brand,
        colour=screen.colour,
        width=screen.width,
        note="TF_IN_AUTOMATION" not in run.world.environ,
    )
    edited = invocation.out is None and not invocation.json
    run.world.step("plan")
    ended = process.run_human(
        run.engine.command,
        plan_call(invocation, run.world.environ, out=stage.scratch.path),
        relay=stage.relay,
        stdin=stage.stdin,
        pass_fds=stage.scratch.fds,
        edit=text.feed if edited else None,
    )
    if edited:
        screen.out.write(text.close(exit_code=ended.code, asked=False, recorded=False))
    return ended


def _record_plan(stage: Stage, ended: Ended, started: datetime) -> None:
    from tfaudit.runs import facts, planning, recovery, summary
    from tfaudit.runs.intents import write_plan
    from tfaudit.runs.recording import Recorder

    run = stage.run
    if run.invocation.out is not None and (run.workdir.root / run.invocation.out).is_file():
        planning.load(run.workdir.root / run.invocation.out, stage.scratch)
    planned = planning.look_into(stage, planning.redactor(run))
    recorder = Recorder(run, stage.ready.result(), planned.redactor)
    status: Status = "planned" if ended.code in (0, 2) else facts.failed(ended)
    if status == "planned":
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=run.invocation.lock)
    write_plan(stage, recorder, planned, status=status, ended=ended, started=started)
    summary.tell(run, recorder, _planned(planned), status)


# --- apply and destroy -----------------------------------------------------------------------------------------------


def _apply(stage: Stage) -> int:
    """Plan, ask, apply."""
    run = stage.run
    started = run.world.clock()
    view = _view(stage)
    ended = _internal_plan(stage, view)
    from tfaudit.runs import facts, planning, variables
    from tfaudit.runs.recording import Recorder

    stage.scratch.seal()
    planned = planning.look_into(stage, planning.redactor(run))
    asked = ended.code == 0 and planned.applyable and not run.invocation.auto_approve
    _close_plan(stage, planned, ended, view, asked=asked)
    recorder = Recorder(run, stage.ready.result(), planned.redactor)
    if ended.code != 0:
        return _end_before(stage, recorder, planned, facts.failed(ended), ended, started)
    _check_known(planned)
    variables.check_repeatable(run, planned.variables)
    if _is_interrupted(stage):
        return _end_before(stage, recorder, planned, "interrupted", _NOT_STARTED, started)
    if asked:
        answer = _ask(stage)
        if answer != "yes":
            status: Status = "interrupted" if answer == "interrupted" else "declined"
            return _end_before(stage, recorder, planned, status, _NOT_STARTED, started)
    return _change(stage, recorder, planned, view)


def _apply_saved(stage: Stage, path: Path) -> int:
    """Apply a plan that was saved before, by whatever made it: the engine asks nothing then."""
    from tfaudit.runs import opaque, planning
    from tfaudit.runs.recording import Recorder

    run = stage.run
    planning.load(path, stage.scratch)
    planned = planning.look_into(stage, planning.redactor(run))
    if planned.file is None or planned.file.kind in ("unknown", "old"):
        raise InputError(f"{path} is not a plan file", hint="give the path that plan -out wrote")
    if planned.file.kind == "bookmark":
        return opaque.operate(run, stage.relay, remote=planned.file)
    _check_known(planned)
    recorder = Recorder(run, stage.ready.result(), planned.redactor)
    return _change(stage, recorder, planned, View(json=run.invocation.json))


def _view(stage: Stage) -> View:
    screen, invocation = stage.screen, stage.run.invocation
    if invocation.json:
        return View(json=True, joined=JsonFilter(destroy=invocation.command == "destroy"))
    return View(
        text=planview.PlanText(
            mode="apply",
            brand=screen.brand,
            colour=screen.colour,
            width=screen.width,
            error_width=screen.error_width,
            compact_warnings=screen.compact_warnings,
        )
    )


def _internal_plan(stage: Stage, view: View) -> Ended:
    """Run the first half of an apply: the engine's plan, shown as the engine's apply would show it."""
    run, out = stage.run, stage.screen.out
    call = plan_call(run.invocation, run.world.environ, out=stage.scratch.path)
    run.world.step("plan")
    if view.joined is not None:
        joined = view.joined
        return process.run_lines(
            run.engine.command,
            call,
            relay=stage.relay,
            on_line=lambda line: out.write(b"".join(joined.plan(line))),
            pass_fds=stage.scratch.fds,
        )
    return process.run_human(
        run.engine.command,
        call,
        relay=stage.relay,
        stdin=stage.stdin,
        pass_fds=stage.scratch.fds,
        edit=view.text.feed if view.text else None,
        line_filter=help_filter(run.invocation),
    )


def _close_plan(stage: Stage, planned: Planned, ended: Ended, view: View, *, asked: bool) -> None:
    if view.text is not None:
        stage.screen.out.write(view.text.close(exit_code=ended.code, asked=asked, recorded=planned.holds_changes))
    if view.joined is not None:
        stage.screen.out.write(b"".join(view.joined.planned(exit_code=ended.code, recorded=planned.holds_changes)))


def _check_known(planned: Planned) -> None:
    """Stop an apply whose plan nobody could look into: its changes would be made unrecorded."""
    if planned.plan is None:
        raise InputError(f"the plan can't be looked into: {planned.problem}", hint="nothing was applied")


def _is_interrupted(stage: Stage) -> bool:
    """Whether a signal came while no engine ran to take it; then say what the engine would."""
    try:
        stage.relay.heed()
    except Interrupted:
        stage.screen.out.write(planview.interrupted(brand=stage.screen.brand, width=stage.screen.width))
        return True
    return False


def _ask(stage: Stage) -> Answer:
    from tfaudit.runs import approval

    run, screen, invocation = stage.run, stage.screen, stage.run.invocation
    run.world.step("ask")
    mode: planview.Mode = "destroy" if invocation.destroy else "refresh-only" if invocation.refresh_only else "normal"
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


def _end_before(
    stage: Stage, recorder: Recorder, planned: Planned, status: Status, ended: Ended, started: datetime
) -> int:
    """Record a run that ended before its apply. Nothing changed, so the engine's exit code stands in any case."""
    from tfaudit.runs import summary
    from tfaudit.runs.intents import write_plan

    try:
        write_plan(stage, recorder, planned, status=status, ended=ended, started=started)
    except TfauditError as error:
        stage.run.world.say(f"this run is not recorded: {error}")
    else:
        summary.tell(stage.run, recorder, _planned(planned), status)
    return ended.code


def _change(stage: Stage, recorder: Recorder, planned: Planned, view: View) -> int:
    """Record the intent, apply, record the outcome."""
    from tfaudit.runs import recovery, summary
    from tfaudit.runs.applying import apply, not_started
    from tfaudit.runs.intents import write_intent, write_outcome
    from tfaudit.runs.liveness import Mark

    run = stage.run
    with Mark(run.config.spool, run.run_id) as mark:
        held_lock = run.invocation.plan_file is None and run.invocation.lock
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=held_lock)
        run.world.step("intent")
        intent = write_intent(stage, recorder, planned)
        # From here on the intent says that something may change: an outcome follows, or the next run finds it open.
        run.world.step("apply")
        is_stopped = _is_interrupted(stage)
        applied = not_started(stage, planned, intent) if is_stopped else apply(stage, planned, intent, view)
        run.world.step("outcome")
        try:
            write_outcome(stage, recorder, planned, intent, applied)
        except TfauditError as error:
            run.world.say(f"what came of this run is NOT recorded: {error}")
            return applied.ended.code or LedgerError.exit_code
        mark.done()
    summary.tell(run, recorder, summary.happened(applied.outcome.counts), applied.status)
    return applied.ended.code or (LedgerError.exit_code if recorder.spooled is not None else 0)


def _planned(planned: Planned) -> str:
    from tfaudit.runs import summary

    return summary.planned(planned.plan.counts) if planned.plan else "no plan to look into"
