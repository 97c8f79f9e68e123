"""Which signals reach the engine, and how often?

A run must outlive Ctrl-C and the runner's SIGTERM, because the record of an interrupted change is written after it, and
the engine must get each of them exactly once: it takes a second one as the order to drop everything. So they are
blocked for the length of a run, and one thread takes them from the kernel:

- typed at the terminal, the kernel has sent it to the whole foreground process group, the engine included: nothing is
  forwarded;
- sent by a process (``kill``, a CI runner, ``timeout``), it came to tfaudit alone: it is forwarded;
- where tfaudit isn't a terminal's foreground job, the engine has a process group of its own, so that what is sent to
  ours doesn't reach it by another way: everything is forwarded;
- sent twice by one process within a moment, as ``timeout`` does (to its child and to the group), it is one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, Self

FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SI_KERNEL: Final = 0x80
_TERMINAL: Final = -1
_UNKNOWN: Final = -2
_MOMENT: Final = 0.5


class Interrupted(Exception):
    """A signal came while tfaudit itself was waiting; ``signal`` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Receiver(Protocol):
    """A running engine that signals can be sent to."""

    own_group: bool
    """Whether it lives outside tfaudit's process group."""
    quiet: bool
    """Whether it only reads, so that a signal that comes meanwhile is meant for the run."""

    def send(self, number: int) -> None:
        """Send a signal to the engine; do nothing if it has ended."""


class Relay:
    """Takes the signals of one run and passes them on to the engine that is running, if one is.

    A context manager; enter it in the main thread before any other thread starts, for a thread without the mask would
    take the signals too. ``interrupts`` counts the signals that came, ``last`` is the latest; ``unheeded`` is one that
    came while no engine ran that it was meant for, until someone heeds it; ``wake_fd`` becomes readable with each.
    """

    def __init__(self) -> None:
        self.interrupts = 0
        self.last: int | None = None
        self.unheeded: int | None = None
        self.on_resize: Callable[[], None] | None = None
        self.on_start: Callable[[], None] | None = None
        """Called once, when an engine has been started."""
        self.mask: set[signal.Signals | int] = set()
        """The signal mask from before the run: the engine gets this one."""
        self._lock = threading.Lock()
        self._receiver: Receiver | None = None
        self._stopping = False
        self._arrived = (0, _UNKNOWN, 0.0)
        self._thread: threading.Thread | None = None
        self.wake_fd = self._wake_end = -1

    def __enter__(self) -> Self:
        self.wake_fd, self._wake_end = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(self._wake_end, False)
        # One that the caller has chosen to ignore (nohup, a shell's background job) stays ignored, here and in the
        # engine: blocked, Linux would deliver it all the same.
        watched = {number for number in FORWARDED if signal.getsignal(number) is not signal.SIG_IGN}
        watched.add(signal.SIGWINCH)
        self.mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, watched))
        self._thread = threading.Thread(target=self._watch, args=(watched,), name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        if self._thread is not None and self._thread.ident is not None:
            with suppress(ProcessLookupError):
                signal.pthread_kill(self._thread.ident, signal.SIGWINCH)
            self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        os.close(self.wake_fd)
        os.close(self._wake_end)

    def start(self, spawn: Callable[[], Receiver]) -> None:
        """Start an engine and pass signals on to it from now on; one that comes meanwhile waits for that.

        One that came too late to be heeded before the start is passed on at once, unless the engine only reads: else an
        apply would go on as if nobody had asked it to stop.
        """
        with self._lock:
            self._receiver = receiver = spawn()
            if self.unheeded is not None and not receiver.quiet:
                number, self.unheeded = self.unheeded, None
                receiver.send(number)
        begin, self.on_start = self.on_start, None
        if begin is not None:
            begin()

    def ended(self) -> None:
        """Forget the engine that was started: it has ended."""
        with self._lock:
            self._receiver = None

    def heed(self) -> None:
        """Raise :class:`Interrupted` if a signal has come while no engine ran that it was meant for; each only once.

        Makes ``wake_fd`` unreadable until the next signal.
        """
        with suppress(BlockingIOError):
            while os.read(self.wake_fd, 4096):
                pass
        number, self.unheeded = self.unheeded, None
        if number is not None:
            raise Interrupted(number)

    def _watch(self, watched: set[signal.Signals]) -> None:
        while True:
            number, sender = _wait(watched)
            if self._stopping:
                return
            if number == signal.SIGWINCH:
                resize = self.on_resize
                if resize is not None:
                    resize()
                continue
            if self._is_echo(number, sender):
                continue
            with self._lock:
                self.interrupts += 1
                self.last = number
                receiver = self._receiver
                if receiver is None or receiver.quiet:
                    self.unheeded = number
                if receiver is not None and (receiver.own_group or sender != _TERMINAL):
                    receiver.send(number)
            with suppress(BlockingIOError):
                os.write(self._wake_end, b"!")

    def _is_echo(self, number: int, sender: int) -> bool:
        """Whether this is the same signal from the same process as a moment ago."""
        before, moment = self._arrived, time.monotonic()
        self._arrived = (number, sender, moment)
        return sender > 0 and before[:2] == (number, sender) and moment - before[2] < _MOMENT


def _wait(watched: set[signal.Signals]) -> tuple[int, int]:
    """Return the next signal and the process that sent it, or _TERMINAL, or _UNKNOWN."""
    if hasattr(signal, "sigwaitinfo"):
        arrived = signal.sigwaitinfo(watched)
        return arrived.si_signo, _TERMINAL if arrived.si_code == _SI_KERNEL else arrived.si_pid
    # macOS can't tell who sent it: of these, a terminal makes only SIGINT.
    number = signal.sigwait(watched)
    return number, _TERMINAL if number == signal.SIGINT else _UNKNOWN
