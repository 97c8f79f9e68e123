"""What does a saved plan file itself say: which state it is for, and which variables must be given again?

Neither is in ``show -json``. The file is a zip of ``tfplan`` (protocol buffers, ``planfile.proto``) and ``tfstate``; a
remote plan's file is a bookmark, an encrypted one JSON with the state's identity in clear. A file that can't be looked
into costs these facts, not the run.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import IO, Final

import msgspec

_MAX_MEMBER: Final = 1024 * 1024 * 1024
_MAX_JSON: Final = 1024 * 1024
_HEAD: Final = 4096
_SERIAL: Final = re.compile(rb'^\{[^{}]*"serial"\s*:\s*(\d+)')
_LINEAGE: Final = re.compile(rb'^\{[^{}]*"lineage"\s*:\s*"([\x20-\x21\x23-\x5b\x5d-\x7e]*)"')
_VARIABLES: Final = 2  # map<string, DynamicValue> variables
_APPLY_TIME_VARIABLES: Final = 28  # repeated string, Terraform 1.10 and later


class Kind(Enum):
    """What a plan file is."""

    WHOLE = "zip"
    BOOKMARK = "bookmark"
    """The plan lies on a remote platform."""
    ENCRYPTED = "encrypted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What the file itself says."""

    kind: Kind
    lineage: str | None = None
    """The state's lineage, empty for a first plan; None when the file doesn't say."""
    serial: int | None = None
    """The state's serial, None when the file doesn't say."""
    saved: frozenset[str] = frozenset()
    """The variables whose values are in the plan."""
    at_apply: frozenset[str] = frozenset()
    """The variables that the plan says must be given again."""

    def again(self, given: Collection[str]) -> frozenset[str]:
        """Return the variables to give again at the apply, of those that were ``given`` to the plan or named by it."""
        return self.at_apply | (frozenset(given) - self.saved if self.kind is Kind.WHOLE else frozenset())


class _State(msgspec.Struct):
    lineage: str | None = None
    serial: int | None = None


class _Document(msgspec.Struct):
    remote_plan_format: object = None
    encrypted_data: object = None
    lineage: str | None = None
    serial: int | None = None


def read(fd: int) -> PlanFile:
    """Return what the plan file behind ``fd`` says, as far as it can be read; the descriptor's position is lost."""
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        head = file.read(4)
        file.seek(0)
        return _whole(file) if head == b"PK\x03\x04" else _document(file.read(_MAX_JSON))


def _whole(file: IO[bytes]) -> PlanFile:
    try:
        with zipfile.ZipFile(file) as archive:
            saved, again = _variables(_member(archive, "tfplan", _MAX_MEMBER))
            state = _identity(archive)
    except _UNREADABLE:
        return PlanFile(kind=Kind.UNKNOWN)
    return PlanFile(kind=Kind.WHOLE, lineage=state.lineage, serial=state.serial, saved=saved - again, at_apply=again)


def _identity(archive: zipfile.ZipFile) -> _State:
    """Return lineage and serial. The engines write them first, so that a large state needn't be unpacked."""
    head = _member(archive, "tfstate", _HEAD)
    serial, lineage = _SERIAL.search(head), _LINEAGE.search(head)
    if serial and lineage:
        return _State(serial=int(serial[1]), lineage=lineage[1].decode())
    return msgspec.json.decode(_member(archive, "tfstate", _MAX_MEMBER), type=_State)


def _variables(plan: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the variables that the plan holds, and of those it says must be given again."""
    saved, again = set(), set()
    for number, value in _fields(memoryview(plan)):
        if number == _VARIABLES:
            saved.add(_key(value))
        elif number == _APPLY_TIME_VARIABLES:
            again.add(str(value, "utf-8"))
    return frozenset(saved), frozenset(again)


def _document(data: bytes) -> PlanFile:
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return PlanFile(kind=Kind.UNKNOWN)
    if document.remote_plan_format is not None:
        return PlanFile(kind=Kind.BOOKMARK)
    kind = Kind.UNKNOWN if document.encrypted_data is None else Kind.ENCRYPTED
    return PlanFile(kind=kind, lineage=document.lineage, serial=document.serial)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return the first bytes of a member; a bomb is cut off, and then not understood."""
    with archive.open(name) as member:
        return member.read(limit)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of every string or message in a protocol buffer, without looking into them."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                _, position = _varint(message, position)
            case 1:
                position += 8
            case 2:
                length, position = _varint(message, position)
                if position + length > len(message):
                    raise ValueError("a field runs over the end")
                yield tag >> 3, message[position : position + length]
                position += length
            case 5:
                position += 4
            case wire:
                raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if position >= len(message):
            raise ValueError("a number runs over the end")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number is too long")


def _key(entry: memoryview) -> str:
    """Return the key of a map's entry, which is its field 1."""
    return next((str(value, "utf-8") for number, value in _fields(entry) if number == 1), "")


_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that zipfile doesn't know
    RuntimeError,  # an encrypted member
    ValueError,
    msgspec.DecodeError,
    RecursionError,
)
