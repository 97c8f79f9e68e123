"""How does an engine process run, what becomes of its output, and how did it end?

Four ways: with everything inherited; for people, through a pseudo-terminal where we have a terminal; line by line; and
captured. In all of them both output streams are read at the same time, so that a chatty stderr can't block the
engine, and reading goes on when our own stdout is closed, so that the engine comes to its end.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from tfaudit.engine import find, terminal
from tfaudit.engine.argv import Call
from tfaudit.engine.output import Filtered, Lines, Output
from tfaudit.engine.signals import FORWARDED, Relay
from tfaudit.engine.stdin import Input
from tfaudit.errors import InputError, UnavailableError

Write = Callable[[bytes], None]

_CHUNK: Final = 64 * 1024
_PIPE_SIZE: Final = 1024 * 1024
_MAX_STDERR: Final = 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an engine process ended."""

    code: int
    """The exit code as a shell sees it: 128+n when a signal killed it."""
    signal: int | None
    """The signal that killed it, or None."""
    interrupts: int
    """How many signals came while it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a quiet engine process printed."""

    ended: Ended
    stdout: bytes
    """Empty when it went into a descriptor."""
    stderr: bytes
    """At most the first MiB."""


class _Engine:
    """A running engine process; its descriptors are the caller's."""

    def __init__(self, process: subprocess.Popen[bytes], *, own_group: bool) -> None:
        self.own_group = own_group
        self._process = process
        # A pidfd names this very process: no signal can go to another one that got its number.
        self._pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
        self.exit_fd = self._pidfd if self._pidfd >= 0 else self._watcher()

    def _watcher(self) -> int:
        """Return a descriptor that becomes readable when the process ends, where there are no pidfds."""
        reader, writer = os.pipe()

        def wait() -> None:
            self._process.wait()
            os.close(writer)

        threading.Thread(target=wait, name="engine", daemon=True).start()
        return reader

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                self._process.send_signal(number)

    def wait(self) -> int:
        """Return Popen's return code, when it has ended."""
        return self._process.wait()

    def close(self) -> None:
        os.close(self.exit_fd)


