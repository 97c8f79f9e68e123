"""What happened to the objects of a store that keeps versions: were any overwritten, deleted, unlocked?

A folder keeps none. An object store that does says so by :class:`Versioned`; its readers take the *first* version.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from tfaudit.ledger import ids
from tfaudit.ledger.verify.findings import error, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.ledger.store import Lock, Store
    from tfaudit.ledger.verify.findings import Finding

SOON: Final = 30 * 24 * 60 * 60 * 1000
"""How many milliseconds before its lock ends an object is worth a warning."""
TOLERANCE: Final = 5 * 60 * 1000
"""By how many milliseconds two clocks may differ."""
PROBE: Final = "probe/"
"""Where ``doctor`` tries out what a store lets it do."""


class Version(NamedTuple):
    """One version of an object, or a delete marker."""

    key: str
    marker: bool
    modified: int
    """When the store got it, milliseconds since the epoch."""


@runtime_checkable
class Versioned(Protocol):
    """A store that keeps versions. Its methods raise :class:`LedgerError` when it failed."""

    locks: str | None
    """The mode that its objects are to be locked in; None where none was promised."""

    def versions(self, prefix: str, *, after: str = "") -> Iterator[Version]:
        """Yield all versions and markers by key, and the versions of a key from the oldest on, markers anywhere.

        ``after`` is the key of an object: only later keys are wanted.
        """

    def lock(self, key: str) -> Lock | None:
        """Return the lock of the first version at ``key``, which was read just before; None where there is none."""

    def shows_locks(self, key: str) -> bool:
        """Tell whether the reader may see locks at all, by the object at ``key``, which seems to have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """How the objects of a store are to be locked."""

    mode: str | None
    """None where nothing was promised, or nothing can be seen."""
    now: int

    def findings(self, store: Store, key: str) -> Iterator[Finding]:
        """Yield what is wrong with the lock of the object at ``key``, which was read just before."""
        if self.mode is None or not isinstance(store, Versioned):
            return
        lock = store.lock(key)
        if lock is None or lock.held:
            return
        weaker = self.mode == "COMPLIANCE" and lock.mode == "GOVERNANCE"
        if weaker and key == ids.GENESIS_KEY:
            # On AWS nobody turns the one into the other; and who has its digest needs no lock to know it.
            yield warning("lock-weakened", key, "genesis was locked in GOVERNANCE mode, before COMPLIANCE was promised")
        if lock.mode is None or (weaker and key != ids.GENESIS_KEY):
            yield error(
                "lock-weakened", key, f"this object's lock is {lock.mode or 'gone'}, and {self.mode} was promised"
            )
        elif lock.until is None or lock.until <= self.now:
            yield error("lock-weakened", key, "this object's lock has ended")
        elif lock.until < self.now + SOON:
            yield warning("expires-soon", key, f"this object's lock ends on {ids.time_text(lock.until)}")


def promised(store: Store, *, now: int) -> tuple[Locks, Finding | None]:
    """Return how the objects of a store are to be locked, as the configuration says or else as genesis is.

    Genesis alone promises nothing: setup locks it also where nobody says how the rest is to be locked. With a finding
    where that is so, or where locks were promised and the reader may not see any. Genesis was read just before; raises
    :class:`LedgerError` when the store failed.
    """
    if not isinstance(store, Versioned):
        return Locks(mode=None, now=now), None
    seen = store.lock(ids.GENESIS_KEY)
    mode = store.locks or (seen.mode if seen else None)
    blind = mode is not None and seen is not None and seen.mode is None and not store.shows_locks(ids.GENESIS_KEY)
    if not blind and store.locks is None and mode is not None and _is_unlocked(store, ids.commit_key(0)):
        message = "nothing but genesis is locked: there is no [retention], and the bucket has no default"
        return Locks(mode=None, now=now), warning("lock-weakened", "the evidence store", message)
    if not blind:
        return Locks(mode=mode, now=now), None
    message = "whether the objects are locked can't be seen: these credentials need s3:GetObjectRetention"
    return Locks(mode=None, now=now), error("unreadable", "the evidence store", message)


def _is_unlocked(store: Versioned, key: str) -> bool:
    lock = store.lock(key)
    return lock is not None and lock.mode is None and not lock.held


def findings(store: Versioned, places: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Yield what the versions show of the objects in ``places``: each a prefix, and the key after which to begin."""
    for prefix, after in places:
        for key, group in groupby(store.versions(prefix, after=after), key=lambda version: version.key):
            if key.startswith(PROBE):
                continue
            first, count, deleted = None, 0, False
            for version in group:
                deleted |= version.marker
                count += not version.marker
                first = first or (None if version.marker else version)
            if deleted:
                yield error("deleted", key, "this object was deleted: a delete marker stands over it")
            if count > 1:
                yield error("overwritten", key, "another version was put on top of this object; the first one counts")
            if first is not None:
                yield from _late(first)


def _late(first: Version) -> Iterator[Finding]:
    """Compare when the store got a record with the time that its id carries."""
    found = ids.parse_record_key(first.key)
    if found is not None and ids.record_time(found[1]) > first.modified + TOLERANCE:
        message = f"this record's id is later than the store got it, {ids.time_text(first.modified)}"
        yield error("back-dated", first.key, message, who=found[0])
