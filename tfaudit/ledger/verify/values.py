"""Does a disclosure open what this document commits to: any line or statement, any commitment, no hurry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tfaudit.errors import InputError
from tfaudit.events import commitment
from tfaudit.ledger import commit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfaudit.events.commitment import Disclosed

_DEPTH = 64


class Opened(NamedTuple):
    """What came of one line's disclosure."""

    opened: int
    """Values that opened their digests."""
    unopened: str | None
    """Which value opens nothing."""
    undisclosed: str | None
    """Which digest nothing was disclosed for."""
    lacking: bool = False
    """Whether a value that another record may have stated to be erased is gone."""


def check(
    document: Mapping[str, Any],
    record_id: str,
    values: Sequence[Disclosed],
    *,
    erased: bool,
    address: str = "",
    may_lack: frozenset[str] = frozenset(),
) -> Opened:
    """Hold ``values`` against all that ``document`` commits to.

    ``document`` is an event line, whose ``address`` is given, or a statement's predicate. ``erased`` tells that an
    erasure was recorded, so that values may be missing; of the pointers ``may_lack`` another record may tell that.
    """
    deposed = document.get("deposed")
    wanted = dict(commitments(document))
    count = 0
    lacking = False
    for value in values:
        place = (value.pointer, value.side)
        if value.salt is None:
            known = wanted.pop(place, None) is not None
            if known and value.pointer in may_lack:
                lacking = True
            elif not erased:
                return Opened(count, f"{value.pointer} ({value.side}) was erased, and no record says so", None)
            continue
        digest = wanted.pop(place, None) or _pseudonym(document, record_id, value)
        text = deposed if isinstance(deposed, str) else None
        if digest is None or not commitment.opens(digest, record_id, address, text, value):
            return Opened(count, f"{value.pointer} ({value.side}) does not open its digest", None)
        count += 1
    missing = next(iter(wanted), None)
    if missing is None or erased:
        return Opened(count, None, None, lacking)
    return Opened(count, None, f"{missing[0]} ({missing[1]})", lacking)


def commitments(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield ((pointer, side), digest) of all that a line or predicate commits to, but for pseudonyms."""
    for key, value in document.items():
        if key == "attributes" and isinstance(value, list):
            for attribute in value:
                if isinstance(attribute, dict):
                    yield from _attribute(attribute)
        else:
            yield from _walk(f"/{_token(key)}", value, 0)


def _attribute(attribute: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for side in ("before", "after"):
        digest = attribute.get(side)
        if isinstance(digest, str):
            yield (str(attribute.get("path")), side), digest


def _walk(pointer: str, value: object, depth: int) -> Iterator[tuple[tuple[str, str], str]]:
    if depth > _DEPTH:
        return
    match value:
        case {"digest": digest, **rest} if not rest and commit.is_digest(digest):
            yield (pointer, "value"), digest
        case dict():
            for key, member in value.items():
                yield from _walk(f"{pointer}/{_token(key)}", member, depth + 1)
        case list():
            for at, member in enumerate(value):
                yield from _walk(f"{pointer}/{at}", member, depth + 1)


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pseudonym(document: Mapping[str, Any], record_id: str, value: Disclosed) -> str | None:
    """Return the digest that opens ``value`` where its place holds an address with the digest's first digits."""
    if value.side != "value" or value.salt is None or value.text is None:
        return None
    here: Any = document
    for token in value.pointer.split("/")[1:]:
        if isinstance(here, dict):
            here = here.get(token.replace("~1", "/").replace("~0", "~"))
        elif isinstance(here, list) and token.isdecimal() and len(token) < 10 and int(token) < len(here):
            here = here[int(token)]
        else:
            return None
    deposed = document.get("deposed")
    text = deposed if isinstance(deposed, str) else None
    try:
        digest = commitment.value_digest(record_id, "", text, value.pointer, value.side, value.salt, value.text)
    except InputError:
        return None
    return digest if isinstance(here, str) and f"~{digest[:16]}" in here else None
