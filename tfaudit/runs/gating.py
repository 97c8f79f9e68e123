"""May this run go on: what the gate is asked, before the apply and once more when the intent has its place in the log.

A gate is in force where the repository has a ``[gate]``, or the ledger's pinned bundle wants one for the stack.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, LedgerError, TfauditError, UnavailableError, VerificationError
from tfaudit.runs import gatechange, gatememory, gaterequest

if TYPE_CHECKING:
    from tfaudit.config.gating import IdentitySettings
    from tfaudit.gate.bundle import Pinned
    from tfaudit.gate.model import Code, Decision, LedgerView, Request, Rules, Vote
    from tfaudit.ledger.log import Ledger, Receipt
    from tfaudit.ledger.reader import LogEntry, Reader
    from tfaudit.policy.evaluate import Pending
    from tfaudit.policy.model import Evaluation
    from tfaudit.runs.gatechange import Change
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.reviews import Fetched
    from tfaudit.runs.run import Run
    from tfaudit.runs.stage import Stage

GATED: Final = frozenset({"apply", "destroy", "refresh", "test"})
"""The commands that a gate is for; the others that change state are recorded only."""
SEQUENCER_PATIENCE: Final = 120.0
"""Seconds that a run waits for a sequencer to give its intent a place in the log."""
_POLL_SECONDS: Final = 0.5
_AWAY: Final = (LedgerError, ConfigError, UnavailableError, VerificationError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The gate in force for a run's stack."""

    rules: Rules
    policy: Pending
    """The policy and the gate's own rules, waiting for the plan; to be closed."""
    identity: IdentitySettings
    known_as: tuple[str, ...] = ()
    """Other names under which the ledger knows the state: what is pinned for any of them holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing that could be decided: the repository loosens the pinned gate, or nobody knows what is pinned or planned.

    Whatever a gate is for is stopped, and that it was tried is recorded.
    """

    error: TfauditError
    """What the run ends with."""
    identity: IdentitySettings
    """Whose tokens are believed, as it is pinned, where that is known."""

    @property
    def code(self) -> Code:
        """The reason that is recorded."""
        if isinstance(self.error, UnseenError):
            return "no-plan"
        return "gate-changed" if self.error.message.startswith("gate-changed") else "no-rules"


class UnseenError(InputError):
    """A plan under a gate can't be looked into (65)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision, with all that it was made on."""

    gate: Gate
    ready: Ready
    """With the actor as it is known for this very change."""
    change: Change | None
    """None for a command that can't be looked into."""
    request: Request
    evaluations: tuple[Evaluation, ...]
    view: LedgerView
    decided: int
    """Milliseconds since the epoch."""
    decision: Decision
    brought: Mapping[str, bytes]
    """Approvals from outside the ledger that count: the vote's id, and the signed document."""
    heard: tuple[bytes, ...] = ()
    """What the platforms said, review by review: the SHA-256 of each document is the id of its vote."""

    @property
    def approved(self) -> str | None:
        """The plan record that the counted votes name, the first one's where they differ."""
        return next((vote.subject.plan_record or None for vote in self.decision.counted), None)

    @property
    def voted_on(self) -> tuple[str, ...]:
        """Every plan record that the counted votes name, each once."""
        named = (vote.subject.plan_record for vote in self.decision.counted)
        return tuple(dict.fromkeys(record for record in named if record))


def prepare(run: Run, ledger: Ledger, stack: str, state_key: str | None) -> Gate | Refused | None:
    """Return the gate in force for the stack at the log's present end, None where there is none.

    Raises :class:`LedgerError` where the ledger can't be read, unless the run may go on unread: never where a gate is
    wanted here, or was seen to be pinned.
    """
    config, environ, genesis = run.config, run.world.environ, ledger.genesis.digest
    wanted = config.gate is not None or config.floor is not None or config.policy is not None
    try:
        reader = ledger.reader()
    except _AWAY as error:
        if wanted or config.on_ledger_failure != "spool":
            raise
        if gatememory.may_go_on(environ, genesis, state_key, trusted=not config.failure_is_own):
            return None
        raise gatememory.refusal(error) from error
    if not wanted and reader.state.keys_from is None:
        gatememory.remember(environ, genesis, state_key, pinned=False, gated=False)
        return None
    from tfaudit.ledger import pinned

    found: Pinned | None = None
    gate: Gate | Refused | None
    try:
        found = pinned.in_force(reader)
        known_as = _known_as(reader, stack, state_key) if found is not None else ()
        gate = _gate(run, found, stack, known_as)
    except TfauditError as error:
        gate = Refused(error=error, identity=config.identity if found is None else found.bundle.identity)
    is_pinned = found is not None or isinstance(gate, Refused)
    gatememory.remember(environ, genesis, state_key, pinned=is_pinned, gated=gate is not None)
    return gate


