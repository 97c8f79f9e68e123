"""What came of a run that never said so: an intent without an outcome, closed by the next run or by ``recover``.

Nobody saw the end, so nothing is claimed that the state does not show: a planned creation whose object the state now
holds untainted, and a planned deletion whose object it no longer holds, are taken for applied, and marked as inferred;
all else is unknown. Nor is anything claimed where the state is not the one that the run started from, was not written
since, or had a later run: who did it then, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, LedgerError
from tfaudit.events.commitment import Disclosure, encode_value, encode_values
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.ledger import ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.plan.outcome import OutcomeTracker
from tfaudit.runs import facts, liveness, planning, state
from tfaudit.runs.ledgers import evidence_of, working_of
from tfaudit.runs.ready import get_ready
from tfaudit.runs.recording import Recorder

if TYPE_CHECKING:
    from tfaudit.engine.signals import Relay
    from tfaudit.events.model import EventLine
    from tfaudit.ledger.draft import Draft
    from tfaudit.ledger.reader import LogEntry, Reader
    from tfaudit.ledger.record import Record
    from tfaudit.plan.outcome import Outcome
    from tfaudit.runs.facts import StateId
    from tfaudit.runs.run import Run
    from tfaudit.runs.state import Seen

CLOSING: Final = ("outcome", "operation")
_MOVING: Final = ("intent", *CLOSING)
SETTLED_MILLISECONDS: Final = 15 * 60 * 1000
"""How old an intent from another machine must be before a run that holds the state's lock takes it for dead."""


OVER_MILLISECONDS: Final = 60 * 60 * 1000
"""How old it must be before ``recover`` takes it for dead without asking."""


TIDY_AFTER_SECONDS: Final = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """An intent that no record closes."""

    entry: LogEntry
    record: Record
    alive: bool | None
    """Whether the run still goes on; None where it was made on another machine."""
    is_last: bool
    """Whether no other run of its state was recorded since."""

    @property
    def run_id(self) -> str:
        """The run that wrote the intent."""
        return str(self.record.predicate.get("run_id"))


def find_open(reader: Reader, run: Run, *, state_key: str | None = None) -> list[OpenRun]:
    """Return the open runs, newest first: of one state its last one, or, without ``state_key``, all of the ledger."""
    closed: set[str] = set()
    followed: set[str | None] = set()
    found: list[OpenRun] = []
    if state_key is not None and not reader.knows_state(state_key):
        # Or else the whole log would have to be walked to find nothing.
        return found
    for entry in reader.newest_first():
        line = entry.line
        if state_key is not None and line.state != state_key:
            continue
        if line.kind in CLOSING:
            closed.add(str(reader.record(line).predicate.get("intent")))
        elif line.kind == "intent":
            if line.record_id not in closed:
                record = reader.record(line)
                alive = liveness.is_alive(run.config.spool, str(record.predicate.get("run_id")))
                is_last = line.state not in followed
                found.append(OpenRun(entry=entry, record=record, alive=alive, is_last=is_last))
            if state_key is not None:
                break
        if line.kind in _MOVING:
            followed.add(line.state)
    return found