class SideStream:
    """A second stream of lines beside the human output: what OpenTofu's ``-json-into=PATH`` writes."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self.lines = Lines(on_line)
        self.ours, self.theirs = os.pipe()

    @property
    def path(self) -> str:
        """The path under which the engine can open it."""
        return f"/dev/fd/{self.theirs}"

    def close(self) -> None:
        """Close both ends and pass on a last line without newline."""
        for fd in (self.ours, self.theirs):
            with suppress(OSError):
                os.close(fd)
        self.lines.close()


def run_inherit(engine: Sequence[str], call: Call, *, relay: Relay) -> Ended:
    """Run the engine on our own stdin, stdout and stderr."""
    return _run(engine, call, relay, stdin=0, stdout=1, stderr=2, sinks={})


def run_human(
    engine: Sequence[str],
    call: Call,
    *,
    relay: Relay,
    stdin: Input,
    pass_fds: Sequence[int] = (),
    line_filter: Callable[[bytes], bytes] | None = None,
    edit: Callable[[bytes], bytes] | None = None,
    side: SideStream | None = None,
) -> Ended:
    """Run the engine for people: it sees terminals where we have them, and what it prints goes to ours as it is.

    ``line_filter`` may change a whole line; ``edit`` then turns each chunk of stdout (and of stderr, where they are
    one) into what is shown; ``side`` is read at the same time. Where stdout and stderr are one, they
    are one for the engine too: else their order would be lost.
    """
    out, err = Output(1), Output(2)
    with ExitStack() as stack:
        stdout = _channel(stack, 1)
        stderr = stdout if _same(1, 2) else _channel(stack, 2)
        show = out.write if edit is None else lambda chunk: out.write(edit(chunk))
        sinks: dict[int, Write] = {stdout.ours: _filtered(show, line_filter)}
        if stderr is not stdout:
            sinks[stderr.ours] = _filtered(err.write, line_filter)
        fds = [*pass_fds, *stdout.survivor(), *stderr.survivor()]
        if side is not None:
            sinks[side.ours] = side.lines.write
            fds += [side.ours, side.theirs]

        def resize() -> None:
            for channel, fd in ((stdout, 1), (stderr, 2)):
                if channel.is_terminal:
                    terminal.copy_size(fd, channel.ours)

        relay.on_resize = resize
        stack.callback(setattr, relay, "on_resize", None)
        return _run(
            engine,
            call,
            relay,
            stdin=stdin.engine_fd,
            stdout=stdout.take(stack),
            stderr=stderr.take(stack),
            sinks=sinks,
            pass_fds=fds,
            feeding=stdin,
            opened=(stdout, stderr),
        )


def run_lines(
    engine: Sequence[str],
    call: Call,
    *,
    relay: Relay,
    on_line: Callable[[bytes], None],
    on_stderr: Write | None = None,
    pass_fds: Sequence[int] = (),
) -> Ended:
    """Run the engine without input, each line of its stdout (without newline) going to ``on_line``.

    Its stderr goes to ``on_stderr`` in chunks, by default to ours.
    """
    lines = Lines(on_line)
    with ExitStack() as stack:
        stdout, stderr = _pipe(stack), _pipe(stack)
        null = _null(stack)
        ended = _run(
            engine,
            call,
            relay,
            stdin=null,
            stdout=stdout.take(stack),
            stderr=stderr.take(stack),
            sinks={stdout.ours: lines.write, stderr.ours: on_stderr or Output(2).write},
            pass_fds=[*pass_fds, *stdout.survivor(), *stderr.survivor()],
            opened=(stdout, stderr),
        )
    lines.close()
    return ended


def capture(
    engine: Sequence[str],
    call: Call,
    *,
    relay: Relay,
    limit: int,
    into: int | None = None,
    pass_fds: Sequence[int] = (),
) -> Captured:
    """Run the engine without input and keep what it prints; with ``into`` its stdout goes straight to that descriptor.

    Raises :class:`~tfaudit.errors.InputError` when stdout is longer than ``limit`` bytes.
    """
    kept, errors = _Kept(limit), _Kept(_MAX_STDERR)
    with ExitStack() as stack:
        stderr = _pipe(stack)
        sinks: dict[int, Write] = {stderr.ours: errors.write}
        opened = [stderr]
        if into is None:
            stdout = _pipe(stack)
            sinks[stdout.ours] = kept.write
            opened.append(stdout)
        ended = _run(
            engine,
            call,
            relay,
            stdin=_null(stack),
            stdout=stdout.take(stack) if into is None else into,
            stderr=stderr.take(stack),
            sinks=sinks,
            pass_fds=pass_fds,
            opened=tuple(opened),
        )
    if kept.cut or (into is not None and os.fstat(into).st_size > limit):
        raise InputError(f"what the engine printed is larger than {limit} bytes")
    return Captured(ended=ended, stdout=kept.bytes(), stderr=errors.bytes())


class _Kept:
    """Keeps the first bytes of a stream and lets the rest go."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._parts: list[bytes] = []
        self.cut = False

    def write(self, data: bytes) -> None:
        self.cut = self.cut or len(data) > self._room
        self._parts.append(data[: self._room])
        self._room -= len(self._parts[-1])

    def bytes(self) -> bytes:
        return b"".join(self._parts)


@dataclass(slots=True)
class _Channel:
    """The two ends of one output stream; the engine's end is closed here as soon as the engine has it."""

    ours: int
    theirs: int
    is_terminal: bool

    def take(self, stack: ExitStack) -> int:
        """Return the engine's end."""
        stack.callback(self.given)
        return self.theirs

    def given(self) -> None:
        """Close the engine's end."""
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def survivor(self) -> tuple[int, ...]:
        """Return our end of a pipe, for the engine to hold too.

        Should tfaudit be killed, the pipe still has a reader: the engine doesn't die of SIGPIPE at its next line, with
        changes half made and not in the state. The pipe is large enough for what it has yet to say.
        """
        return () if self.is_terminal else (self.ours,)


def _channel(stack: ExitStack, fd: int) -> _Channel:
    """Return a pseudo-terminal of the same size if ``fd`` is a terminal, else a pipe."""
    if not os.isatty(fd):
        return _pipe(stack)
    ours, theirs = terminal.open_like(fd)
    stack.callback(os.close, ours)
    return _Channel(ours, theirs, is_terminal=True)


