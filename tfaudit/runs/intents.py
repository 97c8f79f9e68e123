"""What do the plan, intent and outcome records of a run hold?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tfaudit.errors import LedgerError
from tfaudit.events.build import plan_events
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.ledger import ids
from tfaudit.runs import facts
from tfaudit.runs.facts import Status

if TYPE_CHECKING:
    from tfaudit.engine.process import Ended
    from tfaudit.events.model import EventLine
    from tfaudit.ledger.draft import Draft
    from tfaudit.ledger.erasing import Erasure
    from tfaudit.plan.redact import Redactor
    from tfaudit.plan.source import SourceMap
    from tfaudit.runs.applying import Applied
    from tfaudit.runs.gating import Refused, Verdict
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.stage import Stage

SOURCE_WAIT_SECONDS = 3.0
"""How long a record waits for the places in the configuration: they are worth having, not worth waiting for."""


CLOCKS_APART_MILLISECONDS = 60 * 60 * 1000
"""How far the clocks of two machines may differ when a plan's record is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An intent record, and what the outcome needs of it."""

    record_id: str
    index: ChangeIndex
    redactor: Redactor


def write_plan(
    stage: Stage,
    recorder: Recorder,
    planned: Planned,
    *,
    status: Status,
    ended: Ended,
    started: datetime,
    verdict: Verdict | None = None,
    refused: Refused | None = None,
) -> None:
    """Append the record of a plan, or of an apply that ended before anything could change.

    ``refused`` is why there was no gate that the run could be held to.
    """
    run = stage.run

    def decided(draft: Draft) -> dict[str, object]:
        if refused is not None:
            from tfaudit.runs import deciding

            return {"decision": deciding.stopped(draft, refused, ids.milliseconds(run.world.clock()))}
        if verdict is None:
            return {"decision": dict(facts.NOT_GATED)}
        from tfaudit.runs import deciding

        found = {"decision": deciding.recorded(draft, verdict), "change": deciding.change(draft, verdict)}
        return {name: value for name, value in found.items() if value is not None}

    own: dict[str, object] = {
        "capture": planned.capture,
        "result": facts.result(
            status,
            # The engine was not asked to apply what the gate denied.
            exit_code=None if status == "denied" else ended.code,
            signal=ended.signal,
            started=started,
            ended=run.world.clock(),
        ),
        **_plan_facts(recorder, planned),
    }
    recorder.write(
        "plan", own, lambda draft: _changes(stage, planned, draft), plan_sha256=planned.sha256, committed=decided
    )


def write_intent(stage: Stage, recorder: Recorder, planned: Planned, verdict: Verdict | None = None) -> Intent:
    """Append the intent: from its place in the log on, the changes may happen.

    Raises :class:`LedgerError` when it is not durable; with ``on_ledger_failure = "spool"`` the spool is enough, but
    never under a gate.
    """
    index = ChangeIndex()

    def decided(draft: Draft) -> dict[str, object]:
        if verdict is None:
            return {"decision": dict(facts.NOT_GATED)}
        from tfaudit.runs import deciding

        found: dict[str, object] = {"decision": deciding.recorded(draft, verdict)}
        if verdict.change is not None:
            found["change_digest"] = verdict.change.digest
        return found

    own: dict[str, object] = {"capture": planned.capture, **_plan_facts(recorder, planned)}
    plan_record = verdict.approved if verdict is not None else None
    if plan_record is None and stage.run.invocation.plan_file:
        plan_record = _plan_record(recorder, planned)
    if plan_record is not None:
        own["plan_record"] = plan_record
    record_id = recorder.write(
        "intent",
        own,
        lambda draft: _changes(stage, planned, draft),
        seen=lambda event_id, line: index.add(event_id, line.line, line.disclosure),
        plan_sha256=planned.sha256,
        on_failure="spool" if stage.run.config.on_ledger_failure == "spool" and verdict is None else "raise",
        committed=decided,
    )
    return Intent(record_id=record_id, index=index, redactor=planned.redactor)


def write_outcome(
    stage: Stage,
    recorder: Recorder,
    planned: Planned,
    intent: Intent,
    applied: Applied,
    *,
    lost: Verdict | None = None,
    erasures: Sequence[Erasure] = (),
) -> None:
    """Append what came of it. Where the ledger is away the record waits in the spool: it must not be lost.

    ``lost`` is the second decision where that denied the run, ``erasures`` the values that will be erased after this.
    """

    def decided(draft: Draft) -> dict[str, object]:
        if lost is None:
            return {}
        from tfaudit.runs import deciding

        return {"decision": deciding.recorded(draft, lost)}

    own: dict[str, object] = {
        "capture": planned.capture,
        "intent": intent.record_id,
        "state": facts.state(recorder.state_key, applied.before, applied.after),
        "result": facts.result(
            applied.status,
            exit_code=applied.ended.code,
            signal=applied.ended.signal,
            started=applied.started,
            ended=applied.finished,
            counts=applied.outcome.counts,
            errored_state=applied.errored_state,
        ),
    }
    if erasures:
        own["erased"] = [erasure.statement() for erasure in erasures]
    recorder.write(
        "outcome",
        own,
        lambda draft: _outcomes(stage, applied, draft),
        plan_sha256=planned.sha256,
        on_failure="spool",
        committed=decided,
    )


def _plan_facts(recorder: Recorder, planned: Planned) -> dict[str, object]:
    found: dict[str, object] = {"state": facts.state(recorder.state_key, planned.before)}
    if planned.sha256 is not None:
        found["plan"] = facts.plan(planned.sha256, planned.plan)
        found["refers"] = planned.sha256
    return found


def _plan_record(recorder: Recorder, planned: Planned) -> str | None:
    """Return the record of the plan that is applied: the newest of this very file; None where it was not recorded.

    The look-up ends where the log is older than the plan says it is.
    """
    made = datetime.fromisoformat(planned.plan.timestamp) if planned.plan and planned.plan.timestamp else None
    if made is None:
        return None
    oldest = ids.milliseconds(made) - CLOCKS_APART_MILLISECONDS
    try:
        reader = recorder.reader()
    except LedgerError:
        return None  # whether the run may go on without the ledger is not for this look-up to say
    for entry in reader.newest_first():
        if entry.line.kind == "plan" and entry.line.refers == planned.sha256:
            return entry.line.record_id
        if entry.time < oldest:
            break
    return None


def _changes(stage: Stage, planned: Planned, draft: Draft) -> Iterator[EventLine]:
    if planned.plan is None:
        return iter(())
    sources: SourceMap | None = stage.run.scan.result(SOURCE_WAIT_SECONDS) if planned.plan.size else None
    return plan_events(planned.plan, record_id=draft.record_id, entropy=stage.run.world.entropy, sources=sources)


def _outcomes(stage: Stage, applied: Applied, draft: Draft) -> Iterator[EventLine]:
    writer = LineWriter(draft.record_id, stage.run.world.entropy)
    for outcome in applied.outcome.outcomes:
        yield writer.outcome(outcome)
    for diagnostic in applied.outcome.diagnostics:
        yield writer.diagnostic(diagnostic)
    if applied.outcome.unplanned:
        yield writer.note("unplanned", addresses=list(applied.outcome.unplanned))
