"""What does the engine's own JSON say: which backend ``init`` has set up, and which version of the state this is?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.regular import read_regular

_MAX_STATE: Final = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The backend that ``init`` has set up."""

    type: str
    """``s3``, ``local``, ``cloud`` …"""
    config: Mapping[str, object]
    """Its settings as stored, null where they aren't set; may hold credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateId:
    """Which state, and which version of it."""

    lineage: str
    """Empty before the first write."""
    serial: int


class _BackendPart(msgspec.Struct):
    type: str = ""
    config: dict[str, object] | None = None


class _BackendFile(msgspec.Struct):
    backend: _BackendPart | None = None
    state_store: _BackendPart | None = None


class _StateFile(msgspec.Struct):
    serial: int = 0
    lineage: str = ""


# Made at import: msgspec lays a Struct's fields out when it is first decoded, and two threads that both do so crash.
_backend_file: Final = msgspec.json.Decoder(_BackendFile)
_state_file: Final = msgspec.json.Decoder(_StateFile)


def backend(data: bytes, *, what: str) -> Backend | None:
    """Return the backend that ``init`` stored as ``data``, None where it stored none.

    Raises :class:`~tfaudit.errors.InputError` for what ``init`` doesn't write.
    """
    try:
        stored = _backend_file.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{what} is not what init writes: {error}") from error
    part = stored.backend or stored.state_store
    return Backend(type=part.type, config=part.config or {}) if part is not None and part.type else None


def read_state_id(path: Path) -> StateId | None:
    """Return lineage and serial of a state file, None when there is no file or nothing in it.

    Raises :class:`~tfaudit.errors.InputError` for what is no state file.
    """
    return parse_state_id(read_regular(path, limit=_MAX_STATE), what=str(path))


def parse_state_id(data: bytes, *, what: str) -> StateId | None:
    """Return lineage and serial of a state's JSON (``state pull`` prints nothing when there is no state)."""
    if not data.strip():
        return None
    try:
        state = _state_file.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{what} is no state file: {error}") from error
    return StateId(lineage=state.lineage, serial=state.serial)
