"""How do an object's bytes come and go: bodies of two parts, streams that survive a broken connection, checksums."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tfaudit.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfaudit.ledger.s3 import Bucket

_CHUNK: Final = 1 << 18
TRIES: Final = 4


class Body(io.RawIOBase):
    """``head`` and then what is left to read of ``tail``, as one file to send; it may be sent again."""

    def __init__(self, head: bytes, tail: BinaryIO | None) -> None:
        self._head = head
        self._tail = tail
        self._start = tail.tell() if tail is not None else 0
        self._at = 0
        digest = hashlib.sha256(head)
        self.size = len(head)
        if tail is not None:
            while chunk := tail.read(_CHUNK):
                digest.update(chunk)
                self.size += len(chunk)
        self.digest = digest.digest()

    @property
    def checksum(self) -> str:
        """The SHA-256 as S3 wants it."""
        return base64.b64encode(self.digest).decode()

    def whole(self) -> bytes:
        """Return all of it; the position stays, since whoever sends it later begins there."""
        at = self._at
        self._at = 0
        try:
            return self.read()
        finally:
            self._at = at

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the whole."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position in the whole."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill ``buffer`` from the position on."""
        if self._at < len(self._head):
            part = self._head[self._at : self._at + len(buffer)]
        elif self._tail is not None:
            self._tail.seek(self._start + self._at - len(self._head))
            part = self._tail.read(len(buffer))
        else:
            part = b""
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


class Remote(io.RawIOBase):
    """One version of an object, read from the store as it is asked for; nothing is sent before.

    A connection that breaks is taken up again where it broke: a version's bytes never change. ``body`` is what has been
    asked for already; ``on_answer`` gets what the store answers.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        *,
        end: int,
        version: str | None,
        body: Any = None,  # noqa: ANN401 - botocore's stream
        on_answer: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._version = version
        self._end = end
        self._at = 0
        self._body = body
        self._on_answer = on_answer

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill ``buffer``; raises :class:`LedgerError` when the store failed."""
        wanted = min(len(buffer), self._end - self._at)
        for _ in range(TRIES):
            if wanted <= 0:
                return 0
            if self._body is None:
                self._body = self._ask()
            try:
                part = self._body.read(wanted)
            except broken():
                self._body = None
                continue
            if part:
                buffer[: len(part)] = part
                self._at += len(part)
                return len(part)
            self._body = None
        raise LedgerError(f"{self._bucket}/{self._key} breaks off after {self._at} bytes", hint="try again")

    def _ask(self) -> Any:  # noqa: ANN401 - as above
        answer = get(self._bucket, self._key, self._version, start=self._at, end=self._end)
        if self._on_answer is not None:
            self._on_answer(answer)
        return answer["Body"]

    def close(self) -> None:
        """Let the connection go."""
        if self._body is not None:
            self._body.close()
            self._body = None
        super().close()


def broken() -> tuple[type[Exception], ...]:
    """Return what reading an answer's body may raise; the SDK's own errors only where it has been loaded."""
    if "botocore" not in sys.modules:
        return (OSError,)
    from botocore.exceptions import BotoCoreError

    return OSError, BotoCoreError


def get(bucket: Bucket, key: str, version: str | None, *, start: int, end: int) -> Mapping[str, Any]:
    """Return the store's answer to a GET of the bytes from ``start`` to before ``end``."""
    parameters: dict[str, Any] = {"Key": bucket.place.prefix + key, "Range": f"bytes={start}-{end - 1}"}
    if version is not None:
        parameters["VersionId"] = version
    answer = bucket.call("get_object", **parameters).body
    if start and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
        answer["Body"].close()
        raise bucket.unreadable("get_object")
    return answer


def stream(raw: Remote, *, begun: bool = False) -> BinaryIO:
    """Return a buffered stream of it, with ``begun`` one that has its first bytes already."""
    found = io.BufferedReader(raw, _CHUNK)
    if begun:
        found.peek(1)
    return found


def digest_of(source: BinaryIO) -> bytes:
    """Return the SHA-256 of what is left to read."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
