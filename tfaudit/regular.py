"""How is a file opened that may be anything: a pipe, a device, a folder?

A pipe in a file's place would be waited for, with the run's signals blocked, for as long as nobody opens its far end;
and what is read from one that was meant for the engine is gone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from tfaudit.errors import InputError


class NotAFileError(OSError):
    """There is something else than a file."""


def open_regular(path: Path) -> BinaryIO:
    """Return the file opened for reading; raises :class:`OSError`, for what is no file :class:`NotAFileError`."""
    # Looked at before it is opened: opening /dev/fd/N takes nothing from a pipe, but a device may do anything.
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotAFileError(0, "it is not a file")
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotAFileError(0, "it is not a file")
    return file


def read_regular(path: Path, *, limit: int) -> bytes:
    """Return the file's bytes, none when there is no file; raises :class:`InputError` for one that can't be read.

    So it does for one of more than ``limit`` bytes.
    """
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if len(data) > limit:
        raise InputError(f"{path} is larger than {limit} bytes")
    return data
