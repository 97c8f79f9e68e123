"""Does a pattern mean this stack: ``*`` stands for any characters, all others for themselves."""

from __future__ import annotations

import re
from typing import Final

_PATTERN: Final = re.compile(r"[^\x00-\x1f\x7f]{1,300}")


def matches(pattern: str, stack: str) -> bool:
    """Tell whether a stack's whole name matches: ``*`` stands for any characters, all others for themselves."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == stack
    *middle, last = rest
    at, end = len(first), len(stack) - len(last)
    if at > end or not stack.startswith(first) or not stack.endswith(last):
        return False
    for part in middle:
        at = stack.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def is_pattern(text: object) -> bool:
    """Tell whether ``text`` may be a stack pattern: 1 to 300 characters, none of them a control character."""
    return isinstance(text, str) and bool(_PATTERN.fullmatch(text))
