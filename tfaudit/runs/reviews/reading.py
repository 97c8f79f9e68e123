"""How is a platform's JSON read: tolerant of what is new, strict about what is asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tfaudit.runs.reviews.model import Unanswered


def member(value: object, *path: str) -> Any:  # noqa: ANN401 - foreign JSON
    """Return what lies at ``path``; None where any step of it is missing or null."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = cast(Mapping[str, object], value).get(name)
    return value


def text(value: object, *path: str) -> str:
    """Return the text at ``path``; :class:`Unanswered` names it where there is none."""
    found = member(value, *path)
    if not isinstance(found, str) or not found:
        raise Unanswered(f"the answer has no {'.'.join(path)}")
    return found


def number(value: object, *path: str) -> int:
    """Return the integer at ``path``, an id for instance; :class:`Unanswered` names it where there is none."""
    found = member(value, *path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise Unanswered(f"the answer has no {'.'.join(path)}")
    return found


def items(value: object, *path: str) -> list[object]:
    """Return the array at ``path``; :class:`Unanswered` where there is none."""
    found = member(value, *path)
    if not isinstance(found, list):
        raise Unanswered(f"the answer has no list {'.'.join(path)}".rstrip())
    return cast(list[object], found)
