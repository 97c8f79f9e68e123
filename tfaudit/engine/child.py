"""How does one engine process start, live beside tfaudit, and not outlive it by accident?

It gets the signal mask that tfaudit was started with, a process group of its own where that keeps signals from arriving
twice, and the order to stop, once, should tfaudit be killed.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from tfaudit.engine import find, terminal
from tfaudit.engine.argv import Call
from tfaudit.engine.signals import FORWARDED, Relay
from tfaudit.engine.stdin import Input
from tfaudit.errors import UnavailableError

Write = Callable[[bytes], None]

_CHUNK: Final = 64 * 1024
_HURRIED: Final = 64
"""How many reads follow one of a full pipe without a lull."""
_PATIENCE: Final = 3.0
# Ends by SIGKILL when the engine has ended, by the end of its input when tfaudit has.
_WATCH: Final = 'read -r engine; read -r end; kill -TERM "$engine"; for fd; do cat <"/dev/fd/$fd" & done; wait'


class _Watcher:
    """Tells the engine to stop should tfaudit be killed: it saves its state then, and frees its lock.

    A shell that waits for the end of a pipe whose other end only tfaudit holds. Linux's death signal (prctl) won't do:
    it is sent again for each thread that dies after the one that started the engine, and a second SIGTERM is the order
    to drop everything.

    It holds the ends of the engine's pipes that we read, too, and reads them when we no longer can: else the engine
    would die of SIGPIPE at its next line, with changes half made and not in the state. The engine itself could hold
    them, but whatever it starts would inherit them then, and could read there what is meant for us.
    """

    def __init__(self, kept: Sequence[int]) -> None:
        theirs, self._lifeline = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # a system without a shell has no watcher
            # In a session of its own, and with the run's signals blocked: nothing meant for us ends it.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, "sh", *map(str, kept)],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=kept,
            )
        os.close(theirs)

    @property
    def is_there(self) -> bool:
        """Whether there is one."""
        return self._process is not None

    def watch(self, pid: int) -> None:
        """Name the process to stop."""
        with suppress(BrokenPipeError):
            os.write(self._lifeline, b"%d\n" % pid)

    def dismiss(self) -> None:
        """End it: the engine has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        os.close(self._lifeline)


