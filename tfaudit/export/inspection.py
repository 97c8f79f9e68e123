"""What does a record say in full, with what is disclosed of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfaudit.export import disclosed, judged

if TYPE_CHECKING:
    from tfaudit.export.entries import Row
    from tfaudit.export.view import View


def described(view: View, row: Row) -> dict[str, Any]:
    """Return the record's log entry with its whole statement, signer and leaf, and its disclosed texts.

    Raises :class:`VerificationError` where the record is altered or gone.
    """
    source = view.source(row)
    record = source.record()
    shown = disclosed.statement(source.working, row.record_id)
    plan_record = record.predicate.get("plan_record")
    if not isinstance(plan_record, str):
        matching = view.plan_record(row)
        plan_record = matching.record_id if matching is not None else None
    return {
        **view.entry(row),
        "leaf": row.leaf.hex(),
        "keyid": record.envelope.keyid,
        "plan_record": plan_record,
        "reason": disclosed.member(shown, row.record_id, record.predicate, "reason"),
        "ticket": disclosed.member(shown, row.record_id, record.predicate, "ticket"),
        "gate": judged.gate(source.working, record),
        "vote": judged.word(source.working, record),
        "statement": dict(record.predicate),
    }
