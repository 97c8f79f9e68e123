"""In which order does a run do what it does? The only module that knows.

Plan, look into it, let the gate decide, ask, record the intent, let the gate decide again where the intent stands,
apply exactly that plan, record the outcome. Nothing changes before the intent is in the log; what came of it is
recorded on every way out.

What isn't needed to start the engine is imported inside the functions, where it is needed: it is loaded while the
engine runs, and the first to need something must not wait for what comes later.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tfaudit.engine import process
from tfaudit.engine.argv import Role, typed_call
from tfaudit.engine.process import Ended
from tfaudit.engine.signals import Relay
from tfaudit.errors import ConfigError, DeniedError, InputError, LedgerError, TfauditError
from tfaudit.runs import showing
from tfaudit.runs.stage import Stage, View
from tfaudit.runs.telling import Telling

if TYPE_CHECKING:
    from tfaudit.runs.facts import Status
    from tfaudit.runs.gating import Verdict
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.run import Run


def execute(run: Run) -> int:
    """Run an audited command and return the exit code to end with: the engine's own, or one of tfaudit's from 64.

    Raises :class:`TfauditError` where tfaudit stops the run before anything changes.
    """
    with Relay() as relay, Telling(run, relay) as telling, ExitStack() as stack:
        if run.invocation.refusal is not None:
            from tfaudit.runs.refusal import run_refused

            return run_refused(run, relay)
        if run.invocation.chdir is not None and not run.workdir.root.is_dir():
            from tfaudit.runs.refusal import run_nowhere

            return run_nowhere(run, relay)
        if run.seal or run.sealed:
            from tfaudit.runs import sealing

            sealing.check_use(run.invocation, seal=run.seal, sealed=run.sealed, remote=run.workdir.is_remote)
        if run.config.ledger is None:
            return _without_ledger(run, relay)
        plan_file = run.invocation.plan_file
        match run.invocation.role:
            case Role.APPLY if plan_file is not None:
                return _apply_saved(Stage.set(run, relay, stack, telling), run.workdir.root / plan_file)
            case Role.PLAN if not run.workdir.is_remote:
                return _plan(Stage.set(run, relay, stack, telling))
            case Role.APPLY if not run.workdir.is_remote:
                return _apply(Stage.set(run, relay, stack, telling))
            case role:
                return _as_typed(role, run, relay, telling)


def _as_typed(role: Role, run: Run, relay: Relay, telling: Telling) -> int:
    """Run what can't be looked into."""
    from tfaudit.runs import opaque

    match role:
        case Role.PLAN:
            return opaque.plan(run, relay, telling)
        case Role.READ:
            return opaque.read(run, relay, telling)
        case _:
            return opaque.operate(run, relay, telling)


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
    ended = showing.sealed_plan(stage) if run.seal else showing.plan(stage)
    try:
        _record_plan(stage, ended, started)
    except TfauditError as error:
        run.world.say(f"this plan is not recorded: {error}")
        stage.telling.unrecorded("a plan is not recorded")
    return ended.code


def _record_plan(stage: Stage, ended: Ended, started: datetime) -> None:
    from tfaudit.runs import planning

    run = stage.run
    if run.invocation.out is not None and not run.seal and (run.workdir.root / run.invocation.out).is_file():
        planning.load(run.workdir.root / run.invocation.out, stage.scratch)
    planned = planning.look_into(stage, planning.redactor(run))
    from tfaudit.runs import deciding, facts, recovery, stopped, summary
    from tfaudit.runs.intents import write_plan
    from tfaudit.runs.recording import Recorder

    status: Status = "planned" if ended.code in (0, 2) else facts.failed(ended)
    refused = stopped.refusal(stage.ready.result(), planned) if status == "planned" else None
    verdict = _consider(stage, planned) if status == "planned" and refused is None else None
    recorder = Recorder(run, _ready(stage, verdict), planned.redactor)
    if status == "planned":
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=run.invocation.lock)
    write_plan(stage, recorder, planned, status=status, ended=ended, started=started, verdict=verdict, refused=refused)
    summary.tell(run, recorder, stopped.outlined(planned), status, gate=deciding.needed(run.run_id, verdict, refused))
    stage.telling.recorded(recorder)


# --- apply and destroy -----------------------------------------------------------------------------------------------


def _apply(stage: Stage) -> int:
    """Plan, ask, apply."""
    run = stage.run
    started = run.world.clock()
    view = showing.new_view(stage)
    ended = showing.first_half(stage, view)
    from tfaudit.runs import planning

    stage.scratch.seal()
    planned = planning.look_into(stage, planning.redactor(run))
    from tfaudit.runs import facts, stopped, variables
    from tfaudit.runs.recording import Recorder

    if ended.code != 0:
        showing.close_first_half(stage, planned, ended, view, asked=False)
        recorder = Recorder(run, stage.ready.result(), planned.redactor)
        return stopped.end(stage, recorder, planned, facts.failed(ended), ended, started)
    try:
        verdict = _consider(stage, planned)
    except TfauditError:
        showing.close_first_half(stage, planned, ended, view, asked=False)
        stopped.refuse(stage, planned, started)
        raise
    denied = verdict if verdict is not None and not verdict.decision.allowed else None
    asked = planned.applyable and not run.invocation.auto_approve and denied is None
    showing.close_first_half(stage, planned, ended, view, asked=asked)
    stopped.check_known(stage, planned)
    recorder = Recorder(run, _ready(stage, verdict), planned.redactor)
    if denied is not None:
        return stopped.deny(stage, recorder, planned, denied, started)
    variables.check_repeatable(run, planned.variables)
    if showing.is_interrupted(stage):
        return stopped.end(stage, recorder, planned, "interrupted", stopped.NOT_STARTED, started, verdict)
    if asked:
        answer = showing.ask(stage)
        if answer != "yes":
            status: Status = "interrupted" if answer == "interrupted" else "declined"
            return stopped.end(stage, recorder, planned, status, stopped.NOT_STARTED, started, verdict)
    return _change(stage, recorder, planned, view, verdict)


