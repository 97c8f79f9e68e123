"""What do both decisions of a gated `tfaudit apply PLANFILE` cost, from its start until the engine applies?

``python bench/gateapply.py PLANFILE`` is such a run, which stops there: nothing is applied, so that the same state can
be planned and approved again.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import TFAUDIT, Row, environment, interleaved, run, spread

CHANGES, TIMES = 1_000, 7
TARGET = 0.150
"""Seconds for identity, policy and gate together."""
STOPPED = 3
CONFIGURATION = """
variable "turn" {{
  type = number
}}

resource "terraform_data" "item" {{
  count = {count}
  input = {{ name = "item-${{count.index}}", turn = var.turn, size = 20, zone = "a" }}
}}
"""


def rows(rules: str) -> Iterator[Row]:
    """Yield the row; nothing if there is no engine or no ssh-keygen on PATH. ``rules`` is a file of CEL rules."""
    engine = shutil.which("terraform") or shutil.which("tofu")
    if engine is None or shutil.which("ssh-keygen") is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / "recorded", Path(name) / "gated"]
        env = environment(Path(name) / "home", TFAUDIT_ENGINE=engine, TF_VAR_turn="1", GITHUB_ACTOR="dora")
        for folder in folders:
            folder.mkdir()
            (folder / "main.tf").write_text(CONFIGURATION.format(count=CHANGES))
            run([engine, "init"], cwd=folder, env=env)
            run([TFAUDIT, "setup", "--yes"], cwd=folder, env=env)
        key = _approver(folders[1], rules)

        def applied(folder: Path) -> float:
            run([TFAUDIT, "plan", "-out", "p"], cwd=folder, env=env)
            if folder == folders[1]:
                run([TFAUDIT, "approve", "p", "--key", key, "--yes"], cwd=folder, env=env)
            return run([sys.executable, __file__, "p"], cwd=folder, env=env, code=STOPPED).seconds

        recorded, gated = interleaved(TIMES, lambda _: applied(folders[0]), lambda _: applied(folders[1]))
    more = statistics.median(gated) - statistics.median(recorded)
    yield Row(
        what=f"`tfaudit apply PLANFILE` of {CHANGES:,} changes under a gate with an approval, until the engine applies",
        measured=spread(gated),
        compared=f"recorded only: {spread(recorded)}",
        ratio=f"{more * 1000:+.0f} ms",
        target=f"+{1000 * TARGET:.0f} ms",
        met=more <= TARGET,
    )


def _approver(folder: Path, rules: str) -> Path:
    key = folder / "alice"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
    (folder / "approvers").write_text(f"alice@example.com {key.with_suffix('.pub').read_text()}")
    (folder / "rules.toml").write_text(rules)
    with (folder / "tfaudit.toml").open("a") as file:
        file.write('\n[gate]\napprovals = 1\nallow_self_approval = true\napprovers = "approvers"\n')
        file.write('[policy]\ncel = "rules.toml"\n')
    return key


def _apply(plan_file: str) -> int:
    from tfaudit.cli.main import Options, engine_run
    from tfaudit.runs.pipeline import execute

    class StoppedError(Exception):
        pass

    def step(name: str) -> None:
        if name == "apply":
            raise StoppedError

    asked = engine_run(["apply", plan_file], Options(), None)
    try:
        return execute(replace(asked, world=replace(asked.world, step=step)))
    except StoppedError:
        return STOPPED


if __name__ == "__main__":
    sys.exit(_apply(sys.argv[1]))
