"""What do we know of the terminal, and how does the engine get one like it?"""

from __future__ import annotations

import fcntl
import os
import termios
from contextlib import suppress
from typing import Final

DEFAULT_WIDTH: Final = 78
"""The columns that the engine wraps at where there is no terminal."""


def open_like(fd: int) -> tuple[int, int]:
    """Return the two ends of a pseudo-terminal of the size of the terminal ``fd``: ours, the engine's.

    It changes no byte: newlines become carriage returns and newlines in the real terminal, once.
    """
    ours, theirs = os.openpty()
    modes = termios.tcgetattr(theirs)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    copy_size(fd, ours)
    return ours, theirs


def copy_size(source: int, target: int) -> None:
    """Give a terminal the size of another; do nothing if either is gone."""
    with suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))


def is_foreground() -> bool:
    """Whether this process belongs to the foreground job of its terminal, which gets what is typed as signals."""
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)
