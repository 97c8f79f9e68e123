"""What happened to the objects of a store that keeps versions: were any overwritten, deleted, unlocked?

A folder keeps none. An object store that does says so by :class:`Versioned`; its readers take the *first* version.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from tfaudit.ledger import ids
from tfaudit.ledger.verify.commits import TOLERANCE
from tfaudit.ledger.verify.findings import error, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.verify.findings import Finding

SOON: Final = 30 * 24 * 60 * 60 * 1000
"""How many milliseconds before its lock ends an object is worth a warning."""


class Version(NamedTuple):
    """One version of an object, or a delete marker."""

    key: str
    marker: bool
    modified: int
    """When the store got it, milliseconds since the epoch."""
    mode: str | None
    """``GOVERNANCE`` or ``COMPLIANCE``; None where it is not locked."""
    retain_until: int | None
    held: bool
    """Whether there is a legal hold."""


@runtime_checkable
class Versioned(Protocol):
    """A store that keeps versions."""

    locks: str | None
    """The mode that its objects are to be locked in; None where none was promised."""

    def versions(self, prefix: str) -> Iterator[Version]:
        """Yield all versions and markers by key, and the versions of a key from the oldest on.

        Raises :class:`LedgerError` when the store failed.
        """


def findings(store: Versioned, *, now: int) -> Iterator[Finding]:
    """Yield what the versions of all objects show."""
    for key, group in groupby(store.versions(""), key=lambda version: version.key):
        each = iter(group)
        first, others = next(each), _kinds(each)
        if first.marker or True in others:
            yield error("deleted", key, "this object was deleted: a delete marker stands over it")
        if False in others:
            yield error("overwritten", key, "another version was put on top of this object; the first one counts")
        if not first.marker:
            yield from _locked(first, store.locks, now)
            yield from _late(first)


def _kinds(group: Iterator[Version]) -> set[bool]:
    """Return which kinds the other versions of a key are: True for markers, False for objects."""
    return {version.marker for version in group}


def _locked(first: Version, promised: str | None, now: int) -> Iterator[Finding]:
    if promised is None or first.held or first.key.startswith("probe/"):
        return
    if first.mode is None or (promised == "COMPLIANCE" and first.mode != promised):
        message = f"this object's lock is {first.mode or 'gone'}, and {promised} was promised"
        yield error("lock-weakened", first.key, message)
    elif first.retain_until is None or first.retain_until <= now:
        yield error("lock-weakened", first.key, "this object's lock has ended")
    elif first.retain_until < now + SOON:
        message = f"this object's lock ends on {ids.time_text(first.retain_until)}"
        yield warning("expires-soon", first.key, message)


def _late(first: Version) -> Iterator[Finding]:
    """Compare when the store got a record with the time that its id carries."""
    found = ids.parse_record_key(first.key)
    if found is not None and ids.record_time(found[1]) > first.modified + TOLERANCE:
        message = f"this record's id is later than the store got it, {ids.time_text(first.modified)}"
        yield error("back-dated", first.key, message, who=found[0])
