"""What did the warnings say that the engine has printed for people itself?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tfaudit.engine.human.diagnostics import Diagnostic, is_check

WARNING = "Warning: "
TOP = "╷"
"""The top edge of a box, which only coloured output has."""

_SGR = re.compile(rb"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"  on (?P<file>.+) line (?P<line>\d+)(?:, in (?P<context>.*))?:$")
_SIMILAR = re.compile(r"\(and (one|\d+) more similar warnings? elsewhere\)$")


def plain(line: bytes) -> str:
    """The line without its colours and its end."""
    return _SGR.sub(b"", line).rstrip(b"\r\n").decode("utf-8", "replace")


def split_warnings(lines: Sequence[bytes], *, boxed: bool) -> tuple[bytes, list[Diagnostic]]:
    """What stands before the first warning, and the warnings; each lasts until the next one begins.

    ``boxed``: they were printed in colour, in boxes; else a warning is a paragraph of its own line between blank ones.
    """
    texts = [plain(line) for line in lines]
    if boxed:
        starts = [at for at, text in enumerate(texts) if text == TOP]
    else:
        starts = [at - 1 for at in range(1, len(texts)) if texts[at].startswith(WARNING) and _alone(texts, at)]
    if not starts:
        return b"".join(lines), []
    ends = [*starts[1:], len(lines)]
    blocks = [lines[start:end] for start, end in zip(starts, ends, strict=True)]
    return b"".join(lines[: starts[0]]), [_parse(block, boxed=boxed) for block in blocks]


def _alone(texts: Sequence[str], at: int) -> bool:
    return not texts[at - 1] and not texts[min(at + 1, len(texts) - 1)]


def _parse(block: Sequence[bytes], *, boxed: bool) -> Diagnostic:
    lines = [line.replace(b"\r", b"").decode("utf-8", "replace") for line in block]
    texts = [plain(line) for line in block]
    if boxed:
        texts = [text.removeprefix("│").removeprefix(" ") for text in texts]
    summary = next((text for text in texts if text.startswith(WARNING)), "").removeprefix(WARNING)
    place = next((found for text in texts if (found := _PLACE.match(text))), None)
    similar = _similar(texts)
    if similar:
        # The sentence has a blank line above it, and below it at most the bottom edge.
        at = len(lines) - (3 if boxed else 2)
        del lines[at : at + 2]
    warning = Diagnostic(severity="warning", summary=summary, printed="".join(lines), similar=similar)
    if place is None:
        return warning
    return replace(
        warning,
        filename=place["file"],
        line=int(place["line"]),
        check=is_check(summary, place["context"]),
    )


def _similar(texts: Sequence[str]) -> int:
    last = [text for text in texts if text not in ("", "╵")][-1:]
    found = _SIMILAR.match(last[0]) if last else None
    if not found:
        return 0
    return 1 if found[1] == "one" else int(found[1])