def _apply_saved(stage: Stage, path: Path) -> int:
    """Apply a plan that was saved before, by whatever made it: the engine asks nothing then."""
    from tfaudit.runs import planning

    run = stage.run
    started = run.world.clock()
    try:
        planning.load_given(stage, path)
    except InputError as error:
        from tfaudit.runs import stopped

        return stopped.not_a_plan(stage, error)
    planned = planning.look_into(stage, planning.redactor(run))
    from tfaudit.runs import opaque, stopped
    from tfaudit.runs.recording import Recorder

    if planned.file is None or planned.file.kind in ("unknown", "old"):
        return stopped.not_a_plan(stage, planning.not_a_plan(path))
    if planned.file.kind == "bookmark":
        return opaque.operate(run, stage.relay, stage.telling, remote=planned.file)
    try:
        verdict = _consider(stage, planned)
    except TfauditError:
        stopped.refuse(stage, planned, started)
        raise
    stopped.check_known(stage, planned)
    recorder = Recorder(run, _ready(stage, verdict), planned.redactor)
    if verdict is not None and not verdict.decision.allowed:
        return stopped.deny(stage, recorder, planned, verdict, started)
    return _change(stage, recorder, planned, View(json=run.invocation.json), verdict)


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


def _ready(stage: Stage, verdict: Verdict | None) -> Ready:
    """Return what the run knows of itself; under a gate the actor is known for this very change."""
    return stage.ready.result() if verdict is None else verdict.ready


def _confirmed(stage: Stage, recorder: Recorder, verdict: Verdict | None) -> tuple[Verdict | None, TfauditError | None]:
    """Decide again on the log up to the intent's place.

    Return the second verdict if it denies what the first allowed, and what kept it from being made: either stops the
    run, whose intent stands in the log already.
    """
    if verdict is None:
        return None, None
    from tfaudit.runs import gating

    try:
        second = gating.again(stage, verdict, recorder.receipts[-1])
    except TfauditError as error:
        return None, error
    return (None if second.decision.allowed else second), None


# --- the change ------------------------------------------------------------------------------------------------------


def _change(stage: Stage, recorder: Recorder, planned: Planned, view: View, verdict: Verdict | None) -> int:
    """Record the intent, apply, record the outcome."""
    from tfaudit.runs import deciding, gatechange, gating, recovery, summary
    from tfaudit.runs.applying import apply, not_started
    from tfaudit.runs.intents import write_intent, write_outcome
    from tfaudit.runs.liveness import Mark

    run = stage.run
    with Mark(run.config.spool, run.run_id) as mark:
        held_lock = run.invocation.plan_file is None and run.invocation.lock
        recovery.close_interrupted(run, stage.relay, recorder, held_lock=held_lock)
        if verdict is not None:
            gating.carry(verdict)
        run.world.step("intent")
        intent = write_intent(stage, recorder, planned, verdict)
        stage.telling.intent(recorder, planned, verdict)
        # From here on the intent says that something may change: an outcome follows, or the next run finds it open.
        run.world.step("confirm")
        lost, problem = _confirmed(stage, recorder, verdict)
        run.world.step("apply")
        is_stopped = lost is not None or problem is not None or showing.is_interrupted(stage)
        applied = not_started(stage, planned, intent) if is_stopped else apply(stage, planned, intent, view)
        run.world.step("outcome")
        erasures = gatechange.erasures(run, verdict.voted_on) if verdict is not None and not is_stopped else ()
        try:
            write_outcome(stage, recorder, planned, intent, applied, lost=lost, erasures=erasures)
        except TfauditError as error:
            run.world.say(f"what came of this run is NOT recorded: {error}")
            stage.telling.unrecorded("what came of a run is not recorded")
            return applied.ended.code or LedgerError.exit_code
        mark.done()
    gate = deciding.said(lost.decision if lost else verdict.decision if verdict else None)
    summary.tell(run, recorder, summary.happened(applied.outcome.counts), applied.status, gate=gate)
    if lost is not None:
        stage.telling.denied(recorder, lost, planned)
    else:
        stage.telling.recorded(recorder)
    if problem is not None:
        raise problem
    if lost is not None:
        deciding.say_denied(run, lost)
        return DeniedError.exit_code
    gatechange.erase(run, erasures)
    return applied.ended.code or (LedgerError.exit_code if recorder.spooled is not None else 0)
