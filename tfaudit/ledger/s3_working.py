"""How does a bucket hold what may change: disclosures that can be erased, derived pointers, cursors."""

from __future__ import annotations

import io
import os
from concurrent.futures import wait
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from tfaudit.errors import LedgerError
from tfaudit.ledger.s3_ahead import Ahead
from tfaudit.ledger.s3_creating import TAKEN, put
from tfaudit.ledger.s3_listing import GONE, Pages, list_current, version_pages
from tfaudit.ledger.s3_objects import Body, Remote, broken, digest_of, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from tfaudit.ledger.s3 import Answer, Bucket
    from tfaudit.ledger.store import Entry

_WHOLE = 1 << 20
"""Up to so many bytes come with the first request."""


class WorkingBucket:
    """A working store in a bucket without retention. What is removed is removed in all its versions."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._fetched: dict[str, bytes | None] = {}
        self._replacing: dict[str, tuple[int, Future[Answer]]] = {}
        self._ahead = Ahead(bucket)

    def __getstate__(self) -> dict[str, Any]:
        return {"bucket": self.bucket}

    def __setstate__(self, state: dict[str, Any]) -> None:
        WorkingBucket.__init__(self, state["bucket"])

    def __str__(self) -> str:
        return str(self.bucket)

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create an object; see :meth:`tfaudit.ledger.store.Store.create`."""
        body = Body(head, tail)
        answer = put(self.bucket, key, body, new=True)
        if answer.code is None:
            return True
        return answer.retried and answer.code == TAKEN and self._is_mine(key, body)

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object; see :meth:`tfaudit.ledger.store.Store.open`."""
        self._settle(key)
        if key in self._fetched:
            # Once only: the next one to ask may want what is there by then.
            content = self._fetched.pop(key)
            return None if content is None else io.BytesIO(content if limit is None else content[:limit])
        begun = self._ahead.take(key) if limit is None else None
        return self._open(key, limit) if begun is None else begun.result()

    def _open(self, key: str, limit: int | None) -> BinaryIO | None:
        end = _WHOLE if limit is None else max(min(limit, _WHOLE), 1)
        expected = ("NoSuchKey", "InvalidRange", "404")
        parameters: dict[str, Any] = {"Key": self.bucket.place.prefix + key, "Range": f"bytes=0-{end - 1}"}
        answer = self.bucket.call("get_object", expected=expected, **parameters)
        if answer.code == "InvalidRange":
            # An empty object has no first byte.
            return io.BytesIO()
        if answer.code is not None:
            return None
        size = _whole_size(answer)
        if size <= end or (limit is not None and limit <= end):
            # Not botocore's own context, which gives a stream without its checks and with other errors.
            with closing(answer.body["Body"]) as body:
                return io.BytesIO(_read(self.bucket, key, body))
        whole = size if limit is None else min(limit, size)
        about = answer.body
        return stream(Remote(self.bucket, key, end=whole, version=about.get("VersionId"), body=about["Body"]))

    def begin(self, keys: Sequence[str]) -> None:
        """Begin to open objects; see :meth:`tfaudit.ledger.store.Beginning.begin`."""
        self._ahead.begin((key, partial(self._open, key, None)) for key in keys)

    def fetch(self, keys: Sequence[str], *, limit: int) -> None:
        """Read small objects ahead, each for one opening; see :meth:`tfaudit.ledger.store.Fetching.fetch`."""

        def one(key: str) -> tuple[bytes | None, bool]:
            try:
                found = self._open(key, None)
                if found is None:
                    return None, True
                with found:
                    content = found.read(limit + 1)
                    return content, len(content) <= limit
            except LedgerError:
                # Whoever opens it will see.
                return None, False

        for key in keys:
            self._settle(key)
        for key, (content, whole) in zip(keys, self.bucket.each(one, keys), strict=True):
            if whole:
                self._fetched[key] = content

    def fetched(self, key: str) -> bytes | None:
        """Return what :meth:`fetch` has read of an object, which stays there for its opening."""
        return self._fetched.get(key)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List objects; see :meth:`tfaudit.ledger.store.Store.list`."""
        for key in [*self._replacing]:
            self._settle(key)
        return list_current(Pages(self.bucket), prefix, after=after, shallow=shallow)

    def replace(self, key: str, content: bytes, *, durable: bool = False, forget: bool = False) -> None:
        """Put an object; see :meth:`tfaudit.ledger.store.Working.replace`.

        Where it is not to be durable, nobody waits for it but who asks for the object, and the process when it ends.
        """
        self._settle(key)
        self._fetched.pop(key, None)
        replace = partial(put, self.bucket, key, Body(content, None), new=False)
        if not (durable or forget):
            self._replacing[key] = os.getpid(), self.bucket.submit(replace)
            return
        version = replace().body.get("VersionId")
        if forget and version not in (None, "null"):
            self._remove_versions(key, but=version)

    def remove(self, key: str) -> None:
        """Remove an object in all its versions; see :meth:`tfaudit.ledger.store.Working.remove`."""
        self._settle(key)
        self._fetched.pop(key, None)
        answer = self.bucket.call("delete_object", expected=GONE, Key=self.bucket.place.prefix + key)
        if answer.body.get("VersionId") not in (None, "null") or answer.body.get("DeleteMarker"):
            self._remove_versions(key, but=None)

    def _settle(self, key: str) -> None:
        """Wait until the object is replaced, if it is being replaced: it may also have failed."""
        process, replaced = self._replacing.pop(key, (0, None))
        # Threads don't live on in a fork.
        if replaced is not None and process == os.getpid():
            wait([replaced])

    def _is_mine(self, key: str, body: Body) -> bool:
        found = self.open(key)
        if found is None:
            return False
        with found:
            return digest_of(found) == body.digest

    def _remove_versions(self, key: str, *, but: str | None) -> None:
        name = self.bucket.place.prefix + key
        for page, _ in version_pages(Pages(self.bucket), key, after="", count=1000, pages=None):
            found: Sequence[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            for one in found:
                if one["Key"] == name and one["VersionId"] != but:
                    self.bucket.call("delete_object", expected=GONE, Key=name, VersionId=one["VersionId"])


def _whole_size(answer: Answer) -> int:
    """Return the object's size, of which the answer may hold a part; 0 where it says nothing, and then holds all."""
    whole = str(answer.body.get("ContentRange", "")).rpartition("/")[2]
    return int(whole) if whole.isdigit() else int(answer.body.get("ContentLength", 0))


def _read(bucket: Bucket, key: str, body: Any) -> bytes:  # noqa: ANN401 - botocore's stream
    try:
        return bytes(body.read())
    except broken() as error:
        raise LedgerError(f"{bucket}/{key} breaks off", hint="try again") from error
