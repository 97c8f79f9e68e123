"""May this run go on: what the gate is asked, before the apply and once more when the intent has its place in the log.

A gate is in force where the repository has a ``[gate]``, or the ledger's pinned bundle wants one for the stack.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

from tfaudit.errors import ConfigError, LedgerError, TfauditError, UnavailableError, VerificationError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.config.gating import IdentitySettings
    from tfaudit.engine.unbound import Inputs
    from tfaudit.gate.model import Decision, LedgerView, Request, Rules, Subject, Vote
    from tfaudit.ledger.erasing import Erasure
    from tfaudit.ledger.log import Ledger, Receipt
    from tfaudit.ledger.reader import Reader
    from tfaudit.plan.modules import SourceDigest
    from tfaudit.policy.evaluate import Pending
    from tfaudit.policy.model import Evaluation
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.reviews import Fetched
    from tfaudit.runs.run import Run
    from tfaudit.runs.stage import Stage

GATED: Final = frozenset({"apply", "destroy", "refresh", "test"})
"""The commands that a gate is for; the others that change state are recorded only."""
SEQUENCER_PATIENCE: Final = 120.0
"""Seconds that a run waits for a sequencer to give its intent a place in the log."""
KEY_POINTER: Final = "/change/key"
"""Where a plan record commits to the key of its change digest."""
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
class Change:
    """What a plan would change, as one number: its digests under whatever key."""

    summary: bytes
    """Never stored: without a key it could be guessed."""
    key: bytes
    """Of this plan's own record."""
    sources: tuple[SourceDigest, ...]
    """The modules' files as they were when the gate looked at them."""
    inputs: Inputs

    @property
    def digest(self) -> str:
        """The change digest under the plan's own key."""
        return self.under(self.key)

    def under(self, key: bytes) -> str:
        """Return the change digest under another record's key."""
        from tfaudit.plan.changeset import change_digest

        return change_digest(key, self.summary)


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


def prepare(run: Run, ledger: Ledger, stack: str, state_key: str | None) -> Gate | None:
    """Return the gate in force for the stack at the log's present end, None where there is none.

    Raises :class:`ConfigError` for a repository that loosens what is pinned, and :class:`LedgerError` where the ledger
    can't be read and the repository itself wants a gate: without one, whether the run may go on unread is not for the
    gate to say.
    """
    config = run.config
    wanted = config.gate is not None or config.floor is not None or config.policy is not None
    try:
        reader = ledger.reader()
    except _AWAY:
        if wanted:
            raise
        return None
    if not wanted and reader.state.keys_from is None:
        return None
    from tfaudit.gate import inforce
    from tfaudit.ledger import pinned
    from tfaudit.policy.evaluate import start

    found = pinned.in_force(reader)
    known_as = _known_as(reader, stack, state_key) if found is not None else ()
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


def consider(stage: Stage, planned: Planned) -> Verdict | None:
    """Return what the gate says of a plan that was looked into, None where no gate is in force."""
    ready = stage.ready.result()
    if ready.gate is None or planned.plan is None:
        return None
    run, gate = stage.run, ready.gate
    change = _change(stage, planned)
    ready = _known(run, ready, gate, change.digest)
    request = _request(stage, planned, ready, gate, change)
    fetched = _fetched(run, ready, gate, request)
    carried = _carried(run)
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
    """Return what the gate says of a command that can't be looked into, None where none is in force for it."""
    from tfaudit.gate.model import Request

    gate, command = ready.gate, run.invocation.command
    if gate is None or command not in GATED:
        return None
    gate.policy.close()
    ready = _known(run, ready, gate, None)
    instead = "apply -refresh-only" if command == "refresh" else "plan -out and apply, or a stack without a gate"
    request = Request(
        subject=_subject(run, ready, gate, plan_sha256="", digest="", lineage="", serial=0),
        under={},
        changes=True,
        first=False,
        unknown_actions=(),
        unbound=(f"what {command} changes can't be looked into before it runs: use {instead}",),
        identities=ready.actor.identities,
        agent=_agent(ready),
        planned=_now(run),
        break_glass=False,
    )
    return _decide(run, ready, gate, change=None, request=request, evaluations=(), outside=(), brought={})


