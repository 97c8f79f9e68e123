"""Which votes did the log hold at one place in it, and which of them had been used: as far as they are disclosed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tfaudit.gate.document import vote_of
from tfaudit.gate.model import LedgerView, Use
from tfaudit.gate.words import TOLERANCE
from tfaudit.ledger import votes
from tfaudit.ledger.commit import RecordLine
from tfaudit.ledger.keyset import APPROVER_KINDS
from tfaudit.ledger.live import AHEAD
from tfaudit.ledger.verify.scratch import Voted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfaudit.gate.model import Vote
    from tfaudit.ledger.live import State
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.verify.scratch import Scratch

_CACHED: Final = 1024
PROVEN: Final = frozenset({"ledger", "file"})
"""Sources of votes that the log itself holds; what a platform said stands in no log."""


class Votes:
    """Reads votes from the log, those of one stack at a time."""

    def __init__(self, reader: Reader, scratch: Scratch, *, start: State | None) -> None:
        self._reader = reader
        self._scratch = scratch
        self._start = start
        self._known_from: int | None = None
        """From when on the votes before ``start`` are in the temporary database; None: none of them."""
        self._cache: dict[str, tuple[bool, Vote | None]] = {}

    def view(
        self, *, stack: str, state_key: str | None, before: int, since: int, claimed: Iterable[Vote]
    ) -> tuple[LedgerView, bool]:
        """Return the view up to the leaf index ``before``, and whether a vote in it is not disclosed any more.

        ``claimed`` are the votes that a decision's basis names: they stand for those that are not, and for what
        platforms said. Raises :class:`VerificationError` and :class:`LedgerError` as the reader does.
        """
        self._look_back(since)
        said = {vote.record: vote for vote in claimed if vote.record is not None}
        times = {vote.id: vote.at for vote in claimed}
        found: list[Vote] = [vote for vote in claimed if vote.source not in PROVEN]
        unproven = False
        for voted in self._scratch.votes(stack, before=before, since=since - AHEAD):
            disclosed, vote = self._vote(voted)
            if not disclosed:
                unproven = unproven or voted.kind != "review"
                vote = said.get(voted.record_id)
            elif vote is not None and abs(times.get(vote.id, vote.at) - vote.at) <= TOLERANCE:
                # It was staged when the run decided, and a commit took it up a moment later.
                vote = replace(vote, at=times.get(vote.id, vote.at))
            if vote is not None and votes.concerns(vote, stack, state_key):
                found.append(vote)
        uses = tuple(
            Use(vote=vote.id, intent=intent, position=position)
            for vote in found
            for intent, position in self._scratch.uses(vote.id, stack=stack, state=state_key, before=before)
        )
        return LedgerView(size=before, votes=tuple(found), uses=uses), unproven

    def _vote(self, voted: Voted) -> tuple[bool, Vote | None]:
        """Return whether a record's word is still disclosed, and the vote that it is; None where it is none."""
        if voted.record_id not in self._cache:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            line = RecordLine(
                leaf=voted.leaf,
                writer=voted.writer,
                record_id=voted.record_id,
                kind=voted.kind,
                refers=voted.refers,
                state=voted.state,
            )
            text = next(iter(self._reader.values([self._reader.record(line)], votes.VOTE, limit=votes.MAX_VOTE)))
            vote = None
            if text is not None:
                vote = vote_of(text, at=voted.time, position=voted.position, record=voted.record_id)
            self._cache[voted.record_id] = (text is not None, vote)
        return self._cache[voted.record_id]

    def _look_back(self, since: int) -> None:
        """Put what the log before ``start`` holds since then into the temporary database."""
        start = self._start
        if start is None or (self._known_from is not None and self._known_from <= since):
            return
        entries = [
            entry
            for entry in self._reader.ending_with(start).since(since - AHEAD)
            if entry.line.kind in APPROVER_KINDS or entry.line.kind == "intent"
        ]
        for entry, found in zip(entries, self._reader.records([entry.line for entry in entries]), strict=True):
            line, said = entry.line, found.predicate.get("stack")
            stack = said if isinstance(said, str) else None
            if line.kind == "intent":
                uses = votes.uses_of(found.predicate, line.record_id, entry.position)
                self._scratch.add_uses((use.vote, stack, line.state, use.intent, entry.position) for use in uses)
            else:
                self._scratch.add_vote(
                    Voted(
                        entry.position,
                        line.record_id,
                        line.writer,
                        line.leaf,
                        line.kind,
                        line.refers,
                        line.state,
                        entry.time,
                        stack,
                    )
                )
        self._known_from = since
