"""What does a huge plan cost: plan JSON of 100,000 resources to one signed record in a ledger."""

from __future__ import annotations

import mmap
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ledgers
from harness import CACHE, Row, environment, run

RESOURCES = 100_000


def rows() -> Iterator[Row]:
    """Yield the rows on large plans."""
    from plan_large import write_plan

    path = CACHE / f"plan-{RESOURCES}.json"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        write_plan(path.with_suffix(".part"), RESOURCES)
        path.with_suffix(".part").rename(path)
    size = path.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, str(path), folder]
        runs = [run(command, cwd=Path(__file__).parent, env=environment(Path(folder) / "home")) for _ in range(3)]
    middle = sorted(runs, key=lambda each: each.seconds)[1]
    peak = max(each.peak for each in runs)
    what = f"plan JSON of {RESOURCES:,} resources ({size / 1e6:.0f} MB) to a signed record"
    yield Row(
        what=what,
        measured=f"{middle.seconds:.2f} s",
        compared="",
        ratio="",
        target="5 s",
        met=middle.seconds <= 5,
    )
    yield Row(
        what=f"{what}: peak memory of a process",
        measured=f"{peak / 1e6:.0f} MB",
        compared=f"the file: {size / 1e6:.0f} MB",
        ratio=f"{peak / size:.2f}",
        target="1.3",
        met=peak <= 1.3 * size,
    )


def record(path: Path, folder: Path) -> None:
    """Read the plan at ``path`` and append its record to a new ledger under ``folder``."""
    from tfaudit.events.build import plan_events
    from tfaudit.plan.parse import read_plan

    ledger = ledgers.new(folder / f"ledger-{time.monotonic_ns()}")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        plan = read_plan(data)
        with ledger.draft("plan") as draft:
            for event in plan_events(plan, record_id=draft.record_id):
                draft.add(event)
            ledger.append(draft, {"stack": "example.test/team/large"})
        del plan


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
