"""Which canonical names does what a source says give?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tfaudit.canonical import readable
from tfaudit.identity.people import canonical_name

MAX_CHARACTERS: Final = 300

_GITHUB: Final = re.compile(r"(?:(\d+)\+)?([^@+]+)@users\.noreply\.github\.com", re.ASCII)
_GITLAB: Final = re.compile(r"(\d+)-([^@]+)@users\.noreply\.gitlab\.com", re.ASCII)
_NOBODY: Final = frozenset({"noreply@github.com", "noreply@gitlab.com"})
"""What platforms commit as when a button is pressed there."""


def of_id(kind: str, value: str | None) -> tuple[str, ...]:
    """Return the name of an id; none of an empty or an overlong one."""
    if not value or len(value) > MAX_CHARACTERS:
        return ()
    return (canonical_name(f"{kind}:{readable(value)}"),)


def of_login(kind: str, value: str | None) -> tuple[str, ...]:
    """Return the name of a login. One of digits alone would pass for somebody else's id, and gives none."""
    return () if value is None or value.isdecimal() else of_id(kind, value)


def of_email(value: str | None) -> tuple[str, ...]:
    """Return the names that an e-mail address gives: itself, and the account that a forge's own address names."""
    if not value or "@" not in value or value.lower() in _NOBODY:
        return ()
    for pattern, kind in ((_GITHUB, "github"), (_GITLAB, "gitlab")):
        if found := pattern.fullmatch(value.lower()):
            return (*of_id(kind, found[1]), *of_login(kind, found[2]), *of_id("email", value))
    return of_id("email", value)


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in their order, each once."""
    return tuple(dict.fromkeys(names))
