"""Where does a verify start that is to check only what came after a checkpoint which an earlier one left?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, LedgerError, VerificationError
from tfaudit.ledger import checkpoint, commit, ids, live
from tfaudit.ledger.verify.commits import tree_of
from tfaudit.ledger.verify.reading import read
from tfaudit.ledger.verify.scratch import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.commit import Commit, Header
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store

_MAX_VOID: Final = 1_000
"""Void slots in a row that the search looks past."""
_MAX_KEYS: Final = 1_000
"""Changes of keys that a start in the middle goes back over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The log as the earlier verify left it."""

    state: State
    time: int
    """Of its last commit."""

    def knows(self, writer: str, record_id: str) -> bool:
        """Tell whether the earlier verify dealt with an object of this id and writer, or must have."""
        state = self.state
        return (
            ids.record_time(record_id) < state.cursor
            or ids.pack(record_id) in state.held
            or f"{record_id} {writer}" in state.passed
        )


class Earlier:
    """The commits before a size, found by halving; nothing about them is verified but what is said."""

    def __init__(self, store: Store, genesis: Genesis) -> None:
        self._store = store
        self._genesis = genesis

    def start(self, note: bytes) -> Start | None:
        """Return the log up to the kept checkpoint ``note``.

        None where no commit has just this tree under a key of the log: then everything must be checked to tell why.
        Raises :class:`LedgerError` when the store failed.
        """
        try:
            kept = checkpoint.parse(note)
            found = self._find(kept.checkpoint.size)
            if found is None or kept.checkpoint != found[1].checkpoint.checkpoint:
                return None
            raw, parsed = found
            header = parsed.header
            # The kept root vouches for every byte of the header once the header's own tree has that root.
            if tree_of(parsed) != (kept.checkpoint.size, kept.checkpoint.root):
                return None
            keys = self._keys(header.keys, before=header.number)
            checkpoint.verify(kept, keys.log)
        except (InputError, VerificationError):
            return None
        state = live.resume(self._genesis, parsed, sha256(raw).hexdigest(), keys, header.keys)
        return Start(state=state, time=header.time)

    def head(self, size: int) -> Head | None:
        """Return the head of this size as it is stored."""
        try:
            found = self._find(size)
        except LedgerError:
            return None
        if found is None:
            return None
        header, signed = found[1].header, found[1].checkpoint
        return Head(size, header.number, header.time, signed.checkpoint.root, sha256(signed.note).digest())

    def _find(self, size: int) -> tuple[bytes, Commit] | None:
        # One record a commit, where nobody competes: then the first look finds it.
        guess = max(size // 2 - 1, 0)
        found = self._at_or_before(guess, guess)
        if found is not None and found[1].checkpoint.checkpoint.size == size:
            return found
        low, high = 0, self._end()
        while low < high:
            middle = (low + high) // 2
            found = self._at_or_before(middle, low)
            if found is None:
                low = middle + 1
                continue
            here = found[1].checkpoint.checkpoint.size
            if here == size:
                return found
            if here < size:
                low = middle + 1
            else:
                high = found[1].header.number
        return None

    def _end(self) -> int:
        """Return a number of which there is no commit, all before it being there."""
        step = 1
        while self._there(step - 1):
            step *= 2
        low, high = step // 2, step - 1
        while low < high:
            middle = (low + high) // 2
            if self._there(middle):
                low = middle + 1
            else:
                high = middle
        return low

    def _there(self, number: int) -> bool:
        return read(self._store, ids.commit_key(number), limit=1) is not None

    def _at_or_before(self, number: int, lowest: int) -> tuple[bytes, Commit] | None:
        """Return the last commit up to ``number`` that can be read as one, not before ``lowest``."""
        for here in self._down(number, lowest):
            raw = read(self._store, ids.commit_key(here), limit=commit.MAX_COMMIT + 1)
            try:
                parsed = commit.parse(raw or b"")
            except InputError:
                continue
            if parsed.header.number == here:
                return raw or b"", parsed
        return None

    def _down(self, number: int, lowest: int) -> Iterator[int]:
        yield from range(number, max(lowest, number - _MAX_VOID) - 1, -1)

    def _keys(self, number: int | None, *, before: int) -> KeySet:
        """Return the keys that the record in commit ``number`` put in force; each set vouches for the next."""
        chain: list[Header] = []
        while number is not None:
            if number >= before or len(chain) >= _MAX_KEYS:
                raise InputError("the chain of keys in force does not lead back to genesis")
            raw = read(self._store, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
            chain.append(commit.parse(raw or b"").header)
            before, number = number, chain[-1].keys
        keys = self._genesis.keys
        for header in reversed(chain):
            if header.envelope is None:
                raise InputError(f"commit {header.number} is named for keys and holds none")
            keys = live.config_keys(replace(live.start(self._genesis), keys=keys), header)
        return keys