class _Process:
    """A child of ours by its number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._lock = threading.Lock()
        self._code: int | None = None

    def wait(self) -> int:
        """Return its exit code, or the negative number of the signal that ended it, when it has ended."""
        with self._lock:
            if self._code is None:
                try:
                    self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                except ChildProcessError:  # our caller has chosen to know of no child's end
                    self._code = 0
            return self._code

    def send(self, number: int) -> None:
        """Send it a signal, unless its end is known: another process may have its number by then."""
        if self._code is None:
            os.kill(self.pid, number)


class Child:
    """A running engine process; its descriptors are the caller's.

    ``exit_fd`` becomes readable when it ends. A shielded one gets the first signal only if it hasn't ended a
    few seconds later.
    """

    def __init__(self, process: _Process, watcher: _Watcher | None, *, own_group: bool) -> None:
        self.own_group = own_group
        self.quiet = self._shielded = watcher is None
        self._watcher = watcher
        self._process = process
        self._lock = threading.Lock()
        self._closed = False
        self._later: threading.Timer | None = None
        # A pidfd names this very process: no signal can go to another one that got its number.
        self._pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else -1
        self.exit_fd = self._pidfd if self._pidfd >= 0 else self._notice()

    def _notice(self) -> int:
        """Return a descriptor that becomes readable when the process ends, where there are no pidfds."""
        reader, writer = os.pipe()

        def wait() -> None:
            self._process.wait()
            os.close(writer)

        threading.Thread(target=wait, name="engine", daemon=True).start()
        return reader

    def send(self, number: int) -> None:
        """Send a signal; do nothing if it has ended."""
        if not self._shielded:
            self._deliver(number)
            return
        self._shielded = False
        self._later = threading.Timer(_PATIENCE, self._deliver, (number,))
        self._later.daemon = True
        self._later.start()

    def _deliver(self, number: int) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._closed:
                return
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                self._process.send(number)

    def wait(self) -> int:
        """Return its exit code, or the negative number of the signal that ended it, when it has ended."""
        return self._process.wait()

    def close(self) -> None:
        """Close :attr:`exit_fd`, when no more signals can be sent."""
        if self._watcher is not None:
            self._watcher.dismiss()
        if self._later is not None:
            self._later.cancel()
        with self._lock:
            self._closed = True
            os.close(self.exit_fd)


def spawn(
    engine: Sequence[str],
    call: Call,
    relay: Relay,
    stdio: tuple[int, int, int],
    pass_fds: Sequence[int],
    *,
    kept: Sequence[int] = (),
    shielded: bool,
) -> Child:
    """Start the engine, watched over unless it only reads; ``pass_fds`` are for it, ``kept`` outlive us if need be."""
    own_group = shielded or not terminal.is_foreground()
    watcher = None if shielded else _Watcher(kept)
    alone = watcher is None or not watcher.is_there
    try:
        with _inheritable((*pass_fds, *(kept if alone else ()))):
            pid = os.posix_spawn(
                engine[0],
                [find.called(engine), *engine[1:], *call.args],
                find.marked(call.env, call.args, own=find.own_path()),
                # All else that Python opened is closed by the exec (PEP 446); what our own caller left open for us is
                # the engine's too: ``-var-file=<(sops -d ...)`` is one.
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, fd, standard) for standard, fd in enumerate(stdio) if fd != standard
                ],
                setsigmask=relay.mask,
                setsigdef=_defaults(),
                setpgroup=0 if own_group else os.getpgrp(),
            )
    except OSError as error:
        if watcher is not None:
            watcher.dismiss()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UnavailableError(f"the engine {engine[0]} can't be started: {reason}") from error
    if watcher is not None:
        watcher.watch(pid)
    return Child(_Process(pid), watcher, own_group=own_group)


def _defaults() -> set[signal.Signals]:
    """Return the signals that do in the engine what they do by default, though Python or tfaudit took them."""
    taken = {number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN}
    return taken | {signal.SIGPIPE, signal.SIGXFSZ}


@contextmanager
def _inheritable(fds: Sequence[int]) -> Iterator[None]:
    """Let a process that is started meanwhile keep these descriptors under their numbers."""
    closed = [fd for fd in dict.fromkeys(fds) if not os.get_inheritable(fd)]
    for fd in closed:
        os.set_inheritable(fd, True)
    try:
        yield
    finally:
        for fd in closed:
            os.set_inheritable(fd, False)


def pump(exit_fd: int, sinks: dict[int, Write], feeding: Input | None, *, lull: int = 0) -> None:
    """Move output until the engine has ended and what it wrote has been taken.

    Not until every writer has gone: a process that a provisioner left behind may hold the pipe for days. After some
    output the next is left in its pipe for ``lull`` milliseconds: an engine that says a line ten times a moment must
    not pay for as many changes of the process that runs. One that fills its pipe meanwhile is not kept waiting.
    """
    live = dict(sinks)
    running = True
    hurried = 0
    ended = select.poll()
    ended.register(exit_fd, select.POLLIN)
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
                hurried = _HURRIED if _move(fd, live) == _CHUNK else max(0, hurried - 1)
            elif fd == exit_fd:
                running = False
            elif feeding is not None:
                feeding.feed()
        if lull and running and not hurried and ended.poll(lull):
            running = False
    for fd in tuple(live):
        os.set_blocking(fd, False)
        while fd in live and _move(fd, live):
            pass


def _move(fd: int, live: dict[int, Write]) -> int:
    """Move one chunk; return its size, 0 if there is no more now. A stream that ends is taken out of ``live``."""
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno != errno.EIO:  # how Linux says that nobody holds the other end of a pseudo-terminal
            raise
        data = b""
    if not data:
        del live[fd]
        return 0
    live[fd](data)
    return len(data)
