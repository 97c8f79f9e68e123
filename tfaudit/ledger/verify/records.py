"""Is this record what the log's leaf says, signed by whom it says, with the events and disclosures it says?"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger import commit, ids, merkle, record, votes
from tfaudit.ledger.draft import MAX_EVENT
from tfaudit.ledger.store import begin
from tfaudit.ledger.verify import events, tokens
from tfaudit.ledger.verify.disclosures import Disclosures
from tfaudit.ledger.verify.findings import Finding, error, warning
from tfaudit.ledger.verify.lines import Lines
from tfaudit.ledger.verify.reading import some
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store
    from tfaudit.ledger.verify.scratch import Leaf
    from tfaudit.ledger.verify.versions import Locks

_FIRST = MAX_ENVELOPE + 1
CHANGE_KEY: Final = "/change/key"
"""Where a plan record commits to the key of its change digest."""
_MAY_LACK: Final = {"plan": frozenset({CHANGE_KEY})}
"""By kind: what an outcome may state to be erased."""


class Claims(NamedTuple):
    """What a sound record says, as far as it is held against the rest of the log."""

    record_id: str
    kind: str
    who: str
    time: int
    seen: str | None
    previous: tuple[str, str] | None
    """Record id and leaf, hexadecimal."""
    spooled: int | None
    state: str | None
    before: tuple[str, int] | None
    """Lineage and serial."""
    after: tuple[str, int] | None
    intent: str | None
    decision: str | None
    status: str | None
    reached: bool | None
    """Whether an apply got as far as any of its changes; None where it doesn't say."""
    command: str | None
    stack: str | None
    approvals: tuple[str, ...]
    """The votes that a decision names."""
    erased: tuple[tuple[str, str], ...]
    """Records whose change key was erased, each with the SHA-256 of its disclosure file from then on."""


class Outcome(NamedTuple):
    """What came of one record."""

    leaf: Leaf
    findings: tuple[Finding, ...]
    events: int
    values: int
    claims: Claims | None
    """None where the record can't be believed."""
    pruned: str | None = None
    """The record that let this one's events go, where they are gone."""
    lacking: str | None = None
    """SHA-256 of its disclosure file where that lacks just the change key: an outcome has to have stated it."""
    keeps: bool = False
    """Whether its disclosure file is whole and holds a change key: no outcome may say that it was erased."""


class Task(NamedTuple):
    """One record to check."""

    leaf: Leaf
    erased: bool
    """Whether an erasure of its disclosures was recorded, so that they may be gone."""
    pruned: str | None
    """The record that let its events and disclosures go, if any."""


