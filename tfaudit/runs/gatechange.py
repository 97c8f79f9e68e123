"""What would a plan change, under whose key: its digest, what it can be compared with, and what becomes of the key."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from tfaudit.errors import InputError, TfauditError

if TYPE_CHECKING:
    from tfaudit.engine.unbound import Inputs
    from tfaudit.gate.model import LedgerView, Request, Rules, Vote
    from tfaudit.ledger.erasing import Erasure
    from tfaudit.ledger.reader import Reader
    from tfaudit.plan.modules import SourceDigest
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.run import Run
    from tfaudit.runs.stage import Stage

KEY_POINTER: Final = "/change/key"
"""Where a plan record commits to the key of its change digest."""
_KEY: Final = re.compile(r"[0-9a-f]{64}")


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
class ChangeKey:
    """The key of a plan record's change digest, and what that record's apply must be given again."""

    key: bytes
    inputs: Mapping[str, str]


def of(stage: Stage, planned: Planned) -> Change:
    """Return what a plan that was looked into would change, with a fresh key."""
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


def change_key(reader: Reader, record_id: str, commitment_digest: str) -> ChangeKey | None:
    """Return the change key of a plan record; None where it is not disclosed, or erased since the plan was applied.

    ``commitment_digest`` is what the voter signed: another key than the one that they saw opens nothing. Nor does what
    is no key: whoever records a plan with such a one must not keep others from applying theirs.
    """
    text = reader.opened(record_id, KEY_POINTER, commitment_digest)
    return None if text is None else _parse_key(text)


def _parse_key(text: bytes) -> ChangeKey | None:
    from tfaudit import canonical

    try:
        found = canonical.decode(text, what="a change key")
    except InputError:
        return None
    match found:
        case {"key": str(key), "inputs": dict(inputs)} if _KEY.fullmatch(key):
            return ChangeKey(key=bytes.fromhex(key), inputs={str(name): str(value) for name, value in inputs.items()})
    return None


def change_text(change: Change) -> bytes:
    """Return the text that a plan record commits to at :data:`KEY_POINTER`."""
    from tfaudit import canonical

    return canonical.encode({"inputs": dict(change.inputs.digests(change.key)), "key": change.key.hex()})


def bound(reader: Reader, request: Request, view: LedgerView, change: Change, rules: Rules) -> Request:
    """Return the request with its digests under the key of each plan record that a vote names.

    Where approvals are of this very plan, and all of them with other inputs than those that the apply has, these are
    named as unbound; of what others say than those who may approve, nothing is made.
    """
    approvers = {one.key for one in rules.approvers or ()}
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
            loose += differing if vote.kind != "rejection" and vote.signed and vote.key in approvers else ()
    unbound = request.unbound if is_met else (*request.unbound, *dict.fromkeys(loose))
    return replace(request, under=under, unbound=unbound)


def _same_plan(request: Request, digest: str, vote: Vote) -> bool:
    said = vote.subject
    return hmac.compare_digest(digest, said.change_digest) or said.plan_sha256 == request.subject.plan_sha256


def moved(stage: Stage, change: Change) -> tuple[str, ...]:
    """Return one line for each thing that the apply reads beside its plan and that is no longer what it was."""
    from tfaudit.engine import unbound
    from tfaudit.plan import modules

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


def erasures(run: Run, plan_records: Iterable[str]) -> tuple[Erasure, ...]:
    """Return the change keys of the plans that were voted on, to be erased once the outcome is recorded.

    After that their digests tell nobody anything. What can't be read now stays.
    """
    from tfaudit.ledger import erasing
    from tfaudit.runs.ledgers import working_of

    found: list[Erasure] = []
    for record in plan_records:
        try:
            one = erasing.prepare(working_of(run.config), record, KEY_POINTER)
        except TfauditError as error:
            run.world.say(f"the change key of the approved plan {record} can't be erased: {error}")
        else:
            found += [] if one is None else [one]
    return tuple(found)


def erase(run: Run, erasures: Iterable[Erasure]) -> None:
    """Erase what the outcome said would be."""
    from tfaudit.runs.ledgers import working_of

    for erasure in erasures:
        try:
            erasure.carry_out(working_of(run.config))
        except TfauditError as error:
            how = "tfaudit retain erase does it, by someone who may"
            run.world.say(f"the change key of the approved plan is not erased yet ({error.message}); {how}")
            return
