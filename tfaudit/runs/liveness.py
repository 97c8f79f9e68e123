"""Is the run that wrote this intent still going on? On one machine a locked file tells, and a crash unlocks it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tfaudit.errors import LedgerError


class Mark:
    """A run's mark on its machine: a file that is locked as long as the process lives.

    It is removed by :meth:`done` alone. A run that ends without leaves it, unlocked: the next one knows that it died.
    """

    def __init__(self, spool: Path, run_id: str) -> None:
        self._path = _path(spool, run_id)
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LedgerError(f"can't mark the run in {self._path.parent}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def done(self) -> None:
        """Remove the mark: what came of the run is recorded, or waits in the spool."""
        self._path.unlink(missing_ok=True)


def is_alive(spool: Path, run_id: str) -> bool | None:
    """Return whether the run goes on on this machine; None where it left no mark here: it ran elsewhere."""
    try:
        fd = os.open(_path(spool, run_id), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def forget(spool: Path, run_id: str) -> None:
    """Remove the mark of a run that has been closed."""
    with suppress(OSError):
        _path(spool, run_id).unlink()


def _path(spool: Path, run_id: str) -> Path:
    return spool / "running" / run_id