class Checker:
    """Checks records of one ledger, each for itself."""

    def __init__(
        self, evidence: Store, working: Store | None, origin: str, keysets: Mapping[int, KeySet], locks: Locks
    ) -> None:
        self._evidence = evidence
        self._working = working
        self._origin = origin
        self._keysets = keysets
        self._locks = locks

    def check_all(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield what came of each of these records, in their order."""
        with suppress(LedgerError):
            # What keeps them from being opened ahead keeps them from being opened: that is told of each.
            begin(self._evidence, [ids.record_key(task.leaf.writer, task.leaf.record_id) for task in tasks])
            if self._working is not None:
                begin(self._working, [ids.disclosure_key(task.leaf.record_id) for task in tasks])
        yield from map(self.check, tasks)

    def check(self, task: Task) -> Outcome:
        """Return what came of one record."""
        leaf = task.leaf
        key = ids.record_key(leaf.writer, leaf.record_id)
        try:
            stream = self._evidence.open(key)
            if stream is None:
                message = "the log holds this record's leaf, and the record is gone"
                return _failed(leaf, error("phantom-leaf", key, message, who=leaf.writer))
            with stream:
                found = self._read(stream, key, leaf, erased=task.erased, pruned=task.pruned)
            unlocked = tuple(self._locks.findings(self._evidence, key))
            return found._replace(findings=found.findings + unlocked) if unlocked else found
        except LedgerError as failure:
            return _failed(leaf, error("unreadable", key, f"this record can't be read: {failure.message}"))

    def _read(self, stream: BinaryIO, key: str, leaf: Leaf, *, erased: bool, pruned: str | None) -> Outcome:
        line, newline, rest = some(stream, min(_FIRST, (leaf.bytes or _FIRST) + 1)).partition(b"\n")
        if not newline or merkle.leaf_hash(line) != leaf.leaf:
            message = "the record's first line is not the one whose leaf the log holds"
            return _failed(leaf, error("altered-record", key, message, who=leaf.writer))
        adopted = f"commit {leaf.number} adopted what is no record of this ledger"
        try:
            found = record.parse(line)
        except InputError as failure:
            return _failed(leaf, error("altered-record", key, f"{adopted}: {failure.message}"))
        who = f"{leaf.writer}, key {found.envelope.keyid[:16]}"
        if found.origin != self._origin or record.line_of(found) != _line(leaf):
            message = f"{adopted}: its statement says otherwise than the commit"
            return _failed(leaf, error("altered-record", key, message, who=who))
        signed = found.signed_under(self._keysets[leaf.keys])
        if signed is None:
            message = f"the record's key was not accepted for kind {leaf.kind} and this stack at this place of the log"
            return _failed(leaf, error("unknown-signer", key, message, who=who))
        if not signed:
            return _failed(leaf, error("bad-signature", key, "the record's signature does not verify", who=who))
        if pruned is not None and found.event_count and not (rest := rest or some(stream, 1)):
            return Outcome(leaf, (), 0, 0, _claims(found, who), pruned)
        return self._lines(stream, rest, key, leaf, found, who, erased=erased or pruned is not None)

    def _lines(
        self, stream: BinaryIO, rest: bytes, key: str, leaf: Leaf, found: Record, who: str, *, erased: bool
    ) -> Outcome:
        findings: list[Finding] = []
        lacking: str | None = None
        keeps = False
        with ExitStack() as stack:
            disclosures = self._open(found, who, findings, stack, erased=erased)
            source = Lines(stream, rest, longest=MAX_EVENT)
            checked = events.check(source, count=found.event_count, root=found.event_root, disclosures=disclosures)
            if checked.altered is not None:
                findings.append(error("altered-events", key, f"the record {checked.altered}", who=who))
            elif checked.unlike is not None:
                findings.append(error("altered-events", key, f"as it was signed, {checked.unlike}", who=who))
            if disclosures is not None:
                digest = disclosures.finish(found.predicate, may_lack=_MAY_LACK.get(leaf.kind, frozenset()))
                whole = digest == found.disclosures
                keeps = whole and leaf.kind == "plan" and "change" in found.predicate
                believed = checked.altered is None and checked.unlike is None
                if believed and not erased and disclosures.lacking and _otherwise_whole(disclosures):
                    lacking = digest
                else:
                    findings.extend(_disclosed(disclosures, found, who, whole=whole, believed=believed, erased=erased))
                if whole:
                    findings.extend(_proved(disclosures, found, key, who))
        return Outcome(
            leaf,
            tuple(findings),
            checked.lines,
            disclosures.opened if disclosures else 0,
            _claims(found, who),
            lacking=lacking,
            keeps=keeps,
        )

    def _open(
        self, found: Record, who: str, findings: list[Finding], stack: ExitStack, *, erased: bool
    ) -> Disclosures | None:
        if self._working is None or found.disclosures is None:
            return None
        key = ids.disclosure_key(found.record_id)
        try:
            stream = self._working.open(key)
        except LedgerError as failure:
            findings.append(error("unreadable", key, f"these disclosures can't be read: {failure.message}", who=who))
            return None
        if stream is None:
            if not erased:
                message = "the disclosures of this record are gone, and no erasure was recorded"
                findings.append(error("missing-disclosure", key, message, who=who))
            return None
        return Disclosures(stack.enter_context(stream), found.record_id, erased=erased)


def _proved(disclosures: Disclosures, found: Record, key: str, who: str) -> Iterator[Finding]:
    """Yield a finding where what is kept to prove who acted does not prove it."""
    objection = tokens.objection(found, disclosures.own)
    if objection is not None:
        yield error("bad-token", key, f"who this record says acted is not proved: {objection}", who=who)


def _otherwise_whole(disclosures: Disclosures) -> bool:
    return disclosures.unopened is None and disclosures.undisclosed is None


def _disclosed(
    disclosures: Disclosures, found: Record, who: str, *, whole: bool, believed: bool, erased: bool
) -> list[Finding]:
    """Return what is wrong with a disclosure file; ``whole`` tells that it is the file that was signed."""
    key = ids.disclosure_key(found.record_id)
    detail = f": {disclosures.unopened}" if believed and disclosures.unopened else ""
    if not whole and (detail or not erased):
        return [error("altered-disclosure", key, f"these are not the disclosures that were signed{detail}", who=who)]
    if detail:
        return [error("altered-disclosure", key, f"as they were signed, the disclosures are wrong{detail}", who=who)]
    if believed and disclosures.undisclosed is not None:
        message = f"nothing was ever disclosed for a value that the record commits to: {disclosures.undisclosed}"
        return [warning("missing-disclosure", key, message, who=who)]
    return []


def _failed(leaf: Leaf, finding: Finding) -> Outcome:
    return Outcome(leaf, (finding,), 0, 0, None)


def _line(leaf: Leaf) -> commit.RecordLine:
    return commit.RecordLine(
        leaf=leaf.leaf,
        writer=leaf.writer,
        record_id=leaf.record_id,
        kind=leaf.kind,
        refers=leaf.refers,
        state=leaf.state,
    )


def _claims(found: Record, who: str) -> Claims:
    predicate = found.predicate
    previous = found.previous
    return Claims(
        record_id=found.record_id,
        kind=found.kind,
        who=who,
        time=found.time,
        seen=found.seen,
        previous=(previous.record_id, previous.leaf) if previous else None,
        spooled=found.spooled,
        state=found.state,
        before=_point(predicate, "before"),
        after=_point(predicate, "after"),
        intent=_member(predicate, "intent"),
        decision=_member(predicate, "decision", "decision"),
        status=_member(predicate, "result", "status"),
        reached=_reached(predicate) if found.kind == "outcome" else None,
        command=_member(predicate, "command", "name"),
        stack=_member(predicate, "stack"),
        approvals=tuple(use.vote for use in votes.uses_of(predicate, found.record_id, None)),
        erased=tuple(_erased(predicate)) if found.kind == "outcome" else (),
    )


def _erased(predicate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    stated = predicate.get("erased")
    for one in stated if isinstance(stated, list) else ():
        match one:
            case {"record": str(record_id), "pointer": pointer, "disclosures": str(digest)} if pointer == CHANGE_KEY:
                yield record_id, digest


def _reached(predicate: Mapping[str, Any]) -> bool | None:
    result = predicate.get("result")
    counts = result.get("counts") if isinstance(result, dict) else None
    if not isinstance(counts, dict) or not any(counts.values()):
        return None
    return any(number for status, number in counts.items() if status != "not-reached")


def _point(predicate: Mapping[str, Any], side: str) -> tuple[str, int] | None:
    state = predicate.get("state")
    match state.get(side) if isinstance(state, dict) else None:
        case {"lineage": str(lineage), "serial": int(serial)} if not isinstance(serial, bool):
            return lineage, serial
    return None


def _member(predicate: Mapping[str, Any], *path: str) -> str | None:
    here: Any = predicate
    for name in path:
        here = here.get(name) if isinstance(here, dict) else None
    return here if isinstance(here, str) else None
