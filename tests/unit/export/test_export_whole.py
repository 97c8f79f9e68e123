"""A file that is there whole or not at all."""

from __future__ import annotations

import stat

import pytest

from tfaudit.errors import InputError
from tfaudit.export.whole import whole_file


def test_a_file_is_there_when_all_is_written(tmp_path):
    """After the block the file holds what was written, for its owner alone, and nothing else is left."""
    with whole_file(tmp_path / "out") as stream:
        stream.write(b"all of it")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == b"all of it"
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_nothing(tmp_path):
    """When the block fails, neither the file nor a part of it is there."""
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "out") as stream:
        stream.write(b"half" * (1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path):
    """What is there is not touched, whether it was there before or came meanwhile."""
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(InputError, match="there already"), whole_file(tmp_path / "out"):
        pass
    with pytest.raises(InputError, match="there already"), whole_file(tmp_path / "late"):
        (tmp_path / "late").write_bytes(b"mine")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"out": b"mine", "late": b"mine"}


def test_force_takes_its_place(tmp_path):
    """With force the new file takes the old one's place at the end, not before."""
    (tmp_path / "out").write_bytes(b"old")
    with whole_file(tmp_path / "out", force=True) as stream:
        stream.write(b"new")
        stream.flush()
        assert (tmp_path / "out").read_bytes() == b"old"
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """A target that can't be written is one line."""
    with pytest.raises(InputError, match="can't write"), whole_file(tmp_path / "no" / "out"):
        pass
