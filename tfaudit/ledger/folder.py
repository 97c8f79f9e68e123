"""How does a folder hold a store: one regular file an object, created whole by ``link()``, never overwritten."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.errors import LedgerError
from tfaudit.ledger.store import Entry, ForbiddenError, NoObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEMPORARY: Final = ".tmp"
"""The folder, inside a store's own, where files are written before they get their names; never listed."""
_CHUNK: Final = 1 << 20
_NO_FILE: Final = (errno.ELOOP, errno.ENXIO, errno.EMLINK)
"""What opening a symbolic link or a socket gives."""
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def _nothing(_step: str) -> None:
    """Be the default of ``step``: go on."""


class FolderStore:
    """A store in a folder of a local or network file system that has hard links.

    ``mode`` is that of its files: 0444 for evidence, 0600 for what must stay private (its folders are 0700 then).
    ``entropy(n)`` returns n random bytes for temporary names. ``step(name)`` is called between the steps of a write,
    so that a test can stop the process there.
    """

    def __init__(
        self,
        root: Path,
        *,
        mode: int = 0o444,
        entropy: Callable[[int], bytes] = os.urandom,
        step: Callable[[str], None] = _nothing,
    ) -> None:
        self.root = root
        self._mode = mode
        self._folder_mode = 0o777 if mode & 0o044 else 0o700
        self._entropy = entropy
        self._step = step

    def __str__(self) -> str:
        return str(self.root)

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create an object; see :meth:`tfaudit.ledger.store.Store.create`."""
        path = self._path(key)
        with _translated("create", path):
            if os.path.lexists(path):
                return False
            temporary = self._write_temporary(head, tail, durable=True)
            # A crash here leaves a nameless file in .tmp: no object, nothing to undo.
            self._step("written")
            try:
                self._make_folder(path.parent)
                os.link(temporary, path, follow_symlinks=False)
                # A crash here: the object is there, whole; it may vanish if the machine loses power now.
                self._step("linked")
                _sync_folder(path.parent)
            except FileExistsError:
                return False
            finally:
                with suppress(OSError):
                    temporary.unlink()
        return True

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object; see :meth:`tfaudit.ledger.store.Store.open`."""
        path = self._path(key)
        with _translated("read", path):
            try:
                descriptor = os.open(path, _READ)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno in _NO_FILE:
                    raise NoObjectError(f"{path} is not a regular file") from error
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise NoObjectError(f"{path} is not a regular file")
            if settled:
                # The bytes were durable before the name was there; the name is, once its folder is.
                _sync_folder(path.parent)
            return os.fdopen(descriptor, "rb")

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List objects; see :meth:`tfaudit.ledger.store.Store.list`."""
        folder = self._path(prefix.rstrip("/")) if prefix else self.root
        with _translated("list", folder):
            yield from _walk(folder, prefix, _sortable(after), shallow)

    def replace(self, key: str, content: bytes, *, durable: bool = False, forget: bool = False) -> None:
        """Put an object; see :meth:`tfaudit.ledger.store.Working.replace`."""
        path = self._path(key)
        durable = durable or forget
        with _translated("write", path):
            temporary = self._write_temporary(content, None, durable=durable)
            try:
                self._make_folder(path.parent)
                if not durable:
                    # A rename onto a file makes ext4 write out the new one's bytes at once, which nobody asked for.
                    path.unlink(missing_ok=True)
                temporary.rename(path)
            except OSError:
                with suppress(OSError):
                    temporary.unlink()
                raise
            if durable:
                _sync_folder(path.parent)

    def remove(self, key: str) -> None:
        """Remove an object; see :meth:`tfaudit.ledger.store.Working.remove`."""
        path = self._path(key)
        with _translated("remove", path):
            path.unlink(missing_ok=True)

    def clean(self, *, before: float) -> int:
        """Remove the temporary files that killed writers left before ``before`` (Unix time); return how many.

        Raises :class:`LedgerError` when the folder failed.
        """
        folder = self.root / TEMPORARY
        removed = 0
        with _translated("clean", folder):
            if not folder.is_dir():
                return 0
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    if path.lstat().st_mtime < before:
                        path.unlink()
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(parts) or "." in parts or ".." in parts or "\0" in key or parts[0] == TEMPORARY:
            raise LedgerError(f"{key!r} is no key of a store")
        return self.root.joinpath(*parts)

    def _write_temporary(self, head: bytes, tail: BinaryIO | None, *, durable: bool) -> Path:
        path = self.root / TEMPORARY / self._entropy(12).hex()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, self._mode)
        except FileNotFoundError:
            self._make_folder(path.parent)
            descriptor = os.open(path, flags, self._mode)
        try:
            _write_all(descriptor, head)
            if tail is not None:
                _copy(tail, descriptor)
            if durable:
                _sync(descriptor)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)
        return path

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and what is missing above it, each durable in its parent."""
        try:
            folder.mkdir(self._folder_mode)
        except FileExistsError:
            if folder.is_symlink() and folder != self.root:
                raise LedgerError(f"{folder} is a symbolic link inside a store") from None
            return
        except FileNotFoundError:
            self._make_folder(folder.parent)
            folder.mkdir(self._folder_mode, exist_ok=True)
        _sync_folder(folder.parent)


