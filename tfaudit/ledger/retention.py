"""What may be gone from the ledger, and what must stay: its ``retention`` records in log order.

``{"retention": {"action": "prune", "before": TIME}}`` lets the event lines and disclosures of records that the log held
already, with ids before that time, be gone; line 1 of every record stays. ``{"action": "hold", "records": [ID, …]}``
keeps these records from that, until ``release`` names them; ``{"action": "extend", "until": TIME}`` tells of locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tfaudit.errors import InputError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.ledger.record import Record

KIND: Final = "retention"
Action = Literal["extend", "hold", "release", "prune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What one record says."""

    action: Action
    time: int | None = None
    """Of ``prune`` and ``extend``: milliseconds since the epoch."""
    records: tuple[str, ...] = ()
    """Of ``hold`` and ``release``: record ids."""

    def document(self) -> dict[str, Any]:
        """Return the predicate's member ``retention``."""
        if self.time is None:
            return {"action": self.action, "records": list(self.records)}
        name = "before" if self.action == "prune" else "until"
        return {"action": self.action, name: ids.time_text(self.time)}


def parse(predicate: Mapping[str, Any]) -> Retention:
    """Return what a ``retention`` record's predicate says; :class:`InputError` for what is out of form."""
    match predicate.get("retention"):
        case {"action": "prune", "before": before, **rest} if not rest:
            return Retention(action="prune", time=ids.parse_time(before, what="time of pruning"))
        case {"action": "extend", "until": until, **rest} if not rest:
            return Retention(action="extend", time=ids.parse_time(until, what="end of the locks"))
        case {"action": "hold" | "release" as action, "records": [_, *_] as records, **rest} if not rest:
            if all(map(ids.is_record_id, records)):
                return Retention(action=action, records=tuple(records))
    raise InputError("the record says nothing of retention that this version of tfaudit knows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """One record that let things go."""

    record_id: str
    position: int
    """In the log; what came after it is none of its business."""
    before: int
    held: frozenset[str]
    """Records that were held then."""


class Retentions:
    """All ``retention`` records, to be added in log order."""

    def __init__(self) -> None:
        self.prunes: list[Prune] = []
        self.held: frozenset[str] = frozenset()
        """Records under a legal hold after the last record that was added."""

    def add(self, record: Record, position: int) -> None:
        """Take one record; what is out of form, or lets go what is yet to come, says nothing."""
        try:
            said = parse(record.predicate)
        except InputError:
            return
        if said.action == "hold":
            self.held |= frozenset(said.records)
        elif said.action == "release":
            self.held -= frozenset(said.records)
        elif said.action == "prune" and said.time is not None and said.time <= record.time:
            self.prunes.append(Prune(record_id=record.record_id, position=position, before=said.time, held=self.held))

    def pruned(self, record_id: str, position: int) -> Prune | None:
        """Return the first prune that let the events of this record go; None where they must be there."""
        time = ids.record_time(record_id)
        for prune in self.prunes:
            if position < prune.position and time < prune.before and record_id not in prune.held:
                return prune
        return None
