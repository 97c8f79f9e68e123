"""How does a record get into the ledger: draft, sign, stage, commit; and what waits in the spool when it can't.

At each step a comment says what is true if we crash there. The names given to ``step`` are those places, so that a test
can stop the process at each.
"""

from __future__ import annotations

import time as time_
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit import canonical
from tfaudit.errors import ConfigError, InputError, LedgerError, TfauditError, VerificationError
from tfaudit.ledger import chain, checkpoint, commit, head, ids, upkeep
from tfaudit.ledger import genesis as genesis_
from tfaudit.ledger.committer import Committer
from tfaudit.ledger.draft import Draft
from tfaudit.ledger.head import Head
from tfaudit.ledger.spool import GENESIS, Spool, close
from tfaudit.ledger.store import read
from tfaudit.signing.note import NoteKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from tfaudit.ledger.commit import Commit
    from tfaudit.ledger.draft import Sealed
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.live import Live
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Store, Working
    from tfaudit.signing.signer import Signer

_CHUNK: Final = 1 << 20
_KEPT: Final = (LedgerError, ConfigError, VerificationError)
"""What may keep a record out of the ledger, and then it goes to the spool where that was asked for."""


class SpooledError(LedgerError):
    """The record is not in the ledger (as far as is known), but it is signed and durable in the spool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where a record is, and the tree that proves it."""

    origin: str
    record_id: str
    key: str
    """Of the record in the evidence store."""
    leaf: str
    """The record's leaf hash, 64 hexadecimal digits."""
    position: int | None
    """The leaf's index in the log; None while the record is only staged, for a sequencer to commit."""
    commit: int | None
    size: int
    """Of the tree that ``checkpoint`` signs; for a staged record that of the head which its writer read."""
    root: str
    """64 hexadecimal digits."""
    checkpoint: str | None
    """The signed note; None only where the log is still empty."""


