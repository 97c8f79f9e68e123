"""How are records checked on all cores: in batches, in log order, never more in flight than are soon needed."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import UnavailableError
from tfaudit.ledger import keyset
from tfaudit.ledger.store import Beginning
from tfaudit.ledger.verify.records import Checker, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.store import Store
    from tfaudit.ledger.verify.versions import Locks

WORTH_IT: Final = 16 << 20
"""Bytes of records below which one process is done before others have started."""
_RECORDS: Final = 256
_BYTES: Final = 4 << 20
_BYTES_AHEAD: Final = 32 << 20
"""Where objects are opened ahead a batch's first ones are waited for: that is to happen seldom."""

_checker: Checker | None = None


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outcomes(
    tasks: Iterable[Task],
    *,
    evidence: Store,
    working: Store | None,
    origin: str,
    keysets: Mapping[int, KeySet],
    locks: Locks,
    processes: int,
) -> Iterator[Outcome]:
    """Yield what came of each record, in the order of ``tasks``; raises :class:`UnavailableError` if a process dies."""
    batches = _batches(tasks, _BYTES_AHEAD if isinstance(evidence, Beginning) else _BYTES)
    if processes <= 1:
        checker = Checker(evidence, working, origin, keysets, locks)
        for batch in batches:
            yield from checker.check_all(batch)
        return
    documents = {number: keys.document() for number, keys in keysets.items()}
    flying: deque[Future[list[Outcome]]] = deque()
    with ProcessPoolExecutor(
        processes, initializer=_start, initargs=(evidence, working, origin, documents, locks)
    ) as executor:
        try:
            for batch in batches:
                flying.append(executor.submit(_check, batch))
                if len(flying) > 2 * processes:
                    yield from flying.popleft().result()
            while flying:
                yield from flying.popleft().result()
        except BrokenProcessPool as failure:
            raise UnavailableError(
                "a process that checked records was killed", hint="is there enough memory?"
            ) from failure


def _batches(tasks: Iterable[Task], most: int) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in tasks:
        batch.append(task)
        size += task.leaf.bytes or 0
        if len(batch) >= _RECORDS or size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _start(evidence: Store, working: Store | None, origin: str, documents: Mapping[int, Any], locks: Locks) -> None:
    # Public keys can't be handed from process to process; their documents can.
    global _checker
    keysets = {number: keyset.parse(document, what="keys") for number, document in documents.items()}
    _checker = Checker(evidence, working, origin, keysets, locks)


def _check(batch: list[Task]) -> list[Outcome]:
    if _checker is None:
        raise UnavailableError("a process that checks records was not set up")
    return list(_checker.check_all(batch))
