"""What does a configuration file say: found, read and parsed, every key a known one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tfaudit.errors import ConfigError
from tfaudit.regular import open_regular

FILE_NAME: Final = "tfaudit.toml"
MAX_FILE_BYTES: Final = 1_000_000

TOP: Final = ("ledger", "working", "stack", "writer", "on_ledger_failure", "genesis")
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "signer": ("record", "log", "second"),
    "capture": ("redact", "keep"),
    "audit": ("reads",),
    "s3": ("endpoint_url", "region", "profile", "kms_key_id"),
    "retention": ("profile", "days", "mode"),
    "gate": (
        "approvals",
        "allow_self_approval",
        "expires",
        "bind",
        "agents_need_person",
        "require_touch",
        "approvers",
        "evidence",
        "groups",
        "rule",
        "freeze",
        "break_glass",
        "stack",
    ),
    "policy": (
        "cel",
        "rego",
        "rego_version",
        "input",
        "engine",
        "defaults",
        "reveal",
        "timeout_seconds",
        "memory_mb",
    ),
    "identity": ("issuers", "audience", "jwks", "agents"),
    "delivery": ("budget",),
}
"""The tables of known keys."""
NAMES: Final = "identities"
"""The table whose keys are whatever its writer calls people."""
LISTS: Final = ("sink", "alert")
"""The lists of tables."""


def find_file(start: Path) -> Path | None:
    """Return the nearest ``tfaudit.toml`` in ``start`` or above it, or None."""
    for folder in (start, *start.parents):
        candidate = folder / FILE_NAME
        if candidate.is_file():
            return candidate
    return None


def named_file(cwd: Path, name: str) -> Path:
    """Return the file that is named on the command line or in the environment; :class:`ConfigError` without one."""
    file = Path(os.path.realpath((cwd / name).parent), Path(name).name)
    if not file.is_file():
        raise ConfigError(f"there is no configuration file {name}", hint="check --config or TFAUDIT_CONFIG")
    return file


def read(file: Path) -> dict[str, object]:
    """Return a configuration file's tables; :class:`ConfigError` for one that can't be read or has an unknown key."""
    import tomllib

    try:
        with open_regular(file) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{file} is larger than {MAX_FILE_BYTES} bytes")
    try:
        table = tomllib.loads(data.decode())
    # A number of too many digits is a ValueError, not one of TOML's own.
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    _check_keys(table, str(file))
    return table


def _check_keys(table: Mapping[str, object], where: str) -> None:
    for key, value in table.items():
        if key in LISTS:
            continue
        if key in TABLES or key == NAMES:
            if not isinstance(value, dict):
                raise ConfigError(f"{key} in {where} is not a table", hint=f"write [{key}] on a line of its own")
            if key != NAMES:
                check_members(value, TABLES[key], f"{key}.", where)
        elif key not in TOP:
            raise unknown(key, (*TOP, *TABLES, NAMES, *LISTS), where)


def check_members(table: Mapping[str, object], known: Iterable[str], prefix: str, where: str) -> None:
    """Raise :class:`ConfigError`, naming the nearest of the ``known`` ones, for a key of ``table`` that is unknown."""
    for member in table:
        if member not in known:
            raise unknown(f"{prefix}{member}", (f"{prefix}{one}" for one in known), where)


def unknown(key: str, known: Iterable[str], where: str, *, what: str = "key") -> ConfigError:
    """Return the error for an unknown key, or ``what`` else it is."""
    candidates = tuple(known)
    import difflib

    nearest = difflib.get_close_matches(key, candidates, n=1, cutoff=0.0)[0]
    return ConfigError(f'unknown {what} "{key}" in {where}', hint=f'did you mean "{nearest}"?')
