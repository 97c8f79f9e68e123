"""Has every intent its outcome, and every change the decision that allowed it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.ledger import ids
from tfaudit.ledger.keyset import APPROVER_KINDS
from tfaudit.ledger.verify.findings import error, warning
from tfaudit.ledger.verify.scratch import Voted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.records import Claims
    from tfaudit.ledger.verify.scratch import Leaf, Scratch

CLOSING: Final = frozenset({"outcome", "operation"})
UNCHANGED: Final = frozenset({"not-started", "declined"})
"""Results of a run that changed nothing."""
IDLE: Final = """(
  EXISTS (SELECT 1 FROM closing WHERE closing.intent = {intent} AND closing.status IN ('declined', 'not-started'))
  AND NOT EXISTS (
    SELECT 1 FROM closing
    WHERE closing.intent = {intent} AND coalesce(closing.status, '') NOT IN ('declined', 'not-started', 'unknown')
  )
)"""
"""Whether a run changed nothing: it said so and never otherwise; who else closed it (``recover``) knows nothing."""
_ALLOWED: Final = frozenset({"allow", "not-gated"})

_OPEN = """
SELECT place, who FROM intent
WHERE NOT EXISTS (SELECT 1 FROM closing WHERE closing.intent = intent.record_id) ORDER BY position
"""
_UNAPPROVED: Final = f"""
SELECT place, who, decision FROM intent
WHERE (decision IS NULL OR decision NOT IN ('allow', 'not-gated')) AND NOT {IDLE.format(intent="intent.record_id")}
ORDER BY position
"""  # noqa: S608 - our own texts


_UNSTATED = """
SELECT place, who FROM lacking
WHERE NOT EXISTS (SELECT 1 FROM stated WHERE stated.record_id = lacking.record_id AND stated.digest = lacking.digest)
ORDER BY place
"""

_NOT_ERASED = """
SELECT count(*), min(kept.place) FROM kept JOIN (
  SELECT record_id, min(time) AS since FROM stated GROUP BY record_id
) AS said ON said.record_id = kept.record_id
WHERE said.since < ?
"""
ERASED_WITHIN: Final = 2 * 24 * 60 * 60 * 1000
"""Milliseconds that a keeper has for erasing what an outcome says was erased."""


def note(scratch: Scratch, leaf: Leaf, claims: Claims) -> Iterator[Finding]:
    """Remember what a record says of a run; yield a finding where one record alone shows it."""
    place = ids.record_key(leaf.writer, leaf.record_id)
    database = scratch.database
    alone = claims.kind in CLOSING and claims.intent is None and claims.status not in UNCHANGED
    if claims.decision in _ALLOWED and (alone or claims.kind == "intent"):
        decided = (leaf.position, claims.record_id, place, claims.who, claims.decision, claims.command, claims.stack)
        database.execute("INSERT OR IGNORE INTO decided VALUES (?,?,?,?,?,?,?)", decided)
    if claims.kind == "intent":
        intent = (claims.record_id, leaf.position, place, claims.who, claims.decision)
        database.execute("INSERT OR IGNORE INTO intent VALUES (?,?,?,?,?)", intent)
        scratch.add_uses(
            (vote, claims.stack, claims.state, claims.record_id, leaf.position) for vote in claims.approvals
        )
    elif claims.kind in APPROVER_KINDS:
        scratch.add_vote(
            Voted(
                leaf.position,
                leaf.record_id,
                leaf.writer,
                leaf.leaf,
                leaf.kind,
                leaf.refers,
                leaf.state,
                leaf.time,
                claims.stack,
            )
        )
    elif claims.kind in CLOSING:
        stated = ((*one, leaf.time) for one in claims.erased)
        database.executemany("INSERT OR IGNORE INTO stated VALUES (?,?,?)", stated)
        if claims.intent is not None:
            closing = (claims.intent, claims.status, claims.after is not None)
            database.execute("INSERT INTO closing VALUES (?,?,?)", closing)
        elif claims.decision is not None and claims.decision not in _ALLOWED and claims.status not in UNCHANGED:
            yield _unapproved(place, claims.who, claims.decision)


def note_lacking(scratch: Scratch, leaf: Leaf, digest: str) -> None:
    """Remember a plan record whose disclosures lack its change key; ``digest`` is of what is left of their file."""
    row = (leaf.record_id, digest, ids.disclosure_key(leaf.record_id), leaf.writer)
    scratch.database.execute("INSERT INTO lacking VALUES (?,?,?,?)", row)


def note_kept(scratch: Scratch, leaf: Leaf) -> None:
    """Remember a plan record whose change key is disclosed."""
    row = (leaf.record_id, ids.disclosure_key(leaf.record_id), leaf.writer)
    scratch.database.execute("INSERT OR IGNORE INTO kept VALUES (?,?,?)", row)


def findings(scratch: Scratch, *, now: int) -> Iterator[Finding]:
    """Yield what the whole log shows: intents that nothing closes, changes that nothing allowed, keys that are gone.

    Also keys that are not gone though they should be; ``now`` is the store's time, milliseconds since the epoch.
    """
    for place, who in scratch.database.execute(_OPEN):
        message = (
            "this run announced a change, and no record says how it ended: it was interrupted, or is still running"
        )
        yield warning("open-run", place, message, who=who)
    for place, who, decision in scratch.database.execute(_UNAPPROVED):
        yield _unapproved(place, who, decision)
    for place, who in scratch.database.execute(_UNSTATED):
        message = "the key of this plan's change digest is gone, and no outcome says that this file was left without it"
        yield error("altered-disclosure", place, message, who=who)
    yield from _not_erased(scratch, now)


def _not_erased(scratch: Scratch, now: int) -> Iterator[Finding]:
    """Yield one finding for all keys that are still there: where nobody erases any, they are many."""
    count, place = scratch.database.execute(_NOT_ERASED, (now - ERASED_WITHIN,)).fetchone()
    if count:
        keys = "the change key of a plan is" if count == 1 else f"the change keys of {count} plans are"
        message = f"{keys} still disclosed, though outcomes say that it was erased: `tfaudit retain erase` does it"
        yield warning("not-erased", place, message)


def _unapproved(place: str, who: str, decision: str | None) -> Finding:
    said = "records no decision" if decision is None else f"went on although its decision was {decision!r}"
    return error("unapproved-change", place, f"this run {said}", who=who)
