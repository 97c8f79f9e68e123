"""How does a program evaluate rules that may loop, eat memory or write without end, and harm nobody?

It runs in a process of its own, with limits on time, memory and output, an environment that holds no secrets and a
session of its own. Past a limit it is killed, and what it had written counts for nothing.
"""

from __future__ import annotations

import os
import resource
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from tfaudit.errors import UnavailableError

MAX_OUTPUT: Final = 16 << 20
"""Bytes that a child may write."""
_CHUNK: Final = 1 << 20
_REASONS: Final = {9: "it was killed", 6: "it gave up, perhaps for want of memory", 24: "it used up its processor time"}


class ChildError(UnavailableError):
    """The child did not answer; the message says why, in words that hold nothing of what it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a child may use."""

    seconds: float
    """Of the clock, from when it is asked."""
    memory_mb: int
    output: int = MAX_OUTPUT


class Child:
    """One running program that is asked once: it gets its input, and its output comes back whole or not at all."""

    def __init__(
        self,
        command: Sequence[str],
        limits: Limits,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        limit: Callable[[], None] | None = None,
    ) -> None:
        """Start it. Raises :class:`ChildError` if it can't be started. ``limit`` runs in it before the program does."""
        self._limits = limits
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # an engine's words may quote the plan
                env={"LANG": "C.UTF-8", **(environ or {})},
                cwd=cwd or "/",
                start_new_session=True,  # the terminal's Ctrl-C is for the run, which then ends this one
                # Safe beside other threads: setrlimit takes no lock.
                preexec_fn=limit,
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "no such program"
            raise ChildError(f"{Path(command[0]).name} can't be started: {reason}") from error
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018 - pipes above
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._pending = memoryview(b"")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, said: bytes) -> None:
        """Say what can be said at once, without waiting for the child to read it; the rest goes before the question."""
        self._pending = memoryview(bytes(self._pending) + said)
        with suppress(BlockingIOError, BrokenPipeError):  # its answer will say that it is gone
            while self._pending:
                self._pending = self._pending[os.write(self._input, self._pending[:_CHUNK]) :]

    def ask(self, said: Iterable[bytes]) -> tuple[bytes, int]:
        """Return all that it writes in answer to what is ``said``, and its exit code, when it has ended.

        What is said is made piece by piece while the child reads. Raises :class:`ChildError` for a child that takes too
        long, writes too much or ends by a signal; it is killed then.
        """
        try:
            return self._talk(iter(said))
        finally:
            self.close()

    def close(self) -> None:
        """End it; harmless where it has ended."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                with suppress(OSError):
                    stream.close()
        self._process.wait()

    def _talk(self, said: Iterator[bytes]) -> tuple[bytes, int]:
        end = time.monotonic() + self._limits.seconds
        heard = bytearray()
        writing = True
        while True:
            if writing and not self._pending:
                piece = next(said, None)
                if piece is not None:
                    self._pending = memoryview(piece)
                    continue
                writing = self._hang_up()
            ready = self._wait(end, writing=writing)
            if self._output in ready and not self._hear(heard):
                return bytes(heard), self._ended(end)
            if writing and self._input in ready:
                writing = self._write()

    def _write(self) -> bool:
        """Write what can be written; return whether there is any sense in writing more."""
        try:
            self._pending = self._pending[os.write(self._input, self._pending[:_CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:  # it ends, or has read enough: its answer says which
            return self._hang_up()
        return True

    def _wait(self, end: float, *, writing: bool) -> frozenset[int]:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        if writing:
            poll.register(self._input, select.POLLOUT)
        left = end - time.monotonic()
        ready = frozenset(fd for fd, _ in poll.poll(left * 1000)) if left > 0 else frozenset()
        if not ready:
            raise ChildError(f"it took longer than {self._limits.seconds:g} s and was ended")
        return ready

    def _hear(self, heard: bytearray) -> bool:
        """Take what there is; return whether there may be more."""
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return True
        heard += data
        if len(heard) > self._limits.output:
            raise ChildError(f"it wrote more than {self._limits.output} bytes and was ended")
        return bool(data)

    def _hang_up(self) -> bool:
        """Tell it that there is no more; return False, since nothing is written any more."""
        self._pending = memoryview(b"")
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        self._process.stdin.close()
        return False

    def _ended(self, end: float) -> int:
        try:
            code = self._process.wait(max(end - time.monotonic(), 0.05))
        except subprocess.TimeoutExpired as error:
            raise ChildError(f"it took longer than {self._limits.seconds:g} s and was ended") from error
        if code < 0:
            reason = _REASONS.get(-code, "it ended")
            raise ChildError(f"{reason} (signal {-code}); it may use {self._limits.memory_mb} MB and no more")
        return code


def limit_self(memory_mb: int, seconds: int) -> None:
    """Limit this process's address space and processor time, and have it leave no core file."""
    _lower(resource.RLIMIT_AS, memory_mb << 20)
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_CORE, 0)


def limiting(limits: Limits) -> Callable[[], None]:
    """Return what limits a foreign program: its data, not its address space, of which Go reserves more than it uses."""

    def limit() -> None:
        _lower(resource.RLIMIT_DATA, limits.memory_mb << 20)
        _lower(resource.RLIMIT_CPU, int(limits.seconds) + 1)
        _lower(resource.RLIMIT_CORE, 0)

    return limit


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(ValueError, OSError):  # macOS knows some of them by name alone
        resource.setrlimit(kind, (most, most))
