"""What the tests of plans and events share: small plans, fixed salts, the fixtures' places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfaudit.events.commitment import Disclosed, decode_disclosure, encode_disclosure
from tfaudit.events.model import EventLine
from tfaudit.plan.parse import Plan, read_plan

RECORD_ID = "01920000-0000-7000-8000-000000000000"
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
ABSENT = object()


def salts() -> Callable[[int], bytes]:
    """Return a source of different bytes, the same in every run."""
    state = 0

    def entropy(count: int) -> bytes:
        nonlocal state
        state += 1
        return b"".join(((state << 16) + at).to_bytes(4, "big") for at in range(count // 4))

    return entropy


def change(
    address: str = "aws_instance.a",
    actions: tuple[str, ...] = ("update",),
    before: Any = None,
    after: Any = None,
    *,
    unknown: Any = ABSENT,
    before_marks: Any = False,
    after_marks: Any = False,
    entry: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return an entry of ``resource_changes``; marks given as ``ABSENT`` are left out."""
    inner = {
        "actions": list(actions),
        "before": before,
        "after": after,
        "after_unknown": {} if unknown is ABSENT else unknown,
        "before_sensitive": before_marks,
        "after_sensitive": after_marks,
        **more,
    }
    return {
        "address": address,
        "mode": "managed",
        "type": address.split(".")[0],
        "name": "a",
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "change": {key: value for key, value in inner.items() if value is not ABSENT},
        **(entry or {}),
    }


def plan_json(*changes: dict[str, Any], **members: Any) -> bytes:
    """Return plan JSON as an engine writes it: one compact line."""
    document = {"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": list(changes), **members}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def plan_of(*changes: dict[str, Any], **members: Any) -> Plan:
    """Return the parsed plan of these changes."""
    return read_plan(plan_json(*changes, **members))


def fixture(name: str) -> bytes:
    """Return the content of a fixture, recorded or made by hand."""
    found = next(FIXTURES.glob(f"*/{name}"))
    return found.read_bytes()


def values(event: EventLine) -> dict[tuple[str, str], Any]:
    """Return the disclosed values of an event by pointer and side."""
    return {(value.pointer, value.side): json.loads(value.text or b"null") for value in disclosed(event)}


def disclosed(event: EventLine) -> tuple[Disclosed, ...]:
    """Return the disclosures of an event, in order."""
    return decode_disclosure(encode_disclosure(1, event.disclosure)).values if event.disclosure else ()
