"""How fast are event lines verified on one core, without the store around them; and does memory stay flat?

``python bench/verify_speed.py [--events N]`` prints events a second of processor time for hashing alone, with every
line parsed, and with six value digests an event; ``--events 5000000`` also verifies whole ledgers, up to that size.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import ledgers
import verifying
from harness import Row, machine, table

from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.events.model import EventLine
from tfaudit.ledger.log import Ledger
from tfaudit.ledger.verify import events
from tfaudit.ledger.verify.disclosures import Disclosures
from tfaudit.ledger.verify.lines import Lines
from tfaudit.plan.parse import read_plan

EVENTS = 50_000
TARGETS = {"hashing only": 400_000, "every line parsed": 250_000, "six value digests an event": 150_000}
RECORD = "019ca8f2-a441-732f-8b12-24083fd22f89"


def rows() -> Iterator[Row]:
    """Yield the rows on event lines in memory."""
    lines, disclosed, root = _record()
    digest = sha256(disclosed).hexdigest()

    def check(*, parse: bool, disclose: bool) -> None:
        disclosures = Disclosures(io.BytesIO(disclosed), RECORD, erased=False) if disclose else None
        found = events.check(
            Lines(io.BytesIO(lines), longest=1 << 20), count=EVENTS, root=root, parse=parse, disclosures=disclosures
        )
        if found.altered or (disclosures and disclosures.finish({}) != digest):
            raise RuntimeError("lines made for measuring do not verify")
        if disclosures and (disclosures.unopened or disclosures.opened != 6 * EVENTS):
            raise RuntimeError("disclosures made for measuring do not open")

    ways: dict[str, Callable[[], None]] = {
        "hashing only": lambda: check(parse=False, disclose=False),
        "every line parsed": lambda: check(parse=True, disclose=False),
        "six value digests an event": lambda: check(parse=True, disclose=True),
    }
    for what, way in ways.items():
        speed = EVENTS / min(_seconds(way) for _ in range(25))
        yield Row(
            what=f"event lines of {len(lines) // EVENTS} bytes, {what}",
            measured=f"{speed:,.0f} events/s",
            compared="",
            ratio=f"{speed / TARGETS[what]:.2f}",
            target=f"{TARGETS[what]:,} events/s a core",
            met=speed >= TARGETS[what],
        )


def _record() -> tuple[bytes, bytes, bytes]:
    """Return event lines, their disclosures and their root, each line with three updated attributes."""
    made = list(plan_events(read_plan(ledgers.plan(EVENTS)), record_id=RECORD, workers=1))
    tree = events.Tree()
    tree.add([sha256(b"\0" + event.line).digest() for event in made])
    disclosed = b"".join(
        commitment.encode_disclosure(number, event.disclosure) + b"\n" for number, event in enumerate(made, 1)
    )
    return b"".join(event.line + b"\n" for event in made), disclosed, tree.root()


def _seconds(way: Callable[[], None]) -> float:
    # Processor time: what else the machine does must not count, for the loop waits for nothing.
    began = time.process_time()
    way()
    return time.process_time() - began


def _whole(largest: int) -> Iterator[Row]:
    """Yield the peak memory of verifying ledgers of 10,000 events and more, in records of 5,000 short lines."""
    first = 0
    with tempfile.TemporaryDirectory() as home:
        for size in sorted({10_000, *(one for one in (100_000, 1_000_000) if one < largest), largest}):
            folder = Path(home) / str(size)
            _append(ledgers.new(folder), size // 5_000)
            run = verifying._run(folder, "disclosures", 1, Path(home))
            most = verifying.peak(run)
            first = first or most
            yield Row(
                what=f"peak memory of `verify`, {size:,} events",
                measured=f"{most / 1e6:.0f} MB, {run.seconds:.0f} s",
                compared="10,000 events",
                ratio=f"{most / first:.2f}",
                target="flat",
                met=most <= 1.25 * first,
            )


def _append(ledger: Ledger, records: int) -> None:
    for _ in range(records):
        with ledger.draft("plan") as draft:
            for _ in range(5_000):
                draft.add(EventLine(b'{"kind":"note"}', b""))
            ledger.append(draft, {"actor": draft.disclose("/actor", b'"octocat"')})


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, metavar="N", help="verify whole ledgers too, of up to N events")
    chosen = parser.parse_args()
    print(table([*rows(), *(_whole(chosen.events) if chosen.events else ())]))
    print(f"\nMeasured on {machine()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
