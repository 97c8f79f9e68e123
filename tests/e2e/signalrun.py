"""Runs one engine the way tfaudit's runs do and writes down how it ended: the program that the signal tests signal.

``signalrun.py HOW RESULT ENGINE``: HOW is lines, human, inherit or capture. Started under pytest's interpreter, in a
process, a process group and at a terminal of the test's choosing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tfaudit.engine import argv, process
from tfaudit.engine.signals import Relay
from tfaudit.engine.stdin import Input


def main() -> None:
    """Run the engine and write the result."""
    how, result, engine = sys.argv[1:]
    invocation = argv.parse(["apply"], {})
    call = argv.typed_call(invocation, os.environ)
    lines: list[str] = []
    with Relay() as relay:
        stdin = Input.of(invocation)
        if how == "lines":
            ended = process.run_lines([engine], call, relay=relay, on_line=lambda line: lines.append(line.decode()))
        elif how == "human":
            ended = process.run_human([engine], call, relay=relay, stdin=stdin)
        elif how == "capture":
            ended = process.capture([engine], call, relay=relay, limit=1 << 20).ended
        else:
            ended = process.run_inherit([engine], call, relay=relay)
        stdin.close()
    Path(result).write_text(json.dumps({**asdict(ended), "lines": lines}))


main()
