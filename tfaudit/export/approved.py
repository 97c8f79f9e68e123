"""Under whose approval did a run go on: what its decision names, and who that was as far as it is disclosed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfaudit.export import disclosed

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosure

_BASIS = "/decision/basis"


def approval(shown: Disclosure | None, record_id: str, predicate: Mapping[str, Any]) -> dict[str, object]:
    """Return the members that every change event of the record has.

    ``approvals`` are the ids of the signed documents that counted; ``approved_by`` their principals, null where that is
    withheld; ``break_glass`` is true where the run went past approvals on an on-call person's word.
    """
    decision = predicate.get("decision")
    if not isinstance(decision, dict):
        return {"approvals": [], "approved_by": [], "break_glass": False}
    named = decision.get("approvals")
    ids = [str(one) for one in named] if isinstance(named, list) else []
    return {
        "approvals": ids,
        "approved_by": _principals(shown, record_id, decision, ids) if ids else [],
        "break_glass": decision.get("break_glass") is True,
    }


def _principals(
    shown: Disclosure | None, record_id: str, decision: Mapping[str, Any], ids: list[str]
) -> list[str] | None:
    committed = decision.get("basis")
    digest = committed.get("digest") if isinstance(committed, dict) else None
    basis = disclosed.value(shown, record_id, _BASIS, digest if isinstance(digest, str) else None)
    votes = basis.get("votes") if isinstance(basis, dict) else None
    if not isinstance(votes, list):
        return None
    known = {one.get("id"): one.get("approver") for one in votes if isinstance(one, dict)}
    return [str(known.get(one, "unknown")) for one in ids]