def _pipe(stack: ExitStack) -> _Channel:
    ours, theirs = os.pipe()
    stack.callback(os.close, ours)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # above the user's limit for pipes: the usual 64 KiB do
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return _Channel(ours, theirs, is_terminal=False)


def _null(stack: ExitStack) -> int:
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, null)
    return null


def _same(first: int, second: int) -> bool:
    """Whether two descriptors lead to the same terminal, pipe or file."""
    try:
        one, other = os.fstat(first), os.fstat(second)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _filtered(write: Write, line_filter: Callable[[bytes], bytes] | None) -> Write:
    return write if line_filter is None else Filtered(write, line_filter).write


def _run(
    engine: Sequence[str],
    call: Call,
    relay: Relay,
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    sinks: dict[int, Write],
    pass_fds: Sequence[int] = (),
    feeding: Input | None = None,
    opened: tuple[_Channel, ...] = (),
) -> Ended:
    """Start the engine, move its output into ``sinks`` until it has ended, and say how."""
    before = relay.interrupts
    started: list[_Engine] = []

    def spawn() -> _Engine:
        started.append(_spawn(engine, call, relay, (stdin, stdout, stderr), pass_fds))
        return started[0]

    relay.start(spawn)
    running = started[0]
    try:
        for channel in opened:
            channel.given()
        _pump(running.exit_fd, sinks, feeding)
    finally:
        # Also when a sink failed: the engine is never left alone with a full pipe, nor we without its end.
        _pump(running.exit_fd, dict.fromkeys(sinks, _discard), None)
        code = running.wait()
        relay.ended()
        running.close()
    killed = -code if code < 0 else None
    return Ended(code=128 + killed if killed else code, signal=killed, interrupts=relay.interrupts - before)


def _discard(data: bytes) -> None:
    """Take output that nobody wants any more."""


def _spawn(
    engine: Sequence[str], call: Call, relay: Relay, stdio: tuple[int, int, int], pass_fds: Sequence[int]
) -> _Engine:
    """Start the engine. Call it in the main thread: the kernel ties the death signal to the thread that forks."""
    own_group = not terminal.is_foreground()
    parent = os.getpid()
    mask = relay.mask

    def prepare() -> None:  # in the child, between fork and exec
        for number in FORWARDED:
            # Python's handler would swallow a signal that comes before the exec.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if _prctl is not None:
            # Should tfaudit be killed, the engine is told to stop: it saves its state and frees its lock.
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(128 + signal.SIGTERM)

    name = PurePath(engine[0]).name.removesuffix("-bin")
    try:
        process = subprocess.Popen(
            [name, *engine[1:], *call.args],
            executable=engine[0],
            env=find.marked(call.env, call.args, own=find.own_path()),
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            pass_fds=tuple(dict.fromkeys(pass_fds)),
            process_group=0 if own_group else None,
            # Safe beside other threads: nothing in it takes a lock that one of them may hold.
            preexec_fn=prepare,
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UnavailableError(f"the engine {engine[0]} can't be started: {reason}") from error
    return _Engine(process, own_group=own_group)


def _pump(exit_fd: int, sinks: dict[int, Write], feeding: Input | None) -> None:
    """Move output until the engine has ended and what it wrote has been taken.

    Not until every writer has gone: a process that a provisioner left behind may hold the pipe for days.
    """
    live = dict(sinks)
    running = True
    while running:
        poll = select.poll()
        for fd in (exit_fd, *live):
            poll.register(fd, select.POLLIN)
        wanted = feeding.wants() if feeding is not None else None
        if wanted is not None:
            poll.register(*wanted)
        # Without packets the engine's reading can't be waited for, only looked at.
        idle = feeding is not None and feeding.is_waiting and wanted is None
        for fd, _ in poll.poll(20 if idle else None):
            if fd in live:
                _move(fd, live)
            elif fd == exit_fd:
                running = False
            elif feeding is not None:
                feeding.feed()
    for fd in tuple(live):
        os.set_blocking(fd, False)
        while fd in live and _move(fd, live):
            pass


def _move(fd: int, live: dict[int, Write]) -> bool:
    """Move one chunk; return whether there may be more. At the end of the stream it is taken out of ``live``."""
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EIO:  # how Linux says that nobody holds the other end of a pseudo-terminal
            raise
        data = b""
    if not data:
        del live[fd]
        return False
    live[fd](data)
    return True
