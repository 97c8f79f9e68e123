"""How results look: tables and colours on a terminal, JSON on request, our own lines on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, TextIO

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STYLES: Final = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2", "cyan": "36"}


def say(message: str) -> None:
    """Write one line of tfaudit's own to stderr. A stderr that is closed or full must not stop a run half way."""
    with suppress(OSError, ValueError):
        for line in message.split("\n"):
            print(f"tfaudit: {printable(line)}", file=sys.stderr)


def write_json(document: object) -> None:
    """Write one JSON document as one line to stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def printable(text: str) -> str:
    """Return ``text`` on one line, control and direction characters escaped as in JSON.

    A record's text must neither steer a terminal nor pass for a line of ours.
    """
    return _CONTROL.sub(lambda match: _SHORT.get(match.group()) or f"\\u{ord(match.group()):04x}", text)


def counted(number: int, what: str) -> str:
    """Return "1 record", or "2 records" and "0 records"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def style(text: str, name: str, *, stream: TextIO | None = None) -> str:
    """Return ``text`` in a colour where ``stream`` (stdout) is a terminal that wants it."""
    target = stream or sys.stdout
    if not target.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_STYLES[name]}m{text}\033[0m"


def table(rows: Iterable[Sequence[str]], *, header: Sequence[str]) -> str:
    """Return aligned columns, the last one unpadded, every cell made printable."""
    cells = [tuple(header), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(lines)
