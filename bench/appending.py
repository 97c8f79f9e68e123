"""What does one record cost: drafted, signed, staged and committed durably in a folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ledgers
from harness import Row, spread


def rows() -> Iterator[Row]:
    """Yield the rows on appending."""
    for events, times in ((3, 100), (1000, 15)):
        with tempfile.TemporaryDirectory() as folder:
            ledger = ledgers.new(Path(folder) / "bench")
            plan = ledgers.plan(events)
            seconds = []
            for number in range(times + 1):
                began = time.perf_counter()
                ledgers.append(ledger, plan, number)
                seconds.append(time.perf_counter() - began)
        what = f"append a record of {events:,} events"
        yield Row(what=what, measured=spread(seconds[1:]), compared="", ratio="", target="", met=None)