def again(stage: Stage, verdict: Verdict, intent: Receipt) -> Verdict:
    """Decide once more, on the log up to the intent's own place: whoever came before it counts.

    What the engine will read from disk must be what the gate has looked at: a prompt may have waited for long.
    Raises :class:`LedgerError` when the intent gets no place in time or the log can't be read.
    """
    from tfaudit.gate import inforce
    from tfaudit.gate.decide import decide
    from tfaudit.ledger import pinned

    run, gate = stage.run, verdict.gate
    reader, place = _placed(run, verdict.ready.ledger, intent)
    request = replace(verdict.request, unbound=(*verdict.request.unbound, *_moved(stage, verdict.change)))
    rules = inforce.rules_for(run.config, pinned.at(reader, place), verdict.ready.stack, known_as=gate.known_as)
    now = _now(run)
    view = _view(reader, request, gate.rules, now, before=place)
    # What a platform said stands in no ledger: it counts as it was heard.
    heard = tuple(vote for vote in verdict.view.votes if vote.source not in ("ledger", "file"))
    view = replace(view, votes=(*view.votes, *heard))
    return replace(
        verdict,
        gate=gate if rules is None else replace(gate, rules=rules),
        request=request,
        view=view,
        decided=now,
        decision=_as_seen(reader, decide(request, rules, verdict.evaluations, view, now), intent, now),
    )


def _as_seen(reader: Reader, decision: Decision, intent: Receipt, now: int) -> Decision:
    """Return the decision; a denial where what the approvers saw is not what the intent says will be done."""
    from tfaudit.ledger import seen

    entry = reader.find(intent.record_id) if decision.allowed else None
    if entry is None:
        return decision
    reasons = tuple(seen.objections(reader, decision.counted, entry.line, now=now))
    return replace(decision, allowed=False, reasons=reasons) if reasons else decision


def _moved(stage: Stage, change: Change | None) -> tuple[str, ...]:
    """Return one line for each thing that the apply reads beside its plan and that is no longer what it was."""
    from tfaudit.engine import unbound
    from tfaudit.plan import modules

    if change is None:
        return ()
    run = stage.run
    found = list(unbound.always(run.invocation, run.world.environ, brand=run.engine.brand, cwd=run.world.cwd))
    ephemeral = change.inputs.ephemeral
    now = unbound.inputs(run.invocation, run.world.environ, root=run.workdir.root, ephemeral=tuple(ephemeral))
    if now != change.inputs:
        found.append("an ephemeral variable has another value than when the gate looked at it: run it again")
    sources = modules.source_digests(stage.scratch.fd, root=run.workdir.root, data=run.workdir.data)
    for source in sorted({each.module for each in set(sources) ^ set(change.sources)}):
        name = f"module {source}" if source else "the root module"
        found.append(f"a file of {name} is another one than when the gate looked at it: run it again")
    return tuple(found)


def carry(verdict: Verdict) -> None:
    """Append the approvals that came from outside and count: the intent names what the log holds."""
    from tfaudit.runs.voting import carry as append

    for vote in verdict.decision.counted:
        if vote.id in verdict.brought:
            append(verdict.ready.ledger, verdict.brought[vote.id])


def erasure(run: Run, verdict: Verdict) -> Erasure | None:
    """Return the change key of the approved plan, to be erased once its outcome is recorded; None where there is none.

    After that its digest tells nobody anything. What can't be read now stays.
    """
    from tfaudit.ledger import erasing
    from tfaudit.runs.ledgers import working_of

    if verdict.approved is None:
        return None
    try:
        return erasing.prepare(working_of(run.config), verdict.approved, KEY_POINTER)
    except TfauditError as error:
        run.world.say(f"the change key of the approved plan can't be erased: {error}")
        return None


def erase(run: Run, erasure: Erasure) -> None:
    """Erase what the outcome said would be."""
    from tfaudit.runs.ledgers import working_of

    try:
        erasure.carry_out(working_of(run.config))
    except TfauditError as error:
        run.world.say(f"the change key of the approved plan is not erased: {error}")


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

    now = _now(run)
    reader = ready.ledger.reader()
    view = _view(reader, request, gate.rules, now)
    known = {vote.id for vote in view.votes}
    view = replace(view, votes=(*view.votes, *(vote for vote in outside if vote.id not in known)))
    if change is not None:
        request = _bound(reader, request, view, change)
        request = _genuine(run, reader, request, now)
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
    """Return the votes and uses that can matter: as far back as an approval may lie, and as the plans it names do."""
    from tfaudit.ledger import votes

    def since(start: int) -> LedgerView:
        subject = request.subject
        return votes.view(reader, state_key=subject.state_key, stack=subject.stack, since=start, before=before, now=now)

    start = min(now - int(rules.expires / timedelta(milliseconds=1)), request.planned)
    view = since(start)
    named = [ids.record_time(vote.subject.plan_record) for vote in view.votes if vote.subject.plan_record]
    # A rejection of the plan may be older than the oldest approval that still counts.
    return since(min(named)) if named and min(named) < start else view


