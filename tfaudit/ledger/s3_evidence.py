"""How does a bucket with Object Lock hold evidence: conditional creates, locked; readers take the first version.

Whoever may delete can put a marker on top of an object, and whoever may write another version, lock or no lock. So what
is read is read by the id of its first version. Ids are learnt from listings of versions, a page at a time, and kept;
they never change, nor do bytes, so that small objects are kept too. A read of what is known costs one request or none.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tfaudit.errors import LedgerError
from tfaudit.ledger import ids, s3_locking
from tfaudit.ledger.s3 import NEEDS, NO_LOCK, UnfitStoreError
from tfaudit.ledger.s3_ahead import Ahead
from tfaudit.ledger.s3_listing import GONE, PAGE, list_current, version_pages
from tfaudit.ledger.s3_objects import Body, Remote, digest_of, stream
from tfaudit.ledger.store import Entry, Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfaudit.config import Retention
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.s3 import Answer, Bucket
    from tfaudit.ledger.store import Lock
    from tfaudit.ledger.verify.versions import Version

TAKEN: Final = "PreconditionFailed"
BUSY: Final = "ConditionalRequestConflict"
PROBE: Final = "probe/"
PROBE_SECONDS: Final = 120
"""How long a probe is locked: enough to see that a delete is refused."""
_KNOWN: Final = 20_000
"""So many ids of first versions are kept,"""
_KEPT: Final = 16 << 20
"""so many bytes of bodies,"""
_SMALL: Final = 256 << 10
"""of objects, or beginnings of objects, up to this size."""
_AHEAD: Final = 32


class _First(NamedTuple):
    """What a listing says of an object's first version."""

    version: str
    size: int


