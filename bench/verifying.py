"""How fast is a ledger verified, and does memory stay flat as it grows?"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ledgers
from harness import Row, Run, environment, own_peak, run

SMALL, LARGE = (2, 5000), (200, 5000)
"""Records, and events in each."""


def rows() -> Iterator[Row]:
    """Yield the rows on verifying."""
    with tempfile.TemporaryDirectory() as home:
        folder = ledgers.kept(*LARGE)
        for processes in (1, 2):
            for how, target in (("lines", 250_000), ("disclosures", 150_000)):
                runs = [_run(folder, how, processes, Path(home)) for _ in range(3)]
                yield _speed(how, processes, target, runs)
        one, other = (peak(_run(ledgers.kept(*size), "disclosures", 1, Path(home))) for size in (SMALL, LARGE))
    yield Row(
        what=f"peak memory of `verify`, {SMALL[0] * SMALL[1]:,} and {LARGE[0] * LARGE[1]:,} events",
        measured=f"{other / 1e6:.0f} MB",
        compared=f"the small one: {one / 1e6:.0f} MB",
        ratio=f"{other / one:.2f}",
        target="flat",
        met=other <= 1.25 * one,
    )


def _speed(how: str, processes: int, target: int, runs: list[Run]) -> Row:
    told = sorted((json.loads(each.stdout) for each in runs), key=lambda each: each["seconds"])[1]
    speed = told["events"] / told["seconds"]
    what = {"lines": "every line parsed", "disclosures": "every line parsed, six value digests an event"}[how]
    cores = f"{processes} process{'es' if processes > 1 else ''}"
    return Row(
        what=f"`verify` of {told['events']:,} events, {what}, {cores}",
        measured=f"{speed:,.0f} events/s",
        compared="",
        ratio=f"{speed / processes / target:.2f} of the target a core",
        target=f"{target:,} events/s a core",
        met=speed >= target * processes,
    )


def peak(verified: Run) -> int:
    """Return the most bytes that a process held which ran :func:`once`."""
    return int(json.loads(verified.stdout)["peak"])


def _run(folder: Path, how: str, processes: int, home: Path) -> Run:
    command = [sys.executable, __file__, str(folder), how, str(processes)]
    return run(command, cwd=Path(__file__).parent, env=environment(home))


def once(folder: Path, how: str, processes: int) -> None:
    """Verify the ledger in ``folder`` in this process and print events and seconds as JSON."""
    from tfaudit.ledger import ids
    from tfaudit.ledger.folder import FolderStore
    from tfaudit.ledger.verify import verify

    began = time.perf_counter()
    report = verify(
        FolderStore(folder / "ledger"),
        FolderStore(folder / "working") if how == "disclosures" else None,
        now=ids.milliseconds(ledgers.now()),
        processes=processes,
    )
    seconds = time.perf_counter() - began
    if not report.ok:
        raise RuntimeError(f"a ledger made for measuring is not whole: {report.findings[:3]}")
    print(json.dumps({"events": report.events, "values": report.values, "seconds": seconds, "peak": own_peak()}))


if __name__ == "__main__":
    once(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
