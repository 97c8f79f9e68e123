"""Which variables must be given again when a saved plan is applied?

An ephemeral variable's value is not in the plan, and ``show -json`` doesn't say which those are. The plan file does:
its member ``tfplan`` is a protocol buffer (``planfile.proto``) that lists the variables it holds and those to come.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_MAX_PLAN: Final = 1024 * 1024 * 1024
_VARIABLES: Final = 2  # map<string, DynamicValue> variables
_APPLY_TIME_VARIABLES: Final = 28  # repeated string apply_time_variables, Terraform 1.10 and later
UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    KeyError,  # no such member
    NotImplementedError,  # a compression that zipfile doesn't know
    RuntimeError,  # an encrypted member
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The root module's variables as a plan file knows them."""

    saved: frozenset[str]
    """Those whose values are in the plan."""
    at_apply: frozenset[str]
    """Those that were set for the plan and must be set again; always empty with OpenTofu."""

    def again(self, given: Collection[str]) -> frozenset[str]:
        """Return those to give again, of the ones ``given`` to the plan: what the plan doesn't hold."""
        return self.at_apply | (frozenset(given) - self.saved)


def read(fd: int) -> Variables | None:
    """Return the variables of the plan file behind ``fd``, None when it can't be looked into.

    The descriptor's position is lost.
    """
    saved: set[str] = set()
    again: set[str] = set()
    try:
        with os.fdopen(os.dup(fd), "rb") as file, zipfile.ZipFile(file) as archive, archive.open("tfplan") as member:
            for number, value in fields(memoryview(member.read(_MAX_PLAN))):
                if number == _VARIABLES:
                    saved.add(_key(value))
                elif number == _APPLY_TIME_VARIABLES:
                    again.add(str(value, "utf-8"))
    except UNREADABLE:
        return None
    return Variables(saved=frozenset(saved - again), at_apply=frozenset(again))


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
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
                raise ValueError(f"a field of wire type {wire}")


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
    return next((str(value, "utf-8") for number, value in fields(entry) if number == 1), "")
