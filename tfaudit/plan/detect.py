"""What kind of file is this: plan JSON, or something that only looks like it?"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final

from tfaudit.errors import InputError
from tfaudit.plan.exactjson import Buffer

_SPACE: Final = b" \t\r\n"
_PLAN_KEYS: Final = frozenset(
    {"resource_changes", "output_changes", "planned_values", "configuration", "prior_state", "resource_drift"}
)


class Kind(Enum):
    """The kinds of file that come by under the name of a plan; the value names it in messages."""

    PLAN = "plan JSON"
    STATE = "state JSON"
    STATE_FILE = "a state file"
    BOOKMARK = "the bookmark of a remote plan"
    ENCRYPTED = "an encrypted plan or state file"
    STREAM = "a machine-readable stream"
    PLAN_FILE = "a plan file"
    OLD_PLAN_FILE = "a plan file of an engine before 0.12"
    EMPTY = "empty"
    UNKNOWN = "not plan JSON"


_HINTS: Final = {
    Kind.STATE: "give the JSON of a plan: show -json PLANFILE",
    Kind.STATE_FILE: "give the JSON of a plan: show -json PLANFILE",
    Kind.BOOKMARK: "the plan lives on the remote platform; show -json needs its API",
    Kind.ENCRYPTED: "show -json PLANFILE decrypts it where the engine has the key",
    Kind.STREAM: "give the JSON of a saved plan: show -json PLANFILE",
    Kind.PLAN_FILE: "turn it into JSON first: show -json PLANFILE",
    Kind.OLD_PLAN_FILE: "plan again with an engine of 0.12 or later",
    Kind.EMPTY: "did show -json fail?",
    Kind.UNKNOWN: "give the JSON of a plan: show -json PLANFILE",
}


def detect_bytes(data: Buffer) -> Kind | None:
    """Return the kind that the first bytes alone give away; None where it takes the keys of a JSON object."""
    head = bytes(memoryview(data)[:4096])
    if head.startswith(b"PK\x03\x04"):
        return Kind.PLAN_FILE
    if head.startswith(b"tfplan"):
        return Kind.OLD_PLAN_FILE
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
    if not text:
        return Kind.EMPTY if len(memoryview(data)) <= len(head) else Kind.UNKNOWN
    if re.match(rb'\{"@(?:level|message|module|timestamp)"\s*:', text):
        return Kind.STREAM
    return None if text.startswith(b"{") else Kind.UNKNOWN


def detect_keys(keys: Collection[str]) -> Kind:
    """Return the kind of a JSON object with these top-level ``keys``."""
    if "remote_plan_format" in keys:
        return Kind.BOOKMARK
    if "encrypted_data" in keys:
        return Kind.ENCRYPTED
    if not _PLAN_KEYS.isdisjoint(keys):
        return Kind.PLAN if "format_version" in keys or "resource_changes" in keys else Kind.UNKNOWN
    if "format_version" in keys:
        return Kind.STATE
    if "lineage" in keys and "serial" in keys:
        return Kind.STATE_FILE
    return Kind.STREAM if "@level" in keys else Kind.UNKNOWN


def refuse(kind: Kind, what: str) -> InputError:
    """Return the error that says by name what ``what`` is instead of plan JSON, and what to do."""
    return InputError(f"{what} is {kind.value}", hint=_HINTS.get(kind))


def unwrapped(data: Buffer) -> memoryview:
    """Return the part of ``data`` that is JSON, without what wrappers print around it.

    A byte-order mark goes, and so do the ``[command]…`` and ``::debug::…`` lines that the Node wrapper of a well-known
    set-up action puts before and after.
    """
    view = memoryview(data)
    start = 3 if bytes(view[:3]) == b"\xef\xbb\xbf" else 0
    head = bytes(view[start : start + 65_536])
    if head.lstrip(_SPACE).startswith((b"[command]", b"::")):
        found = re.search(rb"^[ \t]*\{", head, re.MULTILINE)
        start += found.start() if found else 0
    end = len(view)
    while end > start:
        tail = bytes(view[max(start, end - 65_536) : end]).rstrip(_SPACE)
        line_start = tail.rfind(b"\n") + 1
        if not tail or not tail[line_start:].lstrip(_SPACE).startswith(b"::"):
            break
        end = max(start, end - 65_536) + line_start
    return view[start:end]
