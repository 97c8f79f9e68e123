"""How are objects opened before they are read, so that nobody waits for a request?"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from tfaudit.errors import LedgerError
from tfaudit.ledger.s3 import CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from tfaudit.ledger.s3 import Bucket

    Opening = Callable[[], BinaryIO | None]


class Ahead:
    """Objects that other threads open, each for one reading, in the order in which they will be asked for.

    No more are open at a time than a client has connections, and each holds what its first read brought.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._forget()

    def begin(self, openings: Iterable[tuple[str, Opening]]) -> None:
        """Open these objects, known by their keys, after those that were asked for before."""
        if self._process != os.getpid():
            # Threads don't live on in a fork.
            self._forget()
        self._queue.extend(openings)
        self._top_up()

    def take(self, key: str) -> Future[BinaryIO | None] | None:
        """Return the opened object, or None where it is not being opened; those before it are let go."""
        if key not in self._started or self._process != os.getpid():
            return None
        while True:
            first, opened = self._started.popitem(last=False)
            if first == key:
                self._top_up()
                return opened
            opened.add_done_callback(_close)

    def _forget(self) -> None:
        self._process = os.getpid()
        self._queue: deque[tuple[str, Opening]] = deque()
        self._started: OrderedDict[str, Future[BinaryIO | None]] = OrderedDict()

    def _top_up(self) -> None:
        while self._queue and len(self._started) < CONCURRENCY:
            key, opening = self._queue.popleft()
            self._started[key] = self._bucket.submit(opening)


def _close(opened: Future[BinaryIO | None]) -> None:
    with suppress(LedgerError):
        found = opened.result()
        if found is not None:
            found.close()
