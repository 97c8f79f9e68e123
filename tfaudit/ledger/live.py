"""Is this commit part of the log: the live rule, a pure function of the bytes at commit keys 0 to n.

Start with :func:`start`, feed every slot's bytes in ascending order to :func:`judge`. A commit is live only if all that
it says recomputes from the last live one; anything else at its key is void, and the log goes on past it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, LedgerError, VerificationError
from tfaudit.ledger import checkpoint, commit, ids, keyset, merkle, record
from tfaudit.signing.envelope import pae

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfaudit.ledger.commit import Commit, Header
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.keyset import KeySet

WINDOW: Final = 5 * 60 * 1000
"""By how many milliseconds the cursor trails a commit's time."""
AHEAD: Final = 5 * 60 * 1000
"""How many milliseconds a record's id may be ahead of the commit that adopts it."""
MAX_WINDOW: Final = 1024
"""Entries that a window holds at most; the cursor moves up where there would be more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The log after its last live commit: all that the next one is judged by."""

    origin: str
    number: int
    """Of the last live commit; -1 before the first."""
    digest: str
    """SHA-256 of the last live commit's bytes; empty before the first."""
    size: int
    frontier: tuple[bytes, ...]
    cursor: int
    held: tuple[bytes, ...]
    """Packed ids."""
    passed: tuple[str, ...]
    keys: KeySet
    """In force for what follows."""
    keys_from: int | None
    """The commit whose ``config`` record gave them; None for genesis."""
    checkpoint: str | None
    """The last live commit's signed checkpoint."""

    @property
    def root(self) -> bytes:
        """The tree's root."""
        return merkle.root(self.frontier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The slot holds the next commit of the log."""

    number: int
    commit: Commit
    state: State
    """The log after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """The slot holds something that is no part of the log."""

    number: int
    reason: str


def start(genesis: Genesis) -> State:
    """Return the state of the empty log."""
    return State(
        origin=genesis.origin,
        number=-1,
        digest="",
        size=0,
        frontier=(),
        cursor=0,
        held=(),
        passed=(),
        keys=genesis.keys,
        keys_from=None,
        checkpoint=None,
    )


def judge(state: State, number: int, raw: bytes) -> Live | Void:
    """Judge the bytes at commit key ``number``, all slots before which ``state`` has seen.

    ``raw`` may be cut off anywhere beyond :data:`commit.MAX_COMMIT` bytes: it is void then. Raises
    :class:`LedgerError` for a format version that this code does not know and that the log's key signed.
    """
    try:
        _refuse_newer_format(state, raw)
        parsed = commit.parse(raw)
        _check(state, number, parsed)
    except (InputError, VerificationError) as error:
        return Void(number=number, reason=error.message)
    return Live(number=number, commit=parsed, state=_after(state, parsed, sha256(raw).hexdigest()))


def window(
    state: State, *, time: int, adopted: Iterable[str], passed: Iterable[str]
) -> tuple[int, tuple[bytes, ...], tuple[str, ...]]:
    """Return (cursor, held, passed) of a commit at ``time`` that adopts these ids and passes these strays' names."""
    held = sorted({*state.held, *map(ids.pack, adopted)})
    names = sorted({*state.passed, *passed})
    cursor = max(state.cursor, time - WINDOW, 0)
    _cut(held, names, cursor)
    if len(held) + len(names) > MAX_WINDOW:
        times = sorted((*map(ids.packed_time, held), *map(ids.record_time, names)))
        cursor = times[-MAX_WINDOW - 1] + 1
        _cut(held, names, cursor)
    return cursor, tuple(held), tuple(names)


def _cut(held: list[bytes], names: list[str], cursor: int) -> None:
    """Remove what is before the cursor: ids sort by their time, so that is the start of each list."""
    del held[: bisect_left(held, cursor.to_bytes(6, "big"))], names[: bisect_left(names, ids.first_id(cursor))]


def _refuse_newer_format(state: State, raw: bytes) -> None:
    """Stop before a format that the log's key signed; an old checkpoint under a new header proves nothing."""
    version = commit.version(raw)
    if version is None or version == commit.FORMAT:
        return
    _, signed = commit.split(raw)
    checkpoint.verify(signed, state.keys.log)
    if signed.checkpoint.origin == state.origin and signed.checkpoint.size > state.size:
        raise LedgerError(
            f"the log goes on in the format {version}, which this version of tfaudit does not know",
            hint="upgrade tfaudit",
        )


def _check(state: State, number: int, parsed: Commit) -> None:
    """Raise :class:`VerificationError` unless ``parsed`` is the next live commit, at ``number``."""
    header = parsed.header
    _require(header.number == number, "says it is another commit")
    _require(header.previous == ((state.number, state.digest) if state.digest else None), "follows another commit")
    _require(header.keys == state.keys_from, "names another place for the keys in force")
    _require(header.size == state.size, "starts at another size")
    _check_batch(state, header)
    cursor, held, passed = window(
        state,
        time=header.time,
        adopted=[line.record_id for line in header.records],
        passed=[stray.name for stray in header.strays],
    )
    same = (header.cursor, header.held, header.passed) == (cursor, b"".join(held), passed)
    _require(same, "has another cursor or window")
    frontier, size = merkle.grow(state.frontier, state.size, (line.leaf for line in header.records))
    _require(header.frontier == frontier, "has another frontier")
    frontier, size = merkle.grow(frontier, size, (parsed.leaf,))
    tree = checkpoint.Checkpoint(origin=state.origin, size=size, root=merkle.root(frontier))
    _require(parsed.checkpoint.checkpoint == tree, "has a checkpoint of another tree")
    checkpoint.verify(parsed.checkpoint, state.keys.log)
    committer = state.keys.signer(header.committer)
    if committer is None:
        raise VerificationError("commit is signed by an unknown committer")
    _require(committer.verify(parsed.signature, pae(commit.PAYLOAD_TYPE, parsed.signed)), "has a false signature")


def _check_batch(state: State, header: Header) -> None:
    adopted = [line.record_id for line in header.records]
    leaves = {line.leaf for line in header.records}
    _require(len({*adopted}) == len(adopted) == len(leaves), "adopts a record twice")
    _require({*map(ids.pack, adopted)}.isdisjoint(state.held), "adopts a record that the log holds")
    _require(header.own is None or header.own in adopted, "does not adopt the committer's own record")
    names = [stray.name for stray in header.strays]
    _require(len({*names}) == len(names), "passes an object twice")
    latest = header.time + AHEAD
    future = any(ids.record_time(name) > latest for name in (*adopted, *names))
    _require(not future, "names an id from the future")
    kinds = [line.kind for line in header.records]
    _require("config" not in kinds[:-1], "has a config record before its last")
    _require((kinds[-1:] == ["config"]) == (header.envelope is not None), "lacks the config record's envelope")
    if header.envelope is not None:
        config_keys(state, header)


def config_keys(state: State, header: Header) -> KeySet:
    """Return the keys that the commit's ``config`` record puts in force after it.

    Raises :class:`VerificationError` or :class:`InputError` unless the envelope is the last record's, signed by the
    root key in force, and of the next generation.
    """
    line = header.records[-1]
    found = record.parse(header.envelope or b"")
    same = (found.leaf, found.record_id, found.writer, found.kind) == (
        line.leaf,
        line.record_id,
        line.writer,
        "config",
    )
    _require(same and found.origin == state.origin, "has another record's envelope")
    _require(found.signed_under(state.keys) is True, "has a config record that the root key did not sign")
    return next_keys(state.keys, found)


def next_keys(current: KeySet, config: record.Record) -> KeySet:
    """Return the keys of a ``config`` record; :class:`VerificationError` unless they are the next generation's."""
    keys = keyset.parse(config.predicate.get("keys"), what="config record")
    _require(keys.generation == current.generation + 1, "has a config record of another generation")
    return keys


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise VerificationError(f"commit {complaint}")


def _after(state: State, parsed: Commit, digest: str) -> State:
    header = parsed.header
    size = header.size + len(header.records)
    frontier, size = merkle.grow(header.frontier, size, (parsed.leaf,))
    after = replace(
        state,
        number=header.number,
        digest=digest,
        size=size,
        frontier=frontier,
        cursor=header.cursor,
        held=tuple([header.held[at : at + 16] for at in range(0, len(header.held), 16)]),
        passed=header.passed,
        checkpoint=parsed.checkpoint.note.decode(),
    )
    if header.envelope is None:
        return after
    return replace(after, keys=config_keys(state, header), keys_from=header.number)


def resume(genesis: Genesis, parsed: Commit, digest: str, keys: KeySet, keys_from: int | None) -> State:
    """Return the state after a commit that is taken to be live, without judging it.

    ``keys`` (from commit ``keys_from``) are those in force before it. Only for a start in the middle of the log: what
    follows is judged against it, the commit itself is not. Raises :class:`VerificationError` where it can't be live.
    """
    size = parsed.header.size + len(parsed.header.records)
    _require(len(parsed.header.frontier) == size.bit_count(), "has another frontier")
    return _after(replace(start(genesis), keys=keys, keys_from=keys_from), parsed, digest)
