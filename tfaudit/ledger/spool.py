"""Which signed records wait on this machine for the ledger: a folder of private files, durable before they count."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError
from tfaudit.ledger import ids, record
from tfaudit.ledger.draft import Sealed
from tfaudit.ledger.folder import FolderStore
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORDS: Final = "records/"
DISCLOSURES: Final = "disclosures/"


@dataclass(frozen=True, slots=True)
class Spool:
    """The spool of one working copy: ``records/<id>.jsonl`` and ``disclosures/<id>.jsonl``, bytes as in the ledger."""

    folder: Path
    store: FolderStore

    @classmethod
    def at(cls, folder: Path, *, entropy: Callable[[int], bytes]) -> Spool:
        """Return the spool in ``folder``, which need not exist yet."""
        return cls(folder, FolderStore(folder, mode=0o600, entropy=entropy))

    def put(self, sealed: Sealed) -> None:
        """Keep a record; on return it is durable. Putting the same one again does nothing.

        Raises :class:`LedgerError` when the folder failed; the record does not count as spooled then.
        """
        if sealed.disclosures is not None:
            sealed.disclosures.seek(0)
            self.store.create(f"{DISCLOSURES}{sealed.record.record_id}.jsonl", b"", sealed.disclosures)
        # A crash here leaves disclosures of no record: nobody reads them, and the next drain removes them.
        sealed.events.seek(sealed.events_at)
        self.store.create(f"{RECORDS}{sealed.record.record_id}.jsonl", sealed.line + b"\n", sealed.events)

    def waiting(self) -> list[str]:
        """Return the ids of the records that wait, oldest first; :class:`LedgerError` when the folder failed."""
        names = [entry.key[len(RECORDS) : -len(".jsonl")] for entry in self.store.list(RECORDS)]
        return sorted(name for name in names if ids.is_record_id(name))

    def sealed(self, record_id: str) -> Sealed | None:
        """Return a waiting record, None when another process has sent it meanwhile; the caller closes its files.

        Raises :class:`LedgerError` when it can't be read and :class:`InputError` when it is not whole.
        """
        events = self.store.open(f"{RECORDS}{record_id}.jsonl")
        if events is None:
            return None
        line, newline, _ = events.read(MAX_ENVELOPE + 1).partition(b"\n")
        if not newline:
            events.close()
            raise InputError(f"spooled record {record_id} is not whole")
        try:
            found = record.parse(line)
        except InputError:
            events.close()
            raise
        return Sealed(
            record=record.line_of(found),
            line=line,
            seen=found.seen,
            events=events,
            events_at=len(line) + 1,
            disclosures=self.store.open(f"{DISCLOSURES}{record_id}.jsonl") if found.disclosures else None,
        )

    def remove(self, record_id: str) -> None:
        """Forget a record that the ledger holds; raises :class:`LedgerError` when the folder failed."""
        # The record goes first: a crash between the two must not leave a record that lacks its disclosures.
        self.store.remove(f"{RECORDS}{record_id}.jsonl")
        self.store.remove(f"{DISCLOSURES}{record_id}.jsonl")

    def tidy(self, *, before: int) -> None:
        """Remove disclosures, of ids before that time, that belong to no waiting record: a crash left them."""
        waiting = {*self.waiting()}
        for entry in self.store.list(DISCLOSURES):
            record_id = entry.key[len(DISCLOSURES) : -len(".jsonl")]
            if ids.is_record_id(record_id) and record_id not in waiting and ids.record_time(record_id) < before:
                self.store.remove(entry.key)


def close(sealed: Sealed) -> None:
    """Close the files of a record that came from the spool."""
    for file in (sealed.events, sealed.disclosures):
        if file is not None:
            with suppress(OSError):
                file.close()