def _bound(reader: Reader, request: Request, view: LedgerView, change: Change) -> Request:
    """Return the request with its digests under the key of each plan record that a vote names."""
    under: dict[str, str] = {}
    loose: list[str] = []
    is_met = False
    for vote in view.votes:
        record_id = vote.subject.plan_record
        key = change_key(reader, record_id, vote.subject.key_commitment) if record_id not in under else None
        if not record_id or key is None:
            continue
        under[record_id] = change.under(key.key)
        if not _same_plan(request, under[record_id], vote):
            continue
        differing = change.inputs.differing(key.key, key.inputs)
        is_met = is_met or not differing
        if differing:
            # Another plan in all but its file: no vote on it counts, and the reason is said where none counts.
            under[record_id] = ""
            loose += differing
    unbound = request.unbound if is_met else (*request.unbound, *dict.fromkeys(loose))
    return replace(request, under=under, unbound=unbound)


def _genuine(run: Run, reader: Reader, request: Request, now: int) -> Request:
    """Return the request; where a saved plan is to be applied that no recorded run made, with that said.

    A plan file holds more than its change digest covers: the very state that the apply starts from.
    """
    from tfaudit.ledger.planned import is_recorded

    subject = request.subject
    if run.invocation.plan_file is None or is_recorded(
        reader, subject.plan_sha256, state_key=subject.state_key, since=request.planned, now=now
    ):
        return request
    doubt = "the plan file was not made by a recorded run of tfaudit plan, or was changed since: plan again"
    return replace(request, unbound=(*request.unbound, doubt))


def _same_plan(request: Request, digest: str, vote: Vote) -> bool:
    said = vote.subject
    return hmac.compare_digest(digest, said.change_digest) or said.plan_sha256 == request.subject.plan_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeKey:
    """The key of a plan record's change digest, and what that record's apply must be given again."""

    key: bytes
    inputs: Mapping[str, str]


def change_key(reader: Reader, record_id: str, commitment_digest: str) -> ChangeKey | None:
    """Return the change key of a plan record; None where it is not disclosed, or erased since the plan was applied.

    ``commitment_digest`` is what the voter signed: another key than the one that they saw opens nothing.
    """
    text = reader.opened(record_id, KEY_POINTER, commitment_digest)
    return None if text is None else _parse_key(text)


def _parse_key(text: bytes) -> ChangeKey | None:
    from tfaudit import canonical

    match canonical.decode(text, what="a change key"):
        case {"key": str(key), "inputs": dict(inputs)} if len(key) == 64:
            return ChangeKey(key=bytes.fromhex(key), inputs={str(name): str(value) for name, value in inputs.items()})
    return None


def change_text(change: Change) -> bytes:
    """Return the text that a plan record commits to at :data:`KEY_POINTER`."""
    from tfaudit import canonical

    return canonical.encode({"inputs": dict(change.inputs.digests(change.key)), "key": change.key.hex()})


def _change(stage: Stage, planned: Planned) -> Change:
    from tfaudit.engine import unbound
    from tfaudit.plan import changeset, modules
    from tfaudit.plan.declared import declared
    from tfaudit.runs import facts
    from tfaudit.runs.variables import given

    run, plan = stage.run, planned.plan
    assert plan is not None  # noqa: S101 - the only caller has looked
    locked = facts.providers(run.workdir.root / ".terraform.lock.hcl") or {}
    sources = modules.source_digests(stage.scratch.fd, root=run.workdir.root, data=run.workdir.data)
    summary = changeset.summarise(
        plan,
        engine=run.engine.brand,
        engine_version=run.engine.version,
        lock_sha256=cast("str | None", locked.get("lock_sha256")),
        providers=cast("Mapping[str, str]", locked.get("versions", {})),
        sources=sources,
    )
    # Of what is given, what the plan file doesn't hold: OpenTofu's doesn't list its apply-time variables.
    ephemeral = planned.variables.again(given(run) & declared(plan)) if planned.variables else frozenset()
    return Change(
        summary=summary,
        key=changeset.new_key(run.world.entropy),
        sources=sources,
        inputs=unbound.inputs(run.invocation, run.world.environ, root=run.workdir.root, ephemeral=ephemeral),
    )


