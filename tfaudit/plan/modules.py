"""Which sources does an apply of this plan run? One digest for each module of the configuration.

The plan JSON doesn't tell: of an expression with a reference in it, ``command = "rm ${var.file}"`` for one, it says
only what is referred to. The plan file does: under ``tfconfig/`` it holds the configuration files that the apply will
use, whatever lies in the working directory by then. What else a module brings along (scripts, templates) is read from
disk at the apply, and so it is here (:mod:`tfaudit.plan.modulefiles`). Where the engine has encrypted the plan file,
the configuration files come from disk too.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from tfaudit.canonical import frame
from tfaudit.errors import InputError
from tfaudit.plan.modulefiles import Looker, is_configuration

_MANIFEST: Final = "tfconfig/modules.json"
_MODULE: Final = "tfconfig/m-"
_MAX_MEMBERS: Final = 50_000
_MAX_CONTENT: Final = 256 << 20
_MAX_MANIFEST: Final = 16 << 20
_UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)


class SourceDigest(NamedTuple):
    """One module of the configuration and what it consists of."""

    module: str
    """Its path of call names, ``network.subnets``; empty for the root module."""
    source: str
    """Where the call says it comes from; empty for the root module."""
    version: str
    """Which version of it is installed; empty where it has none."""
    sha256: str
    """Of its files, 64 hexadecimal digits."""


class _Module(msgspec.Struct):
    key: str = msgspec.field(name="Key", default="")
    source: str = msgspec.field(name="Source", default="")
    version: str = msgspec.field(name="Version", default="")
    folder: str = msgspec.field(name="Dir", default="")


class _Manifest(msgspec.Struct):
    modules: list[_Module] = msgspec.field(name="Modules", default_factory=list)


class _Snapshot(NamedTuple):
    """The configuration in a plan file."""

    modules: list[_Module]
    files: dict[str, list[tuple[str, str]]]
    texts: list[bytes]
    """The root module's configuration files."""


# Made at import: msgspec lays a Struct's fields out when it is first decoded, and two threads that both do so crash.
_snapshot_manifest: Final = msgspec.json.Decoder(list[_Module])
_installed_manifest: Final = msgspec.json.Decoder(_Manifest)


def source_digests(plan_file: Path | str | int, *, root: Path, data: Path) -> tuple[SourceDigest, ...]:
    """Return the digest of every module, the root module's first, in the order of their paths.

    ``plan_file`` is a path, or a file descriptor that is left open; ``root`` is the engine's directory and ``data`` its
    data folder. Raises :class:`InputError` for a plan file whose configuration can't be read.
    """
    snapshot = _from_plan_file(plan_file) or _from_disk(root, data)
    looker = Looker(root)
    found = []
    for module in snapshot.modules:
        files = list(snapshot.files.get(module.key, ()))
        if module.key:
            files += looker.beside(root / module.folder, {name for name, _ in files})
        else:
            files += looker.named_in(snapshot.texts, [root / each.folder for each in snapshot.modules if each.key])
        found.append(SourceDigest(module.key, module.source, module.version, _digest(files)))
    return tuple(sorted(found))


def _digest(files: Iterable[tuple[str, str]]) -> str:
    content = b"".join(
        frame(name.encode("utf-8", "surrogateescape"), digest.encode()) for name, digest in sorted(files)
    )
    return hashlib.sha256(content).hexdigest()


def _from_plan_file(place: Path | str | int) -> _Snapshot | None:
    """Return the configuration in a plan file; None where it is no zip: the engine has encrypted it."""
    try:
        with open(place, "rb", closefd=not isinstance(place, int)) as file:
            file.seek(0)
            head = file.read(2)
            file.seek(0)
            return _from_zip(file) if head == b"PK" else None
    except (*_UNREADABLE, msgspec.MsgspecError) as error:
        raise InputError("the configuration in the plan file can't be read", hint="plan again") from error


def _from_zip(file: BinaryIO) -> _Snapshot:
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename.startswith("tfconfig/")]
        # What the engine would make of a name that is there twice is not for us to guess.
        twice = len({member.filename for member in members}) < len(members)
        if twice or len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > _MAX_CONTENT:
            raise ValueError("too much, or something twice")
        files: dict[str, list[tuple[str, str]]] = {}
        texts = []
        for member in members:
            if not member.filename.startswith(_MODULE):
                continue
            key, _, name = member.filename.removeprefix(_MODULE).rpartition("/")
            content = archive.read(member)
            files.setdefault(key, []).append((name, hashlib.sha256(content).hexdigest()))
            if not key:
                texts.append(content)
        modules = _snapshot_manifest.decode(archive.read(_MANIFEST)) if _MANIFEST in archive.namelist() else []
    missing = files.keys() - {module.key for module in modules}
    return _Snapshot(modules + [_Module(key=key) for key in missing], files, texts)


def _from_disk(root: Path, data: Path) -> _Snapshot:
    manifest = _Manifest()
    with suppress(FileNotFoundError):
        manifest = _decoded(data / "modules" / "modules.json")
    installed = [module for module in manifest.modules if module.key]
    files: list[tuple[str, str]] = []
    texts: list[bytes] = []
    size = 0
    for path in sorted(root.iterdir()):
        if is_configuration(path.name) and stat.S_ISREG(path.stat().st_mode):
            size += path.stat().st_size
            if size > _MAX_CONTENT:
                raise InputError(f"the configuration in {root} is larger than {_MAX_CONTENT} bytes")
            texts.append(path.read_bytes())
            files.append((path.name, hashlib.sha256(texts[-1]).hexdigest()))
    return _Snapshot([_Module(), *installed], {"": files}, texts)


def _decoded(path: Path) -> _Manifest:
    with path.open("rb") as file:
        content = file.read(_MAX_MANIFEST + 1)
    if len(content) > _MAX_MANIFEST:
        raise InputError(f"{path} is larger than {_MAX_MANIFEST} bytes")
    return _installed_manifest.decode(content)
