"""Which records let events go, and which of them count: those that the log holds and an accepted key signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger import ids, merkle, record
from tfaudit.ledger.retention import KIND, Retentions
from tfaudit.ledger.verify.findings import warning
from tfaudit.ledger.verify.reading import read
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.store import Store
    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.scratch import Scratch


def retentions(evidence: Store, scratch: Scratch, keysets: Mapping[int, KeySet]) -> Retentions:
    """Return what the log's ``retention`` records say; one that is not sound says nothing."""
    found = Retentions()
    for leaf in scratch.leaves_of(KIND):
        try:
            raw = read(evidence, ids.record_key(leaf.writer, leaf.record_id), limit=MAX_ENVELOPE + 1)
            line = (raw or b"").partition(b"\n")[0]
            if merkle.leaf_hash(line) != leaf.leaf:
                continue
            said = record.parse(line)
        except (InputError, LedgerError):
            continue
        if said.signed_under(keysets[leaf.keys]) is True:
            found.add(said, leaf.position)
    return found


def findings(scratch: Scratch, said: Retentions, gone: Mapping[str, int]) -> Iterator[Finding]:
    """Yield for each record that let events go how many records have none left by it."""
    for prune in said.prunes:
        leaf = scratch.leaf(prune.record_id)
        if leaf is not None and gone.get(prune.record_id):
            number = gone[prune.record_id]
            message = (
                f"the events of {number} record{'' if number == 1 else 's'} from before {ids.time_text(prune.before)} "
                "are gone, as this record says; their first lines are there"
            )
            yield warning("pruned", ids.record_key(leaf.writer, leaf.record_id), message, who=leaf.writer)
