"""Did the gate really allow what was applied: each decision, made once more from the log as it was at its intent.

What the run claims is not believed where the log can tell: the rules are held against the bundle that was pinned there,
the votes and their uses are read from the log up to the intent's own place, and the decision is computed from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.errors import ConfigError, InputError, LedgerError, VerificationError
from tfaudit.gate import basis as bases
from tfaudit.gate import inforce, least
from tfaudit.gate.resting import decide_on
from tfaudit.gate.words import TOLERANCE, listed, milliseconds
from tfaudit.ledger import ids, pinned
from tfaudit.ledger.commit import RecordLine
from tfaudit.ledger.verify import claimed, sights
from tfaudit.ledger.verify.electing import Votes
from tfaudit.ledger.verify.findings import error, warning
from tfaudit.ledger.verify.runs import IDLE
from tfaudit.ledger.verify.staged import PENDING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfaudit.gate.basis import Basis
    from tfaudit.gate.bundle import Pinned
    from tfaudit.gate.model import Rules
    from tfaudit.ledger.live import State
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.scratch import Scratch
    from tfaudit.policy.model import Evaluation

GATED: Final = frozenset({"apply", "destroy", "refresh", "test"})
"""The commands that a gate is for."""
BASIS: Final = "/decision/basis"
_PUSH: Final = "state push"
"""What puts a state in place of another one, whatever led to it."""

_DECIDED: Final = f"""
SELECT decided.position, decided.record_id, leaf.writer, leaf.leaf, leaf.kind, leaf.refers, leaf.state, leaf.keys,
  decided.place, decided.who, decided.decision, decided.command, decided.stack,
  leaf.kind = 'intent' AND NOT EXISTS (SELECT 1 FROM closing WHERE closing.intent = decided.record_id)
FROM decided JOIN leaf ON leaf.position = decided.position
WHERE NOT {IDLE.format(intent="decided.record_id")}
ORDER BY decided.position
"""  # noqa: S608 - our own texts

_LAST_NAME: Final = f"""
SELECT decided.stack FROM leaf JOIN decided ON decided.position = leaf.position
WHERE leaf.state = ? AND leaf.position < ? AND leaf.kind = 'intent'
  AND decided.command IN ({", ".join(f"'{command}'" for command in sorted(GATED))})
