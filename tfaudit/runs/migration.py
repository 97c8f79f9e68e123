"""How does a ledger move to another store with its bytes, history and proofs as they are?

Nothing is signed again: every object is copied under its own key, and genesis last of all. Until then the target is no
ledger and nobody can write to it; from then on it is this ledger, whole. What a crash leaves is the start of a copy:
the next try finds it there, compares it and goes on.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.store import read
from tfaudit.runs import several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.store import Store
    from tfaudit.ledger.verify import Report

MOVED: Final = (ids.RECORDS, ids.COMMITS, "tokens/", "cosignatures/")
"""What a ledger holds beside genesis; probes are left behind."""
DISCLOSURES: Final = "disclosures/"
DELIVERY: Final = "delivery/"
"""What sinks were given already; without it the moved ledger would be delivered to them once more, from its start."""
_CHUNK: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What came of it."""

    genesis: Genesis
    copied: int
    """Objects that were copied now."""
    there: int
    """Objects that an earlier try had copied, the same byte for byte."""
    disclosures: int
    """Disclosure files that were copied now."""
    report: Report
    """What verify says of the ledger in its new place."""


def migrate(
    source: Store,
    target: Store,
    *,
    source_working: Store,
    target_working: Store | None,
    now: int,
    step: Callable[[str], None],
) -> Migrated:
    """Copy the ledger in ``source``, which stays as it is, to ``target``, verify it there, and return what was done.

    Disclosures, and how far sinks were delivered to, go from ``source_working`` to ``target_working`` too, or stay
    where they are without one. ``now`` is the time in milliseconds. Raises :class:`ConfigError` when there is no ledger
    in ``source`` or ``target`` holds anything that is not the start of it, and :class:`LedgerError` when a store failed
    or the ledger was written to meanwhile: then the next try goes on from there.
    """
    raw = read(source, ids.GENESIS_KEY, limit=genesis.MAX_GENESIS + 1)
    if raw is None:
        raise ConfigError(f"there is no ledger in {source}")
    start = genesis.parse(raw)
    if str(source) == str(target):
        raise ConfigError(f"{target} is where the ledger is")
    _must_be_its_start(source, target, raw)
    moved = 0
    if target_working is not None:
        moved, _ = _copy_all(source_working, target_working, _listed(source_working, (DISCLOSURES,)))
    # A crash here: disclosures of no record, and a target that is no ledger yet; the same holds after every object.
    step("disclosed")
    seen: set[str] = set()
    copied = there = 0
    while fresh := [key for key in _listed(source, MOVED) if key not in seen]:
        new, old = _copy_all(source, target, fresh)
        copied, there = copied + new, there + old
        seen.update(fresh)
    step("copied")
    if not target.create(ids.GENESIS_KEY, raw):
        _must_be_equal(source, target, ids.GENESIS_KEY)
    # A crash here: the ledger is in its new place, whole, and only not verified yet.
    step("placed")
    if target_working is not None:
        _copy_absent(source_working, target_working)
    if any(key not in seen for key in _listed(source, MOVED)):
        raise LedgerError(f"{source} was written to while it moved", hint="stop its writers, and run this again")
    from tfaudit.ledger.verify import verify

    report = verify(target, target_working or source_working, now=now, anchor=start.digest)
    return Migrated(genesis=start, copied=copied, there=there, disclosures=moved, report=report)


def _must_be_its_start(source: Store, target: Store, raw: bytes) -> None:
    """Raise :class:`ConfigError` unless all that is in ``target`` lies under a key of ``source``'s."""
    other = read(target, ids.GENESIS_KEY, limit=genesis.MAX_GENESIS + 1)
    if other is not None and other != raw:
        raise ConfigError(f"{target} holds another ledger", hint="name a place that is empty")
    theirs = (entry.key for entry in target.list("") if not entry.key.startswith("probe/"))
    for key in theirs:
        stream = source.open(key, limit=1) if key == ids.GENESIS_KEY or key.startswith(MOVED) else None
        if stream is None:
            raise ConfigError(
                f"{target} holds something else: {key}",
                hint="name a place that is empty; where the ledger has moved there already, it goes on there",
            )
        stream.close()


def _listed(store: Store, prefixes: Iterable[str]) -> Iterator[str]:
    for prefix in prefixes:
        yield from (entry.key for entry in store.list(prefix) if entry.size is not None)


def _copy_all(source: Store, target: Store, keys: Iterable[str]) -> tuple[int, int]:
    """Copy these objects, some at once, and return how many were copied and how many were there."""
    counts = [0, 0]
    for copied in several.each(_copy, keys, source, target):
        counts[not copied] += 1
    return counts[0], counts[1]


def _copy_absent(source: Store, target: Store) -> None:
    """Copy how far sinks were delivered to; where the target knows of that by itself already, it knows better."""
    for key in _listed(source, (DELIVERY,)):
        stream = None if "/lease/" in key else source.open(key)
        if stream is not None:
            with _rereadable(stream) as whole:
                target.create(key, b"", whole)


def _copy(source: Store, target: Store, key: str) -> bool:
    """Copy one object; False when it was there. Raises :class:`ConfigError` when another is."""
    stream = source.open(key)
    if stream is None:
        raise LedgerError(f"{key} was in {source} and is gone", hint="run `tfaudit verify`")
    with _rereadable(stream) as whole:
        if target.create(key, b"", whole):
            return True
    _must_be_equal(source, target, key)
    return False


@contextmanager
def _rereadable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give what is left of ``stream`` as what can be read from its start again, and close both.

    A bucket's stream can't be, and whoever creates an object reads it twice: for its checksum, or to send it again.
    """
    with stream:
        if stream.seekable():
            yield stream
            return
        with SpooledTemporaryFile(_IN_MEMORY) as whole:
            copyfileobj(stream, whole, _CHUNK)
            whole.seek(0)
            yield cast("BinaryIO", whole)


def _must_be_equal(source: Store, target: Store, key: str) -> None:
    if _digest(source, key) != _digest(target, key):
        raise ConfigError(f"{target} holds another object at {key}", hint="name a place that is empty")


def _digest(store: Store, key: str) -> bytes:
    found = sha256()
    stream = store.open(key, settled=True)
    if stream is None:
        raise LedgerError(f"{key} can't be read from {store}", hint="try again")
    with stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.digest()
