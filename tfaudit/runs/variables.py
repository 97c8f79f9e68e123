"""Which input variables are given in a way that can be repeated? The ephemeral ones must be, for the apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.engine import varfiles
from tfaudit.errors import InputError

if TYPE_CHECKING:
    from tfaudit.engine.variables import Variables
    from tfaudit.runs.run import Run

_PREFIX: Final = "TF_VAR_"


def given(run: Run) -> frozenset[str]:
    """Return the names of the variables given by option, file or environment.

    Not those typed at the prompt or read from a pipe (``-var-file=<(...)``): both are gone once they were read.
    """
    names = set(run.invocation.variables)
    names |= {name.removeprefix(_PREFIX) for name in run.world.environ if name.startswith(_PREFIX)}
    root = run.workdir.root
    for file in (*varfiles.named(run.invocation, root), *varfiles.automatic(root)):
        names |= varfiles.names(file, varfiles.content(file))
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
