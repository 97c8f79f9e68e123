"""Which bytes are a proof of one event: format ``tfaudit-proof/v1``, parsed strictly and written.

A proof is one line of canonical JSON (``schemas/proof.v1.schema.json``) that holds all that someone without the ledger
needs: the event line and its path to the record's event root, the record's signed line 1, the commit that adopted it,
every commit that changed keys, the newest commit, each with its path to the log's root, the signed checkpoint with that
root, and genesis. It says only what it says; :mod:`tfaudit.export.proofcheck` tells whether it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.events.commitment import SALT_SIZE, Disclosed
from tfaudit.ledger import ids
from tfaudit.signing import b64

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT: Final = "tfaudit-proof/v1"
MAX_PROOF: Final = 256 << 20
MAX_PATH: Final = 64
"""Steps of a path: a tree of 2^63 leaves needs no more."""

_EVENT_ID: Final = re.compile(r"([0-9a-f-]{36})/(0|[1-9][0-9]{0,8})")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """An entry of a tree, and its path to the root."""

    entry: bytes
    """What is hashed: a line without its newline, or a commit's header with all of its newlines."""
    position: int
    """The leaf's index."""
    path: tuple[bytes, ...]
    """From the leaf up (RFC 6962, section 2.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A parsed proof; nothing about it is verified."""

    record_id: str
    number: int
    """The event line's number in its record; 0 for the record's statement itself."""
    anchor: str
    """``sha256:`` and the digest of genesis."""
    genesis: bytes
    event: Included | None
    """None exactly where the statement itself is what is proven."""
    event_values: tuple[Disclosed, ...]
    """Values that the event line commits to and that the proof reveals."""
    record: Included
    """The record's line 1 in the log's tree."""
    record_values: tuple[Disclosed, ...]
    """Likewise, of the statement."""
    commits: tuple[Included, ...]
    """In log order: those that changed keys, the one that adopted the record, and the newest."""
    checkpoint: bytes

    @property
    def event_id(self) -> str:
        """``<record id>/<number>``."""
        return f"{self.record_id}/{self.number}"


def parse_event_id(text: str) -> tuple[str, int]:
    """Return the record id and the number of an event id; :class:`InputError` for any other text."""
    match = _EVENT_ID.fullmatch(text)
    if not match or not ids.is_record_id(match[1]):
        raise InputError(
            f"{text[:80]!r} is not an event's id", hint="a record's id, a slash, a number; `tfaudit history` shows them"
        )
    return match[1], int(match[2])


def encode(proof: Proof) -> bytes:
    """Return the proof's bytes, with the newline; :class:`InputError` for an entry that is no UTF-8."""
    event = proof.event
    document = {
        "format": FORMAT,
        "event_id": proof.event_id,
        "anchor": proof.anchor,
        "genesis": _text(proof.genesis),
        "event": None
        if event is None
        else {"line": _text(event.entry), "path": _path(event.path), "values": _values(proof.event_values)},
        "record": {
            "line": _text(proof.record.entry),
            "position": proof.record.position,
            "path": _path(proof.record.path),
            "values": _values(proof.record_values),
        },
        "commits": [
            {"entry": _text(one.entry), "position": one.position, "path": _path(one.path)} for one in proof.commits
        ],
        "checkpoint": _text(proof.checkpoint),
    }
    return canonical.encode(document) + b"\n"


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError("what is to be proven is not UTF-8, and no proof can hold it") from error


def _path(path: Sequence[bytes]) -> list[str]:
    return [b64.encode(step) for step in path]


def _values(values: Sequence[Disclosed]) -> list[list[str]]:
    return [
        [value.pointer, value.side, b64.encode(value.salt), _text(value.text)]
        for value in values
        if value.salt is not None and value.text is not None
    ]


def parse(raw: bytes) -> Proof:
    """Return the proof of a file's bytes; :class:`InputError` unless they are just what :func:`encode` would write."""
    if len(raw) > MAX_PROOF:
        raise InputError(f"the proof is longer than {MAX_PROOF} bytes")
    if not raw.endswith(b"\n"):
        raise InputError("the proof does not end in a newline")
    match canonical.decode(raw[:-1], what="the proof"):
        case {"format": str(version)} if version != FORMAT:
            raise InputError(f"the proof is of format {version[:40]!r}, which this version of tfaudit does not know")
        case {
            "format": _,
            "event_id": str(event_id),
            "anchor": str(anchor),
            "genesis": str(genesis),
            "event": event,
            "record": {"line": str(line), "position": position, "path": path, "values": values, **more},
            "commits": [_, *_] as commits,
            "checkpoint": str(checkpoint),
            **rest,
        } if not rest and not more and _DIGEST.fullmatch(anchor):
            record_id, number = parse_event_id(event_id)
            shown, event_values = _parse_event(event, number)
            return Proof(
                record_id=record_id,
                number=number,
                anchor=anchor,
                genesis=genesis.encode(),
                event=shown,
                event_values=event_values,
                record=Included(entry=line.encode(), position=_position(position), path=_parse_path(path)),
                record_values=_parse_values(values),
                commits=tuple(_commit(one) for one in commits),
                checkpoint=checkpoint.encode(),
            )
    raise InputError("the proof has not exactly the parts of its format")


def _parse_event(document: object, number: int) -> tuple[Included | None, tuple[Disclosed, ...]]:
    match document:
        case None if number == 0:
            return None, ()
        case {"line": str(line), "path": path, "values": values, **rest} if not rest and number > 0:
            included = Included(entry=line.encode(), position=number - 1, path=_parse_path(path))
            return included, _parse_values(values)
    raise InputError("the proof has an event where its id names none, or lacks it")


def _commit(document: object) -> Included:
    match document:
        case {"entry": str(entry), "position": position, "path": path, **rest} if not rest:
            return Included(entry=entry.encode(), position=_position(position), path=_parse_path(path))
    raise InputError("the proof has a commit that is not an entry and its path")


def _position(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError("the proof has a position that is none")
    return value


def _parse_path(steps: object) -> tuple[bytes, ...]:
    if not isinstance(steps, list) or len(steps) > MAX_PATH:
        raise InputError("the proof has a path that is none")
    return tuple(_fixed(step, 32, "a path's step") for step in steps)


def _parse_values(members: object) -> tuple[Disclosed, ...]:
    if not isinstance(members, list):
        raise InputError("the proof has values that are not a list")
    values = tuple(_value(member) for member in members)
    if len({(value.pointer, value.side) for value in values}) != len(values):
        raise InputError("the proof reveals a value twice")
    return values


def _value(member: Any) -> Disclosed:  # noqa: ANN401 - foreign JSON
    match member:
        case [str(pointer), "before" | "after" | "value" as side, salt, str(text)]:
            return Disclosed(pointer, side, _fixed(salt, SALT_SIZE, "a value's salt"), text.encode())
    raise InputError("the proof reveals a value that is not pointer, side, salt and text")


def _fixed(text: object, size: int, what: str) -> bytes:
    content = b64.decode(text, what=what) if isinstance(text, str) else b""
    if len(content) != size:
        raise InputError(f"the proof has {what} that is not {size} bytes")
    return content
