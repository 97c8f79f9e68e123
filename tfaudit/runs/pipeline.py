"""In which order does a run do what it does? The only module that knows.

Plan, look into it, let the gate decide, ask, record the intent, let the gate decide again where the intent stands,
apply exactly that plan, record the outcome. Nothing changes before the intent is in the log; what came of it is
recorded on every way out.

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
from tfaudit.errors import ConfigError, DeniedError, InputError, LedgerError, TfauditError
from tfaudit.runs.stage import Stage, View

if TYPE_CHECKING:
    from tfaudit.runs.approval import Answer
    from tfaudit.runs.facts import Status
    from tfaudit.runs.gating import Verdict
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
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
        if run.seal or run.sealed:
            from tfaudit.runs import sealing

            sealing.check_use(run.invocation, seal=run.seal, sealed=run.sealed, remote=run.workdir.is_remote)
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
    """A plan changes nothing, so it goes on unrecorded; all else stops, and a plan that would be written in clear."""
    problem = ConfigError(
        f"no ledger is set up for {run.workdir.root}", hint="run tfaudit setup, or set TFAUDIT_LEDGER"
    )
    if run.invocation.role is not Role.PLAN or run.seal:
        raise problem
    run.world.say(f"this plan is not recorded: {problem}")
    return process.run_inherit(run.engine.command, typed_call(run.invocation, run.world.environ), relay=relay).code


# --- plan ------------------------------------------------------------------------------------------------------------


def _plan(stage: Stage) -> int:
    """Run the engine's plan and record it. A missing ledger costs the record, not the plan."""
    run = stage.run
    started = run.world.clock()
    if run.seal:
        ended = _show_sealed_plan(stage)
    else:
        ended = _show_plan(stage)
    try:
        _record_plan(stage, ended, started)
    except TfauditError as error:
        run.world.say(f"this plan is not recorded: {error}")
    return ended.code


def _show_sealed_plan(stage: Stage) -> Ended:
    """Run the user's own plan with the saved file in our scratch, and write theirs encrypted."""
    from tfaudit.runs import sealing

    run = stage.run
    out = run.invocation.out or ""
    to = sealing.recipients(run.world.environ, run.world.cwd)
    ended = _show_plan(stage)
    if stage.scratch.size:
        stage.scratch.seal()
        sealing.seal(stage.scratch, run.workdir.root / out, to)
        run.world.say(f"the plan is sealed in {out}; tfaudit --sealed apply {out} opens it")
    return ended


def _show_plan(stage: Stage) -> Ended:
    """Run the user's own plan, with the saved file in our scratch where they wanted none."""
    run, invocation, screen = stage.run, stage.run.invocation, stage.screen
    text = planview.PlanText(
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
    if run.invocation.out is not None and not run.seal and (run.workdir.root / run.invocation.out).is_file():
        planning.load(run.workdir.root / run.invocation.out, stage.scratch)
    planned = planning.look_into(stage, planning.redactor(run))
    status: Status = "planned" if ended.code in (0, 2) else facts.failed(ended)
    verdict = _consider(stage, planned) if status == "planned" else None
    recorder = Recorder(run, _known(stage, verdict), planned.redactor)
    if status == "planned":
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=run.invocation.lock)
    write_plan(stage, recorder, planned, status=status, ended=ended, started=started, verdict=verdict)
    summary.tell(run, recorder, _planned(planned), status, gate=_needed(run, verdict))


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
    if ended.code != 0:
        _close_plan(stage, planned, ended, view, asked=False)
        recorder = Recorder(run, stage.ready.result(), planned.redactor)
        return _end_before(stage, recorder, planned, facts.failed(ended), ended, started)
    verdict = _consider(stage, planned)
    is_denied = verdict is not None and not verdict.decision.allowed
    asked = planned.applyable and not run.invocation.auto_approve and not is_denied
    _close_plan(stage, planned, ended, view, asked=asked)
    _check_known(planned)
    recorder = Recorder(run, _known(stage, verdict), planned.redactor)
    if is_denied:
        return _deny(stage, recorder, planned, verdict, started)
    variables.check_repeatable(run, planned.variables)
    if _is_interrupted(stage):
        return _end_before(stage, recorder, planned, "interrupted", _NOT_STARTED, started, verdict)
    if asked:
        answer = _ask(stage)
        if answer != "yes":
            status: Status = "interrupted" if answer == "interrupted" else "declined"
            return _end_before(stage, recorder, planned, status, _NOT_STARTED, started, verdict)
    return _change(stage, recorder, planned, view, verdict)


def _apply_saved(stage: Stage, path: Path) -> int:
    """Apply a plan that was saved before, by whatever made it: the engine asks nothing then."""
    from tfaudit.runs import opaque, planning
    from tfaudit.runs.recording import Recorder

    run = stage.run
    _load(stage, path)
    planned = planning.look_into(stage, planning.redactor(run))
    if planned.file is None or planned.file.kind in ("unknown", "old"):
        raise _not_a_plan(path)
    if planned.file.kind == "bookmark":
        return opaque.operate(run, stage.relay, remote=planned.file)
    _check_known(planned)
    verdict = _consider(stage, planned)
    recorder = Recorder(run, _known(stage, verdict), planned.redactor)
    if verdict is not None and not verdict.decision.allowed:
        return _deny(stage, recorder, planned, verdict, started)
    return _change(stage, recorder, planned, View(json=run.invocation.json), verdict)


def _load(stage: Stage, path: Path) -> None:
    """Take the saved plan into the stage's scratch: from here on the file may be changed, and nothing of it matters."""
    if stage.run.sealed:
        from tfaudit.runs import sealing

        sealing.unseal(path, stage.scratch, sealing.identities(stage.run.world.environ, stage.run.world.cwd))
    else:
        from tfaudit.runs import planning

        planning.load(path, stage.scratch)


