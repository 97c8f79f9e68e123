"""Which change lines does an outcome belong to?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.commitment import decode_disclosure, encode_disclosure
from tfaudit.plan.outcome import IndexedChange


class _Line(msgspec.Struct):
    kind: str
    address: str = ""
    deposed: str | None = None
    actions: tuple[str, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Line)


class ChangeIndex:
    """The changes of an intent by their event ids, in order; built as its lines are written or read back."""

    def __init__(self) -> None:
        self._changes: list[IndexedChange] = []

    def add(self, event_id: str, line: bytes, disclosure: bytes = b"") -> None:
        """Add an event line; one that an apply does nothing about (drift, a check …) is passed over.

        ``disclosure`` is the ``values`` array of the line: it gives the address where the line holds a pseudonym.
        Raises :class:`InputError` for what is no event line.
        """
        try:
            parsed = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("an event line can't be read") from error
        if parsed.kind == "resource-change":
            actions = parsed.actions
        elif parsed.kind == "action-invocation":
            actions = ("invoke",)
        else:
            return
        address = _disclosed_address(disclosure) if '["~' in parsed.address else None
        self._changes.append(
            IndexedChange(event_id, address or parsed.address, parsed.address, parsed.deposed, actions)
        )

    def __iter__(self) -> Iterator[IndexedChange]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)


def _disclosed_address(disclosure: bytes) -> str | None:
    if not disclosure:
        return None
    for value in decode_disclosure(encode_disclosure(1, disclosure)).values:
        if value.pointer == "/address" and value.side == "value" and value.text is not None:
            address = json.loads(value.text)
            return address if isinstance(address, str) else None
    return None
