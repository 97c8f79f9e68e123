"""Did a state change without a record: is every serial that a run met one that a record left behind?

A serial that nobody left shows a run past tfaudit, or a forged record. Whoever can write the state can also forge its
serial: this finds carelessness and lazy attackers. Order in the log does not matter, since records of runs side by side
may come in any order.

A run explains no more than it can have done. An apply never changes the state's lineage, and one that reached none of
its changes writes the state at most once, at its end: the engines save it after each change and then. One that says
to have changed nothing leaves nothing behind. What lies beyond is somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.ledger import ids
from tfaudit.ledger.verify.findings import error
from tfaudit.ledger.verify.runs import CLOSING, UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.records import Claims
    from tfaudit.ledger.verify.scratch import Leaf, Scratch

_NOTHING: Final = UNCHANGED | {"denied"}
"""Results after which the state is what it was."""

_UNEXPLAINED = """
SELECT state, lineage, serial, min(position), place, who FROM sight
WHERE NOT EXISTS (
  SELECT 1 FROM span
  WHERE span.state = sight.state AND span.lineage = sight.lineage
  AND span.high >= sight.serial AND span.low < sight.serial
)
GROUP BY state, lineage, serial ORDER BY min(position)
"""
_EARLIER = """
SELECT 1 FROM sight WHERE state = ? AND position < ? UNION ALL SELECT 1 FROM span WHERE state = ? AND position < ?
"""
_FORGIVEN = """
DELETE FROM unknown WHERE rowid = (
  SELECT rowid FROM unknown WHERE unknown.state = ? AND unknown.position < ?
  AND (unknown.intent IS NULL OR NOT EXISTS (
    SELECT 1 FROM closing WHERE closing.intent = unknown.intent
    AND (closing.known OR closing.status IN ('declined', 'not-started', 'denied'))
  ))
  ORDER BY unknown.position DESC LIMIT 1
)
"""


def note(scratch: Scratch, leaf: Leaf, claims: Claims) -> None:
    """Remember where a record met its state and where it left it."""
    if claims.state is None:
        return
    database, place = scratch.database, ids.record_key(leaf.writer, leaf.record_id)
    before, after = claims.before, claims.after
    if claims.kind == "adopt":
        # A state that existed before: its present version needs no explanation.
        for point in (before, after):
            if point is not None:
                _add_span(scratch, claims.state, leaf.position, point, (point[0], point[1] - 1))
        return
    if before is not None and before != ("", 0):
        row = (claims.state, *before, leaf.position, place, claims.who)
        database.execute("INSERT INTO sight VALUES (?,?,?,?,?,?)", row)
    if after is not None and claims.kind in CLOSING:
        own = _own(claims, before, after)
        if own is not None:
            _add_span(scratch, claims.state, leaf.position, own, before)
        if own != after:
            row = (claims.state, *after, leaf.position, place, claims.who)
            database.execute("INSERT INTO sight VALUES (?,?,?,?,?,?)", row)
    elif claims.kind == "intent":
        _add_unknown(scratch, claims.state, leaf.position, claims.record_id)
    elif claims.kind in CLOSING and claims.intent is None and claims.status not in _NOTHING:
        _add_unknown(scratch, claims.state, leaf.position, None)


def findings(scratch: Scratch) -> Iterator[Finding]:
    """Yield the serials that nothing explains, each once."""
    database = scratch.database
    for state, lineage, serial, position, place, who in database.execute(_UNEXPLAINED):
        first = database.execute(_EARLIER, (state, position, state, position)).fetchone() is None
        # A run whose end nobody saw may have left the state anywhere, once.
        if not first and database.execute(_FORGIVEN, (state, position)).rowcount < 1:
            message = (
                f"this record met serial {serial} of lineage {lineage}, which no record left behind: "
                "the state changed without one"
            )
            yield error("unrecorded-change", place, message, who=who)


def _own(claims: Claims, before: tuple[str, int] | None, after: tuple[str, int]) -> tuple[str, int] | None:
    """Return the last version up to ``after`` that the run can have written itself; None where it can't be any."""
    if claims.status in _NOTHING:
        return before
    if claims.intent is None or before is None:
        return after
    lineage, serial = after
    if before[0] not in ("", lineage):
        return None
    return (lineage, min(serial, before[1] + 1)) if claims.reached is False else after


def _add_span(
    scratch: Scratch, state: str, position: int, after: tuple[str, int], before: tuple[str, int] | None
) -> None:
    """Remember that all serials up to ``after`` are explained, from ``before`` on if that is of its lineage."""
    lineage, high = after
    low = -1 if before is None or before[0] != lineage else before[1]
    if low != high:
        row = (state, lineage, min(low, high - 1), high, position)
        scratch.database.execute("INSERT INTO span VALUES (?,?,?,?,?)", row)


def _add_unknown(scratch: Scratch, state: str, position: int, intent: str | None) -> None:
    scratch.database.execute("INSERT INTO unknown VALUES (?,?,?)", (state, position, intent))
