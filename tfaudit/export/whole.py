"""How does a file come to be whole or not at all: written beside its place, made durable, then named."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tfaudit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


@contextmanager
def whole_file(
    target: Path, *, force: bool = False, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> Iterator[BinaryIO]:
    """Give a stream to write to; the file is at ``target`` once the block has ended without an error, mode 0600.

    Raises :class:`InputError` when there is something at ``target`` already (unless ``force``: then it is replaced), or
    it can't be written. What was written is removed if the block fails.
    """
    if not force and os.path.lexists(target):
        raise InputError(f"{target} is there already", hint="name another file, or give --force")
    temporary = target.with_name(f".{target.name}.{entropy(6).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            _name(temporary, target, force=force)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        _sync_folder(target.parent)
    except OSError as error:
        raise InputError(f"can't write {target}: {error.strerror}") from error


def _name(temporary: Path, target: Path, *, force: bool) -> None:
    if force:
        temporary.replace(target)
        return
    try:
        # A link, unlike a rename, does not take the place of a file that came meanwhile.
        os.link(temporary, target)
    except FileExistsError:
        raise InputError(f"{target} is there already", hint="name another file, or give --force") from None
    except OSError:
        # A file system without hard links.
        temporary.replace(target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
