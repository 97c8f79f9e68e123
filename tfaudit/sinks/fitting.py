"""What of a document is left out where the whole is too large for its sink?

The ledger keeps all of it. What stays is who did what to which resource and when; values go first, the largest ones
before the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tfaudit.events import shapes
from tfaudit.sinks.model import Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import Shape

LARGEST: Final = (16_384, 2_048, 256)
"""Bytes that a value may still have, from one try to the next."""
KEPT: Final = frozenset({"id", "time", "kind", "record_id", "run_id", "record", "event_id", "stack", "address", "log"})
"""What a document is of no use without; a checkpoint that is cut anchors nothing."""
_encoder: Final = msgspec.json.Encoder()


class Fitted(NamedTuple):
    """A document's bytes as they go out."""

    content: bytes
    note: str | None
    """What was left out; None where it is whole."""


def fitted(body: Mapping[str, Any], schema: Shape, most: int) -> Fitted | Refused:
    """Return the document in its schema, in at most ``most`` bytes; :class:`Refused` where even its bones have more."""
    whole = shapes.encode(shapes.shape(schema, body))
    if len(whole) <= most:
        return Fitted(whole, None)
    for size in LARGEST:
        content = _shaped(_shorter(body, size), schema)
        if len(content) <= most:
            return Fitted(content, f"values of more than {size} bytes were left out: the whole has {len(whole)}")
    bones = _shorter({key: value for key, value in body.items() if key != "attributes"}, LARGEST[-1])
    content = _shaped((bones[0] | {"attributes": []}, bones[1] | {"attributes"}), schema)
    if len(content) <= most:
        return Fitted(content, f"all attributes were left out: the whole has {len(whole)} bytes")
    return Refused(reason=f"it has {len(whole)} bytes, where {most} are taken")


def _shaped(shorter: tuple[dict[str, Any], set[str]], schema: Shape) -> bytes:
    body, lost = shorter
    return shapes.encode(shapes.shape(schema, body | {"shortened": sorted(lost)}))


def _shorter(body: Mapping[str, Any], size: int) -> tuple[dict[str, Any], set[str]]:
    """Return the body without what has more than ``size`` bytes, and the names of the members that lost something."""
    found: dict[str, Any] = {}
    lost: set[str] = set()
    for key, value in body.items():
        if key in KEPT:
            found[key] = value
        elif key == "attributes" and isinstance(value, list | tuple):
            found[key] = [_attribute(attribute, size) for attribute in value]
        else:
            found[key] = _less(value, size)
        if found[key] != value:
            lost.add(key)
    return found, lost


def _attribute(attribute: Mapping[str, Any], size: int) -> dict[str, Any]:
    large = [side for side in ("before", "after") if len(_encoder.encode(attribute.get(side))) > size]
    return {**attribute, **dict.fromkeys(large), **({"withheld": True} if large else {})}


def _less(value: object, size: int) -> object:
    """Return the value, its texts cut and its lists empty; what else is too large becomes null, whole."""
    if len(_encoder.encode(value)) <= size:
        return value
    match value:
        case str():
            return value.encode()[:size].decode(errors="ignore") + "…"
        case dict():
            return {key: _less(inner, size) for key, inner in value.items()}
        case list() | tuple():
            return []
        case _:
            return None
