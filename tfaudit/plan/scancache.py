"""Is it known from an earlier run where the blocks of just these configuration files are?

An entry names every folder that was read for it and the digest of every configuration file there: one byte changed, one
file more or fewer, and it answers nothing. It is as trustworthy as the files themselves are, lying in the same user's
own folder; one that is damaged, another user's or a month old is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import tfaudit

Places = dict[str, tuple[str, int]]
Read = dict[str, dict[str, str]]
"""Folder, name of a configuration file in it, digest of its bytes; the digest is empty where it is not to be read."""

MAX_FILE: Final = 4 << 20
_FORMAT: Final = f"1 {tfaudit.__version__}"
_MAX_ENTRY: Final = 8 << 20
_MAX_ENTRIES: Final = 64
_MAX_AGE_SECONDS: Final = 30 * 24 * 3600


def configuration(directory: Path) -> Iterator[tuple[str, bytes | None]]:
    """Yield name and bytes of each configuration file in ``directory``, by name; None for what can't be read.

    Nor is what is no file, or too large a one. Nothing if there is no such folder.
    """
    try:
        names = sorted(name for name in os.listdir(directory) if _is_configuration(name))  # noqa: PTH208 - names only
    except OSError:
        return
    for name in names:
        yield name, _bytes(directory / name)


def digest(content: bytes | None) -> str:
    """Return what tells this content from any other."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def manifest(data_dir: Path) -> bytes | None:
    """Return the list of installed modules in the engine's data folder, if there is one."""
    return _bytes(data_dir / "modules" / "modules.json")


def entry(folder: Path, root: Path, data_dir: Path, base: Path | None) -> Path:
    """Return the file in the cache's ``folder`` that is for this root module."""
    name = json.dumps([os.fspath(root), os.fspath(data_dir), os.fspath(base) if base else None])
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def recall(path: Path, data_dir: Path) -> Places | None:
    """Return the places that the entry at ``path`` holds, None unless all that was read is still as it was."""
    known = _load(path)
    if known is None:
        return None
    try:
        if known["format"] != _FORMAT or known["manifest"] != digest(manifest(data_dir)):
            return None
        for directory, files in known["read"].items():
            if files != {name: digest(content) for name, content in configuration(Path(directory))}:
                return None
        return {address: (str(file), int(line)) for address, (file, line) in known["places"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def remember(path: Path, places: Mapping[str, tuple[str, int]], *, read: Read, manifest: str) -> None:
    """Keep what was found; a failure to is of no consequence."""
    content = json.dumps({"format": _FORMAT, "manifest": manifest, "read": read, "places": places}).encode()
    if len(content) > _MAX_ENTRY:
        return
    import tempfile

    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:  # mode 0600
            file.write(content)
        os.replace(file.name, path)  # noqa: PTH105 - a name, not a path
        _tidy(path.parent)


def _load(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or time.time() - status.st_mtime > _MAX_AGE_SECONDS:
                return None
            known = json.loads(file.read(_MAX_ENTRY))
    except (OSError, ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def _tidy(folder: Path) -> None:
    """Remove all but the newest entries, and what a killed process left half written."""
    newest = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest[_MAX_ENTRIES:]:
        file.unlink(missing_ok=True)


def _is_configuration(name: str) -> bool:
    return name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json")) and not name.startswith(".")


def _bytes(path: Path) -> bytes | None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                return None
            return file.read(MAX_FILE)
    except OSError:
        return None
