"""What is a review that a platform tells of, and how does it become a vote?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from tfaudit import canonical
from tfaudit.gate.model import Subject, Vote

YEAR_MS: Final = 366 * 24 * 3600 * 1000
"""A platform's reviews have no expiry of their own; the gate's counts, which is never longer than this."""

Word = Literal["approval", "rejection"]


class Unanswered(Exception):
    """A platform could not be asked, or answered something that nothing can be made of: one line, without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One person's last word on the planned commit, as the platform gave it."""

    source: str
    """``github-review`` and the like, as in ``[gate] evidence``."""
    word: Word
    approver: str
    """The person's canonical name: ``github:583231``."""
    commit: str
    made: int
    """When it was given, milliseconds since the epoch; where the platform doesn't say, the earliest possible moment."""
    facts: Mapping[str, str | int]
    """What makes it this review and no other: to be compared with the platform later."""

    @property
    def document(self) -> bytes:
        """The facts as canonical JSON; their SHA-256 is the vote's name, so one review is one vote for ever."""
        return canonical.encode({**self.facts, "commit": self.commit, "source": self.source, "word": self.word})

    def vote(self, subject: Subject, *, now: int) -> Vote:
        """Return the vote on the plan that ``subject`` names: bound to its commit, not to its change digest."""
        return Vote(
            id=f"sha256:{canonical.sha256_hex(self.document)}",
            record=None,
            kind=self.word,
            subject=replace(subject, commit=self.commit),
            approver=self.approver,
            key="",
            signed=True,
            touched=None,
            made=self.made,
            at=now,
            expires=self.made + YEAR_MS,
            position=None,
            source=self.source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one platform says about one commit."""

    reviews: tuple[Review, ...]
    authors: frozenset[str] = frozenset()
    """Names of who wrote or asked for the change: their own reviews are not in ``reviews``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What all platforms that count say."""

    votes: tuple[Vote, ...] = ()
    problems: tuple[str, ...] = ()
    """Why a platform's approvals are not among them, each one line. It never lets a run through."""
    authors: frozenset[str] = frozenset()
    """Names of who wrote the change, to be added to those of who asks: nobody approves their own under any name."""
    documents: tuple[bytes, ...] = ()
    """The facts of each vote, in the same order."""


def milliseconds(text: str) -> int:
    """Return an API's time in milliseconds since the epoch; :class:`Unanswered` where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unanswered("the platform gives a time that is none") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