def _gate(run: Run, found: Pinned | None, stack: str, known_as: tuple[str, ...]) -> Gate | None:
    from tfaudit.gate import inforce
    from tfaudit.policy.evaluate import start

    config = run.config
    rules = inforce.rules_for(config, found, stack, known_as=known_as)
    if rules is None:
        return None
    return Gate(
        rules=rules,
        policy=start(
            config.policy, inforce.gate_rules_for(config, found, stack, known_as=known_as), environ=run.world.environ
        ),
        identity=inforce.identity_for(config, found),
        known_as=known_as,
    )


def _known_as(reader: Reader, stack: str, state_key: str | None) -> tuple[str, ...]:
    """Return what else the ledger knows the state as: the stack's name may come from the repository."""
    if state_key is None:
        return ()
    from tfaudit.ledger import statenames

    return tuple(name for name in statenames.names(reader, state_key) if name != stack)


def undecided(ready: Ready | None, planned: Planned) -> Refused | None:
    """Return why nothing can be decided on a plan where a gate is in force; None where it can, or none is."""
    if ready is None or ready.gate is None:
        return None
    if isinstance(ready.gate, Refused):
        return ready.gate
    if planned.plan is not None:
        return None
    error = UnseenError(f"the plan can't be looked into: {planned.problem}", hint="nothing was applied")
    return Refused(error=error, identity=ready.gate.identity)


def consider(stage: Stage, planned: Planned) -> Verdict | None:
    """Return what the gate says of a plan that was looked into, None where no gate is in force.

    Raises what a run is stopped with where :func:`undecided` says why.
    """
    ready = stage.ready.result()
    refused = undecided(ready, planned)
    if refused is not None:
        raise refused.error
    gate = _in_force(ready)
    if gate is None:
        return None
    run = stage.run
    change = gatechange.of(stage, planned)
    ready = _known(run, ready, gate, change.digest)
    request = gaterequest.of(stage, planned, ready, gate, change)
    fetched = _fetched(run, ready, gate, request)
    carried = _carried(run, ready)
    verdict = _decide(
        run,
        ready,
        gate,
        change=change,
        request=replace(request, identities=request.identities | fetched.authors),
        evaluations=_evaluated(run, ready, gate, planned),
        outside=(*fetched.votes, *(vote for _, vote in carried)),
        brought={vote.id: envelope for envelope, vote in carried},
    )
    return replace(verdict, heard=fetched.documents)


def consider_unseen(run: Run, ready: Ready) -> Verdict | None:
    """Return what the gate says of a command that can't be looked into, None where none is in force for it.

    Raises as :func:`consider`.
    """
    if run.invocation.command not in GATED:
        return None
    gate = _in_force(ready)
    if gate is None:
        return None
    gate.policy.close()
    ready = _known(run, ready, gate, None)
    request = gaterequest.unseen(run, ready, gate)
    return _decide(run, ready, gate, change=None, request=request, evaluations=(), outside=(), brought={})


def _in_force(ready: Ready) -> Gate | None:
    if isinstance(ready.gate, Refused):
        raise ready.gate.error
    return ready.gate


def again(stage: Stage, verdict: Verdict, intent: Receipt) -> Verdict:
    """Decide once more, on the log up to the intent's own place: whoever came before it counts.

    What the engine will read from disk must be what the gate has looked at: a prompt may have waited for long.
    Raises :class:`LedgerError` when the intent gets no place in time or the log can't be read.
    """
    from tfaudit.gate import inforce, resting
    from tfaudit.ledger import pinned, seen

    run, ready, gate = stage.run, verdict.ready, verdict.gate
    reader, entry = _placed(run, ready.ledger, intent)
    place = entry.position
    rules = inforce.rules_for(run.config, pinned.at(reader, place), ready.stack, known_as=gate.known_as)
    now = ready.ledger.now()
    view = _view(reader, verdict.request, gate.rules, now, before=place)
    # An approval that has no place yet has none before the intent; a rejection counts once it is staged. What a
    # platform said stands in no ledger: it counts as it was heard.
    placed = tuple(vote for vote in view.votes if vote.position is not None or vote.kind == "rejection")
    heard = tuple(vote for vote in verdict.view.votes if vote.source not in ("ledger", "file"))
    view = replace(view, votes=(*placed, *heard))
    request = verdict.request
    if verdict.change is not None:
        request = gatechange.bound(reader, request, view, verdict.change, rules or gate.rules)
        request = replace(request, unbound=(*request.unbound, *gatechange.moved(stage, verdict.change)))
    return replace(
        verdict,
        gate=gate if rules is None else replace(gate, rules=rules),
        request=request,
        view=view,
        decided=now,
        decision=resting.decide_on(
            request,
            rules,
            verdict.evaluations,
            view,
            now,
            named=frozenset(vote.id for vote in verdict.decision.counted),
            objection=seen.objections(reader, entry.line, now=now),
        ),
    )


