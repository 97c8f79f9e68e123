"""What does a CEL expression read of a change: told from its text, before it is evaluated?

Handing a change to the engine costs more than evaluating it, so only what some rule reads is handed over. The scan errs
on the side of more: wherever it can't follow, everything is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from tfaudit.errors import ConfigError

SIDES: Final = ("before", "after")

_QUOTED: Final = r"""(?P<prefix>[rRbB]{0,2})(?P<quote>'''|\"\"\"|'|")"""
_TOKEN: Final = re.compile(
    rf"""(?P<space>\s+|//[^\n]*)|(?P<string>{_QUOTED})|(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<mark>.)""",
    re.DOTALL | re.ASCII,
)
_POINTER: Final = re.compile(r"/([^/~\\]+)(?:/|$)")


class Token(NamedTuple):
    """One word of an expression."""

    kind: str
    """``string``, ``name``, ``number`` or ``mark``."""
    text: str
    """A string's without its quotes, escapes as they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What is read; None stands for everything."""

    fields: frozenset[str] | None = frozenset()
    """Members of ``change``."""
    members: frozenset[str] | None = frozenset()
    """Members of ``change.before`` and ``change.after``."""

    def joined(self, other: Reads) -> Reads:
        """Return what either reads."""
        return Reads(fields=_both(self.fields, other.fields), members=_both(self.members, other.members))


EVERYTHING: Final = Reads(fields=None, members=None)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other


def tokens(source: str) -> Iterator[Token]:
    """Yield the words of an expression; a string that has no end goes on to the end of the text."""
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:  # can't be: a mark is any character
            return
        at = found.end()
        kind = found.lastgroup or "mark"
        if found["string"] is not None:
            end = _end_of_string(source, at, found["quote"], raw="r" in found["prefix"].lower())
            yield Token("string", source[at:end])
            at = end + len(found["quote"])
        elif found["space"] is None:
            yield Token(kind, found[0])


def _end_of_string(source: str, at: int, quote: str, *, raw: bool) -> int:
    while at < len(source) and not source.startswith(quote, at):
        at += 2 if source[at] == "\\" and not raw else 1
    return min(at, len(source))


def names(source: str) -> frozenset[str]:
    """Return the names in an expression, and the texts: whoever reads the rule knows them."""
    return frozenset(token.text for token in tokens(source) if token.kind in ("name", "string"))


def check(source: str, what: str) -> None:
    """Raise :class:`ConfigError` for an expression that compares with ``null``, which nothing in a change ever is."""
    words = list(tokens(source))
    for at, word in enumerate(words):
        if word == Token("name", "null") and (at == 0 or words[at - 1].text != "."):
            raise ConfigError(
                f"{what} asks for null, which nothing is: what has no value is not there",
                hint="ask has(change.after.NAME), or !has(change.deposed)",
            )


def reads(sources: Iterable[str]) -> Reads:
    """Return what a set of expressions reads of a change."""
    found = Reads()
    for source in sources:
        words = [*tokens(source), *(Token("mark", "") for _ in range(4))]
        for at, word in enumerate(words):
            if word.kind == "name":
                found = found.joined(_read(words, at))
    return found


def _read(words: list[Token], at: int) -> Reads:
    """Return what the name at a place reads, with the members that follow it."""
    word = words[at].text
    if word in SIDES and words[at + 1].text == "(":
        return _by_pointer(word, words[at + 2])
    if word != "change":
        return Reads()
    path: list[str] = []
    at += 1
    while words[at].text == "." and words[at + 1].kind == "name" and words[at + 2].text != "(" and len(path) < 2:
        path.append(words[at + 1].text)
        at += 2
    if not path:
        return EVERYTHING
    first, *rest = path
    if first not in SIDES:
        return Reads(fields=frozenset({first}))
    return Reads(fields=frozenset({first}), members=frozenset(rest) or None)


def _by_pointer(side: str, argument: Token) -> Reads:
    """Return what ``after("/tags/owner", …)`` reads."""
    found = _POINTER.match(argument.text) if argument.kind == "string" else None
    return Reads(fields=frozenset({side}), members=frozenset({found[1]}) if found else None)