def create_ledger(evidence: Store, genesis: bytes) -> Genesis:
    """Start a ledger and return its genesis; :class:`ConfigError` when there is one already."""
    parsed = genesis_.parse(genesis)
    if not evidence.create(ids.GENESIS_KEY, genesis):
        raise ConfigError(f"there is a ledger in {evidence} already")
    return parsed


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
        self._step = step
        self._head = Head(evidence, genesis)
        self._started = False
        self._committer: Committer | None = None
        if log:
            self._committer = Committer(
                evidence=evidence,
                head=self._head,
                signer=signer,
                log=log,
                clock=clock,
                entropy=entropy,
                pause=pause,
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
        genesis = _read_genesis(evidence, waiting, genesis_digest)
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

    def reader(self) -> Reader:
        """Return a reader of the ledger as it is now; errors as :meth:`append`."""
        from tfaudit.ledger.reader import Reader

        self._reach()
        return Reader(evidence=self._evidence, working=self._working, genesis=self.genesis, state=self._head.state)

    def new_record_id(self) -> str:
        """Return a fresh record id of the store's present time."""
        return ids.new_record_id(ids.milliseconds(self._clock()), self._entropy)

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
        chosen = signer or self._signer
        try:
            self._reach()
            self._check_accepted(draft.kind, chosen)
            sealed = self._seal(draft, facts, subjects, chosen)
        except _KEPT as error:
            if not spool:
                raise
            self.keep(draft, facts, subjects=subjects, signer=signer)
            raise SpooledError(f"the record waits in the spool: {error.message}", hint=error.hint) from error
        try:
            return self._send(sealed)
        except _KEPT as error:
            if not spool:
                raise
            # Exactly the bytes that were tried: they may be staged already, and two records of one id would be one too
            # many.
            self.spool.put(sealed)
            raise SpooledError(f"the record waits in the spool: {error.message}", hint=error.hint) from error

    def change_keys(self, keys: KeySet, root: Signer, facts: Mapping[str, object]) -> Receipt:
        """Append the ``config`` record, signed by the root key, that puts ``keys`` in force from its commit on.

        ``keys.generation`` must be one more than that in force (:meth:`keys`). Raises :class:`ConfigError` when it is
        not or ``root`` is not the root key, and as :meth:`append` does.
        """
        self._reach()
        if keys.generation != self._head.state.keys.generation + 1:
            raise ConfigError(f"keys of generation {keys.generation} don't follow those in force", hint="try again")
        with self.draft("config") as draft:
            return self.append(draft, {**facts, "keys": keys.document()}, signer=root)

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
        now = ids.milliseconds(self._clock())
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
        self.spool.tidy(before=ids.milliseconds(self._clock()) - upkeep.HOUR)
        return tuple(sent)

    def sequence(self) -> int:
        """Commit what other writers staged and return how many records that were; for a holder of the log's key.

        Looks from the cursor on, then sweeps whole past hours. Raises :class:`ConfigError` without the log's key.
        """
        committer = self._need_committer()
        self._reach()
        count = committer.commit_staged() + upkeep.sweep(committer, time=ids.milliseconds(self._clock()))
        self._leave_hint()
        return count

    def sweep(self) -> int:
        """Commit records of whole past hours that no commit holds, however old, and return how many they were.

        They were staged so late that the cursor had passed them, or by a writer that died. Raises
        :class:`ConfigError` without the log's key.
        """
        committer = self._need_committer()
        self._reach()
        count = upkeep.sweep(committer, time=ids.milliseconds(self._clock()))
        self._leave_hint()
        return count

    def _need_committer(self) -> Committer:
        if self._committer is None:
            raise ConfigError("only a holder of the log's key can commit", hint="set [signer] log in tfaudit.toml")
        return self._committer

    def _reach(self) -> list[Live]:
        """Bring the head up to date and return the commits that came since; the store must hold this very ledger."""
        raw = read(self._evidence, ids.GENESIS_KEY, limit=genesis_.MAX_GENESIS + 1)
        if raw is None or f"sha256:{canonical.sha256_hex(raw)}" != self.genesis.digest:
            raise LedgerError(
                f"the ledger is no longer in {self._evidence}", hint="is it the right place, and mounted?"
            )
        if not self._started:
            self._head.start_near_end(head.read_hint(self._working))
            self._started = True
        return self._head.catch_up()

    def _check_accepted(self, kind: str, signer: Signer) -> None:
        if self._head.state.keys.key_for(kind, signer.public.keyid) is None:
            raise ConfigError(
                f"this ledger accepts no {kind} record signed by the key {signer.public.keyid[:16]}…",
                hint="it may be another ledger's key; `tfaudit keys list` shows those in force",
            )

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
            time=ids.milliseconds(self._clock()),
            seen=state.checkpoint,
            previous=previous,
            spooled=None,
            signer=signer,
        )

    def _send(self, sealed: Sealed) -> Receipt:
        """Take a sealed record, which the log up to the present head does not hold, into it."""
        if self._committer is not None:
            self._committer.check_keys()
        if sealed.disclosures is not None:
            key = ids.disclosure_key(sealed.record.record_id)
            sealed.disclosures.seek(0)
            if not self._working.create(key, b"", sealed.disclosures):
                sealed.disclosures.seek(0)
                _must_equal(self._working, key, sealed.disclosures)
        # A crash here: disclosures of no record. Nothing refers to them; nothing was recorded, nothing has happened.
        self._step("disclosed")
        sealed.events.seek(sealed.events_at)
        if not self._evidence.create(sealed.record.key, sealed.line + b"\n", sealed.events):
            # An earlier try of ours that timed out has landed; line 1 commits to all other lines.
            found = read(self._evidence, sealed.record.key, limit=len(sealed.line) + 1, settled=True)
            if found != sealed.line + b"\n":
                raise LedgerError(f"another record is at {sealed.record.key}")
        # A crash here: the record is staged, durable. The next writer adopts it; till then verify counts it as pending.
        self._step("staged")
        if self._committer is None:
            return self._staged(sealed)
        held = self._committer.commit((sealed.record, sealed.line), self._head.catch_up())
        # A crash here: the record is in the log, and so are all others of its commit. Only the hint is old.
        self._leave_hint()
        self._step("hinted")
        return _receipt(self.origin, sealed, held.commit)

    def _send_spooled(self, record_id: str) -> list[Receipt]:
        sealed = self.spool.sealed(record_id)
        if sealed is None:
            return []
        try:
            self._reach()
            receipt = self._find(sealed)
            if receipt is None:
                receipt = self._send(sealed)
            elif sealed.disclosures is not None:
                self._working.create(ids.disclosure_key(record_id), b"", sealed.disclosures)
        finally:
            close(sealed)
        # A crash here: the record is in the log and still in the spool; the next drain finds it there and forgets it.
        self.spool.remove(record_id)
        return [receipt]

    def _find(self, sealed: Sealed) -> Receipt | None:
        """Return the receipt of a record that the log holds since the head that it had seen."""
        since = checkpoint.parse(sealed.seen.encode()).checkpoint.size if sealed.seen else 0
        wanted = f"record {sealed.record.leaf.hex()} ".encode()
        state = self._head.state
        for _, raw in head.back_from(self._evidence, state.number, state.digest):
            if wanted in raw:
                return _receipt(self.origin, sealed, commit.parse(raw))
            if commit.peek(raw)[1] <= since:
                break
        return None

    def _staged(self, sealed: Sealed) -> Receipt:
        state = self._head.state
        return Receipt(
            origin=self.origin,
            record_id=sealed.record.record_id,
            key=sealed.record.key,
            leaf=sealed.record.leaf.hex(),
            position=None,
            commit=None,
            size=state.size,
            root=state.root.hex(),
            checkpoint=state.checkpoint,
        )

    def _leave_hint(self) -> None:
        # Derived objects: losing them loses nothing, so a failure to write them is none of the record's.
        with suppress(LedgerError):
            head.write_hint(self._working, self._head.state)


