"""What does every process read first of a ledger in buckets, so that it can be read before it is asked for?

Genesis, the hint, the commits that the hint names and the slot after them: each answer says where the next lies, so
that asking for them one after the other takes seven times as long as a request.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tfaudit.errors import LedgerError
from tfaudit.ledger import head, ids

if TYPE_CHECKING:
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.ledger.s3_working import WorkingBucket


def read_ahead(evidence: EvidenceBucket, working: WorkingBucket) -> None:
    """Read them, in three steps. What fails, or is not as the hint says, is left to be found by whoever asks for it."""
    with suppress(LedgerError):
        first = (partial(working.fetch, [head.HINT], limit=head.MAX_HINT), partial(evidence.expect, [ids.GENESIS_KEY]))
        for _ in evidence.bucket.each(lambda read: read(), first):
            pass
        number = head.parse_hint(working.fetched(head.HINT) or b"")
        if number is not None and number >= 0:
            evidence.expect([ids.commit_key(each) for each in range(max(number - 1, 0), number + 1)])
            evidence.look(number + 1, ())