ORDER BY leaf.position DESC LIMIT 1
"""  # noqa: S608 - our own texts


class _Decided(NamedTuple):
    position: int
    record_id: str
    writer: str
    leaf: bytes
    kind: str
    refers: str | None
    state: str | None
    keys: int
    place: str
    who: str
    decision: str
    command: str | None
    stack: str | None
    open: int
    """Whether no record tells yet how it ended."""

    @property
    def line(self) -> RecordLine:
        return RecordLine(
            leaf=self.leaf,
            writer=self.writer,
            record_id=self.record_id,
            kind=self.kind,
            refers=self.refers,
            state=self.state,
        )


class _Unknown(Exception):
    """What the decision has to be held against is not disclosed; the message says what."""


class _Wrong(Exception):
    """The decision does not hold; the message says why."""


class Decisions:
    """Recomputes the decisions of a log. ``start`` is where a check of the growth alone began."""

    def __init__(self, reader: Reader, scratch: Scratch, *, start: State | None, now: int) -> None:
        self._now = now
        self._reader = reader
        self._scratch = scratch
        self._votes = Votes(reader, scratch, start=start)
        self._whole = start is None
        self._pinned: dict[int, Pinned | _Unknown | None] = {}

    def findings(self) -> Iterator[Finding]:
        """Yield the runs whose decision does not hold, and those of which nobody can tell any more."""
        for row in self._scratch.database.execute(_DECIDED):
            decided = _Decided(*row)
            try:
                self._check(decided)
            except (VerificationError, InputError) as failure:
                message = f"whether this run was rightly allowed can't be told: {failure.message}"
                yield warning("decision-unchecked", decided.place, message, who=decided.who)
            except _Wrong as wrong:
                # A run that lost against another one's says so a moment after its intent.
                fresh = decided.open and self._now - ids.record_time(decided.record_id) < PENDING
                told = warning if fresh else error
                said = "; nothing tells yet whether it went on" if fresh else ""
                yield told("unapproved-change", decided.place, f"this run {wrong}{said}", who=decided.who)
            except _Unknown as unknown:
                message = f"whether this run was rightly allowed can't be told: {unknown}"
                yield warning("decision-unchecked", decided.place, message, who=decided.who)

    def _check(self, decided: _Decided) -> None:
        if decided.decision == "not-gated":
            self._check_ungated(decided)
            return
        found = self._reader.record(decided.line)
        if not isinstance(found.predicate["decision"].get("basis"), dict):
            raise _Wrong("says that it was allowed, and not on what grounds")
        text = next(iter(self._reader.values([found], BASIS)))
        if text is None:
            raise _Unknown("what its decision rests on is not disclosed")
        try:
            basis = bases.decode(text)
        except InputError as failure:
            raise _Wrong(f"rests on what is none: {failure.message}") from failure
        self._recompute(decided, found, basis)

    def _recompute(self, decided: _Decided, found: Record, basis: Basis) -> None:
        contradiction = next(claimed.contradictions(found, basis), None)
        if contradiction is not None:
            raise _Wrong(f"rests on something else than it did: {contradiction}")
        request, rules = basis.request, basis.rules
        if request is None or rules is None:
            raise _Wrong("was allowed although nobody knew what it would do, or by which rules")
        pinned_there = self._in_force(decided.keys)
        carried = found.predicate["decision"].get("known_as")
        names = self._names(decided, carried if isinstance(carried, list) else ())
        _hold_to_bundle(pinned_there, names, rules, basis.evaluations or ())
        now = basis.decided if abs(basis.decided - found.time) <= TOLERANCE else found.time
        view, unproven = self._votes.view(
            stack=request.subject.stack,
            state_key=found.state,
            before=decided.position,
            since=now - milliseconds(rules.expires),
            claimed=basis.votes or (),
        )
        named = found.predicate["decision"].get("approvals")
        shown = sights.Sights(self._reader, self._scratch, decided.line, whole=self._whole)
        decision = decide_on(
            request,
            rules,
            basis.evaluations,
            view,
            now,
            named=frozenset(map(str, named)) if isinstance(named, list) else (),
            objection=shown.objection,
        )
        if unproven and decision.allowed:
            raise _Unknown("a vote on its plan is not disclosed any more")
        if not decision.allowed:
            if shown.failure is not None:
                raise shown.failure
            if shown.other is not None:
                raise _Wrong(f"is not the one that was approved: {shown.other}")
            codes = listed(sorted({reason.code for reason in decision.reasons}))
            if unproven:
                raise _Unknown(f"votes on its plan are not disclosed any more, and without them it is {codes}")
            raise _Wrong(f"went on although the log denies it: {codes}")
        if basis.reasons:
            raise _Wrong("went on although it was denied by its own account")
        if (found.predicate["decision"].get("break_glass") is True) != decision.break_glass:
            raise _Wrong("does not say rightly whether it broke the glass")
        due = decision.review_by
        if due is not None and not _by(found.predicate["decision"].get("review_by"), due + TOLERANCE):
            raise _Wrong("does not say rightly by when somebody has to review that it broke the glass")

    def _check_ungated(self, decided: _Decided) -> None:
        """Raise where a run says that no gate was in force, and a bundle says that one was for what it did."""
        if decided.command not in (*GATED, _PUSH) or decided.keys < 0 or decided.stack is None:
            return
        there = self._in_force(decided.keys)
        if there is None or inforce.least_rules(there, *self._names(decided)) is None:
            return
        if decided.command == _PUSH:
            raise _Unknown("by state push it put another state in place, and no decision was made on what led to that")
        raise _Wrong("says that it was not gated, and the pinned configuration gates its stack")

    def _in_force(self, keys: int) -> Pinned | None:
        """Return the bundle in force where ``keys`` is the commit that gave the keys in force."""
        if keys not in self._pinned:
            try:
                self._pinned[keys] = pinned.given_by(self._reader, None if keys < 0 else keys)
            except (LedgerError, VerificationError, ConfigError) as failure:
                message = f"the configuration that was pinned then can't be read: {failure.message}"
                self._pinned[keys] = _Unknown(message)
        there = self._pinned[keys]
        if isinstance(there, _Unknown):
            raise there
        return there

    def _names(self, decided: _Decided, carried: Iterable[object] = ()) -> tuple[str, ...]:
        """Return every name by which the run's state is known: what a repository calls itself now may be new."""
        last = self._scratch.database.execute(_LAST_NAME, (decided.state, decided.position)).fetchone()
        names = (decided.stack, *carried, *(last or ()))
        return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def _by(said: object, due: int) -> bool:
    """Tell whether what is said is a time, and none later than ``due``, milliseconds since the epoch."""
    try:
        return isinstance(said, str) and ids.parse_time(said, what="review_by") <= due
    except InputError:
        return False


def _hold_to_bundle(
    there: Pinned | None, stacks: Sequence[str], rules: Rules, evaluations: Sequence[Evaluation]
) -> None:
    """Raise where the run was held to less than the bundle in force asks for, of a stack of these names.

    What its rules found is the run's own word; that they were evaluated at all shows in how many there were.
    """
    if there is None:
        if rules.pinned is not None:
            raise _Wrong("names a pinned configuration, and none was in force there")
        return
    wanted = len(least.for_stacks(there.bundle.gate, stacks).rules)
    evaluated = sum(one.rules for one in evaluations if one.engine == "cel")
    if evaluated < wanted or (there.bundle.policies and not evaluations):
        raise _Wrong("was held to fewer rules of policy than the pinned configuration has")
    lowest = inforce.least_rules(there, *stacks)
    looser = () if lowest is None else inforce.looser(rules, lowest)
    if looser:
        raise _Wrong(f"was held to looser rules than the pinned configuration's: {listed(looser)}")