def _read_genesis(evidence: Store, spool: Spool, anchor: str | None) -> Genesis:
    away: LedgerError | None = None
    try:
        raw = read(evidence, ids.GENESIS_KEY, limit=genesis_.MAX_GENESIS + 1)
    except LedgerError as error:
        raw, away = None, error
    copy = read(spool.store, GENESIS, limit=genesis_.MAX_GENESIS + 1)
    if raw is None and copy is None:
        raise away or LedgerError(f"there is no ledger in {evidence}", hint="run `tfaudit setup`")
    try:
        genesis = genesis_.parse(raw or copy or b"")
    except InputError as error:
        raise LedgerError(error.message) from error
    if anchor is not None and genesis.digest != anchor:
        raise ConfigError(
            f"this ledger's genesis is {genesis.digest}, not {anchor}",
            hint="it is another ledger than the configuration pins, or its genesis was replaced",
        )
    if raw is not None and raw != copy:
        with suppress(LedgerError):
            spool.store.replace(GENESIS, raw)
    return genesis


def _receipt(origin: str, sealed: Sealed, found: Commit) -> Receipt:
    leaves = [line.leaf for line in found.header.records]
    tree = found.checkpoint.checkpoint
    return Receipt(
        origin=origin,
        record_id=sealed.record.record_id,
        key=sealed.record.key,
        leaf=sealed.record.leaf.hex(),
        position=found.header.size + leaves.index(sealed.record.leaf),
        commit=found.header.number,
        size=tree.size,
        root=tree.root.hex(),
        checkpoint=found.checkpoint.note.decode(),
    )


def _must_equal(store: Store, key: str, content: BinaryIO) -> None:
    stored = store.open(key, settled=True)
    if stored is None:
        raise LedgerError(f"{key} was there and is gone")
    with stored:
        while True:
            chunk = stored.read(_CHUNK)
            if chunk != content.read(_CHUNK):
                raise LedgerError(f"another object is at {key}")
            if not chunk:
                return
