"""How is a platform's JSON read: tolerant of what is new, strict about what is asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from tfaudit.identity import names
from tfaudit.runs.reviews.model import Unanswered

MAX_TEXT: Final = 320
"""Characters; what is read are names, times and digests."""
MAX_NUMBER: Final = 2**53


def is_number(value: str | None) -> bool:
    """Whether a variable of the environment holds an id as the platforms give them."""
    return value is not None and value.isascii() and value.isdigit() and len(value) <= 15


def member(value: object, *path: str) -> Any:  # noqa: ANN401 - foreign JSON
    """Return what lies at ``path``; None where any step of it is missing or null."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = cast(Mapping[str, object], value).get(name)
    return value


def text(value: object, *path: str) -> str:
    """Return the text at ``path``, one line of it; :class:`Unanswered` names it where there is none."""
    found = member(value, *path)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_TEXT or not found.isprintable():
        raise Unanswered(f"the answer has no {'.'.join(path)}")
    return found


def number(value: object, *path: str) -> int:
    """Return the integer at ``path``, an id for instance; :class:`Unanswered` names it where there is none."""
    found = member(value, *path)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MAX_NUMBER:
        raise Unanswered(f"the answer has no {'.'.join(path)}")
    return found


def items(value: object, *path: str) -> list[object]:
    """Return the array at ``path``; :class:`Unanswered` where there is none."""
    found = member(value, *path)
    if not isinstance(found, list):
        raise Unanswered(f"the answer has no list {'.'.join(path)}".rstrip())
    return cast(list[object], found)


def email(value: object, *path: str) -> str | None:
    """Return the canonical name of who has the address at ``path``; None where there is no address."""
    found = member(value, *path)
    is_address = isinstance(found, str) and 0 < len(found) <= MAX_TEXT and found.isprintable()
    return f"email:{found.lower()}" if is_address else None


def emails(value: object, *path: str) -> tuple[str, ...]:
    """Return all names that the address at ``path`` gives, such as the account that a forge's own address is of."""
    return names.of_email(member(value, *path)) if email(value, *path) is not None else ()
