"""What is recorded of a command that can't be looked into: a remote run, or one without a machine-readable stream.

Such a command runs as typed, on the user's own terminal. Its records hold the command, the exit code and the state's
version before and after, and say ``capture: partial``. An intent goes before it all the same, so that a command that
was killed leaves a trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.engine import process
from tfaudit.engine.argv import Role, typed_call
from tfaudit.engine.signals import Interrupted
from tfaudit.errors import DeniedError, LedgerError, TfauditError
from tfaudit.plan.planfile import read_plan_file
from tfaudit.runs import facts, planning, recovery, state, summary
from tfaudit.runs.liveness import Mark
from tfaudit.runs.ready import get_ready
from tfaudit.runs.recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tfaudit.engine.process import Ended
    from tfaudit.engine.signals import Relay
    from tfaudit.ledger.draft import Draft
    from tfaudit.plan.planfile import PlanFile
    from tfaudit.runs.facts import Status
    from tfaudit.runs.gating import Verdict
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.run import Run
    from tfaudit.runs.telling import Telling


def plan(run: Run, relay: Relay, telling: Telling) -> int:
    """Run a remote plan as typed and record what can be told of it."""
    started = run.world.clock()
    ended = process.run_inherit(run.engine.command, typed_call(run.invocation, run.world.environ), relay=relay)
    try:
        recorder = Recorder(run, get_ready(run), planning.redactor(run))
        out = run.invocation.out
        bookmark = _described(read_plan_file(run.workdir.root / out)) if out else None
        own: dict[str, object] = {
            "capture": "partial",
            "decision": dict(facts.NOT_GATED),
            "result": _result(run, ended, "planned" if ended.code in (0, 2) else facts.failed(ended), started),
            "state": facts.state(recorder.state_key, None),
        }
        if bookmark is not None:
            own["remote"] = bookmark
        recorder.write("plan", own)
    except TfauditError as error:
        run.world.say(f"this plan is not recorded: {error}")
        telling.unrecorded("a plan is not recorded")
    else:
        summary.tell(run, recorder, "a remote plan, not looked into", "planned")
        telling.recorded(recorder)
    return ended.code


def operate(run: Run, relay: Relay, telling: Telling, *, remote: PlanFile | None = None) -> int:
    """Run a command as typed between an intent and a record of what came of it; return its exit code.

    ``remote`` is the bookmark of a remote plan that is applied. Raises what keeps the intent from being recorded:
    then nothing was run.
    """
    ready = get_ready(run)
    try:
        verdict = _considered(run, ready)
    except TfauditError:
        _record_refused(run, ready, telling)
        raise
    recorder = Recorder(run, verdict.ready if verdict else ready, planning.redactor(run))
    if verdict is not None and not verdict.decision.allowed:
        return _deny(run, recorder, verdict, telling)
    with Mark(run.config.spool, run.run_id) as mark:
        recovery.close_interrupted(run, relay, recorder, held_lock=False)
        before = state.current(run, relay)
        remembered: dict[str, object] = {"capture": "partial"}
        if verdict is None:
            remembered["decision"] = dict(facts.NOT_GATED)
        described = _described(remote)
        if described is not None:
            remembered["remote"] = described
        run.world.step("intent")
        intent = recorder.write(
            "intent",
            {**remembered, "state": facts.state(recorder.state_key, before)},
            on_failure="spool" if run.config.on_ledger_failure == "spool" and verdict is None else "raise",
            committed=_decided(verdict),
        )
        telling.intent(recorder, None, verdict)
        backend = run.workdir.backend()
        started = run.world.clock()
        run.world.step("apply")
        ended = _stopped(relay) or process.run_inherit(
            run.engine.command, typed_call(run.invocation, run.world.environ), relay=relay
        )
        run.world.step("applied")
        if run.invocation.role is Role.INIT and run.workdir.backend() != backend:
            remembered["backend_changed"] = True
        after = state.current(run, relay, after=True)
        status: Status = "succeeded" if ended.code == 0 else facts.failed(ended)
        closing = {
            **remembered,
            "intent": intent,
            "state": facts.state(recorder.state_key, before, after),
            "result": _result(run, ended, status, started),
        }
        kind = "outcome" if run.invocation.role is Role.APPLY else "operation"
        run.world.step("outcome")
        recorder.write(kind, closing, on_failure="spool", committed=_decided(verdict))
        mark.done()
    gate = "not gated"
    if verdict is not None:
        from tfaudit.runs import deciding

        gate = deciding.said(verdict.decision)
    summary.tell(run, recorder, run.invocation.command, status, gate=gate)
    telling.recorded(recorder)
    return ended.code or (LedgerError.exit_code if recorder.spooled is not None else 0)


def _considered(run: Run, ready: Ready) -> Verdict | None:
    """Return what the gate says of a command that nobody can look into; None where none is in force for it."""
    if ready.gate is None:
        return None
    from tfaudit.runs import gating

    return gating.consider_unseen(run, ready)


def _record_refused(run: Run, ready: Ready, telling: Telling) -> None:
    """Record a command that is stopped since there is no gate that it could be held to, if that is what stops it."""
    from tfaudit.ledger import ids
    from tfaudit.runs import deciding
    from tfaudit.runs.gating import Refused

    refused = ready.gate
    if not isinstance(refused, Refused):
        return
    now = ids.milliseconds(run.world.clock())
    recorder = Recorder(run, ready, planning.redactor(run))
    try:
        _write_denied(run, recorder, lambda draft: {"decision": deciding.stopped(draft, refused, now)})
    except TfauditError as error:
        run.world.say(f"this run is not recorded: {error}")
        telling.unrecorded("a run is not recorded")
    else:
        summary.tell(run, recorder, run.invocation.command, "denied", gate=deciding.said(None, refused))
        telling.denied(recorder, None)


def _decided(verdict: Verdict | None) -> Callable[[Draft], dict[str, object]] | None:
    if verdict is None:
        return None
    from tfaudit.runs import deciding

    return lambda draft: {"decision": deciding.recorded(draft, verdict)}


def _deny(run: Run, recorder: Recorder, verdict: Verdict, telling: Telling) -> int:
    """Record that the gate denied the command, and say why."""
    from tfaudit.runs import deciding

    _write_denied(run, recorder, _decided(verdict))
    summary.tell(run, recorder, run.invocation.command, "denied", gate=deciding.said(verdict.decision))
    telling.denied(recorder, verdict)
    deciding.say_denied(run, verdict)
    return DeniedError.exit_code


def _write_denied(run: Run, recorder: Recorder, decided: Callable[[Draft], dict[str, object]] | None) -> None:
    now = run.world.clock()
    own: dict[str, object] = {
        "capture": "none",
        "result": facts.result("denied", exit_code=None, started=now, ended=now),
        "state": facts.state(recorder.state_key, None),
    }
    recorder.write("plan", own, committed=decided)


def _stopped(relay: Relay) -> Ended | None:
    """Return the end of a command that a signal stopped before it began, else None."""
    try:
        relay.heed()
    except Interrupted as interrupted:
        return process.Ended(code=128 + interrupted.signal, signal=None, interrupts=1)
    return None


def read(run: Run, relay: Relay, telling: Telling) -> int:
    """Record that a command reads what may be secret, then run it; a ledger that is away stops it."""
    recorder = Recorder(run, get_ready(run), planning.redactor(run))
    recorder.write("access", {"capture": "none", "state": facts.state(recorder.state_key, None)})
    telling.recorded(recorder)
    return process.run_inherit(run.engine.command, typed_call(run.invocation, run.world.environ), relay=relay).code


def _result(run: Run, ended: Ended, status: Status, started: datetime) -> dict[str, object]:
    return facts.result(status, exit_code=ended.code, signal=ended.signal, started=started, ended=run.world.clock())


def _described(file: PlanFile | None) -> dict[str, object] | None:
    if file is None or file.run_id is None:
        return None
    return {"run_id": file.run_id, "hostname": file.hostname}