def close_interrupted(run: Run, relay: Relay, recorder: Recorder, *, held_lock: bool) -> None:
    """Close the last run of this state if it died. ``held_lock``: a plan of ours just had the state's lock.

    A run on another machine is taken for dead only then, and only when its intent is old enough: between its intent
    and its apply nobody holds the lock. Raises :class:`LedgerError` when the ledger can't be read or written, unless
    this run may go on without it: then a later one closes what is open.
    """
    if recorder.state_key is None:
        return
    try:
        reader = recorder.reader()
    except LedgerError:
        if run.config.on_ledger_failure == "spool":
            return
        raise
    now = ids.milliseconds(run.world.clock())
    for found in find_open(reader, run, state_key=recorder.state_key):
        settled = held_lock and now - found.record.time > SETTLED_MILLISECONDS
        if found.alive is False or (found.alive is None and settled):
            close(run, recorder, reader, found, state.seen(run, relay))
            run.world.say(
                f"closed the interrupted run {found.run_id}: tfaudit inspect {found.run_id} shows what is known"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What ``recover`` did."""

    sent: int
    """Records sent from the spool."""
    closed: tuple[str, ...]
    running: tuple[str, ...]
    left: tuple[str, ...]
    """Runs from other machines that may still go on."""


def recover(run: Run, relay: Relay, *, only: str | None, ask: Callable[[str, str], bool] | None) -> Recovered:
    """Send the spool, then close what died; ``only`` one run where it is named.

    ``ask`` is given run and stack of a run from another machine and says whether it has ended; without it, such runs
    are closed when their intent is older than an hour. Raises :class:`InputError` when the named run is not open.
    """
    ready = get_ready(run)
    _tidy(run)
    recorder = Recorder(run, ready, planning.redactor(run))
    sent = ready.sent + len(ready.ledger.drain())
    if run.config.signer_log is not None:
        # A staged outcome closes its intent as well as a committed one.
        ready.ledger.sequence()
    reader = recorder.reader()
    found = [each for each in find_open(reader, run) if only is None or each.run_id.startswith(only)]
    if only is not None and not found:
        raise InputError(f"no run {only} is open", hint="tfaudit verify lists the open ones")
    now = ids.milliseconds(run.world.clock())
    closed, running, left = [], [], []
    for each in reversed(found):
        stack = str(each.record.predicate.get("stack"))
        if each.alive:
            running.append(each.run_id)
        elif each.alive is None and only is None and not _is_over(each, now, stack, ask):
            left.append(each.run_id)
        else:
            mine = each.record.state is not None and each.record.state == recorder.state_key
            close(run, recorder, reader, each, state.seen(run, relay) if mine else None)
            closed.append(each.run_id)
    if run.config.alerts:
        from tfaudit.runs import alerting

        alerting.met(run, relay, recorder)
    return Recovered(sent=sent, closed=tuple(closed), running=tuple(running), left=tuple(left))


def _tidy(run: Run) -> None:
    """Remove what killed writers left in the stores' temporary folders; no object is touched."""
    before = run.world.clock().timestamp() - TIDY_AFTER_SECONDS
    for store in (evidence_of(run.config), working_of(run.config)):
        if isinstance(store, FolderStore):
            store.clean(before=before)


def _is_over(found: OpenRun, now: int, stack: str, ask: Callable[[str, str], bool] | None) -> bool:
    return ask(found.run_id, stack) if ask is not None else now - found.record.time > OVER_MILLISECONDS


def close(run: Run, recorder: Recorder, reader: Reader, found: OpenRun, seen: Seen | None) -> None:
    """Record what can be told of an interrupted run; ``seen`` is its state now, None where it can't be read."""
    before = _state_before(found.record)
    after = seen.id if seen else None
    predicate = found.record.predicate
    name = _command(found.record)
    index = _index(reader, found)
    outcome = OutcomeTracker(index, recorder.redactor).finish(exit_code=None, serial_rose=state.rose(before, after))
    wanted = {change.event_id: change.actions for change in index}
    known = {change.event_id: change.address for change in index}
    told = seen if found.is_last and _went_on(before, after) else None
    outcomes = tuple(_judge(each, wanted[each.event_id], known[each.event_id], told) for each in outcome.outcomes)
    counts: dict[str, int] = {}
    for each in outcomes:
        counts[each.status] = counts.get(each.status, 0) + 1
    now = run.world.clock()
    own: dict[str, object] = {
        "run_id": found.run_id,
        "stack": predicate.get("stack"),
        "workspace": predicate.get("workspace"),
        "command": predicate.get("command"),
        "capture": predicate.get("capture"),
        "intent": found.record.record_id,
        "recovered": {"run_id": run.run_id},
        "state": facts.state(found.record.state, before, after),
        "result": facts.result("unknown", exit_code=None, started=now, ended=now, counts=counts),
    }

    def lines(draft: Draft) -> Iterator[EventLine]:
        writer = LineWriter(draft.record_id, run.world.entropy)
        return (writer.outcome(each) for each in outcomes)

    kind = "outcome" if name in ("apply", "destroy") else "operation"
    recorder.write(kind, own, lines)
    liveness.forget(run.config.spool, found.run_id)


def _went_on(before: StateId | None, after: StateId | None) -> bool:
    """Tell whether the state is the one that the run started from, written since."""
    if before is None or after is None:
        return False
    return before.lineage in ("", after.lineage) and bool(state.rose(before, after))


def _judge(outcome: Outcome, actions: tuple[str, ...], address: str, seen: Seen | None) -> Outcome:
    """Return the outcome that the state bears out."""
    if seen is None or outcome.deposed is not None:
        return outcome
    is_there = address in seen.addresses
    is_whole = is_there and address not in seen.tainted
    applied = (actions == ("create",) and is_whole) or (actions == ("delete",) and not is_there)
    return replace(outcome, status="applied", inferred=True) if applied else outcome


def _index(reader: Reader, found: OpenRun) -> ChangeIndex:
    """Return the intent's changes, read back with what is disclosed of them."""
    index = ChangeIndex()
    disclosures = {each.line: each for each in reader.disclosures(found.record.record_id)}
    for number, line in reader.events(found.entry.line):
        index.add(f"{found.record.record_id}/{number}", line, _values(disclosures.get(number)))
    return index


def _values(disclosure: Disclosure | None) -> bytes:
    """Return the values of a disclosure as its line holds them, less what was erased."""
    members = [
        encode_value(value.pointer, value.side, value.salt, value.text)
        for value in (disclosure.values if disclosure else ())
        if value.salt is not None and value.text is not None
    ]
    return encode_values(members) if members else b""


def _command(record: Record) -> str:
    match record.predicate.get("command"):
        case {"name": str(name)}:
            return name
    return ""


def _state_before(record: Record) -> StateId | None:
    match record.predicate.get("state"):
        case {"before": {"lineage": str(lineage), "serial": int(serial)}}:
            return facts.StateId(lineage=lineage, serial=serial)
    return None
