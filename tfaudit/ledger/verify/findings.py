"""What did verify find: the stable codes, what a finding says, and how many of them a report keeps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Severity = Literal["error", "warning"]

Code = Literal[
    "overwritten",
    "deleted",
    "lock-weakened",
    "expires-soon",
    "bad-genesis",
    "gap",
    "edited-commit",
    "bad-checkpoint",
    "void-slot",
    "altered-record",
    "altered-events",
    "bad-signature",
    "unknown-signer",
    "phantom-leaf",
    "duplicate",
    "foreign",
    "fork",
    "bad-seen",
    "unsequenced",
    "unrecorded-change",
    "open-run",
    "unapproved-change",
    "decision-unchecked",
    "bad-token",
    "truncated",
    "altered-disclosure",
    "missing-disclosure",
    "not-erased",
    "back-dated",
    "unreadable",
    "pruned",
    "unchecked",
]
"""The codes of the ledger's design; ``unreadable``: something is there that the store can't give; ``pruned``: events
are gone, as a record says; ``decision-unchecked``: what a decision rests on is not disclosed any more; ``not-erased``:
what a record says to be erased is disclosed all the same; ``unchecked``: something vouches for the log from outside
that this version can't check."""

CAP: Final = 1_000
"""Findings of one code that a report keeps."""
_SHOWN: Final = 200


class Finding(NamedTuple):
    """One thing that is not as it should be. Every text is safe to print on a terminal."""

    code: Code
    severity: Severity
    where: str
    """The stored object, and the place in it."""
    who: str | None
    """Whom it concerns: a signer, a writer, the log; None when nobody can be named."""
    message: str
    """One plain sentence."""

    def to_json(self) -> dict[str, str | None]:
        """Return the finding as it stands in the report."""
        return self._asdict()


def error(code: Code, where: str, message: str, *, who: str | None = None) -> Finding:
    """Return a finding that makes the ledger not ok."""
    return Finding(code, "error", shown(where), None if who is None else shown(who), shown(message, limit=600))


def warning(code: Code, where: str, message: str, *, who: str | None = None) -> Finding:
    """Return a finding that a reader should know of and that proves nothing against the ledger."""
    return Finding(code, "warning", shown(where), None if who is None else shown(who), shown(message, limit=600))


def shown(text: str, *, limit: int = _SHOWN) -> str:
    """Return ``text`` with control, formatting and other unprintable characters escaped, cut off at ``limit``.

    What stands in a store was chosen by whoever could write there: it must not steer the reader's terminal.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in cut)


class Findings:
    """Takes findings as they come, passes each on and keeps the first :data:`CAP` of each code."""

    def __init__(self, on_finding: Callable[[Finding], None] | None = None) -> None:
        self._on_finding = on_finding
        self._kept: list[Finding] = []
        self._seen: Counter[str] = Counter()
        self.errors = 0
        """How many of them were errors, kept or not."""

    def add(self, finding: Finding) -> None:
        """Take one finding."""
        self._seen[finding.code] += 1
        if finding.severity == "error":
            self.errors += 1
        if self._seen[finding.code] <= CAP:
            self._kept.append(finding)
        if self._on_finding is not None:
            self._on_finding(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Take several."""
        for finding in findings:
            self.add(finding)

    @property
    def kept(self) -> tuple[Finding, ...]:
        """The findings for the report, in the order they were found."""
        return tuple(self._kept)

    @property
    def omitted(self) -> int:
        """How many findings a report of :attr:`kept` leaves out."""
        return self._seen.total() - len(self._kept)
