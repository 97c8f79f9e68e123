"""Run one audited command like the console script does, and another command just before one of its steps.

``python steprun.py STEP '["tfaudit", "reject", ...]' COMMAND...``
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

from tfaudit.cli.main import Options, engine_run
from tfaudit.runs.pipeline import execute


def main() -> int:
    """Run it."""
    at, meanwhile, command = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]

    def step(name: str) -> None:
        if name == at:
            subprocess.run(meanwhile, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    run = engine_run(command, Options(), None)
    return execute(replace(run, world=replace(run.world, step=step)))


if __name__ == "__main__":
    sys.exit(main())
