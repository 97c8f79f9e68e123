"""Where does the engine break its lines: greedily, at white space, never inside a word or at a no-break space."""

from __future__ import annotations

import re

# Go's unicode.IsSpace without the line feed (which ends a line anyway) and without U+00A0.
_SPACE = "\t\v\f\r \x85\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PART = re.compile(rf"[{_SPACE}]+|[^\n{_SPACE}]+")
_IS_SPACE = re.compile(rf"[{_SPACE}]")


def wrap(text: str, limit: int) -> str:
    """The text with line feeds put in so that lines hold at most ``limit`` characters, words longer than that aside.

    White space at a break is dropped; everything else stays as it is.
    """
    return "\n".join(_wrap_line(line, limit) for line in text.split("\n"))


def _wrap_line(line: str, limit: int) -> str:
    if len(line) <= limit:
        return line
    out: list[str] = []
    column = 0
    gap = ""
    for part in _PART.findall(line):
        if _IS_SPACE.match(part):
            gap = part
            continue
        # A word breaks off at the first letter that no longer fits, if it is still shorter than a whole line there.
        fits = limit - column - len(gap)
        if len(part) > fits and max(1, fits + 1) < limit:
            out.append("\n")
            column, gap = 0, ""
        out += (gap, part)
        column += len(gap) + len(part)
        gap = ""
    if column + len(gap) <= limit:
        out.append(gap)
    return "".join(out)
