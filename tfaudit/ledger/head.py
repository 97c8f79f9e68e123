"""Where does the log end: the walk from slot to slot, and where it may start."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tfaudit import canonical
from tfaudit.errors import InputError, LedgerError, VerificationError
from tfaudit.ledger import checkpoint, commit, ids, live
from tfaudit.ledger.live import Live
from tfaudit.ledger.store import NoObjectError, fetch, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.commit import Commit, Header
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store, Working

HINT: Final = "head"
MAX_HINT: Final = 200
NEAR: Final = 64
"""Slots at the end that are tried as a start: so many void ones in a row cost a walk from genesis."""
MAX_KEY_CHANGES: Final = 1_000
"""So many are followed back from a start in the middle; beyond them the walk starts at genesis."""


class Head:
    """The end of the log as this process knows it. Nothing is read before :meth:`catch_up`."""

    def __init__(self, evidence: Store, genesis: Genesis) -> None:
        self._evidence = evidence
        self._genesis = genesis
        self.state: State = live.start(genesis)
        self._lost: set[int] = set()
        """Commits whose chain of keys was found to lead nowhere."""
        self.next = 0
        """The first slot that was empty when it was last looked at: the next commit's, past every void one."""

    def start_near_end(self, hint: int | None) -> None:
        """Start at one of the last commits, if one of them proves live from the one before it, else at genesis.

        ``hint`` is where the end was once, and only saves looking for it. What lies before the start is taken on trust:
        each writer checks the transition it extends, ``verify`` checks all. The head is then where the log ends. Raises
        as :meth:`catch_up`.
        """
        if hint is not None and hint > 0 and self._start_at(hint):
            return
        last = self._last_filled(hint if hint is not None and hint >= 0 and self._filled(hint) else -1)
        for number in range(last, max(last - NEAR, 0), -1):
            if self._start_at(number):
                return
        self.catch_up()

    def _start_at(self, number: int) -> bool:
        """Start at a commit and go on to the end, unless that is far or the commit proves void."""
        try:
            self._start_before(number)
        except (InputError, VerificationError):
            self._restart()
            return False
        found = self._walk(2 * NEAR)
        if found is not None and any(one.number >= number for one in found):
            return True
        self._restart()
        return False

    def _last_filled(self, filled: int) -> int:
        """Return the last slot before an empty one, by some thirty looks even where the log is long."""
        step = 1
        while self._filled(filled + step):
            filled += step
            step *= 2
        empty = filled + step
        while empty - filled > 1:
            middle = (filled + empty) // 2
            if self._filled(middle):
                filled = middle
            else:
                empty = middle
        return filled

    def _filled(self, number: int) -> bool:
        try:
            stream = self._evidence.open(ids.commit_key(number), limit=1)
        except LedgerError:
            # What can't be opened fills its slot; if it is the store that failed, the walk will say so.
            return True
        if stream is None:
            return False
        stream.close()
        return True

    def catch_up(self) -> list[Live]:
        """Walk over all slots that were filled since, and return the live commits among them.

        Raises :class:`LedgerError` when the store failed, when the head that was known is gone, or for a format version
        that this code does not know.
        """
        return self._walk(None) or []

    def _walk(self, limit: int | None) -> list[Live] | None:
        """Catch up; None where the end is not reached within ``limit`` slots."""
        # The slot after the head first: a store that looks there sees the head as well.
        raw = self._slot()
        self._check_known()
        found: list[Live] = []
        last = None if limit is None else self.next + limit
        while raw is not None:
            if self.next == last:
                return None
            judged = live.judge(self.state, self.next, raw)
            if isinstance(judged, Live):
                self.state = judged.state
                found.append(judged)
            self.next += 1
            raw = self._slot()
        return found

    def _slot(self) -> bytes | None:
        try:
            return read(self._evidence, ids.commit_key(self.next), limit=commit.MAX_COMMIT + 1, settled=True)
        except NoObjectError:
            # A void slot as much as any other litter: nobody can put a commit there.
            return b""

    def extend(self, judged: Live) -> None:
        """Take a commit that was just created at :attr:`next` for the new head."""
        self.state = judged.state
        self.next += 1

    def _check_known(self) -> None:
        """Raise unless the head is where it was: a commit after a lost one would follow a hole."""
        if self.state.number < 0:
            return
        raw = read(self._evidence, ids.commit_key(self.state.number), limit=commit.MAX_COMMIT)
        if raw is None or sha256(raw).hexdigest() != self.state.digest:
            raise LedgerError(
                f"commit {self.state.number} was in the ledger and is gone or altered", hint="run `tfaudit verify`"
            )

    def _restart(self) -> None:
        self.state = live.start(self._genesis)
        self.next = 0

    def _start_before(self, hint: int) -> None:
        """Put the head on the live commit that commit ``hint`` says it follows."""
        named = self._commit(hint)[0].header.previous
        if named is None:
            return
        number, digest = named
        if number >= hint:
            raise InputError(f"commit {hint} follows a later one")
        parsed, found = self._commit(number)
        if found != digest:
            raise VerificationError(f"commit {hint} follows another commit {number}")
        keys = self._keys(parsed.header.keys, before=number)
        checkpoint.verify(parsed.checkpoint, keys.log)
        self.state = live.resume(self._genesis, parsed, digest, keys, parsed.header.keys)
        self.next = number + 1

    def _keys(self, number: int | None, *, before: int) -> KeySet:
        """Return the keys that the record in commit ``number`` put in force; each set vouches for the next."""
        chain: list[Header] = []
        while number is not None:
            if number >= before or number in self._lost or len(chain) >= MAX_KEY_CHANGES:
                self._lost.update(header.number for header in chain)
                raise InputError(f"commit {before} leads to no keys in force")
            chain.append(self._commit(number)[0].header)
            before, number = number, chain[-1].keys
        keys = self._genesis.keys
        for header in reversed(chain):
            if header.envelope is None:
                raise InputError(f"commit {header.number} holds no config record")
            keys = live.config_keys(replace(live.start(self._genesis), keys=keys), header)
        return keys

    def _commit(self, number: int) -> tuple[Commit, str]:
        try:
            raw = read(self._evidence, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
        except NoObjectError as error:
            raise InputError(error.message) from error
        if raw is None:
            raise InputError(f"there is no commit {number}")
        return commit.parse(raw), sha256(raw).hexdigest()


def read_hint(working: Working) -> int | None:
    """Return the commit number that the working store's hint names; None where there is no usable one."""
    # A hint saves time and proves nothing: without it the walk starts at genesis.
    with suppress(LedgerError):
        return parse_hint(read(working, HINT, limit=MAX_HINT) or b"")
    return None


def parse_hint(raw: bytes) -> int | None:
    """Return the commit number that a hint's bytes name; None where there is no usable one."""
    with suppress(InputError):
        match canonical.decode(raw, what="head hint"):
            case {"commit": int(number)}:
                return number
    return None


def write_hint(working: Working, state: State) -> None:
    """Leave the head's number for the next process; raises :class:`LedgerError` when the store failed."""
    working.replace(HINT, canonical.encode({"commit": state.number, "size": state.size}))


def back_from(evidence: Store, number: int, digest: str) -> Iterator[tuple[int, bytes]]:
    """Yield (number, bytes) of the live commits from ``number`` back to the first, each proven by the next one's hash.

    ``digest`` is the SHA-256 that commit ``number`` is known to have; a ``number`` below 0 stands for the empty log.
    Raises :class:`VerificationError` where bytes are missing or altered, :class:`LedgerError` when the store failed.
    """
    here: tuple[int, str] | None = (number, digest) if number >= 0 else None
    ahead, step = number, 2
    while here is not None:
        if here[0] < ahead:
            # More and more at once, for a store where each read takes a while.
            step = min(step * 2, NEAR)
            ahead = here[0] - step + 1
            keys = [ids.commit_key(each) for each in range(max(ahead, 0), here[0] + 1)]
            fetch(evidence, keys, limit=commit.MAX_COMMIT + 1)
        raw = read(evidence, ids.commit_key(here[0]), limit=commit.MAX_COMMIT + 1)
        if raw is None or sha256(raw).hexdigest() != here[1]:
            raise VerificationError(f"commit {here[0]} is missing or altered", hint="run `tfaudit verify`")
        yield here[0], raw
        here = commit.peek(raw)[0]