def carry(verdict: Verdict) -> None:
    """Append the approvals that came from outside and count: the intent names what the log holds."""
    from tfaudit.runs.voting import carry as append

    for vote in verdict.decision.counted:
        if vote.id in verdict.brought:
            append(verdict.ready.ledger, verdict.brought[vote.id])


def _decide(
    run: Run,
    ready: Ready,
    gate: Gate,
    *,
    change: Change | None,
    request: Request,
    evaluations: tuple[Evaluation, ...],
    outside: tuple[Vote, ...],
    brought: Mapping[str, bytes],
) -> Verdict:
    from tfaudit.gate.decide import decide

    now = ready.ledger.now()
    reader = ready.ledger.reader()
    view = _view(reader, request, gate.rules, now)
    known = {vote.id for vote in view.votes}
    view = replace(view, votes=(*view.votes, *(vote for vote in outside if vote.id not in known)))
    if change is not None:
        request = gatechange.bound(reader, request, view, change, gate.rules)
        request = gaterequest.genuine(run, reader, request, now)
    return Verdict(
        gate=gate,
        ready=ready,
        change=change,
        request=request,
        evaluations=evaluations,
        view=view,
        decided=now,
        decision=decide(request, gate.rules, evaluations, view, now),
        brought={vote: envelope for vote, envelope in brought.items() if vote not in known},
    )


def _view(reader: Reader, request: Request, rules: Rules, now: int, *, before: int | None = None) -> LedgerView:
    """Return the votes and uses that can matter: as far back as one may lie that has not expired, and as the plan does.

    Not as far as the plans that votes name: those are what anybody says, and the whole log would be read for them.
    """
    from tfaudit.ledger import votes

    subject = request.subject
    start = min(now - int(rules.expires / timedelta(milliseconds=1)), request.planned)
    return votes.view(reader, state_key=subject.state_key, stack=subject.stack, since=start, before=before, now=now)


def _fetched(run: Run, ready: Ready, gate: Gate, request: Request) -> Fetched:
    """Return what the platforms know of approvals, where the gate takes their word."""
    from tfaudit.engine.argv import Role
    from tfaudit.runs.reviews import fetch, is_clean

    fetched = fetch(
        run.world.environ,
        gate.rules.evidence,
        request.subject,
        clean=bool(gate.rules.evidence) and is_clean(ready.repository, run.world.environ),
        now=ready.ledger.now(),
        issuers=gate.identity.issuers,
    )
    if run.invocation.role is Role.APPLY:  # a plan on somebody's own machine has no job's token, and needs none
        for problem in fetched.problems:
            run.world.say(f"an approval could not be asked for: {problem}")
    return fetched


def _carried(run: Run, ready: Ready) -> list[tuple[bytes, Vote]]:
    """Return the approvals that were given as files, each with its signed document."""
    if not run.approvals:
        return []
    from tfaudit.runs.voting import import_vote

    return [import_vote(run.world.cwd / name, at=ready.ledger.now()) for name in run.approvals]


def _placed(run: Run, ledger: Ledger, intent: Receipt) -> tuple[Reader, LogEntry]:
    """Return a reader of the log with the intent in it, and its entry; wait where a sequencer gives it a place."""
    end = time.monotonic() + SEQUENCER_PATIENCE
    if intent.position is None:
        run.world.say("the intent waits for the sequencer to give it its place in the log")
    while True:
        reader = ledger.reader()
        entry = reader.find(intent.record_id)
        if entry is not None:
            return reader, entry
        if time.monotonic() >= end:
            break
        time.sleep(_POLL_SECONDS)
    raise LedgerError(
        f"no sequencer gave the intent a place in the log within {SEQUENCER_PATIENCE:.0f} s",
        hint="run tfaudit sequence where the log's key is held; nothing was applied",
    )


def _known(run: Run, ready: Ready, gate: Gate, digest: str | None) -> Ready:
    """Return what the run knows of itself, with the actor as it is known for this change."""
    from tfaudit.runs.ready import identify

    found = identify(run, ready.ledger, ready.repository, gate, ready.stack, early=ready.known, change_digest=digest)
    return replace(ready, actor=found.actor, kept=found.kept)


def _evaluated(run: Run, ready: Ready, gate: Gate, planned: Planned) -> tuple[Evaluation, ...]:
    """Return what the policy finds in the plan; what could not be evaluated is among it, and denies."""
    from tfaudit.policy.evaluate import actor_view
    from tfaudit.runs.variables import given

    assert planned.plan is not None  # noqa: S101 - the only caller has looked
    with gate.policy as policy:
        return policy.evaluate(
            planned.plan,
            planned.document or b"",
            actor=actor_view(ready.actor),
            given=given(run),
            evidence=[run.world.cwd / name for name in run.evidence],
        )
