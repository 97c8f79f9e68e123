"""What may be anything is opened only if it is a file: a pipe would be waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tfaudit.config import reading
from tfaudit.errors import InputError, TfauditError
from tfaudit.gate import allowed_signers
from tfaudit.identity import delegation, jwks, tokens
from tfaudit.regular import NotAFileError, open_regular, read_regular

READERS: dict[str, Callable[[Path], object]] = {
    "approvers": allowed_signers.read,
    "configuration": reading.read,
    "delegation": delegation._bytes,
    "keys of an issuer": jwks._file,
    "token": tokens._file,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_a_pipe_in_a_files_place_is_one_error(reader: Callable[[Path], object], tmp_path: Path) -> None:
    """It is named, and nobody waits for its far end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TfauditError, match="not a file"):
        reader(pipe)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    """Kubernetes hands tokens out behind links."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"x"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """It is refused like a pipe."""
    with pytest.raises(NotAFileError):
        open_regular(tmp_path)


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    """The limit is the caller's; a missing file is an empty one."""
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", limit=5) == b"12345"
    assert read_regular(tmp_path / "none", limit=5) == b""
    with pytest.raises(InputError, match="larger than 4"):
        read_regular(tmp_path / "file", limit=4)
