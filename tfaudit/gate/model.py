"""What the gate decides on, and what it decides: plain values, made alike from a live run and from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from tfaudit.config.gating import Bind, BreakGlass, Freeze

VoteKind = Literal["approval", "rejection", "break-glass", "review"]
Code = Literal[
    "no-approval",
    "gate-changed",
    "unbound-input",
    "other-target",
    "other-policy",
    "other-plan",
    "other-stack",
    "state-moved",
    "expired",
    "not-yet-valid",
    "already-used",
    "unknown-approver",
    "bad-signature",
    "self-approval",
    "agent-approval",
    "rejected",
    "quorum",
    "freeze",
    "policy-deny",
    "policy-error",
    "unknown-action",
    "no-approvers",
    "no-ledger",
    "no-plan",
    "no-rules",
    "no-touch",
    "unknown-actor",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an approval binds: one plan record, and the place that it is for."""

    plan_record: str
    """Record id."""
    leaf: str
    """The plan record's leaf hash: what the approver saw. Digests are 64 hexadecimal digits."""
    event_root: str
    plan_sha256: str
    change_digest: str
    """HMAC under the plan record's own key."""
    key_commitment: str
    """The commitment to that key in the plan record."""
    origin: str
    """The ledger."""
    stack: str
    state_key: str | None
    lineage: str
    serial: int
    backend: str
    """The backend's type; ``local`` without one."""
    target: str | None
    """The cloud account that is changed, where it is known."""
    commit: str | None
    """The source commit."""
    policy: str
    """Digest of all rules that were evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's signed word on a plan, as the gate sees it; nothing about it is judged yet but its signature."""

    id: str
    """``sha256:…`` of the signed document's bytes: the same word is the same vote, however often it is carried in."""
    record: str | None
    """The record that holds it; None where it was brought from outside."""
    kind: VoteKind
    subject: Subject
    approver: str
    """The principal that it claims, as in the approvers file."""
    key: str
    """``SHA256:…``, the fingerprint of the key that signed it, as ``ssh-keygen -l`` prints it."""
    signed: bool
    """Whether the signature verifies with that key."""
    touched: bool | None
    """The user-presence flag of a FIDO2 key; None for other keys."""
    made: int
    """When the person says to have signed, milliseconds since the epoch."""
    at: int
    """When the store took it; for one brought from outside, the moment of the decision."""
    expires: int
    position: int | None
    """Its place in the log; None where it is only staged or brought from outside."""
    source: str = "ledger"
    """``ledger``, ``file``, or the platform that was asked: ``github-review`` and the like."""
    intent: str | None = None
    """The break-glass run's intent that a review is of, by its record id; its leaf is the subject's then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An intent that names a vote and so consumes it."""

    vote: str
    intent: str
    """The intent's record id."""
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """What the log up to some place, staged records included, says of approvals. A view is whole or absent."""

    size: int
    """The tree size up to which it was read."""
    votes: tuple[Vote, ...]
    uses: tuple[Use, ...]
    undisclosed: tuple[str, ...] = ()
    """Records of rejections that hold no readable word any more: they stand, since nobody can tell what they reject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverKey:
    """One line of the approvers file, for one key."""

    principals: tuple[str, ...]
    key: str
    """``SHA256:…``"""
    public: str
    """``type base64`` as OpenSSH writes it."""
    valid_after: int | None = None
    valid_before: int | None = None
    """Milliseconds since the epoch; None: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The gate in force for one stack: the pinned bundle's, tightened by the repository's."""

    approvals: int
    allow_self_approval: bool
    expires: timedelta
    bind: Bind
    agents_need_person: bool
    require_touch: bool
    approvers: tuple[ApproverKey, ...] | None
    """None where no list is configured: then nobody can approve."""
    groups: Mapping[str, tuple[str, ...]]
    freezes: tuple[Freeze, ...]
    break_glass: BreakGlass | None
    """Only ever from the pinned bundle."""
    identities: Mapping[str, tuple[str, ...]]
    """Person to the names that are theirs."""
    evidence: tuple[str, ...] = ()
    pinned: str | None = None
    """The ``config`` record of the bundle; None: nothing is pinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run asks for."""

    subject: Subject
    """This plan; its change digest under its own key."""
    under: Mapping[str, str]
    """Plan record id to this plan's change digest under that record's key, for every record that a vote names."""
    changes: bool
    """Whether the apply would change anything at all."""
    first: bool
    """Whether there is no state yet."""
    unknown_actions: tuple[str, ...]
    """Addresses whose action tfaudit does not know."""
    unbound: tuple[str, ...]
    """Inputs of the apply that no plan binds, each as a line of its own."""
    identities: frozenset[str]
    """Every name of who triggered, re-ran and wrote the change: ``github:583231``, ``email:…``, ``os:alice`` …"""
    agent: str | None
    """The software agent that acts; None for a person or a plain CI job."""
    planned: int
    """When the plan was made, milliseconds since the epoch."""
    break_glass: bool = False
    """The run asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why not."""

    code: Code
    message: str
    """One line that says what is wrong and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gate says."""

    allowed: bool
    reasons: tuple[Reason, ...]
    """Empty exactly when it is allowed."""
    required: int
    """How many persons must approve."""
    counted: tuple[Vote, ...] = ()
    """The votes that count towards it: each is consumed by the intent that names it."""
    break_glass: bool = False
    """Allowed only so: somebody else has to review it."""
    review_by: int | None = None
    """Until when, milliseconds since the epoch."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def persons(self) -> int:
        """How many people's votes count: whoever voted twice is one."""
        return len({vote.approver for vote in self.counted})
