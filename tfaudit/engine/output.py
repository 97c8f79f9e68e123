"""How to write to a stdout or stderr that may be slow, closed or full, without stopping the engine behind it."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Final

MAX_LINE: Final = 64 * 1024 * 1024


class Output:
    """A file descriptor that takes everything: once its reader has gone, what is written is dropped.

    The engine must come to its end and save its state even if nobody looks any more.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.broken = False

    def write(self, data: bytes) -> None:
        """Write all of ``data``, waiting for a slow reader; never raises."""
        left = memoryview(data)
        while left and not self.broken:
            try:
                left = left[os.write(self.fd, left) :]
            except BlockingIOError:
                # Someone else made the descriptor non-blocking, which is theirs as much as ours.
                select.select([], [self.fd], [])
            except BrokenPipeError:
                self.broken = True
            except OSError:
                # A full disk or a lost terminal: this part can't be written, a later one may.
                return


class Lines:
    """Cuts a stream of chunks into lines, without their newline. A line beyond the limit is cut short."""

    def __init__(self, on_line: Callable[[bytes], None], *, limit: int = MAX_LINE) -> None:
        self._on_line = on_line
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def write(self, data: bytes) -> None:
        """Take a chunk and pass on every line that it completes."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            self.flush()
            start = end + 1
        if start < len(data):
            self._keep(data[start:])

    def flush(self) -> None:
        """Pass on what is kept as a line."""
        line = b"".join(self._parts)
        self._parts, self._length = [], 0
        self._on_line(line)

    def close(self) -> None:
        """Pass on a last line that had no newline."""
        if self._parts:
            self.flush()

    def _keep(self, part: bytes) -> None:
        room = self._limit - self._length
        if room > 0 and part:
            self._parts.append(part[:room])
            self._length += min(len(part), room)


class Filtered:
    """Passes chunks on at once, each whole line among them through a filter first."""

    def __init__(self, write: Callable[[bytes], None], line_filter: Callable[[bytes], bytes]) -> None:
        self._write = write
        self._filter = line_filter
        self._inside = False

    def write(self, data: bytes) -> None:
        """Take a chunk. What begins or ends inside a line, as a prompt does, goes through as it is."""
        parts = []
        for part in data.splitlines(keepends=True):
            whole = part.endswith(b"\n") and not self._inside
            parts.append(self._filter(part) if whole else part)
            self._inside = not part.endswith(b"\n")
        self._write(b"".join(parts))
