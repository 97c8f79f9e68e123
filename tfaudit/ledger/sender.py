"""How does a signed record get into the log: disclosures, record, commit, in this order.

At each step a comment says what is true if we crash there. The names given to ``step`` are those places, so that a test
can stop the process at each.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.errors import LedgerError
from tfaudit.ledger import adopt, checkpoint, commit, head, ids, receipt
from tfaudit.ledger.store import look, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfaudit.ledger.committer import Committer
    from tfaudit.ledger.draft import Sealed
    from tfaudit.ledger.head import Head
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.ledger.store import Store, Working

_CREATES: Final = 8
"""So often an object is tried to be created while another create of it, our own lost one, is going on."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Someone who may stage records and, with a committer, commit them."""

    evidence: Store
    working: Working
    head: Head
    committer: Committer | None
    step: Callable[[str], None]

    def send(self, sealed: Sealed) -> Receipt:
        """Take a sealed record, which the log up to the present head does not hold, into it, and return where it is.

        Raises :class:`ConfigError` for keys that the ledger does not accept, before anything is written, and
        :class:`LedgerError` when a store failed: the record may be staged then, and come into the log later.
        """
        adopt.check_own(self.head.state, sealed.record, sealed.line)
        if self.committer is not None:
            self.committer.check_keys()
        self._disclose(sealed)
        # A crash here: disclosures of no record. Nothing refers to them; nothing was recorded, nothing has happened.
        self.step("disclosed")
        self._stage(sealed)
        # A crash here: the record is staged, durable. The next writer adopts it; till then verify counts it as pending.
        self.step("staged")
        if self.committer is None:
            return receipt.located(receipt.staged(sealed.record, self.head.state), self.evidence)
        # What the commit needs to know is asked for at once: the slot, and what is staged.
        look(self.evidence, adopt.ahead(self.head.state, sealed.record.writer), slot=self.head.next)
        held = self.committer.commit((sealed.record, sealed.line), self.head.catch_up())
        # A crash here: the record is in the log, and so are all others of its commit. Only the hint is old.
        self.leave_hint()
        self.step("hinted")
        return receipt.located(receipt.committed(sealed.record, held.commit, self.head.state.origin), self.evidence)

    def _disclose(self, sealed: Sealed) -> None:
        """Create the disclosure file, or find that an earlier try of ours has landed."""
        if sealed.disclosures is None:
            return
        key = ids.disclosure_key(sealed.record.record_id)
        for _ in range(_CREATES):
            sealed.disclosures.seek(0)
            if self.working.create(key, b"", sealed.disclosures):
                return
            stored = self.working.open(key, settled=True)
            if stored is not None:
                sealed.disclosures.seek(0)
                _must_equal(key, stored, sealed.disclosures)
                return
            # Two creates met, as below.
        raise LedgerError(f"{key} could not be created", hint="try again")

    def _stage(self, sealed: Sealed) -> None:
        """Create the record object, or find that an earlier try of ours has landed."""
        key, first = sealed.record.key, sealed.line + b"\n"
        for _ in range(_CREATES):
            sealed.events.seek(sealed.events_at)
            if self.evidence.create(key, first, sealed.events):
                return
            # Line 1 commits to all other lines.
            found = read(self.evidence, key, limit=len(first), settled=True)
            if found == first:
                return
            if found is not None:
                raise LedgerError(f"another record is at {key}")
            # Two creates met, and neither is there yet.
        raise LedgerError(f"{key} could not be created", hint="try again")

    def find(self, sealed: Sealed) -> Receipt | None:
        """Return the receipt of a record that the log holds since the head that it had seen."""
        since = checkpoint.parse(sealed.seen.encode()).checkpoint.size if sealed.seen else 0
        wanted = f"record {sealed.record.leaf.hex()} ".encode()
        state = self.head.state
        for _, raw in head.back_from(self.evidence, state.number, state.digest):
            if wanted in raw:
                return receipt.committed(sealed.record, commit.parse(raw), state.origin)
            if commit.peek(raw)[1] <= since:
                break
        return None

    def leave_hint(self) -> None:
        """Leave the head's number for the next process."""
        # Derived objects: losing them loses nothing, so a failure to write them is none of the record's.
        with suppress(LedgerError):
            head.write_hint(self.working, self.head.state)


def _must_equal(key: str, stored: BinaryIO, content: BinaryIO) -> None:
    with stored:
        while True:
            chunk = stored.read(_CHUNK)
            if chunk != content.read(_CHUNK):
                raise LedgerError(f"another object is at {key}")
            if not chunk:
                return
