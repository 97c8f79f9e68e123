"""What does verify answer: the figures of what it checked, its findings, and the checkpoint to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tfaudit.ledger.verify.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole answer. It says what was checked: with a ``since`` checkpoint, only what came after that."""

    ok: bool
    """No finding is an error; warnings and pending records leave it true."""
    origin: str | None
    """The ledger's name; None when genesis could not be read."""
    trust: Literal["anchor", "first-use"]
    """Whether genesis was held against a digest that was known before, or is taken as it was found."""
    size: int
    """Leaves in the log."""
    root: str | None
    """The log's Merkle root at that size, hexadecimal; None when there is no log."""
    commits: int
    """Live commits that were checked."""
    records: int
    """Records of the log that were checked."""
    events: int
    """Event lines that were hashed."""
    values: int | None
    """Disclosed values that were held against their digests; None where the working store was left out."""
    pending: int
    """Records staged less than an hour ago that no commit holds yet."""
    findings: tuple[Finding, ...]
    omitted: int
    """Findings beyond the thousand of each code that are kept."""
    checkpoint: str | None
    """The signed text of the head: the next ``verify`` can be held against it."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``verify --json`` prints (schema ``verify-report.v1``)."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "trust": self.trust,
            "size": self.size,
            "root": self.root,
            "commits": self.commits,
            "records": self.records,
            "events": self.events,
            "values": self.values,
            "pending": self.pending,
            "findings": [finding.to_json() for finding in self.findings],
            "omitted": self.omitted,
            "checkpoint": self.checkpoint,
        }
