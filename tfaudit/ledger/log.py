"""What can a process do with a ledger: draft records, append them, keep them in the spool, commit what is staged."""

from __future__ import annotations

import time as time_
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, LedgerError, TfauditError, UnavailableError, VerificationError
from tfaudit.ledger import chain, head, ids, place, upkeep
from tfaudit.ledger.committer import Committer
from tfaudit.ledger.draft import Draft
from tfaudit.ledger.head import Head
from tfaudit.ledger.place import create_ledger
from tfaudit.ledger.receipt import Receipt
from tfaudit.ledger.sender import Sender
from tfaudit.ledger.spool import Spool, close
from tfaudit.signing.note import NoteKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from tfaudit.ledger.draft import Sealed
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Store, Working
    from tfaudit.signing.signer import Signer

__all__ = ["Ledger", "Receipt", "SpooledError", "create_ledger"]

_MOMENT: Final = 250
"""Milliseconds."""
_KEPT: Final = (LedgerError, ConfigError, UnavailableError, VerificationError)
"""What may keep a record out of the ledger, and then it goes to the spool where that was asked for."""


class SpooledError(LedgerError):
    """The record is not in the ledger (as far as is known), but it is signed and durable in the spool."""


class Ledger:
    """A ledger as one process writes to it. :meth:`open` is the way in."""

    def __init__(
        self,
        *,
        evidence: Store,
        working: Working,
        spool: Spool,
        genesis: Genesis,
        signer: Signer,
        log: Sequence[tuple[NoteKey, Signer]],
        writer: str,
        clock: Clock,
        entropy: Callable[[int], bytes],
        pause: Callable[[float], None],
        step: Callable[[str], None],
    ) -> None:
        self.genesis = genesis
        self.spool = spool
        self._evidence = evidence
        self._working = working
        self._signer = signer
        self._writer = writer
        self._clock = clock
        self._entropy = entropy
        self._head = Head(evidence, genesis)
        self._started = False
        self._looked: int | None = None
        """When the head was last looked at, for whoever reads and then appends."""
        committer = Committer(
            evidence=evidence,
            head=self._head,
            signer=signer,
            log=log,
            clock=clock,
            entropy=entropy,
            pause=pause,
            step=step,
        )
        self._sender = Sender(
            evidence=evidence,
            working=working,
            head=self._head,
            committer=committer if log else None,
            step=step,
        )

    @classmethod
    def open(
        cls,
        *,
        evidence: Store,
        working: Working,
        spool: Path,
        signer: Signer,
        log_signer: Signer | None,
        second_log_signer: Signer | None = None,
        writer: str,
        genesis_digest: str | None,
        clock: Clock,
        entropy: Callable[[int], bytes],
        pause: Callable[[float], None] = time_.sleep,
        step: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Return the ledger in ``evidence``, ready to append to; of the log only genesis is read yet.

        Without ``log_signer`` records are only staged; ``second_log_signer`` is the ML-DSA-44 key where one is switched
        on. ``genesis_digest`` (``sha256:…``) is the trust anchor. ``clock`` is the store's time. Where the store can't
        be reached, the copy of genesis in the spool serves for signing what will wait there.

        Raises :class:`LedgerError` when there is no (readable) ledger and :class:`ConfigError` when it is another than
        the anchor says or ``writer`` is no usable prefix.
        """
        if not ids.is_writer(writer):
            raise ConfigError(f"{writer!r} can't be a writer's name", hint="lower-case letters, digits and hyphens")
        waiting = Spool.at(spool, entropy=entropy)
        genesis = place.find_genesis(evidence, anchor=genesis_digest, copies=waiting.store)
        signers = (one for one in (log_signer, second_log_signer) if one is not None)
        return cls(
            evidence=evidence,
            working=working,
            spool=waiting,
            genesis=genesis,
            signer=signer,
            log=[(NoteKey(name=genesis.origin, public=one.public), one) for one in signers],
            writer=writer,
            clock=clock,
            entropy=entropy,
            pause=pause,
            step=step,
        )

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.genesis.origin

    def warm(self) -> None:
        """Have the record key ready, where that takes a while; if it can't be had, whoever signs will tell."""
        with suppress(*_KEPT):
            _ = self._signer.public

    def reader(self) -> Reader:
        """Return a reader of the ledger as it is now; errors as :meth:`append`."""
        from tfaudit.ledger.reader import Reader

        self._reach()
        return Reader(evidence=self._evidence, working=self._working, genesis=self.genesis, state=self._head.state)

    def now(self) -> int:
        """Return the store's present time, milliseconds since the epoch."""
        return ids.milliseconds(self._clock())

    def new_record_id(self) -> str:
        """Return a fresh record id of the store's present time."""
        return ids.new_record_id(self.now(), self._entropy)

    def draft(self, kind: str, *, record_id: str | None = None) -> Draft:
        """Return an empty draft, to be used in a ``with`` block."""
        return Draft(
            record_id=record_id or self.new_record_id(), kind=kind, folder=self.spool.folder, entropy=self._entropy
        )

    def append(
        self,
        draft: Draft,
        facts: Mapping[str, object],
        *,
        subjects: Sequence[tuple[str, str]] = (),
        spool: bool = False,
        signer: Signer | None = None,
    ) -> Receipt:
        """Put the record into the ledger and return where it is: in the log, or staged where a sequencer commits.

        ``facts`` are the predicate's members, but for those that the ledger sets itself; ``subjects`` are further
        (name, SHA-256) pairs; ``signer`` is another than the ledger's own for what only it may sign (the root key for a
        ``config`` record). Raises :class:`InputError` for a statement that is too large, :class:`ConfigError` for a key
        that the ledger does not accept, :class:`LedgerError` and :class:`VerificationError` when it can't be read or
        written: the record may then still be staged and come into the log later. With ``spool`` it is kept in the
        spool in all these cases but the first, and :class:`SpooledError` is raised.
        """
        try:
            if not self._has_just_looked():
                self._reach()
            sealed = self._seal(draft, facts, subjects, signer or self._signer)
        except _KEPT as error:
            if not spool:
                raise
            self.keep(draft, facts, subjects=subjects, signer=signer)
            raise SpooledError(f"the record waits in the spool: {error.message}", hint=error.hint) from error
        # What is appended next is to see this one.
        self._looked = None
        try:
            return self._sender.send(sealed)
        except _KEPT as error:
            if not spool:
                raise
            # Exactly the bytes that were tried: they may be staged already, and two records of one id would be one too
            # many.
            self.spool.put(sealed)
            raise SpooledError(f"the record waits in the spool: {error.message}", hint=error.hint) from error

    def change_keys(
        self,
        keys: KeySet,
        root: Signer,
        facts: Mapping[str, object],
        *,
        bundle: bytes | None = None,
        actor: bytes | None = None,
    ) -> Receipt:
        """Append the ``config`` record, signed by the root key, that puts ``keys`` in force from its commit on.

        With ``bundle``, that bundle's JSON text is pinned from there on; without, the one in force stays so. ``actor``
        is the JSON text of who does it. ``keys.generation`` must be one more than that in force (:meth:`keys`). Raises
        :class:`ConfigError` when it is not or ``root`` is not the root key, and as :meth:`append` does.
        """
        from tfaudit.ledger import pinned

        reader = self.reader()
        if keys.generation != reader.state.keys.generation + 1:
            raise ConfigError(f"keys of generation {keys.generation} don't follow those in force", hint="try again")
        with self.draft("config") as draft:
            # Another config record that gets in between takes this generation: then this one, which may name a bundle
            # that is no longer in force, never comes into the log.
            kept = pinned.reference(reader) if bundle is None else {"bundle": draft.disclose(pinned.POINTER, bundle)}
            who = {} if actor is None else {"actor": draft.disclose("/actor", actor)}
            return self.append(draft, {**facts, **kept, **who, "keys": keys.document()}, signer=root)

    def keys(self) -> KeySet:
        """Return the keys in force at the log's present end; errors as :meth:`append`."""
        self._reach()
        return self._head.state.keys

    def keep(
        self,
        draft: Draft,
        facts: Mapping[str, object],
        *,
        subjects: Sequence[tuple[str, str]] = (),
        signer: Signer | None = None,
    ) -> None:
        """Sign the record and leave it in the spool, durable, without trying the ledger.

        Raises :class:`LedgerError` when the spool can't be written.
        """
        now = self.now()
        sealed = draft.seal(
            facts,
            subjects=subjects,
            origin=self.origin,
            writer=self._writer,
            time=now,
            seen=self._head.state.checkpoint,
            previous=None,
            spooled=now,
            signer=signer or self._signer,
        )
        self.spool.put(sealed)

    def drain(self) -> tuple[Receipt, ...]:
        """Send what waits in the spool, oldest first, and return where each record is now.

        One that can't be sent stays and does not hold up the others; the first such failure is raised at the end.
        """
        sent: list[Receipt] = []
        failed: TfauditError | None = None
        for record_id in self.spool.waiting():
            try:
                sent.extend(self._send_spooled(record_id))
            except (*_KEPT, InputError) as error:
                failed = failed or error
        if failed is not None:
            raise failed
        self.spool.tidy(before=self.now() - upkeep.HOUR)
        return tuple(sent)

    def sequence(self) -> int:
        """Commit what other writers staged and return how many records that were; for a holder of the log's key.

        Looks from the cursor on, then sweeps whole past hours. Raises :class:`ConfigError` without the log's key.
        """
        committer = self._need_committer()
        self._reach()
        count = committer.commit_staged() + upkeep.sweep(committer, time=self.now())
        self._sender.leave_hint()
        return count

    def sweep(self) -> int:
        """Commit records of whole past hours that no commit holds, however old, and return how many they were.

        They were staged so late that the cursor had passed them, or by a writer that died. Raises
        :class:`ConfigError` without the log's key.
        """
        committer = self._need_committer()
        self._reach()
        count = upkeep.sweep(committer, time=self.now())
        self._sender.leave_hint()
        return count

    def _need_committer(self) -> Committer:
        if self._sender.committer is None:
            raise ConfigError("only a holder of the log's key can commit", hint="set [signer] log in tfaudit.toml")
        return self._sender.committer

    def _reach(self) -> None:
        """Bring the head up to date; the store must hold this very ledger."""
        place.must_be_in_place(self._evidence, self.genesis)
        if self._started:
            self._head.catch_up()
        else:
            self._head.start_near_end(head.read_hint(self._working))
            self._started = True
        self._looked = self.now()

    def _has_just_looked(self) -> bool:
        """Whether the head was brought up to date a moment ago, for a reader; what came since, the commit sees."""
        return self._looked is not None and 0 <= self.now() - self._looked <= _MOMENT

    def _seal(
        self, draft: Draft, facts: Mapping[str, object], subjects: Sequence[tuple[str, str]], signer: Signer
    ) -> Sealed:
        state = self._head.state
        previous = None
        match facts.get("state"):
            case {"key": str(key)}:
                previous = chain.last_of_state(self._evidence, self._working, state, key)
        return draft.seal(
            facts,
            subjects=subjects,
            origin=self.origin,
            writer=self._writer,
            time=self.now(),
            seen=state.checkpoint,
            previous=previous,
            spooled=None,
            signer=signer,
        )

    def _send_spooled(self, record_id: str) -> list[Receipt]:
        sealed = self.spool.sealed(record_id)
        if sealed is None:
            return []
        try:
            self._reach()
            # Found in the log, its disclosures are in the working store too: they were durable first.
            receipt = self._sender.find(sealed) or self._sender.send(sealed)
        finally:
            close(sealed)
        # A crash here: the record is in the log and still in the spool; the next drain finds it there and forgets it.
        self.spool.remove(record_id)
        return [receipt]
