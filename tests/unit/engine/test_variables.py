"""The variables that a plan file names."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import variables


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of a protocol buffer with a number below 2048 and a short content."""
    tag = number << 3 | 2
    head = bytes([tag]) if tag < 128 else bytes([tag & 0x7F | 0x80, tag >> 7])
    return head + bytes([len(content)]) + content


def plan_file(folder: Path, plan: bytes) -> Path:
    """Return a plan file with this ``tfplan``."""
    path = folder / "plan"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tfplan", plan)
    return path


def read(path: Path) -> variables.Variables | None:
    """Return what the file says."""
    with path.open("rb") as file:
        return variables.read(file.fileno())


def test_saved_and_to_be_given_again(tmp_path: Path) -> None:
    """Field 2 holds the saved variables, field 28 names those that come again; other fields are passed over."""
    entry = field(1, b"region") + field(2, b"\x01\x02")
    numbers = b"\x08\x03" + b"\x79" + b"12345678" + b"\x7d" + b"1234"
    plan = numbers + field(2, entry) + field(13, b"backend") + field(28, b"token")
    found = read(plan_file(tmp_path, plan))
    assert found == variables.Variables(saved=frozenset({"region"}), at_apply=frozenset({"token"}))
    assert found.again(["region", "other"]) == {"token", "other"}


@pytest.mark.parametrize("plan", [b"\xff", b"\x12\x7f", b"\x0b", b"\xff" * 11, field(28, b"\xff")])
def test_broken_plans_say_nothing(tmp_path: Path, plan: bytes) -> None:
    """A plan that can't be read costs this fact, not the run."""
    assert read(plan_file(tmp_path, plan)) is None


def test_other_files_say_nothing(tmp_path: Path) -> None:
    """A bookmark or an empty file has no variables to tell."""
    for content in (b"", b'{"remote_plan_format":1}', b"PK\x03\x04"):
        path = tmp_path / "other"
        path.write_bytes(content)
        assert read(path) is None


def test_a_folder_says_nothing(tmp_path: Path) -> None:
    """A folder in the plan's place is no error here."""
    fd = os.open(tmp_path, os.O_RDONLY)
    assert variables.read(fd) is None
    os.close(fd)


@given(st.binary(max_size=200))
def test_any_plan_is_survived(tmp_path_factory: pytest.TempPathFactory, plan: bytes) -> None:
    """No content of ``tfplan`` makes it fail."""
    read(plan_file(tmp_path_factory.mktemp("any"), plan))
