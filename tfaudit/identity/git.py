"""Which commit is being applied, who wrote it, and where the repository lives."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfaudit.identity import names
from tfaudit.identity.actor import Evidence

TIMEOUT_SECONDS: Final = 5
COMMAND: Final = ("git", "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit")
"""How git is asked: what lies in a commit starts no program, and is no repository (git 2.38)."""
_SCP_FORM: Final = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")
_URL_FORM: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*)://(?:[^@/]*@)?([^/:]+)(?::\d+)?/(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What git says about a working directory. Absent where git, a commit or a remote is absent."""

    root: Path
    path: str
    """The working directory below the root, with slashes; empty at the root."""
    remote: str | None
    """``host/owner/repository`` in lower case, with no scheme, user or token, and no ``.git``."""
    commit: str | None
    author_name: str | None
    author_email: str | None
    dirty: bool | None
    """Whether tracked files differ from the commit; None when git did not answer in time."""
    committer_email: str | None = None

    def evidence(self) -> Evidence | None:
        """Return the commit and its author as evidence (claimed), or None without a commit."""
        if self.commit is None:
            return None
        claims = [("commit", self.commit)]
        if self.author_name:
            claims.append(("author_name", self.author_name))
        if self.author_email:
            claims.append(("author_email", self.author_email))
        if self.committer_email and self.committer_email != self.author_email:
            claims.append(("committer_email", self.committer_email))
        if self.dirty is not None:
            claims.append(("dirty", "true" if self.dirty else "false"))
        # The author wrote the change; they need not be the one who runs it, so git names no principal here.
        # Whoever committed it, as somebody else's or their own, has a part in it all the same.
        wrote = (*names.of_email(self.author_email), *names.of_email(self.committer_email))
        return Evidence(
            source="git-commit", level="claimed", principal=None, claims=tuple(claims), identities=names.unique(wrote)
        )


def read(folder: Path, environ: Mapping[str, str]) -> Repository | None:
    """Return the repository that ``folder`` lies in, or None when there is none or no git."""
    real = folder.resolve()
    at = place(real, environ)
    where = _git(at, environ, "rev-parse", "--show-toplevel", "--show-prefix")
    if where is None:
        return None
    top, _, prefix = where.partition("\n")
    below = os.fsencode(real.relative_to(at).as_posix()).decode(errors="replace")
    # The names as they stand in the commit: a .mailmap is part of the change that is being judged.
    author = _git(at, environ, "log", "-1", "--no-show-signature", "--format=%H%n%an%n%ae%n%ce")
    commit, name, email, committer = [*author.split("\n"), "", "", "", ""][:4] if author else ("", "", "", "")
    remote = _git(at, environ, "remote", "get-url", "origin")
    changed = _git(at, environ, "status", "--porcelain", "--untracked-files=no") if author else None
    return Repository(
        root=Path(top),
        path="/".join(part for part in (prefix.rstrip("/"), below) if part not in ("", ".")),
        remote=normalise_remote(remote.strip()) if remote else None,
        commit=commit or None,
        author_name=name or None,
        author_email=email or None,
        committer_email=committer or None,
        dirty=None if changed is None else bool(changed.strip()),
    )


def place(folder: Path, environ: Mapping[str, str]) -> Path:
    """Return where git has to be asked of ``folder``, which no link leads to: the nearest above it with a ``.git``.

    Asked in the folder itself, git would also take HEAD, objects, refs and config for a repository: files that a commit
    can bring along, with whatever remote and commit they name. No commit can hold a ``.git``.
    """
    ceilings = environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    for each in (folder, *folder.parents) if not environ.get("GIT_DIR") else ():
        if each != folder and str(each) in ceilings:
            break
        if os.path.lexists(each / ".git"):
            return each
    return folder


def normalise_remote(url: str) -> str | None:
    """Return ``host/owner/repository`` for a remote's URL in any of git's spellings, or None for a local path.

    CI systems put tokens into remotes: the user part goes before anything is kept.
    """
    match = _URL_FORM.fullmatch(url) or _SCP_FORM.fullmatch(url)
    if match is None or url.lower().startswith("file:"):
        return None
    host, path = match.groups()
    cleaned = path.split("?")[0].split("#")[0].strip("/").removesuffix(".git").strip("/")
    return f"{host}/{cleaned}".lower() if cleaned else None


def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else None
