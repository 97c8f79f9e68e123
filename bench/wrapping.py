"""What does the wrapper cost: `tfaudit version` and `tfaudit apply` against the bare engine."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import TFAUDIT, Row, environment, interleaved, milliseconds, run, spread

CONFIGURATION = """
variable "turn" {{
  type = number
}}

resource "terraform_data" "item" {{
  count = {count}
  input = {{ name = "item-${{count.index}}", turn = var.turn, size = 20, zone = "a" }}
}}
"""
"""Resources that no provider has to be asked for."""


def rows() -> Iterator[Row]:
    """Yield the rows on wrapping; nothing if there is no engine on PATH."""
    engine = shutil.which("terraform") or shutil.which("tofu")
    if engine is None:
        return
    yield version(engine)
    yield apply(engine, count=3, times=15)
    yield apply(engine, count=3, times=15, first=True)
    yield apply(engine, count=1000, times=3)


def version(engine: str) -> Row:
    """Compare `tfaudit version` with the engine's."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder), TFAUDIT_ENGINE=engine)
        bare, wrapped = interleaved(
            31,
            lambda _: run([engine, "version"], cwd=Path(folder), env=env).seconds,
            lambda _: run([TFAUDIT, "version"], cwd=Path(folder), env=env).seconds,
        )
    more = statistics.median(wrapped) - statistics.median(bare)
    return _row("`tfaudit version`", bare, wrapped, f"+{milliseconds(more)}", "+25 ms", more <= 0.025)


def apply(engine: str, *, count: int, times: int, first: bool = False) -> Row:
    """Compare `tfaudit apply` with the engine's plan, show -json, apply and state pull, each creating everything.

    Creating, since the engine writes its whole state after each resource, and updating a thousand takes it a minute.
    With ``first`` each time as if these configuration files had never been seen here, so that they must be parsed.
    """
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / "bare", Path(name) / "wrapped"]
        env = environment(Path(name) / "home", TFAUDIT_ENGINE=engine)
        for folder in folders:
            folder.mkdir()
            (folder / "main.tf").write_text(CONFIGURATION.format(count=count))
            run([engine, "init"], cwd=folder, env=env)
        run([TFAUDIT, "setup", "--yes"], cwd=folders[1], env=env)

        def emptied(folder: Path) -> Path:
            for state in folder.glob("terraform.tfstate*"):
                state.unlink()
            return folder

        def bare(turn: int) -> float:
            told, folder = {**env, "TF_VAR_turn": str(turn)}, emptied(folders[0])
            steps = (["plan", "-out", "p"], ["show", "-json", "p"], ["apply", "p"], ["state", "pull"])
            return sum(run([engine, *step], cwd=folder, env=told).seconds for step in steps)

        def wrapped(turn: int) -> float:
            told, folder = {**env, "TF_VAR_turn": str(turn)}, emptied(folders[1])
            if first:
                shutil.rmtree(Path(name) / "home" / ".cache" / "tfaudit" / "sources", ignore_errors=True)
            return run([TFAUDIT, "apply", "-auto-approve"], cwd=folder, env=told).seconds

        one, other = interleaved(times, bare, wrapped)
    more = statistics.median(other) - statistics.median(one)
    share = more / statistics.median(one)
    what = f"`tfaudit apply`, {count:,} resources created{', files not seen before' if first else ''}"
    if count < 100:
        return _row(what, one, other, f"{more * 1000:+.0f} ms", "+150 ms", more <= 0.150)
    return _row(what, one, other, f"{share:+.1%}", "+3 %", share <= 0.03)


def _row(what: str, bare: list[float], wrapped: list[float], ratio: str, target: str, met: bool) -> Row:
    return Row(
        what=what,
        measured=spread(wrapped),
        compared=f"engine alone: {spread(bare)}",
        ratio=ratio,
        target=target,
        met=met,
    )
