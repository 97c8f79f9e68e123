"""Where in the working store is what tfaudit knows of one sink: cursor, lease, receipts, dead letters?

All of it is small canonical JSON under ``delivery/<sink>/``, and none of it is secret: ids, positions, times, reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from tfaudit import canonical
from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger.store import read

if TYPE_CHECKING:
    from tfaudit.ledger.store import Working

FOLDER: Final = "delivery/"
MAX_DOCUMENT: Final = 4 << 20


class Shelf:
    """One sink's part of the working store. Every method raises :class:`LedgerError` when the store failed."""

    def __init__(self, working: Working, sink: str) -> None:
        self.sink = sink
        self._working = working
        self._prefix = f"{FOLDER}{sink}/"

    def read(self, name: str) -> Mapping[str, Any] | None:
        """Return the document called ``name``; None where there is none.

        Raises :class:`LedgerError` for what is no document of ours.
        """
        raw = read(self._working, self._prefix + name, limit=MAX_DOCUMENT + 1)
        if raw is None:
            return None
        try:
            found = canonical.decode(raw, what=f"{self._prefix}{name}")
        except InputError as error:
            raise self._unreadable(name) from error
        if not isinstance(found, dict):
            raise self._unreadable(name)
        return found

    def _unreadable(self, name: str) -> LedgerError:
        return LedgerError(
            f"{self._prefix}{name} in {self._working} can't be read",
            hint="remove it: documents are sent again at worst",
        )

    def put(self, name: str, document: Mapping[str, object]) -> None:
        """Put a document at ``name``, whatever was there; on return it is durable."""
        self._working.replace(self._prefix + name, canonical.encode(document), durable=True)

    def create(self, name: str, document: Mapping[str, object]) -> bool:
        """Put a document at ``name`` unless there is one; False where there is."""
        return self._working.create(self._prefix + name, canonical.encode(document))

    def remove(self, name: str) -> None:
        """Remove the document if it is there."""
        self._working.remove(self._prefix + name)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the documents under ``folder`` (which ends in ``/``), in order."""
        for entry in self._working.list(self._prefix + folder):
            if entry.size is not None:
                yield entry.key.removeprefix(self._prefix)
