"""Writes what ``--help`` says into the help blocks of README.md and docs/*.md; with ``--check`` only compares.

A block stands between ``<!-- help: tfaudit verify --help -->`` and ``<!-- /help -->``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- help: (tfaudit[^\n]*?--help) -->\n).*?(<!-- /help -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that may hold help blocks."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def filled(text: str) -> str:
    """Return ``text`` with every help block filled with what its command prints now, 80 columns wide."""
    return BLOCK.sub(lambda found: f"{found[1]}```text\n{_help(found[2])}\n```\n{found[3]}", text)


def _help(command: str) -> str:
    tfaudit, *args = shlex.split(command)
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "80", "LANG": "C.UTF-8", "NO_COLOR": "1"}
    result = subprocess.run(  # the command line is a page's own, of this repository
        [Path(sys.executable).with_name(tfaudit), *args], env=environment, capture_output=True, text=True, check=True
    )
    return "\n".join(line.rstrip() for line in result.stdout.strip("\n").splitlines())


def main() -> int:
    """Return 0, or 1 if ``--check`` found a page that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a block is out of date")
    check = parser.parse_args().check
    stale = 0
    for page in pages():
        text = page.read_text()
        if (new := filled(text)) != text:
            stale += 1
            sys.stderr.write(
                f"{page.relative_to(REPOSITORY)}: {'out of date, run make docs' if check else 'written'}\n"
            )
            if not check:
                page.write_text(new)
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