def _not_a_plan(path: Path) -> InputError:
    from tfaudit.runs import sealing

    hint = (
        "it is sealed: tfaudit --sealed apply FILE" if sealing.is_sealed(path) else "give the path that plan -out wrote"
    )
    return InputError(f"{path} is not a plan file", hint=hint)


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
    stage: Stage,
    recorder: Recorder,
    planned: Planned,
    status: Status,
    ended: Ended,
    started: datetime,
    verdict: Verdict | None = None,
) -> int:
    """Record a run that ended before its apply. Nothing changed, so the engine's exit code stands in any case."""
    from tfaudit.runs import deciding, summary
    from tfaudit.runs.intents import write_plan

    try:
        write_plan(stage, recorder, planned, status=status, ended=ended, started=started, verdict=verdict)
    except TfauditError as error:
        stage.run.world.say(f"this run is not recorded: {error}")
    else:
        gate = deciding.said(verdict.decision if verdict else None)
        summary.tell(stage.run, recorder, _planned(planned), status, gate=gate)
    return ended.code


# --- the gate --------------------------------------------------------------------------------------------------------


def _consider(stage: Stage, planned: Planned) -> Verdict | None:
    """Return what the gate says of the plan; None where none is in force."""
    if stage.ready.result().gate is None:
        return None
    from tfaudit.runs import deciding, gating

    verdict = gating.consider(stage, planned)
    if verdict is not None:
        deciding.say_findings(stage.run, verdict.evaluations)
    return verdict


def _known(stage: Stage, verdict: Verdict | None) -> Ready:
    """Return what the run knows of itself; under a gate the actor is known for this very change."""
    return stage.ready.result() if verdict is None else verdict.ready


def _needed(run: Run, verdict: Verdict | None) -> str:
    """Return what the line on a plan says of the gate: what is still needed for its apply."""
    if verdict is None:
        return "not gated"
    if verdict.decision.allowed:
        return "the gate would let it through"
    codes = ", ".join(sorted({reason.code for reason in verdict.decision.reasons}))
    return f"the gate would deny it ({codes}): tfaudit gate {run.run_id}"


def _deny(stage: Stage, recorder: Recorder, planned: Planned, verdict: Verdict, started: datetime) -> int:
    """Record that the gate denied the run, and say why."""
    from tfaudit.runs import deciding

    _end_before(stage, recorder, planned, "denied", _NOT_STARTED, started, verdict)
    deciding.say_denied(stage.run, verdict.decision.reasons)
    return DeniedError.exit_code


def _confirmed(
    stage: Stage, recorder: Recorder, verdict: Verdict | None
) -> tuple[Verdict | None, TfauditError | None]:
    """Decide again on the log up to the intent's place.

    Return the second verdict if it denies what the first allowed, and what kept it from being made: either stops the
    run, whose intent stands in the log already.
    """
    if verdict is None:
        return None, None
    from tfaudit.runs import gating

    try:
        second = gating.again(stage.run, verdict, recorder.receipts[-1])
    except TfauditError as error:
        return None, error
    return (None if second.decision.allowed else second), None


def _forget_key(run: Run, verdict: Verdict | None, plan_record: str) -> None:
    """Erase the change key of the plan that was applied: from now on its digest tells nobody anything."""
    from tfaudit.runs import gating

    try:
        gating.forget_key(run, plan_record)
    except TfauditError as error:
        run.world.say(f"the key of the approved plan is not erased: {error}")


# --- the change ------------------------------------------------------------------------------------------------------


def _change(stage: Stage, recorder: Recorder, planned: Planned, view: View, verdict: Verdict | None) -> int:
    """Record the intent, apply, record the outcome."""
    from tfaudit.runs import recovery, summary
    from tfaudit.runs.applying import apply, not_started
    from tfaudit.runs.deciding import said, say_denied
    from tfaudit.runs.intents import write_intent, write_outcome
    from tfaudit.runs.liveness import Mark

    run = stage.run
    with Mark(run.config.spool, run.run_id) as mark:
        held_lock = run.invocation.plan_file is None and run.invocation.lock
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=held_lock)
        if verdict is not None:
            from tfaudit.runs import gating

            gating.carry(verdict)
        run.world.step("intent")
        intent = write_intent(stage, recorder, planned, verdict)
        # From here on the intent says that something may change: an outcome follows, or the next run finds it open.
        run.world.step("confirm")
        lost, problem = _confirmed(stage, recorder, verdict)
        run.world.step("apply")
        is_stopped = lost is not None or problem is not None or _is_interrupted(stage)
        applied = not_started(stage, planned, intent) if is_stopped else apply(stage, planned, intent, view)
        run.world.step("outcome")
        approved = verdict.approved if verdict is not None and not is_stopped else None
        try:
            write_outcome(stage, recorder, planned, intent, applied, lost=lost, erased=approved)
        except TfauditError as error:
            run.world.say(f"what came of this run is NOT recorded: {error}")
            return applied.ended.code or LedgerError.exit_code
        mark.done()
    gate = said(lost.decision if lost else verdict.decision if verdict else None)
    summary.tell(run, recorder, summary.happened(applied.outcome.counts), applied.status, gate=gate)
    if problem is not None:
        raise problem
    if lost is not None:
        say_denied(run, lost.decision.reasons)
        return DeniedError.exit_code
    if approved is not None:
        _forget_key(run, verdict, approved)
    return applied.ended.code or (LedgerError.exit_code if recorder.spooled is not None else 0)


def _planned(planned: Planned) -> str:
    from tfaudit.runs import summary

    return summary.planned(planned.plan.counts) if planned.plan else "no plan to look into"
