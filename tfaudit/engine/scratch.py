"""Where does a plan or a big JSON lie while tfaudit works on it?

On Linux in memory, without a name that anyone could open or swap: a memfd, handed to the engine as
``/proc/self/fd/N`` and sealed once it is written. Elsewhere in a folder of mode 0700.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_OUT_OF_THE_WAY: Final = 100
_ABOVE_THE_STREAMS: Final = 10


def out_of_the_way(fd: int) -> int:
    """Return the descriptor under a high number, closed under its own.

    Terraform before 1.1 and some version switchers start the engine as a child that finds its streams at 3, 4 and 5: a
    plan written to ``/proc/self/fd/5`` would be written to its stderr.
    """
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:  # no process here may have as many: then above the three streams and their three copies
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_THE_STREAMS)
    os.close(fd)
    return high


class Scratch:
    """A private file that engines write and read by :attr:`path`, with :attr:`fds` passed to them."""

    def __init__(self, name: str) -> None:
        """``name`` only shows in process listings."""
        self._folder: Path | None = None
        if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
            self.fd = out_of_the_way(os.memfd_create(f"tfaudit-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            self.path = f"/proc/self/fd/{self.fd}"
            self.fds: tuple[int, ...] = (self.fd,)
        else:
            import tempfile

            self._folder = Path(tempfile.mkdtemp(prefix="tfaudit-"))
            self.path = str(self._folder / name)
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.fds = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Its length in bytes; 0 when nothing was written."""
        return os.fstat(self.fd).st_size

    def seal(self) -> None:
        """Let nobody change it any more, this process included. Does nothing where the system can't."""
        if self._folder is None:
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    def digest(self) -> str:
        """Return the SHA-256 of its bytes, in hexadecimal."""
        import hashlib

        with os.fdopen(os.dup(self.fd), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def close(self) -> None:
        """Remove it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
