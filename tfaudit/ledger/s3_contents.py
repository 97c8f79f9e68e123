"""What are the bytes of a version: kept from before, on their way already, or to be asked for?

Bytes never change, so that small ones are kept: what is known costs no request.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tfaudit.errors import LedgerError
from tfaudit.ledger import s3_locking
from tfaudit.ledger.s3_ahead import Ahead
from tfaudit.ledger.s3_objects import Remote, broken, stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.s3_firsts import First
    from tfaudit.ledger.store import Lock

SMALL: Final = 256 << 10
"""Objects, or beginnings of objects, up to this size are kept,"""
_KEPT: Final = 4 << 20
"""so many bytes in all: as many commits as are read together."""
_LOCKS: Final = 20_000


class Contents:
    """The bytes of versions, and what reading them has told of their locks."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._ahead = Ahead(bucket)
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        self._locks: dict[str, Lock] = {}

    def open(self, key: str, first: First, *, limit: int | None) -> BinaryIO:
        """Return the version's bytes, the first ``limit`` of them, as a stream to close."""
        end = first.size if limit is None else min(limit, first.size)
        kept = self._get(key, first)
        if kept is not None and len(kept) >= end:
            return io.BytesIO(kept[:end])
        if end == 0:
            return io.BytesIO()
        if end > SMALL or limit is None:
            return stream(self._remote(key, first, end))
        return _Lazy(self, key, first, end)

    def begin(self, wanted: Iterable[tuple[str, First]]) -> None:
        """Begin to open these, in this order, for :meth:`begun` to take."""
        self._ahead.begin((key, partial(self._begin, key, first)) for key, first in wanted)

    def begun(self, key: str) -> BinaryIO | None:
        """Return what :meth:`begin` has opened, once; None where it has not."""
        opened = self._ahead.take(key)
        return opened.result() if opened is not None else None

    def fetch(self, wanted: Iterable[tuple[str, First]], limit: int) -> None:
        """Read the beginnings of these, many at once, and keep them."""

        def one(pair: tuple[str, First]) -> bytes | None:
            key, first = pair
            try:
                return self.read(key, first, min(limit, first.size, SMALL))
            except LedgerError:
                # Whoever opens it will see.
                return None

        missing = [(key, first) for key, first in wanted if self._get(key, first) is None]
        for (key, first), content in zip(missing, self._bucket.each(one, missing), strict=True):
            if content is not None:
                self.keep(key, first.version, content)

    def has(self, key: str, first: First) -> bool:
        """Whether some of the version's bytes are here."""
        return self._get(key, first) is not None

    def read(self, key: str, first: First, end: int) -> bytes:
        """Return the first ``end`` bytes, by a request of their own."""
        if end == 0:
            return b""
        with stream(self._remote(key, first, end)) as raw:
            return raw.read()

    def current(self, key: str) -> tuple[str, bytes] | None:
        """Return version and beginning of what stands on top, without keeping it; None where that can't be had."""
        name = self._bucket.place.prefix + key
        expected = ("NoSuchKey", "404", "AccessDenied", "403", "InvalidRange")
        try:
            answer = self._bucket.call("get_object", expected=expected, Key=name, Range=f"bytes=0-{SMALL - 1}")
        except LedgerError:
            return None
        if answer.code is not None or "VersionId" not in answer.body:
            return None
        try:
            # Not botocore's own context, which gives a stream without its checks and with other errors.
            with closing(answer.body["Body"]) as body:
                return str(answer.body["VersionId"]), bytes(body.read())
        except broken():
            return None

    def keep(self, key: str, version: str, content: bytes) -> None:
        """Keep a version's bytes; the least recently used are let go."""
        old = self._kept.pop((key, version), b"")
        self._size += len(content) - len(old)
        self._kept[key, version] = content
        while self._size > _KEPT:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)

    def lock(self, key: str) -> Lock | None:
        """Return what reading the object has told of its lock, once."""
        return self._locks.pop(key, None)

    def _get(self, key: str, first: First) -> bytes | None:
        found = self._kept.get((key, first.version))
        if found is not None:
            self._kept.move_to_end((key, first.version))
        return found

    def _remote(self, key: str, first: First, end: int) -> Remote:
        def told(answer: Mapping[str, Any]) -> None:
            if len(self._locks) >= _LOCKS:
                self._locks.clear()
            self._locks[key] = s3_locking.lock_of(answer)

        return Remote(self._bucket, key, end=end, version=first.version, on_answer=told)

    def _begin(self, key: str, first: First) -> BinaryIO:
        return stream(self._remote(key, first, first.size), begun=True)


class _Lazy(io.BytesIO):
    """The beginning of an object, read whole when it is first read from, and kept."""

    def __init__(self, contents: Contents, key: str, first: First, end: int) -> None:
        super().__init__()
        self._from = (contents, key, first, end)
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
            contents, key, first, end = self._from
            content = contents.read(key, first, end)
            contents.keep(key, first.version, content)
            self.write(content)
            self.seek(0)
            self._filled = True
