"""Where does the engine work: its folder, data folder, workspace, backend, and the local state?

What the engine keeps in ``.terraform`` is read as it would read it, but with a size limit; no engine is run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from tfaudit.engine.argv import Invocation
from tfaudit.engine.regular import open_regular
from tfaudit.errors import InputError

_MAX_NAME: Final = 64 * 1024
_MAX_BACKEND: Final = 1024 * 1024
_MAX_STATE: Final = 1024 * 1024 * 1024
_DEFAULT_STATE: Final = "terraform.tfstate"
_REMOTE: Final = ("remote", "cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The backend that ``init`` has set up."""

    type: str
    """``s3``, ``local``, ``cloud`` …"""
    config: Mapping[str, object]
    """Its settings as stored, null where they aren't set; may hold credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateId:
    """Which state, and which version of it."""

    lineage: str
    """Empty before the first write."""
    serial: int


class _BackendPart(msgspec.Struct):
    type: str = ""
    config: dict[str, object] | None = None


class _BackendFile(msgspec.Struct):
    backend: _BackendPart | None = None
    state_store: _BackendPart | None = None


class _StateFile(msgspec.Struct):
    serial: int = 0
    lineage: str = ""


# Made at import: msgspec lays a Struct's fields out when it is first decoded, and two threads that both do so crash.
_backend_file: Final = msgspec.json.Decoder(_BackendFile)
_state_file: Final = msgspec.json.Decoder(_StateFile)


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
        data = _read(path, _MAX_BACKEND)
        if not data:
            return None
        try:
            stored = _backend_file.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not what init writes: {error}") from error
        part = stored.backend or stored.state_store
        return Backend(type=part.type, config=part.config or {}) if part is not None and part.type else None

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
        return _read(data / "environment", _MAX_NAME).decode(errors="replace").strip() or "default"
    except InputError:
        return "default"


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) and value else default


def read_state_id(path: Path) -> StateId | None:
    """Return lineage and serial of a state file, None when there is no file or nothing in it.

    Raises :class:`~tfaudit.errors.InputError` for what is no state file.
    """
    return parse_state_id(_read(path, _MAX_STATE), what=str(path))


def parse_state_id(data: bytes, *, what: str) -> StateId | None:
    """Return lineage and serial of a state's JSON (``state pull`` prints nothing when there is no state)."""
    if not data.strip():
        return None
    try:
        state = _state_file.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"{what} is no state file: {error}") from error
    return StateId(lineage=state.lineage, serial=state.serial)


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if len(data) > limit:
        raise InputError(f"{path} is larger than {limit} bytes")
    return data
