"""Which backend does a saved plan write its state to?

The engine applies a plan file with the backend that the file names, whatever ``init`` has set up in the working
directory. The file's member ``tfplan`` is a protocol buffer (``planfile.proto``); the backend's settings in it are
MessagePack.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from tfaudit.engine.variables import UNREADABLE, fields

_MAX_PLAN: Final = 1024 * 1024 * 1024
_BACKEND: Final = 13
_TYPE, _CONFIG, _WORKSPACE = 1, 2, 3
_MSGPACK: Final = 1  # DynamicValue's only field

# Made at import: msgspec lays a type out when it is first decoded, and two threads that both do so crash.
_config: Final = msgspec.msgpack.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBackend:
    """Where a saved plan puts the state."""

    type: str
    """``s3``, ``local`` …"""
    config: Mapping[str, object]
    """Its settings, null where they aren't set; may hold credentials."""
    workspace: str


def read(fd: int) -> PlanBackend | None:
    """Return the backend of the plan file behind ``fd``; None where it doesn't say one that can be read.

    The descriptor's position is lost.
    """
    try:
        with os.fdopen(os.dup(fd), "rb") as file, zipfile.ZipFile(file) as archive, archive.open("tfplan") as member:
            found = [content for number, content in fields(memoryview(member.read(_MAX_PLAN))) if number == _BACKEND]
            # Of a field that is there twice, protocol buffers take the parts of both.
            return _backend(memoryview(b"".join(found))) if found else None
    except (*UNREADABLE, msgspec.MsgspecError):
        return None


def _backend(message: memoryview) -> PlanBackend:
    parts = dict(fields(message))
    packed = dict(fields(parts.get(_CONFIG, memoryview(b"")))).get(_MSGPACK)
    return PlanBackend(
        type=str(parts.get(_TYPE, b""), "utf-8"),
        config=_config.decode(packed) if packed else {},
        workspace=str(parts.get(_WORKSPACE, b""), "utf-8"),
    )
