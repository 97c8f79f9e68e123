"""What is configured for the gate, the policy and identities: the tables that say who may change what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

Bind = Literal["changes", "planfile"]
InputShape = Literal["plan", "hcp", "scalr"]
RegoVersion = Literal["v0", "v1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """A ``[[gate.rule]]``: what more is wanted for some changes."""

    name: str
    when: str
    """CEL over ``change``, ``plan`` and ``actor``; true for one change is enough."""
    approvals: int
    groups: tuple[str, ...] = ()
    """Groups whose members alone count for this rule; none: every approver counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A ``[[gate.freeze]]``: no apply from ``start`` (inclusive) to ``end`` (exclusive), both in UTC."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """``[gate.break_glass]``: who may go past approvals and freezes, and by when another person looks at it."""

    groups: tuple[str, ...]
    review_within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """The ``[gate]`` table."""

    approvals: int = 1
    allow_self_approval: bool = False
    expires: timedelta = timedelta(hours=24)
    bind: Bind = "changes"
    agents_need_person: bool = True
    require_touch: bool = False
    """FIDO2 (``sk-``) keys count only with the user-presence flag, and no other SSH keys count."""
    approvers: Path | None = None
    """An OpenSSH allowed_signers file, absolute."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``[gate.groups]``: principals of the approvers file by group."""
    rules: tuple[GateRule, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    break_glass: BreakGlass | None = None
    evidence: tuple[str, ...] = ()
    """Platforms' reviews that count as approvals: ``github-review``, ``github-environment``, ``gitlab-merge-request``,
    ``gitlab-deployment``, ``env0``."""
    stacks: tuple[StackGate, ...] = ()
    """``[[gate.stack]]``: what some stacks get in place of the above; only in the outermost settings."""
    absent: frozenset[str] = frozenset()
    """Keys that nobody wrote: their default holds, but is no contradiction to a configuration that asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackGate:
    """A ``[[gate.stack]]``: the gate of the stacks whose name matches."""

    pattern: str
    """A stack's name, in which ``*`` stands for any characters."""
    gate: GateSettings
    """Whole: what the table leaves out is as in ``[gate]``, and ``[gate]``'s rules and freezes hold as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The ``[policy]`` table; paths are absolute."""

    cel: Path | None = None
    rego: Path | None = None
    rego_version: RegoVersion = "v1"
    input: InputShape = "plan"
    engine: Literal["opa", "conftest", "regorus"] | None = None
    """What evaluates Rego; None: the first of ``opa``, ``conftest`` on PATH, then the extra."""
    defaults: bool = True
    """Whether the rules that tfaudit brings along warn."""
    reveal: bool = False
    """Whether rules see values that are withheld elsewhere."""
    timeout_seconds: int = 30
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """The ``[identity]`` table."""

    issuers: tuple[str, ...] = ()
    """Issuers whose tokens are accepted besides the platforms' well-known ones; where given, only these."""
    audience: str | None = None
    """For platforms whose audience is fixed elsewhere; else the audience is bound to the run."""
    jwks: str | None = None
    """URL or absolute path of the keys, in place of the issuer's own."""
    agents: tuple[str, ...] | None = None
    """Names of environment variables that mark a software agent; None: the built-in list."""