@dataclass(slots=True)
class _Kept:
    """Bodies by key and version; the least recently used are let go."""

    bodies: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, key: str, version: str) -> bytes | None:
        found = self.bodies.get((key, version))
        if found is not None:
            self.bodies.move_to_end((key, version))
        return found

    def put(self, key: str, version: str, content: bytes) -> None:
        old = self.bodies.pop((key, version), b"")
        self.size += len(content) - len(old)
        self.bodies[key, version] = content
        while self.size > _KEPT:
            _, dropped = self.bodies.popitem(last=False)
            self.size -= len(dropped)


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
        self._known: OrderedDict[str, _First] = OrderedDict()
        self._kept = _Kept()
        self._written: dict[str, Location] = {}
        self._locks: dict[str, Lock] = {}
        self._ahead = Ahead(bucket)
        self._fit = False
        self._last = ""
        self._page = 16

    def __str__(self) -> str:
        return str(self.bucket)

    def __getstate__(self) -> dict[str, Any]:
        return {"bucket": self.bucket, "retention": self.retention}

    def __setstate__(self, state: dict[str, Any]) -> None:
        EvidenceBucket.__init__(self, state["bucket"], state["retention"])

    # --- creating -----------------------------------------------------------------------------------------------------

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create an object; see :meth:`tfaudit.ledger.store.Store.create`.

        Raises :class:`UnfitStoreError` where the store turns out to have no Object Lock, versions or conditions.
        """
        if not self._fit:
            self._must_lock()
        body = Body(head, tail)
        answer = self._put(key, body, expected=(TAKEN, BUSY), seconds=PROBE_SECONDS if key.startswith(PROBE) else None)
        if answer.code is not None:
            # Refused since something is there; after a try without an answer that may be this very object.
            return answer.retried and answer.code == TAKEN and self._is_mine(key, body)
        version = answer.body.get("VersionId")
        if version in (None, "null"):
            raise UnfitStoreError(f"the bucket {self.bucket.place.bucket} keeps no versions", hint=NEEDS)
        if body.size <= _SMALL and tail is None:
            # Whether this is the first version only a listing says; if so, its bytes are here already.
            self._kept.put(key, version, head)
        if not self._fit:
            self._must_refuse(key)
            self._fit = True
        return True

    def _put(self, key: str, body: Body, *, expected: tuple[str, ...], seconds: int | None = None) -> Answer:
        parameters: dict[str, Any] = {
            "Key": self.bucket.place.prefix + key,
            "Body": body,
            "ContentLength": body.size,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": body.checksum,
            "IfNoneMatch": "*",
        }
        locked = self._lock(seconds)
        parameters.update(locked)
        if self.bucket.settings.kms_key_id:
            parameters["ServerSideEncryption"] = "aws:kms"
            parameters["SSEKMSKeyId"] = self.bucket.settings.kms_key_id
            parameters["BucketKeyEnabled"] = True
        answer = self.bucket.call("put_object", expected=expected, **parameters)
        if answer.code is None:
            until = locked.get("ObjectLockRetainUntilDate")
            self._written[key] = Location(answer.body.get("VersionId"), ids.milliseconds(until) if until else None)
        return answer

    def _lock(self, seconds: int | None) -> dict[str, Any]:
        """Return the lock's two parameters, always together; ``seconds`` is a probe's short one."""
        now = self.bucket.time.now().replace(microsecond=0)
        if seconds is not None:
            return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": now + timedelta(seconds=seconds)}
        if self.retention is None:
            return {}
        until = now + timedelta(days=self.retention.days)
        return {"ObjectLockMode": self.retention.mode, "ObjectLockRetainUntilDate": until}

    def _is_mine(self, key: str, body: Body) -> bool:
        found = self.open(key, settled=True)
        if found is None:
            return False
        with found:
            return digest_of(found) == body.digest

    def _must_lock(self) -> None:
        """Raise unless the bucket has Object Lock, as far as we may know; a retention of ours would be refused."""
        if self.retention is not None:
            return
        missing = ("ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest")
        answer = self.bucket.call("get_object_lock_configuration", expected=(*missing, "AccessDenied"))
        if answer.code in missing:
            raise UnfitStoreError(f"the bucket {self.bucket.place.bucket} has no Object Lock", hint=NO_LOCK)

    def _must_refuse(self, key: str) -> None:
        """Raise unless the store refuses a second create of an object: AWS does, others may not know the condition."""
        if self.bucket.is_amazon:
            return
        written = self._written.get(key)
        seconds = PROBE_SECONDS if self.retention or key.startswith(PROBE) else None
        answer = self._put(key, Body(b"again\n", None), expected=(TAKEN, BUSY), seconds=seconds)
        if answer.code is None:
            raise UnfitStoreError(f"{self.bucket} lets an object be written twice", hint=NEEDS)
        if written is not None:
            self._written[key] = written

    # --- reading ------------------------------------------------------------------------------------------------------

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object's first version; see :meth:`tfaudit.ledger.store.Store.open`.

        What the store can answer once it can answer again: every read sees what was written before.
        """
        begun = self._ahead.take(key) if limit is None else None
        if begun is not None:
            return begun.result()
        first = self._first(key)
        if first is None:
            return None
        end = first.size if limit is None else min(limit, first.size)
        if key.startswith(ids.COMMITS) and end <= _SMALL:
            self._read_ahead(key)
        kept = self._kept.get(key, first.version)
        if kept is not None and len(kept) >= end:
            return io.BytesIO(kept[:end])
        if end == 0:
            return io.BytesIO()
        if end > _SMALL or limit is None:
            return stream(self._remote(key, first, end))
        return _Lazy(self, key, first, end)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List objects; see :meth:`tfaudit.ledger.store.Store.list`.

        From the start of a prefix, or after a commit, what stands under a delete marker shows too.
        """
        if after <= prefix:
            # All keys under a prefix sort after it.
            after = ""
        if shallow or (after and not (_is_commit(after) and self._first(after) is not None)):
            yield from list_current(self.bucket, prefix, after=after, shallow=shallow)
            return
        for key, first in self._versions_after(prefix, after, PAGE):
            yield Entry(key, first.size)

    def fetch(self, keys: Sequence[str], *, limit: int) -> None:
        """Read the beginnings of objects ahead; see :meth:`tfaudit.ledger.store.Fetching.fetch`."""
        self._learn(sorted({*keys} - self._known.keys()))
        self._fetch(keys, limit)

    def begin(self, keys: Sequence[str]) -> None:
        """Begin to open objects; see :meth:`tfaudit.ledger.store.Beginning.begin`."""
        self._learn(sorted({*keys} - self._known.keys()))
        known = ((key, first) for key in keys if (first := self._known.get(key)) is not None)
        self._ahead.begin((key, partial(self._begun, key, first)) for key, first in known)

    def locate(self, keys: Sequence[str]) -> tuple[Location, ...]:
        """Return where objects lie; see :meth:`tfaudit.ledger.store.Located.locate`."""
        self._learn(sorted({*keys} - self._known.keys()))
        return tuple(self.bucket.each(self._locate, keys))

    def written(self, key: str) -> Location | None:
        """Return where an object lies that this process has created."""
        return self._written.get(key)

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
        self._known.pop(key, None)

    def _must_have(self, key: str) -> _First:
        first = self._first(key)
        if first is None:
            raise LedgerError(f"there is no {key} in {self}")
        return first

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
        told = self._locks.pop(key, None)
        if told is not None:
            return told
        first = self._first(key)
        if first is None:
            return None
        name = self.bucket.place.prefix + key
        answer = self.bucket.call("head_object", expected=("404", *GONE), Key=name, VersionId=first.version)
        return s3_locking.lock_of(answer.body) if answer.code is None else None

    def shows_locks(self, key: str) -> bool:
        """Tell whether these credentials may see locks, asked about an object that seems to have none."""
        return s3_locking.may_see(self.bucket, key, self._must_have(key).version)

    def _first(self, key: str) -> _First | None:
        """Return the first version of an object, by one request where it is not known."""
        if key not in self._known:
            self._look(key)
        return self._known.get(key)

    def _look(self, key: str) -> None:
        """Learn the first version of ``key``, and of what comes after it where that will be asked for next."""
        number = int(key.removeprefix(ids.COMMITS), 16) if _is_commit(key) else None
        if number is not None:
            # From two before, so that the head's own versions are seen again. A marker has to be an object's key.
            for before in (number - 2, number - 1):
                if before >= 0 and ids.commit_key(before) in self._known:
                    self._learn_after(ids.COMMITS, ids.commit_key(before), PAGE)
                    return
            self._learn_prefix(_block(number))
            return
        folder = key.rpartition("/")[0] + "/"
        if folder.count("/") > 1:
            # Records: those of one writer are mostly read in their order.
            writer = "/".join(key.split("/", 2)[:2]) + "/"
            if self._last.startswith(writer) and self._last < key and self._last in self._known:
                self._page = min(self._page * 2, PAGE)
                self._learn_after(writer, self._last, self._page)
        if key not in self._known:
            self._page = 16
            self._learn_prefix(key)
        self._last = key

    def _learn(self, keys: Sequence[str]) -> None:
        """Learn the first versions of many objects, in their order, by pages."""
        for key in keys:
            if key not in self._known:
                self._look(key)

    def _learn_prefix(self, prefix: str) -> None:
        for _ in self._versions_after(prefix, "", PAGE, pages=None):
            pass

    def _learn_after(self, prefix: str, after: str, count: int) -> None:
        for _ in self._versions_after(prefix, after, count, pages=1):
            pass

    def _versions_after(
        self, prefix: str, after: str, count: int, *, pages: int | None = None
    ) -> Iterator[tuple[str, _First]]:
        """Yield the keys with their first versions, and remember these.

        Of a key whose versions go on after the last page that may be asked for nothing is said.
        """
        pending: tuple[str, _First] | None = None
        for page, whole in version_pages(self.bucket, prefix, after=after, count=count, pages=pages):
            for one in page.get("Versions", ()):
                key = one["Key"][len(self.bucket.place.prefix) :]
                if pending is not None and pending[0] != key:
                    yield self._remember(*pending)
                pending = (key, _First(one["VersionId"], one["Size"]))
            if not whole:
                # The last key may have older versions yet.
                continue
            if pending is not None:
                yield self._remember(*pending)
                pending = None

    def _remember(self, key: str, first: _First) -> tuple[str, _First]:
        self._known[key] = first
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return key, first

    def _read_ahead(self, key: str) -> None:
        """Read the commits after this one, which a listing has shown, together with it: they are walked in order."""
        number = int(key.removeprefix(ids.COMMITS), 16)
        keys = [each for step in range(_AHEAD) if (each := ids.commit_key(number + step)) in self._known]
        if len(keys) > 1 and self._kept.get(key, self._known[key].version) is None:
            self._fetch(keys, _SMALL)

    def _fetch(self, keys: Sequence[str], limit: int) -> None:
        def one(pair: tuple[str, _First]) -> bytes | None:
            key, first = pair
            try:
                return self._content(key, first, min(limit, first.size, _SMALL))
            except LedgerError:
                # Whoever opens it will see.
                return None

        known = [(key, first) for key in keys if (first := self._known.get(key)) is not None]
        wanted = [(key, first) for key, first in known if self._kept.get(key, first.version) is None]
        for (key, first), content in zip(wanted, self.bucket.each(one, wanted), strict=True):
            if content is not None:
                self._kept.put(key, first.version, content)

    def _remote(self, key: str, first: _First, end: int) -> Remote:
        def told(answer: Mapping[str, Any]) -> None:
            if len(self._locks) >= _KNOWN:
                self._locks.clear()
            self._locks[key] = s3_locking.lock_of(answer)

        return Remote(self.bucket, key, end=end, version=first.version, on_answer=told)

    def _begun(self, key: str, first: _First) -> BinaryIO:
        return stream(self._remote(key, first, first.size), begun=True)

    def _content(self, key: str, first: _First, end: int) -> bytes:
        if end == 0:
            return b""
        with stream(self._remote(key, first, end)) as raw:
            return raw.read()

    def _locate(self, key: str) -> Location:
        first = self._known.get(key)
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


class _Lazy(io.BytesIO):
    """The beginning of an object, read whole when it is first read from, and kept."""

    def __init__(self, store: EvidenceBucket, key: str, first: _First, end: int) -> None:
        super().__init__()
        self._from = (store, key, first, end)
        self._filled = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes; raises :class:`LedgerError` when the store failed."""
        self._fill()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read up to the next newline; raises as :meth:`read`."""
        self._fill()
        return super().readline(size)

    def _fill(self) -> None:
        if not self._filled:
            store, key, first, end = self._from
            content = store._content(key, first, end)
            store._kept.put(key, first.version, content)
            self.write(content)
            self.seek(0)
            self._filled = True


def _is_commit(key: str) -> bool:
    number = key.removeprefix(ids.COMMITS)
    return len(number) == 16 and len(key) == len(ids.COMMITS) + 16 and {*number} <= {*"0123456789abcdef"}


def _block(number: int) -> str:
    """Return the start of a few commits' keys, those two before and after ``number`` among them where that can be."""
    first, last = ids.commit_key(max(number - 2, 0)), ids.commit_key(number + 2)
    return next((first[:-cut] for cut in (1, 2) if first[:-cut] == last[:-cut]), ids.commit_key(number))
