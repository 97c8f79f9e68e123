"""What did the gate decide on, and what did a person sign: as far as the working store still discloses it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError
from tfaudit.ledger import disclosed, ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.gate.model import Vote
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store

BASIS: Final = "/decision/basis"
VOTE: Final = "/vote"


def gate(working: Store, record: Record) -> dict[str, Any] | None:
    """Return what a record's decision rests on (``inspect.v1``, ``gate``); None where there is none, or it is withheld.

    Nothing is judged here: that is for ``verify``.
    """
    if disclosed.committed(record.predicate, BASIS) is None:
        return None
    text = disclosed.value(working, record, BASIS)
    if text is None:
        return None
    from tfaudit.gate import basis as bases

    try:
        found = bases.decode(text)
    except InputError:
        return None
    decision: Mapping[str, Any] = record.predicate["decision"]
    named, required = decision.get("approvals"), decision.get("required")
    counted = [vote for vote in found.votes or () if isinstance(named, list) and vote.id in named]
    return {
        "decided": ids.time_text(found.decided),
        "reasons": [{"code": one.code, "message": one.message} for one in found.reasons],
        "approvals": [approval(vote) for vote in {vote.id: vote for vote in counted}.values()],
        "required": required if isinstance(required, int) else None,
        "findings": [
            {"rule": one.rule, "severity": one.severity, "message": one.message, "address": one.address}
            for evaluation in found.evaluations or ()
            for one in evaluation.findings
        ],
        "identities": sorted(found.request.identities) if found.request else [],
        "agent": found.request.agent if found.request else None,
    }


def approval(vote: Vote) -> dict[str, Any]:
    """Return a vote that counts, as ``gate.v1`` has it."""
    return {
        "id": vote.id,
        "kind": vote.kind,
        "approver": vote.approver,
        "key": vote.key or None,
        "made": ids.time_text(vote.made),
        "expires": ids.time_text(vote.expires),
        "source": vote.source,
        "record": vote.record,
    }


def word(working: Store, record: Record) -> dict[str, Any] | None:
    """Return what a person signed (``inspect.v1``, ``vote``); None where the record holds none, or it is withheld."""
    if disclosed.committed(record.predicate, VOTE) is None:
        return None
    text = disclosed.value(working, record, VOTE)
    if text is None:
        return None
    from tfaudit.gate import document

    try:
        opened = document.open_envelope(text)
    except InputError:
        return None
    said = opened.word
    return {
        "kind": said.kind,
        "id": opened.id,
        "approver": said.approver,
        "key": opened.key.fingerprint,
        "signed": opened.verified is not None,
        "touched": None if opened.verified is None else opened.verified.touched,
        "made": ids.time_text(said.made),
        "expires": ids.time_text(said.expires),
        "reason": said.reason,
        "plan_record": said.subject.plan_record,
    }
