"""Which stack does a run belong to, and which state does it change."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.canonical import frame, readable
from tfaudit.errors import ConfigError
from tfaudit.identity.git import Repository

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.engine.workdir import Workdir
    from tfaudit.runs.run import World

_FILLED: Final = ("{path}", "{workspace}")
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_ALLOWED: Final = re.compile(r"[^\x00-\x1f\x7f]{1,512}")


def stack_name(*, configured: str | None, repository: Repository | None, below_root: str, workspace: str) -> str:
    """Return the stack's name: host/owner/repository/path:workspace, or what is configured.

    ``below_root`` is the working directory's path below the configuration file's folder, for ``{path}`` in a
    configured name. Raises :class:`ConfigError` when there is neither a remote nor a configured name: two stacks
    under one made-up name could not be told apart later.
    """
    if configured is not None:
        unknown = next((found[0] for found in _PLACEHOLDER.finditer(configured) if found[0] not in _FILLED), None)
        if unknown is not None:
            # Taken as it stands, a misspelt {workspace} would make one stack of all workspaces.
            raise ConfigError(f"the stack {configured!r} has {unknown}", hint=f"known are {' and '.join(_FILLED)}")
        template = configured if below_root else configured.replace("/{path}", "")
        name = readable(template.replace("{path}", below_root).replace("{workspace}", workspace))
        if not _ALLOWED.fullmatch(name):
            raise ConfigError("the configured stack name is empty, too long or holds control characters")
        return name
    if repository is None or repository.remote is None:
        raise ConfigError(
            "this folder has no git remote, so the stack has no name",
            hint='set stack = "…" in tfaudit.toml or TFAUDIT_STACK, or run tfaudit setup',
        )
    path = f"/{repository.path}" if repository.path else ""
    return readable(f"{repository.remote}{path}:{workspace}")


def stack_here(config: Config, world: World, workdir: Workdir | None = None) -> str:
    """Return the name of the stack that a plan in ``workdir`` would be of; errors as :func:`stack_name`.

    Without one it is the working directory.
    """
    from tfaudit.engine import argv
    from tfaudit.engine.workdir import Workdir
    from tfaudit.identity import git

    folder = world.cwd if workdir is None else workdir.root
    at = workdir or Workdir.of(argv.parse(["plan"], world.environ), world.environ, world.cwd)
    return stack_name(
        configured=config.stack,
        repository=git.read(folder, world.environ),
        below_root=_below(folder, config.root),
        workspace=at.workspace,
    )


def _below(folder: Path, root: Path) -> str:
    path = os.path.relpath(folder, root)
    return "" if path == "." or path.startswith("..") else Path(path).as_posix()


def state_key(*, nonce: bytes, backend: str, location: tuple[str, ...], workspace: str) -> str:
    """Return 64 hexadecimal digits that stand for one state, the same for all runs that reach it.

    Keyed by the ledger's own nonce, so that a bucket's or an organisation's name can't be guessed from it elsewhere.
    """
    message = b"tfaudit/state/v1\n" + frame(
        *(part.encode("utf-8", "surrogateescape") for part in (backend, *location, workspace))
    )
    return hmac.new(nonce, message, hashlib.sha256).hexdigest()
