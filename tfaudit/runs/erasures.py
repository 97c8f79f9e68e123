"""Which values do outcomes state to be erased that are still there? A keeper erases them for jobs that may not.

In a bucket a job's role creates disclosures and overwrites none, so that whoever takes over a job can't make what is
disclosed of other runs disappear. Then the outcome states the erasure, and somebody with the right to it carries it
out.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from tfaudit.ledger import erasing, ids
from tfaudit.runs.gatechange import KEY_POINTER
from tfaudit.runs.ledgers import open_reader, working_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfaudit.config import Config
    from tfaudit.ledger.erasing import Erasure
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Working


def carry_out(config: Config, *, since: int) -> int:
    """Erase what outcomes of the log since a time (milliseconds since the epoch) state, and return how many were left.

    Doing it again does nothing. Raises :class:`VerificationError` for a log that is altered, and :class:`LedgerError`
    when a store refuses: then some are erased, and the next try does the rest.
    """
    reader, working = open_reader(config), working_of(config)
    count = 0
    for erasure in _stated(reader, working, since):
        erasure.carry_out(working)
        count += 1
    return count


def _stated(reader: Reader, working: Working, since: int) -> Iterator[Erasure]:
    """Yield each erasure that an outcome states of a plan that its own intent went by, and that is to be done yet."""
    lines = [
        entry.line
        for entry in reader.newest_first()
        if entry.line.kind in ("intent", "outcome") and ids.record_time(entry.line.record_id) >= since
    ]
    approved: dict[str, frozenset[str]] = {}
    stated: list[tuple[str, Mapping[str, Any]]] = []
    for found in reader.records(lines):
        predicate = found.predicate
        decision = predicate.get("decision")
        if found.kind == "intent" and isinstance(decision, dict):
            approved[found.record_id] = frozenset(_named(decision))
        elif isinstance(predicate.get("erased"), list) and isinstance(predicate.get("intent"), str):
            stated += [(predicate["intent"], one) for one in predicate["erased"] if isinstance(one, dict)]
    for intent, one in stated:
        # No outcome lets go of the key of a plan that its run was not allowed by.
        plan_record = str(one.get("record"))
        if one.get("pointer") != KEY_POINTER or plan_record not in approved.get(intent, ()):
            continue
        erasure = erasing.prepare(working, plan_record, KEY_POINTER)
        if erasure is not None and hmac.compare_digest(
            str(one.get("disclosures")).encode(), erasure.statement()["disclosures"].encode()
        ):
            yield erasure


def _named(decision: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan records that an intent's decision says were voted on."""
    also = decision.get("also")
    for one in (decision, *(also if isinstance(also, list) else ())):
        match one:
            case {"plan_record": str(record)} if ids.is_record_id(record):
                yield record
