"""Which input variables are given in a way that can be repeated? The ephemeral ones must be, for the apply."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tfaudit.engine.regular import open_regular
from tfaudit.errors import InputError

if TYPE_CHECKING:
    from tfaudit.engine.variables import Variables
    from tfaudit.runs.run import Run

_PREFIX: Final = "TF_VAR_"
_MAX_FILE: Final = 16 << 20
_ASSIGNMENT: Final = re.compile(r'^[ \t]*"?([\w-]+)"?[ \t]*=', re.MULTILINE)
_SETS_AUTOMATICALLY: Final = ("terraform.tfvars", "terraform.tfvars.json")


def given(run: Run) -> frozenset[str]:
    """Return the names of the variables given by option, file or environment.

    Not those typed at the prompt or read from a pipe (``-var-file=<(...)``): both are gone once they were read.
    """
    names = set(run.invocation.variables)
    names |= {name.removeprefix(_PREFIX) for name in run.world.environ if name.startswith(_PREFIX)}
    root = run.workdir.root
    files = [root / name for name in run.invocation.values("var-file")]
    files += [root / name for name in _SETS_AUTOMATICALLY]
    files += sorted(root.glob("*.auto.tfvars")) + sorted(root.glob("*.auto.tfvars.json"))
    for file in files:
        names |= _names(file)
    return frozenset(names)


def check_repeatable(run: Run, known: Variables | None) -> None:
    """Stop an apply whose plan has an ephemeral variable that was typed at the engine's prompt or came from a pipe.

    The plan doesn't hold it and nobody but the user knows it. Raises :class:`InputError` that names it.
    """
    if known is None:
        return
    missing = sorted(known.at_apply - given(run))
    if missing:
        raise InputError(
            f'the ephemeral variable "{missing[0]}", typed at the prompt or piped in, must be given again at the apply',
            hint=f"give it by TF_VAR_{missing[0]}, -var or a -var-file that is a file; nothing was applied",
        )


def _names(file: Path) -> set[str]:
    try:
        with open_regular(file) as stream:
            text = stream.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return set()
    if file.suffix != ".json":
        return set(_ASSIGNMENT.findall(text))
    try:
        return set(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError):
        return set()
