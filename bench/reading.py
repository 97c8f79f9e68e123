"""How soon do `log` and `history` answer on a ledger of 10,000 records?"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ledgers
from harness import TFAUDIT, Row, environment, run, spread

RECORDS, EVENTS = 10_000, 3
ADDRESS = "aws_instance.web[1]"
COMMANDS = {"log": ["log"], f"history '{ADDRESS}'": ["history", ADDRESS], "verify": ["verify"]}


def rows() -> Iterator[Row]:
    """Yield the rows on reading."""
    folder = ledgers.kept(RECORDS, EVENTS)
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home))
        stores = ["--ledger", str(folder / "ledger"), "--working", str(folder / "working")]
        for name, command in COMMANDS.items():
            first = run([TFAUDIT, *stores, *command], cwd=Path(home), env=env).seconds
            seconds = [run([TFAUDIT, *stores, *command], cwd=Path(home), env=env).seconds for _ in range(5)]
            target = 0.3 if name != "verify" else None
            yield Row(
                what=f"`tfaudit {name}` on {RECORDS:,} records",
                measured=spread(seconds),
                compared=f"the first time: {first:.2f} s",
                ratio="",
                target="300 ms" if target else "",
                met=statistics.median(seconds) <= target if target else None,
            )
