"""How does a run end before its apply, and what is recorded of it? Nothing has changed by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.engine.process import Ended
from tfaudit.errors import DeniedError, InputError, TfauditError
from tfaudit.runs import deciding, summary
from tfaudit.runs.intents import write_plan
from tfaudit.runs.recording import Recorder

if TYPE_CHECKING:
    from datetime import datetime

    from tfaudit.runs.facts import Status
    from tfaudit.runs.gating import Refused, Verdict
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.stage import Stage

NOT_STARTED: Final = Ended(code=1, signal=None, interrupts=0)
"""How the engine ends an apply that nobody approved."""


def end(
    stage: Stage,
    recorder: Recorder,
    planned: Planned,
    status: Status,
    ended: Ended,
    started: datetime,
    verdict: Verdict | None = None,
    refused: Refused | None = None,
) -> int:
    """Record a run that ended before its apply. Nothing changed, so the engine's exit code stands in any case."""
    try:
        write_plan(
            stage, recorder, planned, status=status, ended=ended, started=started, verdict=verdict, refused=refused
        )
    except TfauditError as error:
        stage.run.world.say(f"this run is not recorded: {error}")
        stage.telling.unrecorded("a run is not recorded")
    else:
        gate = deciding.said(verdict.decision if verdict else None, refused)
        summary.tell(stage.run, recorder, outlined(planned), status, gate=gate)
        if status == "denied":
            stage.telling.denied(recorder, verdict, planned)
        else:
            stage.telling.recorded(recorder)
    return ended.code


def deny(stage: Stage, recorder: Recorder, planned: Planned, verdict: Verdict, started: datetime) -> int:
    """Record that the gate denied the run, say why, and return the exit code."""
    end(stage, recorder, planned, "denied", NOT_STARTED, started, verdict)
    deciding.say_denied(stage.run, verdict)
    return DeniedError.exit_code


def refusal(ready: Ready | None, planned: Planned) -> Refused | None:
    """Return why a gate could decide nothing; None where it can, or none is in force."""
    if ready is None or ready.gate is None:
        return None
    from tfaudit.runs import gating

    return gating.undecided(ready, planned)


def refuse(stage: Stage, planned: Planned, started: datetime) -> None:
    """Record a run that is stopped since a gate could decide nothing on it, if that is what stops it."""
    refused = refusal(stage.ready.peek(), planned)
    if refused is not None:
        stage.screen.err.write(planned.said)
        recorder = Recorder(stage.run, stage.ready.result(), planned.redactor)
        end(stage, recorder, planned, "denied", NOT_STARTED, started, refused=refused)


def check_known(stage: Stage, planned: Planned) -> None:
    """Stop an apply whose plan nobody could look into: its changes would be made unrecorded."""
    if planned.plan is None:
        stage.screen.err.write(planned.said)
        raise InputError(f"the plan can't be looked into: {planned.problem}", hint="nothing was applied")


def not_a_plan(stage: Stage, error: InputError) -> int:
    """Have the engine say what is wrong with a plan file that is none; of a sealed one only tfaudit knows."""
    from tfaudit.runs import notaplan, planning

    if stage.run.sealed or error.hint == planning.SEALED_HINT:
        raise error
    return notaplan.told(stage, error)


def outlined(planned: Planned) -> str:
    """Return what the run's one line says of its plan."""
    return summary.planned(planned.plan.counts) if planned.plan else "no plan to look into"
