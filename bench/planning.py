"""What does a huge plan cost: plan JSON of 100,000 resources to one signed record in a ledger, and to its digest."""

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
        world = environment(Path(folder) / "home")
        runs = [run(command, cwd=Path(__file__).parent, env=world) for _ in range(3)]
        digested = run([sys.executable, __file__, str(path)], cwd=Path(__file__).parent, env=world)
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
    seconds = float(digested.stdout)
    yield Row(
        what=f"the change digest of that plan, once it is parsed ({digested.peak / 1e6:.0f} MB at most for both)",
        measured=f"{seconds:.2f} s",
        compared="",
        ratio="",
        target="1 s",
        met=seconds <= 1,
    )


def digest(path: Path) -> float:
    """Return the seconds that the digest of the plan at ``path`` takes."""
    from tfaudit.plan.changeset import summarise
    from tfaudit.plan.parse import read_plan

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        plan = read_plan(data)
        began = time.perf_counter()
        summarise(plan, engine="terraform", engine_version="1.11.4", lock_sha256=None, providers={}, sources=())
        took = time.perf_counter() - began
        del plan
    return took


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
    if len(sys.argv) > 2:
        record(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        print(digest(Path(sys.argv[1])))
