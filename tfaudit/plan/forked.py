"""How does a second process take half of the work on a large plan?

A forked copy sees the parsed plan as it stands and works ahead, part by part, into an unnamed temporary file of mode
0600; the parent takes each part when it comes to it. Nothing of the parent's runs in the copy: not its signal handlers,
not its exit hooks.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Final

from tfaudit.errors import InputError, InternalError

_MAX_PROCESSES: Final = 4
_LENGTH: Final = struct.Struct(">Q")
_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def processes_for(size: int, *, at_least: int) -> int:
    """Return how many processes are worth having for ``size`` changes, of which each should get ``at_least``."""
    if sys.platform != "linux":  # elsewhere, system libraries do not survive a fork
        return 1
    return max(1, min(_MAX_PROCESSES, len(os.sched_getaffinity(0)), size // at_least))


class Forked:
    """A forked copy of this process that makes the ``parts``, one after the other, while the parent goes on."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        import tempfile

        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._taken = 0
        self._lengths, lengths = os.pipe()
        # Blocked before the fork, so that no signal meant for the parent is handled a second time in the copy.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                os.close(self._lengths)
                os._exit(_write(parts, self._file, lengths))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(lengths)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        os.close(self._lengths)
        self._file.close()

    def next_part(self) -> bytes:
        """Return the next part, waiting for it.

        Raises :class:`InputError` where the copy met one, :class:`InternalError` where it ended in another way.
        """
        length = os.read(self._lengths, _LENGTH.size)
        if not length:
            raise self._reason()
        # The copy writes at the offset that both share; reading must not move it.
        part = os.pread(self._file.fileno(), _LENGTH.unpack(length)[0], self._taken)
        self._taken += len(part)
        return part

    def _reason(self) -> InputError | InternalError:
        pid, self._pid = self._pid, 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == InputError.exit_code:
            return InputError(os.pread(self._file.fileno(), 1 << 16, self._taken).decode())
        return InternalError(f"a process that reads a part of the plan ended with {code}")


def _write(parts: Iterator[bytes], file: BinaryIO, lengths: int) -> int:
    try:
        for part in parts:
            file.write(part)
            file.flush()
            os.write(lengths, _LENGTH.pack(len(part)))
    except InputError as error:
        file.write(error.message.encode())
        file.flush()
        return InputError.exit_code
    except BaseException:  # noqa: BLE001 - a forked copy must end here, whatever happens
        traceback.print_exc(limit=-1)
        return InternalError.exit_code
    return 0
