"""Where a state lies, as far as that may be told: the parts of a backend's configuration that name the place.

Backend configurations hold credentials, so only what is listed here is looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_DEFAULT: Final = "default"
_USUAL: Final = {"http": ":80", "https": ":443"}
_PLACE: Final[Mapping[str, tuple[str, ...]]] = {
    "azurerm": ("environment", "storage_account_name", "container_name", "key"),
    "cloud": ("hostname", "organization"),
    "consul": ("address", "path"),
    "cos": ("bucket", "prefix", "key"),
    "gcs": ("bucket", "prefix"),
    "http": ("address",),
    "kubernetes": ("host", "namespace", "secret_suffix"),
    "oci": ("namespace", "bucket", "key", "workspace_key_prefix"),
    "oss": ("endpoint", "bucket", "prefix", "key"),
    "pg": ("schema_name",),
    "remote": ("hostname", "organization"),
    "s3": ("bucket", "workspace_key_prefix", "key"),
}


def local(state_path: Path, root: Path) -> tuple[str, ...]:
    """Return the place of a state file: its path from ``root``, the repository's or the configuration's folder."""
    try:
        return (state_path.relative_to(root).as_posix(),)
    except ValueError:
        return (state_path.as_posix(),)


def remote(backend: str, config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the place of a state in a backend, by the settings that name it; no user, token or query in any."""
    parts = [_plain(config.get(name)) for name in _PLACE.get(backend, ())]
    workspaces = config.get("workspaces")
    if backend in ("remote", "cloud"):
        for member in workspaces if isinstance(workspaces, list) else [workspaces]:
            if isinstance(member, dict):
                parts += [_plain(member.get("name")), _plain(member.get("prefix"))]
    return tuple(parts)


def of_state(backend: str, config: Mapping[str, object], workspace: str) -> tuple[tuple[str, ...], str]:
    """Return the place of a workspace's state and the workspace, the same however one stored object is spelled.

    Where a backend puts a workspace's name into the object's, the very object is also that of another key in the
    default workspace: it is told as that. The joints are Terraform's and OpenTofu's own.
    """
    match backend, remote(backend, config):
        case "s3", (bucket, prefix, key) if key:
            name = key if workspace == _DEFAULT else f"{prefix or 'env:'}/{workspace}/{key}"
            return (bucket, "", name), _DEFAULT
        case "azurerm" | "consul", (*above, key) if key:
            joint = "env:" if backend == "azurerm" else "-env:"
            return (*above, key if workspace == _DEFAULT else f"{key}{joint}{workspace}"), _DEFAULT
        case "gcs", (bucket, prefix):
            # As Go's path.Join has it, before a workspace's name is put behind.
            return (bucket, posixpath.normpath(f"/{prefix}").strip("/")), workspace
        case _, place:
            return place, workspace


def _plain(value: object) -> str:
    if not isinstance(value, str):
        return ""
    if "://" not in value:
        return value
    split = urlsplit(value)
    host = split.netloc.rpartition("@")[2].lower().removesuffix(_USUAL.get(split.scheme, ":"))
    return f"{split.scheme}://{host}{split.path}"
