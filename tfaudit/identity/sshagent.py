"""Which SSH keys can whoever acts here sign with? An approval by one of them is their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Final

from tfaudit.identity import names
from tfaudit.identity.actor import Evidence

SECONDS: Final = 5
_MAX_KEYS: Final = 50
_LINE: Final = re.compile(r"\d+ (SHA256:[A-Za-z0-9+/]{43}) .*", re.ASCII)


def held(environ: Mapping[str, str]) -> Evidence | None:
    """Return the keys in the SSH agent as evidence (claimed), None without an agent or without keys."""
    if not environ.get("SSH_AUTH_SOCK"):
        return None
    try:
        done = subprocess.run(
            ["ssh-add", "-l", "-E", "sha256"],
            env={**environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines() if done.returncode == 0 else []
    keys = [match[1] for line in lines[:_MAX_KEYS] if (match := _LINE.fullmatch(line))]
    if not keys:
        return None
    return Evidence(
        source="ssh-agent",
        level="claimed",
        principal=None,
        claims=(("keys", ",".join(keys)),),
        identities=names.unique(f"ssh:{key}" for key in keys),
    )
