"""Which texts does a pattern stand for, in which ``*`` is any characters and ``?`` one, whoever wrote it?

Somebody else's pattern must not cost more than its length times the text's: where a part between two asterisks is
found, no other place is tried for it.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4_096)
def compiled(pattern: str, *, one: str = ".") -> re.Pattern[str]:
    """Return the expression that matches such texts, whole; ``one`` is the expression for a question mark."""
    first, *rest = (
        "".join(one if character == "?" else re.escape(character) for character in part) for part in pattern.split("*")
    )
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
