"""``make bench``: every promised speed, measured in one run, as a Markdown table.

``python bench/run.py [wrapping|appending|planning|verifying|gating ...] [-o docs/benchmarks.md]``
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from harness import Row, machine, table

GROUPS = (
    "wrapping",
    "appending",
    "s3_append",
    "planning",
    "verifying",
    "s3_verify",
    "verify_speed",
    "read_speed",
    "gating",
)
"""Modules here with a function ``rows() -> Iterator[Row]``."""
MARKS = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)


def main() -> int:
    """Measure the groups that were named, all by default; return 0 whether or not the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"any of {', '.join(GROUPS)}")
    parser.add_argument("-o", "--output", type=Path, help="put the table between the marks of this page as well")
    chosen = parser.parse_args()
    unknown = set(chosen.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    text = f"{table(list(_rows(chosen.groups or GROUPS)))}\n\nMeasured on {machine()}, with `make bench`.\n"
    print(text, end="")
    if chosen.output:
        page = chosen.output.read_text()
        chosen.output.write_text(MARKS.sub(lambda found: f"{found[1]}{text}{found[2]}", page))
    return 0


def _rows(groups: tuple[str, ...]) -> Iterator[Row]:
    for group in groups:
        for row in importlib.import_module(group).rows():
            print(f"{row.what}: {row.measured} {row.ratio}", file=sys.stderr)
            yield row


if __name__ == "__main__":
    sys.exit(main())
