"""What does a sink say that it has: one document for each stretch of lines that it accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.sinks.cursor import Place
    from tfaudit.sinks.model import Encoded
    from tfaudit.sinks.shelf import Shelf

FOLDER: Final = "receipts/"
FORMAT: Final = "tfaudit-delivery-receipt/v1"
MANY: Final = 1_000
"""So many are kept in memory before they are written."""


class Receipts:
    """What was accepted since they were last kept, in order."""

    def __init__(self) -> None:
        self._first: Place | None = None
        self._lines: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, place: Place, encoded: Encoded, receipt: str | None) -> None:
        """Take down that the document at ``place`` was accepted, what the sink calls it, and what it lacked."""
        self._first = self._first or place
        line: dict[str, object] = {"id": encoded.id}
        if receipt is not None:
            line["receipt"] = receipt
        if encoded.note is not None:
            line["note"] = encoded.note
        self._lines.append(line)

    def keep(self, shelf: Shelf, time: int) -> None:
        """Write them down, durable on return, and begin anew; ``time`` is now. Nothing where there are none.

        Raises :class:`LedgerError` when the store failed: they are still here then.
        """
        if self._first is None:
            return
        name = f"{self._first.position:012d}-{self._first.line:08d}-{time:014d}"
        shelf.put(
            f"{FOLDER}{name}.json", {"format": FORMAT, "time": ids.time_text(time), "accepted": list(self._lines)}
        )
        self._first = None
        self._lines.clear()
