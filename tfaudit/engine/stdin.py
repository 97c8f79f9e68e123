"""Who reads the lines that come in: the engine that asks for variables, or tfaudit's own prompt after it?

At a terminal each gets a line at a time anyway. From a pipe, the engine's buffered reader would swallow the "yes" that
is meant for the prompt behind it. So the engine is fed through a pipe of packets, one line each: a read returns one
line however large the buffer is, and the lines it left are still in the pipe for us. And what nobody needs isn't read:
in ``while read dir; do tfaudit apply -auto-approve; done`` stdin is the loop's.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
from typing import Final, Self

from tfaudit.engine.argv import Invocation, Role
from tfaudit.engine.signals import Relay

_PACKET: Final = 4096  # PIPE_BUF on Linux: a longer packet would be split, or cut by a shorter read
_CHUNK: Final = 4096
_O_DIRECT: Final = getattr(os, "O_DIRECT", 0) if sys.platform == "linux" else 0


class Input:
    """Standard input for the length of a run."""

    def __init__(self, fd: int, *, shared: bool) -> None:
        """``shared`` says that both the engine and tfaudit may ask for lines."""
        self._fd = fd
        self.is_tty = os.isatty(fd)
        self._buffer = b""
        self._ended = False
        self._read_end = self._write_end = -1
        if shared and not self.is_tty:
            self._read_end, self._write_end = os.pipe2(_O_DIRECT | os.O_CLOEXEC) if _O_DIRECT else os.pipe()

    @classmethod
    def of(cls, invocation: Invocation, fd: int = 0) -> Self:
        """Return the input for an invocation: shared if the engine may ask for variables and we for approval."""
        asks = invocation.role is Role.APPLY and not invocation.auto_approve and not invocation.plan_file
        return cls(fd, shared=asks and invocation.input)

    @property
    def engine_fd(self) -> int:
        """The descriptor that the engine gets as its stdin."""
        return self._fd if self._read_end < 0 else self._read_end

    @property
    def is_waiting(self) -> bool:
        """Whether there is a line that the engine hasn't taken yet."""
        return self._write_end >= 0 and bool(self._packet())

    def wants(self) -> tuple[int, int] | None:
        """Return the descriptor and the poll events that feeding the engine waits for; None when nothing is to do."""
        if self._write_end < 0:
            return None
        if self._packet():
            return (self._write_end, select.POLLOUT) if _O_DIRECT or self._is_taken() else None
        return self._fd, select.POLLIN

    def feed(self) -> None:
        """Read some of stdin, or give the engine a packet: whichever :meth:`wants` said is possible."""
        packet = self._packet()
        if packet:
            self._buffer = self._buffer[len(packet) :]
            try:
                os.write(self._write_end, packet)
            except OSError:
                self._buffer = packet + self._buffer
        elif not self._ended:
            self._fill()
        if self._ended and not self._buffer:
            self._close_write_end()

    def _packet(self) -> bytes:
        """Return the next line, in parts of at most a packet; empty until there is one."""
        end = self._buffer.find(b"\n") + 1
        if not end and not self._ended and len(self._buffer) < _PACKET:
            return b""
        return self._buffer[: min(end or _PACKET, _PACKET)]

    def _fill(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except OSError:
            chunk = b""
        self._buffer += chunk
        self._ended = self._ended or not chunk

    def _is_taken(self) -> bool:
        """Whether the pipe is empty. Without packets, the next line may only come when the last one has been read."""
        waiting = fcntl.ioctl(self._read_end, termios.FIONREAD, b"\0\0\0\0")
        return waiting == b"\0\0\0\0"

    def read_line(self, relay: Relay) -> bytes:
        """Return the next line with its newline, b"" at the end of the input.

        First come the lines that the engine left. Raises :class:`~tfaudit.engine.signals.Interrupted` if a signal
        comes first.
        """
        line = b""
        while not line.endswith(b"\n"):
            part = self._next(relay)
            if not part:
                break
            line += part
        return line

    def _next(self, relay: Relay) -> bytes:
        """Return the next part of a line."""
        if self._read_end >= 0 and select.select([self._read_end], [], [], 0)[0]:
            part = os.read(self._read_end, _PACKET)
            if part:
                return part
        if self._buffer:
            end = self._buffer.find(b"\n") + 1 or len(self._buffer)
            part, self._buffer = self._buffer[:end], self._buffer[end:]
            return part
        if self._ended:
            return b""
        self._wait(relay)
        # A terminal gives a line at most; from anything else take no more than the line, the rest may be another's.
        try:
            part = os.read(self._fd, _CHUNK if self.is_tty else 1)
        except OSError:
            part = b""
        # At a terminal Ctrl-D ends one answer, not the input.
        self._ended = not part and not self.is_tty
        return part

    def _wait(self, relay: Relay) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(relay.wake_fd, select.POLLIN)
        relay.heed()
        while self._fd not in dict(poll.poll()):
            relay.heed()

    def close(self) -> None:
        """Give back what was read and not used, where the input is a file, and close the pipe."""
        unused = len(self._buffer)
        if self._read_end >= 0:
            while select.select([self._read_end], [], [], 0)[0] and (part := os.read(self._read_end, _PACKET)):
                unused += len(part)
            self._close_write_end()
            os.close(self._read_end)
            self._read_end = -1
        if unused:
            try:
                os.lseek(self._fd, -unused, os.SEEK_CUR)
            except OSError:
                return  # a pipe: the bare engine's buffer would have kept it too

    def _close_write_end(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1
