"""Which files besides its configuration does a module bring along, and what is in them?

Of a called module: every regular file of its folder, but for what version control, engine and desktop leave there. A
file that is a link counts as what it leads to, a link to a folder by where it leads. A folder with too many files, or
too large ones, is not looked through: that alone is said.

Of the root module: the files that its configuration names (``"${path.module}/deploy.sh"``, ``"files/"``), and no
others: state, plan files, logs and other stacks lie beside it and change from run to run. A name that is computed
is not seen; an absolute one names what belongs to the machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

Files: TypeAlias = "Sequence[tuple[str, str]]"
"""Pairs of a path within the module and the hex SHA-256 of its content, or a word that says what it is instead."""

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 256 << 20
_MAX_NAMES: Final = 50_000
_PIECE: Final = 1 << 20

_CONFIGURATION: Final = (".tf", ".tf.json", ".tofu", ".tofu.json")
_LEFT_OUT: Final = frozenset(
    {".git", ".hg", ".svn", ".terraform", ".terragrunt-cache", ".DS_Store", ".terraform.lock.hcl", "crash.log"}
)
_PLAN_MEMBERS: Final = frozenset({"tfplan", "tfstate", "tfstate-prev", ".terraform.lock.hcl"})
_STATE: Final = re.compile(r"\.tfstate(?:\.|$)")
_ANCHOR: Final = re.compile(rb"\$\{\s*path\.(?:module|root|cwd)\s*\}/")
_NAME: Final = re.compile(rb"[\w./@+~-]{1,255}")


def is_configuration(name: str) -> bool:
    """Return whether the engines read a file of that name as configuration."""
    return name.endswith(_CONFIGURATION) and not name.startswith(".")


class Looker:
    """Looks through the folders of one configuration, each folder once, all within one budget."""

    def __init__(self, root: Path, *, files: int = MAX_FILES, size: int = MAX_BYTES) -> None:
        self._root = os.path.realpath(root)
        self._files = files
        self._size = size
        self._seen: dict[str, list[tuple[str, str]]] = {}

    def beside(self, folder: Path, known: Collection[str]) -> Files:
        """Return the files in the called module's ``folder`` except those ``known`` already."""
        place = os.path.realpath(folder)
        if place not in self._seen:
            self._seen[place] = self._through(place) if place != self._root else []
        return [(name, digest) for name, digest in self._seen[place] if name not in known]

    def named_in(self, texts: Iterable[bytes], called: Collection[Path] = ()) -> Files:
        """Return the files that the root module's configuration ``texts`` name.

        The folders of the ``called`` modules are left out: they have digests of their own.
        """
        elsewhere = {os.path.realpath(folder) for folder in called}
        names: set[str] = set()
        for text in texts:
            names.update(map(os.fsdecode, _NAME.findall(_ANCHOR.sub(b" ", text))))
        found: dict[str, str] = {}
        for name in sorted(name for name in names if not name.startswith("/"))[:_MAX_NAMES]:
            path = os.path.normpath(os.path.join(self._root, name))  # noqa: PTH118 - as the text spells it
            status = _status(path)
            if status is None or _is_left_out(path) or path in elsewhere or self._is_own_configuration(path):
                continue
            if stat.S_ISREG(status.st_mode):
                if _is_plan_file(path):
                    continue
                found[name] = self._measured([_File(name, path, status.st_size)])[0][1]
            elif stat.S_ISDIR(status.st_mode) and "/" in name and path.startswith(f"{self._root}/"):
                found |= {f"{name.rstrip('/')}/{below}": digest for below, digest in self._through(path)}
        return sorted(found.items())

    def _is_own_configuration(self, path: str) -> bool:
        folder, name = os.path.split(path)
        return folder == self._root and is_configuration(name)

    def _through(self, folder: str) -> list[tuple[str, str]]:
        files: list[_File] = []
        links: list[tuple[str, str]] = []
        for seen, entry in enumerate(_walk(folder, self._root)):
            if seen >= self._files:
                return [(".", "too many files")]
            below, status = entry.path.removeprefix(f"{folder}/"), _entry_status(entry)
            if status is not None and stat.S_ISREG(status.st_mode):
                files.append(_File(below, entry.path, status.st_size))
            elif entry.is_symlink():
                links.append((below, f"link {_target(entry.path)}"))
        return self._measured(files) + links

    def _measured(self, files: list[_File]) -> list[tuple[str, str]]:
        """Return the digest of each file, if the budget allows for all of them."""
        size = sum(file.size for file in files)
        if len(files) > self._files or size > self._size:
            return [(files[0].name if len(files) == 1 else ".", "too large")]
        self._files -= len(files)
        self._size -= size
        return [(file.name, _content_digest(file.path)) for file in files]


class _File(NamedTuple):
    """One file: its name within the module, where it lies, how large it is."""

    name: str
    path: str
    size: int


def _walk(folder: str, root: str) -> Iterator[os.DirEntry[str]]:
    """Yield what is below ``folder``, but for what counts for nothing and the root module's own folder."""
    pending = [folder]
    while pending:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if _is_left_out(entry.name) or entry.path == root:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            yield entry


def _is_left_out(path: str) -> bool:
    name = os.path.basename(path)  # noqa: PTH119 - a text, not a place
    return name in _LEFT_OUT or _STATE.search(name) is not None


def _status(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def _is_plan_file(path: str) -> bool:
    """Return whether it is a plan file: a comment that says how to plan may name the very one that is looked into."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if file.read(2) != b"PK":
                return False
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False
    # Nothing else may be in it: a program may be a zip too.
    return "tfplan" in names and all(name in _PLAN_MEMBERS or name.startswith("tfconfig/") for name in names)


def _entry_status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def _target(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _content_digest(path: str) -> str:
    found = hashlib.sha256()
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError:
        return "unreadable"
    return found.hexdigest()
