"""Does each record fit the log around it: the head it saw, its time, the record before it in its state's chain?"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple

from tfaudit.errors import InputError, VerificationError
from tfaudit.ledger import checkpoint, ids
from tfaudit.ledger.verify.commits import LOG
from tfaudit.ledger.verify.findings import error
from tfaudit.ledger.verify.versions import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.live import State
    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.records import Claims
    from tfaudit.ledger.verify.scratch import Head, Leaf, Scratch


class Place(NamedTuple):
    """Where a signed checkpoint lies in this history."""

    where: Literal["here", "beyond", "fork", "false"]
    """In it, after its end, in another history of the same log, or nowhere: no log key signed it."""
    size: int
    head: Head | None
    """Set where it is here."""
    reason: str = ""


class History:
    """The log as it was found. ``earlier`` finds heads before the start of a check of the growth alone."""

    def __init__(
        self,
        scratch: Scratch,
        *,
        origin: str,
        keysets: Mapping[int, KeySet],
        start: int,
        end: State,
        whole: bool,
        earlier: Callable[[int], Head | None],
    ) -> None:
        self._scratch = scratch
        self._origin = origin
        self._keysets = keysets
        self._start = start
        self._end = end
        self.whole = whole
        """Whether the log could be followed to its end."""
        self._earlier = earlier
        self._first = None if start else scratch.first_head()

    def place(self, note: bytes) -> Place:
        """Return where the checkpoint of a signed note lies."""
        try:
            signed = checkpoint.parse(note)
        except InputError as failure:
            return Place("false", 0, None, failure.message)
        tree = signed.checkpoint
        if tree.origin != self._origin:
            return Place("false", tree.size, None, "it is of another log")
        head = self._scratch.head(tree.size) if tree.size > self._start else self._earlier(tree.size)
        same = head is not None and head.root == tree.root
        if head is not None and same and head.note == sha256(note).digest():
            return Place("here", tree.size, head)
        if not any(_vouch(signed, keys) for keys in self._keysets.values()):
            return Place("false", tree.size, None, "no key of the log signed it")
        if same:
            return Place("here", tree.size, head)
        return Place("beyond" if tree.size > self._end.size else "fork", tree.size, None)

    def broken(self, placed: Place, where: str, witness: str) -> Finding | None:
        """Return what a checkpoint from outside the log shows, which lies at ``placed``; ``witness`` carries it."""
        if placed.where == "here" or (placed.where == "beyond" and not self.whole):
            return None
        if placed.where == "false":
            return error("bad-checkpoint", where, f"{witness} is no checkpoint of this log: {placed.reason}")
        if placed.where == "fork":
            return _fork(where, placed)
        said = f"{witness} shows that the log had {placed.size} leaves; now it ends at {self._end.size}"
        void = self._scratch.void_after(self._end.number)
        if void is not None:
            return error("edited-commit", ids.commit_key(void), f"{said}, where something else stands now")
        return error("truncated", where, said)

    def check(self, leaf: Leaf, claims: Claims) -> Iterator[Finding]:
        """Yield what does not fit about a record of the log."""
        key = ids.record_key(leaf.writer, leaf.record_id)
        seen: Head | None = None
        if claims.seen is not None:
            placed = self.place(claims.seen.encode())
            seen = placed.head
            if placed.where == "false":
                message = f"the head that this record says it saw is none: {placed.reason}"
                yield error("bad-seen", key, message, who=claims.who)
            elif seen is None:
                yield _fork(key, placed)
            elif placed.size > leaf.size:
                message = "the head that this record says it saw came after the commit that holds it"
                yield error("bad-seen", key, message, who=claims.who)
        elif claims.spooled is None and self._first is not None and claims.time > self._first.time + TOLERANCE:
            message = "this record says it saw an empty log, long after the first commit"
            yield error("bad-seen", key, message, who=claims.who)
        yield from self._times(key, leaf, claims, seen)
        if claims.state is not None and claims.spooled is None and (seen is not None or claims.seen is None):
            yield from self._chain(key, claims, seen.size if seen else 0)

    def _times(self, key: str, leaf: Leaf, claims: Claims, seen: Head | None) -> Iterator[Finding]:
        for what, time in (("time", claims.time), ("time of spooling", claims.spooled)):
            if time is None:
                continue
            said = f"the record's {what}, {ids.time_text(time)}, is"
            if seen is not None and time < seen.time - TOLERANCE:
                message = f"{said} before that of the head it saw, {ids.time_text(seen.time)}"
                yield error("back-dated", key, message, who=claims.who)
            elif time > leaf.time + TOLERANCE:
                message = f"{said} after that of the commit that holds it, {ids.time_text(leaf.time)}"
                yield error("back-dated", key, message, who=claims.who)

    def _chain(self, key: str, claims: Claims, size: int) -> Iterator[Finding]:
        """Compare the named previous record with the state's last in the log that the writer saw."""
        if claims.state is None:
            return
        before = self._scratch.last_of_state(claims.state, size)
        expected = (before.record_id, before.leaf.hex()) if before else None
        if claims.previous == expected or (expected is None and self._start):
            return
        named = claims.previous[0] if claims.previous else "none"
        right = expected[0] if expected else "none"
        message = f"the record names {named} as the one before it of its state; the log that it saw has {right}"
        yield error("unrecorded-change", key, message, who=claims.who)


def _fork(where: str, placed: Place) -> Finding:
    message = f"{LOG} signed a checkpoint of size {placed.size} that this history does not contain"
    return error("fork", where, message, who=LOG)


def _vouch(signed: checkpoint.SignedCheckpoint, keys: KeySet) -> bool:
    try:
        checkpoint.verify(signed, keys.log)
    except VerificationError:
        return False
    return True
