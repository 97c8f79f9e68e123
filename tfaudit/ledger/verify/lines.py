"""How is a file of lines read without trusting its length or that of its lines?"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.ledger.verify.reading import some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST: Final = 1 << 14
_CHUNK: Final = 1 << 16
"""What is made of so much stays in the processor's own memory until it has been looked at."""


class Lines:
    """The lines of ``first`` and then ``stream``, some at a time: bytes without the last newline.

    Ends early, with what follows unread, at a line of more than ``longest`` bytes. ``on_bytes`` gets all bytes of
    ``stream`` as they are read; reading raises :class:`LedgerError` when the store failed.
    """

    def __init__(
        self,
        stream: BinaryIO,
        first: bytes = b"",
        *,
        longest: int,
        on_bytes: Callable[[bytes], object] | None = None,
    ) -> None:
        self._stream = stream
        self._longest = longest
        self._on_bytes = on_bytes
        self._chunk = _FIRST
        self.rest = first
        """What was read and is not, or not yet, a whole line."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            end = self.rest.rfind(b"\n")
            if end >= 0:
                block = self.rest[:end]
                self.rest = self.rest[end + 1 :]
                yield block
            if len(self.rest) > self._longest or not self.read():
                return

    def read(self) -> bool:
        """Read some more; False at the end."""
        # Most files are small, and room for a large chunk costs more than reading one of those.
        chunk = some(self._stream, self._chunk)
        self._chunk = min(4 * self._chunk, _CHUNK)
        if chunk and self._on_bytes is not None:
            self._on_bytes(chunk)
        self.rest = self.rest + chunk if self.rest else chunk
        return bool(chunk)

    def skip(self) -> None:
        """Read to the end and forget what was read."""
        self.rest = b""
        while self.read():
            self.rest = b""
