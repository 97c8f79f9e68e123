"""Which variable files does a command line read, and which variables do they set?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tfaudit.engine.invocation import Invocation
from tfaudit.regular import open_regular

_MAX_FILE: Final = 16 << 20
_ASSIGNMENT: Final = re.compile(rb'^[ \t]*"?([\w-]+)"?[ \t]*=', re.MULTILINE)


def automatic(root: Path) -> Iterator[Path]:
    """Yield the files that the engine reads by itself, each overriding those before it."""
    yield root / "terraform.tfvars"
    yield root / "terraform.tfvars.json"
    yield from sorted((*root.glob("*.auto.tfvars"), *root.glob("*.auto.tfvars.json")), key=lambda path: path.name)


def named(invocation: Invocation, root: Path) -> Iterator[Path]:
    """Yield the files of ``-var-file``, in order."""
    return (root / name for name in invocation.values("var-file"))


def content(path: Path) -> bytes:
    """Return what is in a variable file, or nothing where there is no file that could be read twice."""
    try:
        with open_regular(path) as file:
            return file.read(_MAX_FILE)
    except OSError:
        return b""


def names(path: Path, text: bytes) -> frozenset[str]:
    """Return the variables that the ``text`` of the file ``path`` sets, some names too many rather than one too few."""
    if path.suffix != ".json":
        return frozenset(name.decode("utf-8", "replace") for name in _ASSIGNMENT.findall(text))
    try:
        return frozenset(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()
