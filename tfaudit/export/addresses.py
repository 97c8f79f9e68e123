"""Does a resource address lie under another: instances under their resource, everything under its module?

An address is read as pieces, ``module.m["a"].aws_x.y[0]`` as ``module``, ``m["a"]``, ``aws_x``, ``y[0]``. One covers
another when its pieces come first in it; a piece without an instance key covers every key.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tfaudit.errors import UsageError

_PIECE: Final = re.compile(r'([^.\[\]"\s]+)((?:\[(?:"(?:[^"\\]|\\.)*"|[^\]"]*)\])?)(?:\.|$)')
_KEY: Final = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|[^\]"]*)\]')
_PSEUDONYM: Final = re.compile(r'\["~[0-9a-f]{16}"\]')


class Piece(NamedTuple):
    """One step of an address."""

    name: str
    key: str
    """The instance key with its brackets; empty where there is none."""


Address = tuple[Piece, ...]


def parse(text: str) -> Address:
    """Return the pieces of an address; :class:`UsageError` for a text that is none."""
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            break
        pieces.append(Piece(match[1], match[2]))
        at = match.end()
    if not pieces or at < len(text) or text.endswith("."):
        raise UsageError(f"{text!r} is no resource address", hint="as in 'module.net.aws_vpc.main[0]', quoted")
    return tuple(pieces)


def recorded(text: object) -> Address | None:
    """Return the pieces of an address out of a record, None where it can't be read as one."""
    try:
        return parse(text) if isinstance(text, str) else None
    except UsageError:
        return None


def text(address: Address) -> str:
    """Return the address as it is written."""
    return ".".join(piece.name + piece.key for piece in address)


def base(address: Address) -> str:
    """Return the address without any instance key: what an index of resources goes by."""
    return ".".join(piece.name for piece in address)


def without_keys(text: str) -> str:
    """Return what :func:`base` returns, straight from the text."""
    return _KEY.sub("", text)


def covers(wanted: Address, address: Address) -> bool | None:
    """Tell whether ``address`` is ``wanted`` or lies under it; None where a pseudonym hides the key that decides."""
    if len(address) < len(wanted):
        return False
    hidden = False
    for want, have in zip(wanted, address, strict=False):
        if want.name != have.name:
            return False
        if want.key and want.key != have.key:
            if not _PSEUDONYM.fullmatch(have.key):
                return False
            hidden = True
    return None if hidden else True


def moved_from(wanted: Address, *, source: Address, target: Address) -> Address | None:
    """Return where what is at ``wanted`` now was before a move from ``source`` to ``target``; None if unmoved."""
    if covers(wanted, target):
        return source
    if covers(target, wanted):
        return source + wanted[len(target) :]
    return None
