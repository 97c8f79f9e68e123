"""Run one audited command like the console script does, and end the process by SIGKILL at its n-th step.

``python killrun.py N LOG COMMAND...``; the names of the steps are written to LOG, one a line. N = 0 kills nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tfaudit.cli.main import Options, engine_run
from tfaudit.runs.pipeline import execute


def main() -> int:
    """Run it."""
    at, log, command = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    names: list[str] = []

    def step(name: str) -> None:
        names.append(name)
        with log.open("a") as file:
            file.write(f"{name}\n")
        if len(names) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    run = engine_run(command, Options(), None)
    return execute(replace(run, world=replace(run.world, step=step)))


if __name__ == "__main__":
    sys.exit(main())
