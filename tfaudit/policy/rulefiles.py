"""Which bytes are a policy: a file of rules, or a folder of Rego, read once and within limits.

What is evaluated is what was read here, and the digest is of it: a file that changes meanwhile changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfaudit import canonical
from tfaudit.errors import ConfigError
from tfaudit.regular import NotAFileError, open_regular

MAX_BYTES: Final = 1 << 20
"""Of one file."""
MAX_TOTAL: Final = 16 << 20
MAX_FILES: Final = 2_000
_DEEPEST: Final = 20
_DATA: Final = "data.json"
_TESTS: Final = "_test.rego"
_YAML: Final = ("data.yaml", "data.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegoFile:
    """A module, or the data beside it."""

    path: str
    """Relative to the folder, with slashes; the bare name where the policy is a single file."""
    content: bytes

    @property
    def is_data(self) -> bool:
        """Whether it is ``data.json``."""
        return self.path.rpartition("/")[2] == _DATA


def read(path: Path, *, most: int = MAX_BYTES) -> bytes:
    """Return a file's content; :class:`ConfigError` for what can't be read, is larger or is no file."""
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except NotAFileError as error:
        raise ConfigError(f"{_shown(path)} is not a file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise ConfigError(f"{_shown(path)} can't be read: {reason}") from error
    if len(data) > most:
        raise ConfigError(f"{_shown(path)} is larger than {most} bytes")
    return data


def read_rego(root: Path) -> tuple[RegoFile, ...]:
    """Return the modules of a folder and what lies below it, or of one file, by path.

    Tests (``*_test.rego``) are left out; of data only ``data.json`` belongs to it, as in OPA's bundles. A symbolic link
    is not followed. Raises :class:`ConfigError` for what can't be read, is too large, or holds no module.
    """
    if not root.is_dir():
        return (RegoFile(path=root.name, content=read(root)),)
    found: list[RegoFile] = []
    total = 0
    for path in sorted(_walk(root, root, 0)):
        content = read(root / path)
        total += len(content)
        if total > MAX_TOTAL or len(found) >= MAX_FILES:
            raise ConfigError(f"{_shown(root)} holds more than {MAX_FILES} files or {MAX_TOTAL} bytes of policy")
        found.append(RegoFile(path=path, content=content))
    if all(file.is_data for file in found):
        raise ConfigError(f"{_shown(root)} holds no .rego file", hint="a policy that checks nothing has not passed")
    return tuple(found)


def _walk(root: Path, folder: Path, depth: int) -> list[str]:
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() or entry.name.startswith("."):
                    continue
                if entry.is_dir() and depth < _DEEPEST:
                    found += _walk(root, Path(entry.path), depth + 1)
                elif entry.name in _YAML:
                    raise ConfigError(f"{_shown(Path(entry.path))} would not be read", hint="write it as data.json")
                elif entry.name == _DATA or (entry.name.endswith(".rego") and not entry.name.endswith(_TESTS)):
                    found.append(Path(entry.path).relative_to(root).as_posix())
                if len(found) > MAX_FILES:
                    break
    except OSError as error:
        raise ConfigError(f"{_shown(folder)} can't be read: {error.strerror}") from error
    return found


def rego_digest(files: tuple[RegoFile, ...]) -> str:
    """Return the SHA-256 of the canonical JSON of ``[[path, SHA-256 of the content], …]``, sorted by path."""
    listed = [[canonical.readable(file.path), canonical.sha256_hex(file.content)] for file in files]
    return canonical.sha256_hex(canonical.encode(sorted(listed)))


def _shown(path: Path) -> str:
    return canonical.readable(str(path))
