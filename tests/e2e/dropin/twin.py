"""How do a bare engine and its stand-in fare with the same case, each in its own copy of the configuration?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dropin import screen
from dropin.cases import Case
from dropin.screen import Shown

SPLIT = Path(__file__).with_name("split.py")

# What the bare engine shows is asked for once a session, whatever is compared with it.
_BARE: dict[tuple[object, ...], tuple[Shown, Path]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A bare engine and the same run by another command, in folders of one length of name."""

    engine: str
    stand_in: tuple[str, ...]
    """The command before the engine's own arguments."""
    root: Path
    environment: dict[str, str]
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands run in the stand-in's folder first."""

    def same(self, case: Case, *, terminal: bool = False, columns: int = 91, more: Sequence[str] = ()) -> None:
        """Assert that both show the same and end the same."""
        key = (self.engine, case.name, terminal, columns, tuple(more))
        if key not in _BARE:
            _BARE[key] = self._run(case, "bare", (self.engine,), terminal, columns, more)
        bare, bare_folder = _BARE[key]
        twin, twin_folder = self._run(case, "twin", self.stand_in, terminal, columns, more)
        screen.same(bare, twin, folders=(bare_folder, twin_folder))

    def _run(
        self, case: Case, name: str, command: tuple[str, ...], terminal: bool, columns: int, more: Sequence[str]
    ) -> tuple[Shown, Path]:
        environment = {**self.environment, **case.environment}
        folder = self.root / name / "project"
        self._set_up(case, folder, name)
        whole = (*command, *case.command, *more)
        if terminal:
            shown = screen.on_terminal(
                whole, folder=folder, environment=environment, answers=case.answers, columns=columns
            )
        else:
            shown = screen.on_pipes(whole, folder=folder, environment=environment, typed=case.typed)
        return screen.loosen(shown) if case.unordered else shown, folder

    def _set_up(self, case: Case, folder: Path, name: str) -> None:
        folder.mkdir(parents=True)
        for file, text in case.files.items():
            (folder / file).write_text(text)
        main = folder / "main.tf"
        main.write_text(case.before_text or case.text)
        for command in (("init", "-input=false"), *case.before):
            self._quietly((self.engine, *command), folder)
        main.write_text(case.text)
        if case.before_text:
            self._quietly((self.engine, "init", "-input=false"), folder)
        if case.drift:
            state = folder / "terraform.tfstate"
            text = state.read_text()
            assert case.drift[0] in text
            state.write_text(text.replace(*case.drift))
        if name == "twin":
            for command in self.prepare:
                self._quietly(command, folder)

    def _quietly(self, command: Sequence[str], folder: Path) -> None:
        done = subprocess.run(command, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()


def halves(engine: str) -> tuple[str, ...]:
    """The command that makes an apply of two halves with the renderer alone."""
    return (sys.executable, str(SPLIT), engine, "--")
