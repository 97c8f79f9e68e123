"""Which commits are the log, and what else stands where commits stand."""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.errors import InputError, LedgerError, VerificationError
from tfaudit.ledger import checkpoint, commit, ids, live, merkle
from tfaudit.ledger.live import Live
from tfaudit.ledger.store import fetch
from tfaudit.ledger.verify.findings import error, warning
from tfaudit.ledger.verify.reading import read
from tfaudit.ledger.verify.scratch import Head, Leaf
from tfaudit.ledger.verify.versions import TOLERANCE, Locks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.commit import Commit
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Entry, Store
    from tfaudit.ledger.verify.findings import Findings
    from tfaudit.ledger.verify.scratch import Scratch

LOG: Final = "the log's key"
_KEY: Final = re.compile(r"commits/([0-7][0-9a-f]{15})")
"""A commit's number is below 2^63."""
_BATCH: Final = 64
_NO_OBJECT: Final = "it is no object"


class Later(NamedTuple):
    """Commits that came after the end of the log as it is reported."""

    records: set[str]
    """The ids of their records."""
    checkpoints: set[bytes]
    """Their signed notes."""


class Walk:
    """The walk from slot to slot, from ``state`` on; what it sees goes to ``scratch`` and ``findings``.

    The log ends at the first slot that holds nothing: no writer goes past it. What stands behind such a hole is either
    litter or, signed by the log's key, the proof that a commit is missing.
    """

    def __init__(
        self,
        store: Store,
        state: State,
        first: int,
        *,
        time: int = 0,
        locks: Locks,
        scratch: Scratch,
        findings: Findings,
    ) -> None:
        self.state = state
        self.commits = 0
        self.keysets: dict[int, KeySet] = {_keys_from(state): state.keys}
        """The key sets that were in force, by the commit that gave them; -1 for genesis."""
        self.next = first
        """The first slot that was not judged."""
        self._store = store
        self._scratch = scratch
        self._findings = findings
        self._time = time
        self._locks = locks
        self._hole: tuple[int, int] | None = None
        self._proof: int | None = None
        self._edited: set[int] = set()
        self._stopped = False
        self.whole = False
        """Whether all slots could be judged, so that what is not in the log is known not to be."""

    def run(self) -> None:
        """Judge every slot there is, then say what stands in the void ones."""
        after = ids.commit_key(self.next - 1) if self.next else ids.COMMITS
        for entry in self._ahead(self._store.list(ids.COMMITS, after=after)):
            match = _KEY.fullmatch(entry.key)
            if match is None:
                self._findings.add(
                    warning("foreign", entry.key, "this is no commit's key, so nobody reads what it holds")
                )
            elif not self._stopped:
                self._slot(entry, int(match[1], 16))
        self.whole = not self._stopped
        self._tell()

    def _ahead(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Yield the entries, read some at a time where that saves time."""
        while batch := list(islice(entries, _BATCH)):
            with suppress(LedgerError):
                # What can't be read ahead is told of when it is read.
                fetch(self._store, [entry.key for entry in batch if entry.size is not None], limit=commit.MAX_COMMIT)
            yield from batch

    def later(self) -> Later:
        """Return what was committed while this walk and what followed it went on."""
        state, number, found = self.state, self.next, Later(set(), set())
        while self._hole is None and self.whole:
            try:
                raw = read(self._store, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
                if raw is None:
                    break
                judged = live.judge(state, number, raw)
            except LedgerError:
                break
            if isinstance(judged, Live):
                state = judged.state
                found.records.update(line.record_id for line in judged.commit.header.records)
                found.checkpoints.add(judged.commit.checkpoint.note)
            number += 1
        return found

    def _slot(self, entry: Entry, number: int) -> None:
        while self._hole is None and self.next < number:
            # A folder, say, at a commit's key shows in no listing: something is there all the same.
            try:
                there = read(self._store, ids.commit_key(self.next), limit=1)
            except LedgerError:
                self._scratch.add_void(self.next, "void-slot", _NO_OBJECT)
                self.next += 1
                continue
            if there is None:
                self._hole = (self.next, number)
            else:
                # It came during the listing.
                self._judge(self.next, self._raw(self.next, commit.MAX_COMMIT))
        if self._stopped or number < self.next:
            return
        if entry.size is None:
            self._scratch.add_void(number, "void-slot", _NO_OBJECT)
            self.next += self._hole is None
            return
        raw = self._raw(number, min(entry.size, commit.MAX_COMMIT))
        if self._hole is None:
            self._judge(number, raw)
        elif raw is not None:
            self._beyond(number, raw)

    def _raw(self, number: int, size: int) -> bytes | None:
        key = ids.commit_key(number)
        try:
            return read(self._store, key, limit=size + 1) or b""
        except LedgerError as failure:
            self._findings.add(
                error("unreadable", key, f"this commit can't be read, so the log can't be followed: {failure.message}")
            )
            self._stopped = True
            return None

    def _judge(self, number: int, raw: bytes | None) -> None:
        if raw is None:
            return
        try:
            judged = live.judge(self.state, number, raw)
        except LedgerError as failure:
            self._findings.add(error("unreadable", ids.commit_key(number), failure.message))
            self._stopped = True
            return
        self.next = number + 1
        if isinstance(judged, Live):
            self._take(judged)
        else:
            self._void(number, raw, judged.reason)

    def _take(self, judged: Live) -> None:
        header, before, after = judged.commit.header, self.state, judged.state
        keys = _keys_from(before)
        self._scratch.add_leaves(
            Leaf(
                position=header.size + at,
                record_id=line.record_id,
                writer=line.writer,
                leaf=line.leaf,
                kind=line.kind,
                refers=line.refers,
                state=line.state,
                number=judged.number,
                keys=keys,
                size=header.size,
                time=header.time,
                bytes=None,
            )
            for at, line in enumerate(header.records)
        )
        note = sha256(judged.commit.checkpoint.note).digest()
        self._scratch.add_head(Head(after.size, after.number, header.time, after.root, note))
        if header.time < self._time - TOLERANCE:
            self._findings.add(
                error(
                    "back-dated",
                    ids.commit_key(judged.number),
                    f"this commit says it was made at {ids.time_text(header.time)}, long before the one it follows",
                    who=_key(header.committer),
                )
            )
        self._findings.extend(self._locks.findings(self._store, ids.commit_key(judged.number)))
        self._time = max(self._time, header.time)
        self.commits += 1
        self.state = after
        self.keysets.setdefault(_keys_from(after), after.keys)

    def _void(self, number: int, raw: bytes, reason: str) -> None:
        parsed = _parsed(raw)
        previous = parsed.header.previous if parsed else None
        if parsed is None:
            self._scratch.add_void(number, "void-slot", reason)
        elif not self._signed(parsed):
            follows = (self.state.number, self.state.digest) if self.state.digest else None
            claims = (parsed.header.number, previous) == (number, follows)
            self._scratch.add_void(number, "bad-checkpoint" if claims else "void-slot", reason)
        elif previous is None or previous[0] >= number or not self._cut_off(number, parsed, *previous):
            self._scratch.add_void(number, "void-slot", f"signed by {LOG}, but {reason}")

    def _cut_off(self, number: int, parsed: Commit, before: int, digest: str) -> bool:
        """Tell whether the commit at ``number`` is void for what became of commit ``before``, and remember it then."""
        orphan = before > self.state.number and self._scratch.is_orphan(before)
        if not orphan:
            raw = self._raw_again(before)
            if raw is not None and sha256(raw).hexdigest() == digest:
                return False
            if before <= self.state.number:
                # A holder of the log's key may say so of a sound commit: if the log goes on past it, it is litter.
                self._scratch.add_void(number, "edited-commit", "names other bytes of the commit before", names=before)
                return True
            self._scratch.add_void(before, None, "")
            self._add_edited(before, f"commit {number}")
        self._scratch.add_void(number, None, "")
        self._scratch.add_lost(line.record_id for line in parsed.header.records)
        return True

    def _add_edited(self, number: int, witness: str) -> None:
        if number not in self._edited:
            self._edited.add(number)
            message = f"{witness}, signed by {LOG}, names other bytes here: this is not what the log held"
            self._findings.add(error("edited-commit", ids.commit_key(number), message))

    def _raw_again(self, number: int) -> bytes | None:
        try:
            return read(self._store, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
        except LedgerError:
            return None

    def _beyond(self, number: int, raw: bytes) -> None:
        parsed = _parsed(raw)
        if parsed is None or not self._signed(parsed):
            self._scratch.add_void(number, "void-slot", "stands behind the end of the log")
            return
        self._scratch.add_lost(line.record_id for line in parsed.header.records)
        self._proof = number if self._proof is None else self._proof

    def _signed(self, parsed: Commit) -> bool:
        """Tell whether the log's key signed the tree that ends with just this commit's header."""
        tree = parsed.checkpoint.checkpoint
        if tree.origin != self.state.origin or tree_of(parsed) != (tree.size, tree.root):
            return False
        for keys in self.keysets.values():
            try:
                checkpoint.verify(parsed.checkpoint, keys.log)
            except VerificationError:
                continue
            return True
        return False

    def _tell(self) -> None:
        if self._hole is not None and self._proof is not None:
            first, last = self._hole[0], self._hole[1] - 1
            which = f"commit {first} is" if first == last else f"commits {first} to {last} are"
            message = f"{which} missing: commit {self._proof}, signed by {LOG}, comes after"
            self._findings.add(error("gap", ids.commit_key(first), message))
        for number, code, reason, names in self._scratch.voids():
            stepped = number < self.state.number
            if code == "edited-commit" and not stepped:
                self._add_edited(names, f"commit {number}")
            elif code is not None:
                said = "void-slot" if code == "edited-commit" else code
                message = f"what stands here is no part of the log: {reason}"
                make = warning if stepped else error
                self._findings.add(make(said, ids.commit_key(number), message, who=LOG if LOG in reason else None))


def tree_of(parsed: Commit) -> tuple[int, bytes] | None:
    """Return size and root of the tree that a commit's frontier and its own leaf make; None where they make none."""
    header = parsed.header
    size = header.size + len(header.records)
    if len(header.frontier) != size.bit_count():
        return None
    frontier, size = merkle.grow(header.frontier, size, (parsed.leaf,))
    return size, merkle.root(frontier)


def _parsed(raw: bytes) -> Commit | None:
    try:
        return commit.parse(raw)
    except InputError:
        return None


def _keys_from(state: State) -> int:
    return -1 if state.keys_from is None else state.keys_from


def _key(keyid: str) -> str:
    return f"key {keyid[:16]}"
