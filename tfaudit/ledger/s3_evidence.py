"""How does a bucket with Object Lock hold evidence: conditional creates, locked; readers take the first version.

Whoever may delete can put a marker on top of an object, and whoever may write another version, lock or no lock. So what
is read is read by the id of its first version.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tfaudit.errors import LedgerError
from tfaudit.ledger import ids, s3_locking
from tfaudit.ledger.s3_contents import SMALL, Contents
from tfaudit.ledger.s3_creating import Creator
from tfaudit.ledger.s3_firsts import Firsts, is_commit
from tfaudit.ledger.s3_listing import GONE, Pages, list_current
from tfaudit.ledger.s3_objects import digest_of
from tfaudit.ledger.store import Entry, Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.config import Retention
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.s3_firsts import First
    from tfaudit.ledger.store import Listing, Lock
    from tfaudit.ledger.verify.versions import Version

_AHEAD: Final = 32
"""So many commits are read together."""


class EvidenceBucket:
    """An evidence store in a bucket with Object Lock.

    ``retention`` is given to each object as it is created; without one the bucket's default holds. Not to be used by
    two threads at once.
    """

    def __init__(self, bucket: Bucket, retention: Retention | None = None) -> None:
        self.bucket = bucket
        self.retention = retention
        self.locks: str | None = retention.mode if retention else None
        """The mode that verify holds objects to."""
        self._pages = Pages(bucket)
        self._firsts = Firsts(self._pages)
        self._contents = Contents(bucket)
        self._creator = Creator(bucket, retention)
        self._failed: dict[str, LedgerError] = {}

    def __str__(self) -> str:
        return str(self.bucket)

    def __getstate__(self) -> dict[str, Any]:
        return {"bucket": self.bucket, "retention": self.retention}

    def __setstate__(self, state: dict[str, Any]) -> None:
        EvidenceBucket.__init__(self, state["bucket"], state["retention"])

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create an object; see :meth:`tfaudit.ledger.store.Store.create` and :class:`Creator`."""
        self._pages.drop()

        def is_mine(digest: bytes) -> bool:
            found = self.open(key, settled=True)
            if found is None:
                return False
            with found:
                return digest_of(found) == digest

        if not self._creator.create(key, head, tail, is_mine=is_mine):
            return False
        written = self._creator.written(key)
        if written is not None and written.version_id is not None and tail is None and len(head) <= SMALL:
            # Whether this is the first version only a listing says; if so, its bytes are here already.
            self._contents.keep(key, written.version_id, head)
        return True

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object's first version; see :meth:`tfaudit.ledger.store.Store.open`.

        What the store can answer once it can answer again: every read sees what was written before.
        """
        begun = self._contents.begun(key) if limit is None else None
        if begun is not None:
            return begun
        first = self._find(key)
        if first is None:
            return None
        if key.startswith(ids.COMMITS) and (first.size if limit is None else min(limit, first.size)) <= SMALL:
            self._read_ahead(key, first)
        return self._contents.open(key, first, limit=limit)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List objects; see :meth:`tfaudit.ledger.store.Store.list`.

        From the start of a prefix, or after a commit, what stands under a delete marker shows too.
        """
        if after <= prefix:
            # All keys under a prefix sort after it.
            after = ""
        if shallow or (after and not (is_commit(after) and self._firsts.find(after) is not None)):
            yield from list_current(self._pages, prefix, after=after, shallow=shallow)
            return
        for key, first in self._firsts.after(prefix, after):
            yield Entry(key, first.size)

    def look(self, slot: int | None, listings: Sequence[Listing]) -> None:
        """Look at a slot of the log and at listings, all at once; see :meth:`tfaudit.ledger.store.Looking.look`."""
        self._pages.ask(
            commits_after=None if slot is None else self._firsts.before_slot(slot),
            listings=[each for each in listings if each.shallow or each.after > each.prefix],
        )

    def fetch(self, keys: Sequence[str], *, limit: int) -> None:
        """Read the beginnings of objects ahead; see :meth:`tfaudit.ledger.store.Fetching.fetch`."""
        self._firsts.learn(keys)
        self._contents.fetch(self._known(keys), limit)

    def expect(self, keys: Sequence[str]) -> None:
        """Read small objects that are believed to be there, and learn which of their versions is the first, at once.

        Where another version stands on top, or none, whoever opens the object asks again; where the store failed,
        they are told, once.
        """

        def learn() -> None:
            try:
                self._firsts.learn(keys)
            except LedgerError as error:
                self._failed = dict.fromkeys(keys, error)

        read = [partial(self._contents.current, key) for key in keys]
        _, *found = self.bucket.each(lambda ask: ask(), [learn, *read])
        for key, one in zip(keys, found, strict=True):
            if one is not None:
                self._contents.keep(key, *one)

    def begin(self, keys: Sequence[str]) -> None:
        """Begin to open objects; see :meth:`tfaudit.ledger.store.Beginning.begin`."""
        self._firsts.learn(keys)
        self._contents.begin(self._known(keys))

    def locate(self, keys: Sequence[str]) -> tuple[Location, ...]:
        """Return where objects lie; see :meth:`tfaudit.ledger.store.Located.locate`."""
        self._firsts.learn(keys)
        return tuple(self.bucket.each(self._locate, keys))

    def written(self, key: str) -> Location | None:
        """Return where an object lies that this process has created."""
        return self._creator.written(key)

    def extend(self, key: str, until: int) -> bool:
        """Lock an object for longer; see :meth:`tfaudit.ledger.store.Locking.extend`."""
        mode = self.locks or "GOVERNANCE"
        return s3_locking.extend(self.bucket, key, self._must_have(key).version, until=until, mode=mode)

    def hold(self, key: str, *, on: bool) -> None:
        """Set or lift a legal hold; see :meth:`tfaudit.ledger.store.Locking.hold`."""
        s3_locking.hold(self.bucket, key, self._must_have(key).version, on=on)

    def prune(self, key: str) -> None:
        """Remove an object for good; see :meth:`tfaudit.ledger.store.Locking.prune`."""
        self._must_have(key)
        s3_locking.prune(self.bucket, key)
        self._firsts.forget(key)

    def clock(self, local: Clock) -> Clock:
        """Return the store's clock; see :meth:`tfaudit.ledger.store.Timed.clock`."""
        return self.bucket.time.clock(local)

    def versions(self, prefix: str, *, after: str = "") -> Iterator[Version]:
        """Yield all versions and markers; see :class:`tfaudit.ledger.verify.versions.Versioned`."""
        from tfaudit.ledger.s3_versions import versions

        return versions(self.bucket, prefix, after=after)

    def lock(self, key: str) -> Lock | None:
        """Return the lock of an object's first version, None where there is none.

        See :class:`tfaudit.ledger.verify.versions.Versioned`. Reading an object tells its lock: what was read before
        is not asked for again, once.
        """
        told = self._contents.lock(key)
        if told is not None:
            return told
        first = self._firsts.find(key)
        if first is None:
            return None
        name = self.bucket.place.prefix + key
        answer = self.bucket.call("head_object", expected=("404", *GONE), Key=name, VersionId=first.version)
        return s3_locking.lock_of(answer.body) if answer.code is None else None

    def shows_locks(self, key: str) -> bool:
        """Tell whether these credentials may see locks, asked about an object that seems to have none."""
        return s3_locking.may_see(self.bucket, key, self._must_have(key).version)

    def _find(self, key: str) -> First | None:
        if key.startswith(ids.RECORDS) and self._firsts.known(key) is None and key not in self._failed:
            # Mostly nothing stands on top of it: then the bytes come together with the listing that says so.
            self.expect([key])
            found = self._firsts.known(key)
        else:
            found = self._firsts.find(key) if key not in self._failed else None
        failed = self._failed.pop(key, None)
        if failed is not None:
            raise failed
        return found

    def _must_have(self, key: str) -> First:
        first = self._firsts.find(key)
        if first is None:
            raise LedgerError(f"there is no {key} in {self}")
        return first

    def _known(self, keys: Sequence[str]) -> tuple[tuple[str, First], ...]:
        return tuple((key, first) for key in keys if (first := self._firsts.known(key)) is not None)

    def _read_ahead(self, key: str, first: First) -> None:
        """Read the commits after this one, which a listing has shown, together with it: they are walked in order."""
        number = int(key.removeprefix(ids.COMMITS), 16)
        known = self._known([ids.commit_key(number + step) for step in range(_AHEAD)])
        if len(known) > 1 and not self._contents.has(key, first):
            self._contents.fetch(known, SMALL)

    def _locate(self, key: str) -> Location:
        first = self._firsts.known(key)
        if first is None:
            return Location(None, None)
        answer = self.bucket.call(
            "head_object",
            expected=("404", "403", "405"),
            Key=self.bucket.place.prefix + key,
            VersionId=first.version,
        )
        until = answer.body.get("ObjectLockRetainUntilDate") if answer.code is None else None
        return Location(first.version, ids.milliseconds(until) if until else None)
