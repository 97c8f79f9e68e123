"""What of a run is worth an alert? Worked out on a thread beside it, from its memory and from what it has recorded."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tfaudit import canonical
from tfaudit.alerts import facts, limiting, rules
from tfaudit.alerts.facts import Fact, Subject
from tfaudit.alerts.telling import Teller
from tfaudit.errors import ConfigError, TfauditError, VerificationError
from tfaudit.ledger import merkle, record
from tfaudit.ledger.store import read
from tfaudit.runs.ledgers import evidence_of, open_reader, working_of
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.delivering import AlertSettings
    from tfaudit.engine.workdir import Workdir
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.verify.report import Report
    from tfaudit.runs.alerting import Seen
    from tfaudit.runs.run import World

_STATUS: Final = "tfaudit deliver --status"
MAX_GAPS: Final = 20
"""Changes without a record that one ``verify`` tells of one by one."""


def subject_of(seen: Seen) -> Subject:
    """Return who does what, where."""
    from tfaudit.runs import summary

    ready, run, plan = seen.ready, seen.run, seen.planned.plan if seen.planned else None
    last = seen.receipts[-1] if seen.receipts else None
    agent = ready.actor.agent
    return Subject(
        run_id=run.run_id,
        stack=ready.stack,
        workspace=run.workdir.workspace,
        command=run.invocation.command,
        actor=ready.actor.principal,
        level=ready.actor.level,
        agent=agent.name if agent else None,
        commit=ready.repository.commit if ready.repository else None,
        record_id=last.record_id if last else None,
        origin=last.origin if last else None,
        position=last.position if last else None,
        counts=summary.planned(plan.counts) if plan else None,
    )


class Notices:
    """Tells what is worth it; ``say`` is given one line for each thing that went wrong.

    ``workdir`` is the run's; None outside of one.
    """

    def __init__(
        self, config: Config, world: World, say: Callable[[str], None], *, workdir: Workdir | None = None
    ) -> None:
        self._config = config
        self._world = world
        self._workdir = workdir
        self._has_looked = False
        self._teller = Teller(
            config.alerts,
            store=lambda: working_of(config),
            environ=world.environ,
            clock=world.clock,
            entropy=world.entropy,
            say=say,
        )

    @property
    def teller(self) -> Teller:
        """What tells of it."""
        return self._teller

    # --- a run -----------------------------------------------------------------------------------------------------

    def broke_glass(self, seen: Seen) -> None:
        """Tell of a broken glass: nothing is read or written before it is sent."""
        due = seen.verdict.decision.review_by if seen.verdict else None
        until = limiting.time_text(due) if due is not None else None
        self._teller.tell(subject_of(seen), [facts.break_glass(subject_of(seen), until)])

    def denied(self, seen: Seen) -> None:
        """Tell that the gate denied it."""
        reasons = [reason.code for reason in seen.verdict.decision.reasons] if seen.verdict else []
        refers = seen.planned.sha256 if seen.planned and seen.run.invocation.plan_file else None
        self._tell(seen, [facts.denied(subject_of(seen), reasons, refers)])

    def intent(self, seen: Seen) -> None:
        """Tell what it is about to do, but for what was told at once."""
        self._tell(seen, self._of_change(seen))

    def recorded(self, seen: Seen) -> None:
        """Tell what can be told of records that were written."""
        self._tell(seen, [])

    def logging_failure(self, what: str, *, key: str) -> None:
        """Tell that something is not recorded or not delivered."""
        self._teller.tell(self._here(), [facts.logging_failure(what, key=key)])

    def met(self, subject: Subject, reader: Reader, key: str, version: tuple[str, int]) -> None:
        """Tell of a state that no record left behind, met by whoever looks at it now."""
        from tfaudit.alerts import history

        if self._teller.wants("unrecorded-change") and history.is_unrecorded(history.of_state(reader, key), version):
            self._teller.tell(subject, [facts.unrecorded(f"{key} {version[0]} {version[1]}")])

    # --- what others have found ------------------------------------------------------------------------------------

    def verified(self, report: Report) -> None:
        """Tell of what ``verify`` found: a change without a record by itself, all else together."""
        errors = [finding for finding in report.findings if finding.severity == "error"]
        gaps = [finding for finding in errors if finding.code == "unrecorded-change"]
        others = [finding for finding in errors if finding.code != "unrecorded-change"]
        found = [facts.unrecorded(finding.where or "") for finding in gaps[:MAX_GAPS]]
        if others:
            counted = sorted(Counter(finding.code for finding in others).items())
            places = sorted({finding.where for finding in others if finding.where})
            told = "\n".join(sorted(f"{finding.code} {finding.where}" for finding in others))
            digest = hashlib.sha256(told.encode(errors="replace")).hexdigest()
            found.append(facts.unverified(counted, places, digest=digest))
        self._teller.tell(Subject(origin=report.origin), found)

    def undelivered(self, failures: Sequence[str]) -> None:
        """Tell of sinks that do not get their copies, a line each."""
        found = [facts.logging_failure(what, key=what) for what in failures]
        self._teller.tell(self._here(), [replace(one, more=_STATUS) for one in found])

    def _here(self) -> Subject:
        """Return where this is, for what no record tells of; the stack's name is as in a record."""
        from tfaudit.runs.stack import stack_here

        with suppress(ConfigError):
            return Subject(stack=stack_here(self._config, self._world, self._workdir))
        return Subject()

    # --- facts -----------------------------------------------------------------------------------------------------

    def _tell(self, seen: Seen, found: Sequence[Fact]) -> None:
        more = [*self._of_spool(seen), *self._of_records(seen)]
        self._teller.tell(subject_of(seen), [*found, *more])

    def _of_spool(self, seen: Seen) -> Iterator[Fact]:
        if seen.spooled:
            what = "a record waits in the spool of the machine that made it: it is not in the ledger"
            yield facts.logging_failure(what, key=f"spooled {seen.ready.stack}")

    def _of_change(self, seen: Seen) -> list[Fact]:
        from tfaudit.alerts import planned

        subject, wants = subject_of(seen), self._teller.wants
        plan = seen.planned.plan if seen.planned else None
        found: list[Fact] = []
        if plan is not None:
            count = plan.counts.delete + plan.counts.replace
            if count and wants("destroy"):
                found.append(facts.destroys(subject, planned.destroyed(plan), count))
            if wants("widening") and (widened := planned.widened(plan)):
                found.append(facts.widens(subject, widened))
        at = seen.run.world.clock().astimezone()
        asked = {alert.hours for alert in self._teller.alerts if "outside-hours" in alert.on}
        found += [facts.outside_hours(subject, hours) for hours in asked if hours and rules.is_outside(hours, at)]
        return found

    def _of_records(self, seen: Seen) -> Iterator[Fact]:
        """Yield what has to be read back from the ledger; what can't be read is said, and the rest goes on."""
        own = [alert for alert in self._teller.alerts if alert.when is not None]
        looks_back = not self._has_looked and self._teller.wants("unrecorded-change", "first-time-actor")
        if not own and not looks_back:
            return
        for receipt in seen.receipts:
            try:
                found = self._record(receipt)
                if looks_back:
                    yield from self._of_past(found, receipt, seen)
                if own:
                    yield from self._of_expressions(own, found)
            except TfauditError as error:
                self._teller.say(f"whether record {receipt.record_id} is worth an alert can't be told: {error}")
                for alert in own:
                    yield facts.unevaluated(rules.ident(alert), alert.name, "a record can't be read back")

    def _of_past(self, own: Record, receipt: Receipt, seen: Seen) -> Iterator[Fact]:
        from tfaudit.alerts import history

        asks_gap = self._teller.wants("unrecorded-change")
        asks_actor = self._teller.wants("first-time-actor") and own.kind == "intent"
        if own.state is None or own.kind not in ("plan", "intent") or not (asks_gap or asks_actor):
            return
        self._has_looked = True
        past = history.Past(self._reader, own)
        if asks_gap and history.is_unrecorded(past, history.met(own)):
            yield facts.unrecorded(receipt.key)
        actor = canonical.readable(seen.ready.actor.principal)
        if asks_actor and history.is_first_time(past, self._reader, self._teller.working, own, actor):
            yield facts.first_time(subject_of(seen), own.state, whole=past.is_whole, looked=past.looked)

    def _of_expressions(self, own: Sequence[AlertSettings], found: Record) -> Iterator[Fact]:
        from tfaudit.alerts import expressions, views
        from tfaudit.ledger import disclosed

        actor = disclosed.value(self._teller.working, found, "/actor")
        looked = expressions.Record(record_id=found.record_id, kind=found.kind, view=views.record_view(found, actor))
        asks = any(expressions.looks_at_events(alert.when or "") for alert in own)
        yield from expressions.evaluate(own, looked, self._events(found) if asks else ())

    def _record(self, receipt: Receipt) -> Record:
        """Return a record that was just written, whether or not a commit holds it yet."""
        content = read(evidence_of(self._config), receipt.key, limit=MAX_ENVELOPE + 2)
        first, newline, _ = (content or b"").partition(b"\n")
        if not newline or merkle.leaf_hash(first).hex() != receipt.leaf:
            raise VerificationError(f"record {receipt.record_id} is altered or gone", hint="run `tfaudit verify`")
        return record.parse(first)

    def _events(self, found: Record) -> Iterator[dict[str, Any]]:
        from tfaudit.alerts import views

        disclosures = self._reader.disclosures(found.record_id)
        waiting = next(disclosures, None)
        for number, line in self._reader.events(record.line_of(found)):
            while waiting is not None and 0 < waiting.line < number:
                waiting = next(disclosures, None)
            opened = waiting if waiting is not None and waiting.line == number else None
            yield views.event_view(line, opened, number=number, record=found)

    @cached_property
    def _reader(self) -> Reader:
        return open_reader(self._config)
