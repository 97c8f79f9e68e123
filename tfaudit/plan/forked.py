"""How does a second process take half of the work on a large plan?

A forked copy sees the parsed plan as it stands, does its part, leaves what it found in an unnamed temporary file of
mode 0600, and ends. Nothing of the parent's runs in it: not its signal handlers, not its exit hooks.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Final

from tfaudit.errors import InputError, InternalError

_MAX_PROCESSES: Final = 4
_INPUT_ERROR: Final = 65
_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def processes_for(size: int, *, at_least: int) -> int:
    """Return how many processes are worth having for ``size`` changes, of which each should get ``at_least``."""
    if sys.platform != "linux":  # elsewhere, system libraries do not survive a fork
        return 1
    return max(1, min(_MAX_PROCESSES, len(os.sched_getaffinity(0)), size // at_least))


class Forked:
    """A forked copy of this process that runs ``work``, which writes its result to the file it is given."""

    def __init__(self, work: Callable[[BinaryIO], None]) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        # Blocked before the fork, so that no signal meant for the parent is handled a second time in the copy.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                os._exit(_run(work, self._file))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        self._file.close()

    def result(self) -> BinaryIO:
        """Wait for the copy to end and return its file, at the beginning.

        Raises :class:`InputError` where the copy met one, :class:`InternalError` where it ended in another way.
        """
        pid, self._pid = self._pid, 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._file.seek(0)
        if code == _INPUT_ERROR:
            raise InputError(self._file.read().decode())
        if code != 0:
            raise InternalError(f"a process that reads a part of the plan ended with {code}")
        return self._file


def _run(work: Callable[[BinaryIO], None], file: BinaryIO) -> int:
    try:
        work(file)
        file.flush()
    except InputError as error:
        file.seek(0)
        file.truncate()
        file.write(error.message.encode())
        file.flush()
        return _INPUT_ERROR
    except BaseException:  # noqa: BLE001 - a forked copy must end here, whatever happens
        traceback.print_exc(limit=-1)
        return InternalError.exit_code
    return 0