@contextmanager
def _translated(verb: str, path: Path) -> Iterator[None]:
    """Turn what the file system says into one line that names the path."""
    try:
        yield
    except OSError as error:
        kind = ForbiddenError if isinstance(error, PermissionError) else LedgerError
        hint = _TO_READ if verb in ("read", "list") and kind is ForbiddenError else _HINTS.get(error.errno or 0)
        raise kind(f"can't {verb} {path}: {error.strerror or type(error).__name__}", hint=hint) from error


_TO_READ: Final = "the folder must be readable for whoever runs tfaudit"
_HINTS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the folder must be writable for whoever runs tfaudit",
    errno.EPERM: "the folder must be writable and its file system must have hard links",
    errno.EOPNOTSUPP: "the file system must have hard links",
    errno.ELOOP: "a store holds no symbolic links",
}


def _walk(folder: Path, prefix: str, after: bytes, shallow: bool) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if prefix or entry.name != TEMPORARY]
    except (FileNotFoundError, NotADirectoryError):
        return
    named: list[tuple[bytes, str, os.DirEntry[str]]] = []
    for entry in found:
        key = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            # A folder sorts by its name with the slash, as its keys do in an object store.
            key += "/"
            sortable = _sortable(key)
            # The keys in a folder all start with its own: skip it when even the last of them would not be wanted.
            wanted = sortable >= after[: len(sortable)]
        else:
            sortable = _sortable(key)
            wanted = sortable > after
        if wanted:
            named.append((sortable, key, entry))
    named.sort(key=lambda item: item[0])
    for _, key, entry in named:
        if not key.endswith("/"):
            try:
                regular = entry.is_file(follow_symlinks=False)
                size = entry.stat(follow_symlinks=False).st_size if regular else None
            except FileNotFoundError:
                # Removed during the listing.
                continue
            yield Entry(key, size)
        elif shallow:
            yield Entry(key, None)
        else:
            yield from _walk(folder / entry.name, key, after, shallow)


def _sortable(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _copy(source: BinaryIO, target: int) -> None:
    """Append what is left of ``source`` to ``target``, inside the kernel where it can."""
    if sys.platform == "linux":
        offset = source.tell()
        with suppress(OSError, ValueError):
            while copied := os.copy_file_range(source.fileno(), target, 1 << 30, offset_src=offset):
                offset += copied
        source.seek(offset)
    while chunk := source.read(_CHUNK):
        _write_all(target, chunk)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        # fsync() there leaves the bytes in the drive's own cache.
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
