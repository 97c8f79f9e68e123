"""How is the next commit written: everything staged, in one conditional create at the first empty slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import adopt, commit, extend, ids, live
from tfaudit.ledger.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tfaudit.ledger.adopt import Batch, Staged
    from tfaudit.ledger.commit import RecordLine
    from tfaudit.ledger.head import Head
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store
    from tfaudit.signing.note import NoteKey
    from tfaudit.signing.signer import Signer

MAX_ATTEMPTS: Final = 100
MAX_FAILURES: Final = 3
"""Creates that failed with an unknown outcome before a writer gives up; losing a race is no failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committer:
    """Someone who holds the log's key."""

    evidence: Store
    head: Head
    signer: Signer
    """The record key that signs commit headers."""
    log: Sequence[tuple[NoteKey, Signer]]
    clock: Clock
    entropy: Callable[[int], bytes]
    pause: Callable[[float], None]
    step: Callable[[str], None]

    def check_keys(self) -> None:
        """Raise :class:`ConfigError` unless the keys in force accept these keys for a commit."""
        keys = self.head.state.keys
        for key, _ in self.log:
            if key not in keys.log:
                raise ConfigError(
                    f"the log key {'+'.join(key.vkey.split('+', 2)[:2])} is not this ledger's",
                    hint="`tfaudit keys list` shows its own; after a rotation that was cut off, "
                    "run `tfaudit keys rotate log` again",
                )
        if keys.signer(self.signer.public.keyid) is None:
            raise ConfigError(
                f"the record key {self.signer.public.keyid[:16]}… is not accepted by this ledger",
                hint="its root key must accept it first: `tfaudit keys add`; after a rotation that was cut off, "
                "run `tfaudit keys rotate record` again",
            )

    def commit(self, own: tuple[RecordLine, bytes], since: Iterable[Live]) -> Live:
        """Return the live commit that holds the staged record ``own`` (its line and its line 1): ours or another's.

        ``since`` are live commits that may hold it already. Raises :class:`LedgerError` when the store failed: the
        record is staged then, and a commit with it may still land.
        """
        failures = 0
        for attempt in range(MAX_ATTEMPTS):
            for found in since:
                # Another writer has taken the record along: done, whatever became of our own tries.
                if own[0].leaf in {line.leaf for line in found.commit.header.records}:
                    return found
            # Keys may have changed since the record was staged.
            self.check_keys()
            adopt.check_own(self.head.state, *own)
            time = ids.milliseconds(self.clock())
            found_now = adopt.staged(self.evidence, self.head.state, time=time, limit=commit.MAX_LINES - 1)
            batch = adopt.examine(self.evidence, self.head.state, found_now, own=own)
            try:
                made = self.attempt(batch, time=time, own=own[0].record_id)
            except _UnknownOutcome as error:
                # Our commit may be there, may come later, or not at all. The next look tells: if it lands after that,
                # it meets our next one at the same key, and one of the two wins; the record is in both.
                failures += 1
                if failures > MAX_FAILURES:
                    raise LedgerError(error.message, hint=error.hint) from error
                made = None
            if made is not None:
                return made
            self._rest(attempt)
            since = self.head.catch_up()
        raise LedgerError(f"{MAX_ATTEMPTS} commits of other writers came first", hint="try again")

    def commit_staged(self) -> int:
        """Commit all that is staged from the cursor on and return how many records that were."""
        return self.commit_found(
            lambda time: adopt.staged(self.evidence, self.head.state, time=time, limit=commit.MAX_LINES), set()
        )

    def commit_found(self, find: Callable[[int], Sequence[Staged]], known_strays: set[str]) -> int:
        """Commit what ``find(time)`` returns, again until it returns nothing new, and return how many records.

        ``find`` is called after every look at the head; strays that ``known_strays`` names are not named again. Raises
        :class:`ConfigError` for keys that the ledger does not accept, :class:`LedgerError` when the store failed.
        """
        count = attempt = 0
        while attempt < MAX_ATTEMPTS:
            self.head.catch_up()
            self.check_keys()
            time = ids.milliseconds(self.clock())
            batch = adopt.examine(self.evidence, self.head.state, find(time)[: commit.MAX_LINES], own=None)
            batch = adopt.without(batch, known_strays)
            if not batch.records and not batch.strays:
                return count
            made = self.attempt(batch, time=time, own=None)
            if made is None:
                attempt += 1
                self._rest(attempt)
            else:
                attempt = 0
                count += len(batch.records)
                known_strays.update(stray.name for stray in batch.strays)
        raise LedgerError(f"{MAX_ATTEMPTS} commits of other writers came first", hint="try again")

    def attempt(self, batch: Batch, *, time: int, own: str | None) -> Live | None:
        """Try to make the batch the next commit; None when another commit took the slot."""
        state, number = self.head.state, self.head.next
        header = extend.next_header(
            state,
            number=number,
            time=time,
            records=batch.records,
            envelope=batch.envelope,
            strays=batch.strays,
            committer=self.signer.public.keyid,
            own=own,
        )
        raw = extend.sign(header, state.origin, self.signer, self.log)
        judged = _must_be_live(state, number, raw)
        # A crash here: the records are staged, and whoever commits next takes them along.
        self.step("committing")
        try:
            created = self.evidence.create(ids.commit_key(number), raw)
        except LedgerError as error:
            raise _UnknownOutcome(error.message, hint=error.hint) from error
        if not created:
            return None
        # A crash here: the commit is durable and live, so all its records are in the log for good.
        self.step("committed")
        self.head.extend(judged)
        return judged

    def _rest(self, attempt: int) -> None:
        share = int.from_bytes(self.entropy(2), "big") / 0xFFFF
        self.pause(share * min(0.002 * 2**attempt, 0.5))


class _UnknownOutcome(LedgerError):
    """The store failed at a create, which may have happened all the same."""


def _must_be_live(state: State, number: int, raw: bytes) -> Live:
    judged = live.judge(state, number, raw)
    if isinstance(judged, Live):
        return judged
    raise LedgerError(
        f"the record can't be committed now: {judged.reason}",
        hint="is this machine's clock right?" if "future" in judged.reason else None,
    )
