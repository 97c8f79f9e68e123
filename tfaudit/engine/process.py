"""How does an engine process run, what becomes of its output, and how did it end?

Four ways: with everything inherited; for people, through a pseudo-terminal where we have a terminal; line by line; and
captured. In all of them both output streams are read at the same time, so that a chatty stderr can't block the
engine, and reading goes on when our own stdout is closed, so that the engine comes to its end.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from tfaudit.engine import child, terminal
from tfaudit.engine.argv import Call
from tfaudit.engine.child import Child, Write
from tfaudit.engine.output import Filtered, Lines, Output
from tfaudit.engine.scratch import out_of_the_way
from tfaudit.engine.signals import Relay
from tfaudit.engine.stdin import Input
from tfaudit.errors import InputError

_PIPE_SIZE: Final = 1024 * 1024
_MAX_STDERR: Final = 1024 * 1024
_LULL_MILLISECONDS: Final = 40
"""Too short for anybody who watches the lines come."""


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


class SideStream:
    """A second stream of lines beside the human output: what OpenTofu's ``-json-into=PATH`` writes."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self.lines = Lines(on_line)
        self.ours, theirs = os.pipe()
        self.theirs = out_of_the_way(theirs)

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
        fds, kept = [*pass_fds], [*stdout.survivor(), *stderr.survivor()]
        if side is not None:
            sinks[side.ours] = side.lines.write
            fds.append(side.theirs)
            kept.append(side.ours)

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
            kept=kept,
            feeding=stdin,
            opened=(stdout, stderr),
        )


def run_lines(
    engine: Sequence[str],
    call: Call,
    *,
    relay: Relay,
    on_line: Callable[[bytes], None],
    on_pause: Callable[[], None] = lambda: None,
    on_stderr: Write | None = None,
    pass_fds: Sequence[int] = (),
) -> Ended:
    """Run the engine without input, each line of its stdout (without newline) going to ``on_line``.

    ``on_pause`` is called when there is no further line for the moment, and at the end. Its stderr goes to
    ``on_stderr`` in chunks, by default to ours.
    """
    lines = Lines(on_line)

    def take(data: bytes) -> None:
        lines.write(data)
        on_pause()

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
            sinks={stdout.ours: take, stderr.ours: on_stderr or Output(2).write},
            pass_fds=pass_fds,
            kept=[*stdout.survivor(), *stderr.survivor()],
            opened=(stdout, stderr),
            lull=_LULL_MILLISECONDS,
        )
    lines.close()
    on_pause()
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

    Such a call changes nothing and soon ends, and what it tells is needed most when a run was interrupted: it gets the
    first signal only if it goes on for seconds after it. Raises :class:`~tfaudit.errors.InputError` when stdout is
    longer than ``limit`` bytes.
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
            shielded=True,
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
        """Return our end of a pipe, which must have a reader until the engine ends, also should tfaudit be killed."""
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
    kept: Sequence[int] = (),
    feeding: Input | None = None,
    opened: tuple[_Channel, ...] = (),
    shielded: bool = False,
    lull: int = 0,
) -> Ended:
    """Start the engine, move its output into ``sinks`` until it has ended, and say how."""
    before = relay.interrupts
    started: list[Child] = []

    def spawn() -> Child:
        stdio = (stdin, stdout, stderr)
        started.append(child.spawn(engine, call, relay, stdio, pass_fds, kept=kept, shielded=shielded))
        return started[0]

    relay.start(spawn)
    running = started[0]
    try:
        for channel in opened:
            channel.given()
        child.pump(running.exit_fd, sinks, feeding, lull=lull)
    finally:
        # Also when a sink failed: the engine is never left alone with a full pipe, nor we without its end.
        child.pump(running.exit_fd, dict.fromkeys(sinks, _discard), None)
        code = running.wait()
        relay.ended()
        running.close()
    killed = -code if code < 0 else None
    return Ended(code=128 + killed if killed else code, signal=killed, interrupts=relay.interrupts - before)


def _discard(data: bytes) -> None:
    """Take output that nobody wants any more."""