def _request(stage: Stage, planned: Planned, ready: Ready, gate: Gate, change: Change) -> Request:
    from tfaudit.engine import unbound
    from tfaudit.gate.model import Request
    from tfaudit.runs import planplace, state

    run, plan = stage.run, planned.plan
    assert plan is not None  # noqa: S101 - the only caller has looked
    # An encrypted plan file doesn't say which state it was made against.
    before = planned.before or state.current(run, stage.relay)
    loose = unbound.always(run.invocation, run.world.environ, brand=run.engine.brand, cwd=run.world.cwd)
    if run.invocation.plan_file is not None:
        # The engine goes where the plan file says, not where the working directory points to.
        loose = (*loose, *planplace.elsewhere(run.workdir, stage.scratch.fd))
    if before is None:
        loose = (*loose, "the version of the state that the plan was made against")
    made = datetime.fromisoformat(plan.timestamp) if plan.timestamp else run.world.clock()
    return Request(
        subject=_subject(
            run,
            ready,
            gate,
            plan_sha256=planned.sha256 or "",
            digest=change.digest,
            lineage=before.lineage if before else "",
            serial=before.serial if before else 0,
        ),
        under={},
        changes=planned.applyable,
        first=before is not None and before.lineage == "",
        unknown_actions=tuple(one.address for one in plan.resource_changes() if one.action == "unknown")
        if plan.counts.unknown
        else (),
        unbound=loose,
        identities=ready.actor.identities,
        agent=_agent(ready),
        planned=ids.milliseconds(made),
        break_glass=run.break_glass,
    )


def _subject(
    run: Run, ready: Ready, gate: Gate, *, plan_sha256: str, digest: str, lineage: str, serial: int
) -> Subject:

    from tfaudit.gate.model import Subject

    backend = run.workdir.backend()
    return Subject(
        plan_record="",
        leaf="",
        event_root="",
        plan_sha256=plan_sha256,
        change_digest=digest,
        key_commitment="",
        origin=ready.ledger.origin,
        stack=ready.stack,
        state_key=ready.state_key,
        lineage=lineage,
        serial=serial,
        backend=backend.type if backend else "local",
        target=ready.actor.claim("aws-sts", "account"),
        commit=ready.repository.commit if ready.repository else None,
        policy=gate.policy.digest,
    )


def _fetched(run: Run, ready: Ready, gate: Gate, request: Request) -> Fetched:
    """Return what the platforms know of approvals, where the gate takes their word."""
    from tfaudit.engine.argv import Role
    from tfaudit.runs.reviews import fetch, is_clean

    fetched = fetch(
        run.world.environ,
        gate.rules.evidence,
        request.subject,
        clean=bool(gate.rules.evidence) and is_clean(ready.repository, run.world.environ),
        now=_now(run),
        issuers=gate.identity.issuers,
    )
    if run.invocation.role is Role.APPLY:  # a plan on somebody's own machine has no job's token, and needs none
        for problem in fetched.problems:
            run.world.say(f"an approval could not be asked for: {problem}")
    return fetched


def _carried(run: Run) -> list[tuple[bytes, Vote]]:
    """Return the approvals that were given as files, each with its signed document."""
    if not run.approvals:
        return []
    from tfaudit.runs.voting import import_vote

    return [import_vote(run.world.cwd / name, at=_now(run)) for name in run.approvals]


def _agent(ready: Ready) -> str | None:
    agent = ready.actor.agent
    return None if agent is None else agent.name


def _now(run: Run) -> int:
    return ids.milliseconds(run.world.clock())


def _placed(run: Run, ledger: Ledger, intent: Receipt) -> tuple[Reader, int]:
    """Return a reader of the log with the intent in it, and the intent's place; wait where a sequencer gives it one."""
    end = time.monotonic() + SEQUENCER_PATIENCE
    if intent.position is not None:
        return ledger.reader(), intent.position
    run.world.say("the intent waits for the sequencer to give it its place in the log")
    while time.monotonic() < end:
        reader = ledger.reader()
        entry = reader.find(intent.record_id)
        if entry is not None:
            return reader, entry.position
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
