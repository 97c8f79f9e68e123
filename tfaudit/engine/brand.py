"""Which engine is this: Terraform or OpenTofu, which version, what can it do, which bytes is it?

``version -json`` doesn't name the product, so the first line of plain ``version`` is read. Asking costs 30 to 130 ms,
hashing 90 MB another 50: answers about a real binary are kept in the user's cache, keyed by path, size, times and
inode. A small program may be a version switcher, whose answer depends on the directory: it is asked each time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tfaudit.engine import find
from tfaudit.errors import InternalError, UnavailableError

TERRAFORM: Final = "terraform"
OPENTOFU: Final = "opentofu"
UNKNOWN: Final = "unknown"

_FIRST_LINE: Final = re.compile(rb"^(Terraform|OpenTofu) v(\S+)", re.MULTILINE)
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)", re.ASCII)
_BRANDS: Final = {b"Terraform": TERRAFORM, b"OpenTofu": OPENTOFU}
_MAGIC: Final = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")
_MIN_ENGINE: Final = 32 * 1024 * 1024
_MAX_CACHE: Final = 1024 * 1024
_MAX_ENTRIES: Final = 32
_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine of a run."""

    command: tuple[str, ...]
    """The words that start it."""
    path: str
    """The program, or the shared library of the embedded engine."""
    brand: str
    """``terraform``, ``opentofu``, or ``unknown`` when its first line says neither."""
    version: str
    """Its version without the v; empty when unknown."""


def default_cache(environ: Mapping[str, str]) -> Path | None:
    """Return the file that answers are kept in, or None when there is no home to keep it in."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not Path(base).is_absolute():
        home = environ.get("HOME", "")
        if not Path(home).is_absolute():
            return None
        base = f"{home}/.cache"
    return Path(base) / "tfaudit" / "engines.json"


def identify(command: Sequence[str], environ: Mapping[str, str], *, cache: Path | None) -> Engine:
    """Return what the engine says it is.

    Raises :class:`~tfaudit.errors.UnavailableError` when it can't be started and
    :class:`~tfaudit.errors.InternalError` when it is a wrapper that calls tfaudit again.
    """
    path = _program(command)
    known = _recall(cache, path)
    brand, version = known.get("brand"), known.get("version")
    if not isinstance(brand, str) or not isinstance(version, str):
        found = _FIRST_LINE.search(_ask(command, ["version"], environ))
        brand = _BRANDS[found[1]] if found else UNKNOWN
        version = found[2].decode("ascii", "replace") if found else ""
        if found:
            _remember(cache, path, {"brand": brand, "version": version})
    return Engine(command=tuple(command), path=path, brand=brand, version=version)


def has_stream(engine: Engine) -> bool:
    """Whether ``apply -json`` is known to the engine: Terraform has it since 0.15.3, OpenTofu always."""
    numbers = _RELEASE.match(engine.version)
    if engine.brand != TERRAFORM or numbers is None:
        return True
    return tuple(map(int, numbers.groups())) >= (0, 15, 3)


def json_into(engine: Engine, environ: Mapping[str, str], *, cache: Path | None) -> bool:
    """Whether the engine has ``-json-into``: newer OpenTofu does, no Terraform does."""
    if engine.brand != OPENTOFU:
        return False
    known = _recall(cache, engine.path).get("json_into")
    if isinstance(known, bool):
        return known
    able = b"-json-into" in _ask(engine.command, ["plan", "-help"], environ)
    _remember(cache, engine.path, {"json_into": able})
    return able


def digest(engine: Engine, *, cache: Path | None) -> str | None:
    """Return the SHA-256 of the engine's program in hexadecimal, or None when it can't be read."""
    known = _recall(cache, engine.path).get("sha256")
    if isinstance(known, str):
        return known
    import hashlib

    try:
        with Path(engine.path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    _remember(cache, engine.path, {"sha256": found})
    return found


def _program(command: Sequence[str]) -> str:
    """Return the file that is the engine: of the embedded one the library, which is the command's last word."""
    return os.path.realpath(command[-1])


def _ask(command: Sequence[str], args: list[str], environ: Mapping[str, str]) -> bytes:
    """Return what the engine prints, in an environment that makes it say no more than it must."""
    quiet = {name: value for name, value in environ.items() if not name.startswith(("TF_CLI_ARGS", "TF_LOG"))}
    quiet |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
    env = find.marked(quiet, args, own=find.own_path())
    try:
        done = subprocess.run(
            [*command, *args], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"the engine {command[0]} can't be asked for its version: {error}") from error
    if done.returncode == InternalError.exit_code and done.stderr.startswith(b"tfaudit: "):
        raise InternalError(
            f"the engine {command[0]} is a wrapper that calls tfaudit again",
            hint="name the real engine in TFAUDIT_ENGINE",
        )
    return done.stdout


def _key(path: str) -> list[int] | None:
    """Return what tells this file from a later one at the same path; None for a file that isn't an engine itself."""
    try:
        with Path(path).open("rb") as file:
            magic, status = file.read(4), os.fstat(file.fileno())
    except OSError:
        return None
    if status.st_size < _MIN_ENGINE or magic not in _MAGIC:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _load(cache: Path) -> dict[str, Any]:
    """Return the cache, empty when it is absent or damaged: it only saves time."""
    try:
        with cache.open("rb") as file:
            loaded = json.loads(file.read(_MAX_CACHE))
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _recall(cache: Path | None, path: str) -> dict[str, Any]:
    key = _key(path) if cache else None
    entry = _load(cache).get(path) if cache and key else None
    return entry if isinstance(entry, dict) and entry.get("key") == key else {}


def _remember(cache: Path | None, path: str, answers: dict[str, Any]) -> None:
    """Add answers to the cache; a failure to is of no consequence."""
    key = _key(path) if cache else None
    if cache is None or key is None:
        return
    entries = dict(list(_load(cache).items())[-_MAX_ENTRIES:])
    entries[path] = {**_recall(cache, path), "key": key, **answers}
    with suppress(OSError):
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        import tempfile

        with tempfile.NamedTemporaryFile(dir=cache.parent, delete=False) as file:
            file.write(json.dumps(entries).encode())
        Path(file.name).replace(cache)
