"""Where does the engine work: its folder, data folder, workspace, backend, and the local state?

What the engine keeps in ``.terraform`` is read as it would read it, but with a size limit; no engine is run. What reads
JSON is imported when there is some to read: a run's plan waits for this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tfaudit.engine.argv import Invocation
from tfaudit.errors import InputError
from tfaudit.regular import read_regular

if TYPE_CHECKING:
    from tfaudit.engine.stored import Backend

_MAX_NAME: Final = 64 * 1024
_MAX_BACKEND: Final = 1024 * 1024
_DEFAULT_STATE: Final = "terraform.tfstate"
_REMOTE: Final = ("remote", "cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir:
    """The directory that the engine works in."""

    root: Path
    """The configuration's folder: the working directory, or that of ``-chdir``."""
    data: Path
    """``.terraform``, or the folder of TF_DATA_DIR."""
    workspace: str
    """The selected workspace; ``default`` when none is."""

    @classmethod
    def of(cls, invocation: Invocation, environ: Mapping[str, str], cwd: Path) -> Self:
        """Return the directory of an invocation. A relative TF_DATA_DIR counts from the configuration's folder.

        The root has no ``..`` and no link: however it was reached, it is the same stack and the same state.
        """
        root = Path(os.path.realpath(cwd / (invocation.chdir or "")))
        data = root / (environ.get("TF_DATA_DIR") or ".terraform")
        return cls(root=root, data=data, workspace=environ.get("TF_WORKSPACE") or _selected(data))

    def backend(self) -> Backend | None:
        """Return the initialised backend, None when there is none (then the state is a local file).

        Raises :class:`~tfaudit.errors.InputError` when what the engine stored can't be read.
        """
        path = self.data / _DEFAULT_STATE
        data = read_regular(path, limit=_MAX_BACKEND)
        if not data:
            return None
        from tfaudit.engine import stored

        return stored.backend(data, what=str(path))

    @property
    def is_remote(self) -> bool:
        """Whether the engine's operations may take place elsewhere, so that no plan of theirs can be looked into."""
        backend = self.backend()
        return backend is not None and backend.type in _REMOTE

    def state_path(self, invocation: Invocation, *, after: bool = False) -> Path | None:
        """Return the local state file that the command reads (``after``: writes), None for any other backend.

        It is absolute, with no ``..`` and no link. Raises :class:`~tfaudit.errors.InputError` as :meth:`backend` does.
        """
        backend = self.backend()
        if backend is not None and backend.type != "local":
            return None
        file = self._state_file(backend, invocation, after=after)
        if "\0" in file:
            raise InputError("the backend's configuration names a path that no file can have")
        return Path(os.path.realpath(self.root / file))

    def _state_file(self, backend: Backend | None, invocation: Invocation, *, after: bool) -> str:
        given = invocation.value("state-out") if after else None
        given = given or invocation.value("state")
        if given:
            return given
        config = backend.config if backend is not None else {}
        if self.workspace == "default":
            return _text(config.get("path"), _DEFAULT_STATE)
        folder = _text(config.get("workspace_dir"), "terraform.tfstate.d")
        return f"{folder}/{self.workspace}/{_DEFAULT_STATE}"


def _selected(data: Path) -> str:
    try:
        return read_regular(data / "environment", limit=_MAX_NAME).decode(errors="replace").strip() or "default"
    except InputError:
        return "default"


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default
