"""Does a saved plan put its state where this working directory keeps it?

A plan file names its own backend, and the engine heeds that alone. Under a gate, a plan that would write its state
elsewhere is refused: the approval is for this state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfaudit.engine import planbackend
from tfaudit.engine.workdir import Workdir
from tfaudit.runs import location


def elsewhere(workdir: Workdir, fd: int) -> tuple[str, ...]:
    """Return one line if the plan file behind ``fd`` has another backend than the working directory, or says none.

    A plan file that the engine has encrypted is no zip: it can't be looked into, and nothing is returned. Raises
    :class:`~tfaudit.errors.InputError` where what the engine stored of the backend can't be read.
    """
    if os.pread(fd, 2, 0) != b"PK":
        return ()
    planned = planbackend.read(fd)
    if planned is None:
        return ("the plan file doesn't say where it puts the state; plan again",)
    own = workdir.backend()
    here = _place(own.type, own.config, workdir.workspace) if own else _place("local", {}, workdir.workspace)
    if _place(planned.type, planned.config, planned.workspace) == here:
        return ()
    place = f"a backend of type {planned.type}, workspace {planned.workspace}"
    return (f"the plan file puts the state elsewhere ({place}); plan again in this place",)


def _place(kind: str, config: Mapping[str, object], workspace: str) -> tuple[object, ...]:
    if kind == "local":
        named: tuple[object, ...] = (
            config.get("path") or "terraform.tfstate",
            config.get("workspace_dir") or "terraform.tfstate.d",
        )
    else:
        served = [(name, value) for name, value in sorted(config.items()) if "endpoint" in name and value]
        named = (*location.remote(kind, config), *served)
    return (kind, workspace, *named)
