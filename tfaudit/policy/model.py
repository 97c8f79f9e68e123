"""What comes of evaluating rules over a plan: findings, and what it takes to believe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["deny", "require", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule that applies to the plan, or to one change of it."""

    rule: str
    severity: Severity
    """``deny``: no apply; ``require``: further approvals; ``warn``: said, nothing more."""
    message: str
    """One line, without secrets."""
    address: str | None = None
    """The resource it is about; None for the plan as a whole."""
    approvals: int = 0
    """For ``require``: how many persons must approve."""
    groups: tuple[str, ...] = ()
    """For ``require``: members of these groups alone count; none: every approver counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One engine's answer to one set of rules."""

    engine: str
    """``cel``, ``opa``, ``conftest``, ``regorus``, ``sarif``."""
    version: str
    digest: str
    """SHA-256 of the rules, 64 hexadecimal digits."""
    rules: int
    """How many rules were evaluated; none is a failure: a policy that checks nothing has not passed."""
    findings: tuple[Finding, ...]
    error: str | None = None
    """Why the evaluation failed as a whole, one line; it denies."""
