"""A saved plan that puts its state elsewhere is found, whichever part of its backend says so."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import msgspec
import pytest

from tfaudit.engine.workdir import Workdir
from tfaudit.runs.planplace import elsewhere


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer of fewer than 128 bytes, or fewer than 16384."""
    length = len(content)
    varint = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + varint + content


def lines(folder: Path, kind: str, config: dict[str, object], workspace: str = "default") -> tuple[str, ...]:
    """Return what is said of a plan with this backend."""
    packed = field(2, field(1, msgspec.msgpack.encode(config)))
    plan = field(13, field(1, kind.encode()) + packed + field(3, workspace.encode()))
    with zipfile.ZipFile(folder / "tfplan", "w") as archive:
        archive.writestr("tfplan", plan)
    return told(folder)


def told(folder: Path) -> tuple[str, ...]:
    """Return what is said of the plan file in the folder."""
    fd = os.open(folder / "tfplan", os.O_RDONLY)
    try:
        return elsewhere(Workdir(root=folder, data=folder / ".terraform", workspace="default"), fd)
    finally:
        os.close(fd)


def initialise(folder: Path, kind: str, config: dict[str, object]) -> None:
    """Store a backend as ``init`` does."""
    (folder / ".terraform").mkdir()
    stored = {"version": 3, "backend": {"type": kind, "config": config, "hash": 1}}
    (folder / ".terraform" / "terraform.tfstate").write_text(json.dumps(stored))


def test_no_backend_is_the_local_one(tmp_path: Path) -> None:
    """Without a backend the plan names the local one, in its default place."""
    assert lines(tmp_path, "local", {"path": None, "workspace_dir": None}) == ()


@pytest.mark.parametrize(
    ("kind", "config", "workspace"),
    [
        ("local", {"path": "/tmp/elsewhere", "workspace_dir": None}, "default"),
        ("local", {"path": None, "workspace_dir": "elsewhere"}, "default"),
        ("local", {"path": None, "workspace_dir": None}, "other"),
        ("s3", {"bucket": "b", "key": "k"}, "default"),
    ],
)
def test_another_local_place(tmp_path: Path, kind: str, config: dict[str, object], workspace: str) -> None:
    """Another path, folder, workspace or type is another place."""
    (line,) = lines(tmp_path, kind, config, workspace)
    assert line.startswith(f"the plan file puts the state elsewhere (a backend of type {kind}, workspace {workspace})")


S3: dict[str, object] = {"bucket": "b", "key": "k", "region": "r", "access_key": "x", "endpoints": None}


def test_the_same_bucket(tmp_path: Path) -> None:
    """The same bucket and key with other credentials is the same place."""
    initialise(tmp_path, "s3", S3)
    assert lines(tmp_path, "s3", {**S3, "access_key": "y", "token": "z"}) == ()


@pytest.mark.parametrize("other", [{"bucket": "c"}, {"key": "l"}, {"endpoints": {"s3": "http://elsewhere"}}])
def test_another_bucket(tmp_path: Path, other: dict[str, object]) -> None:
    """Another bucket, key or service is another place; no credential is told."""
    initialise(tmp_path, "s3", S3)
    (line,) = lines(tmp_path, "s3", {**S3, **other})
    assert "elsewhere" in line
    assert "'x'" not in line


def test_a_plan_that_does_not_say(tmp_path: Path) -> None:
    """A plan file without a backend is refused; one that the engine has encrypted can't be asked."""
    with zipfile.ZipFile(tmp_path / "tfplan", "w") as archive:
        archive.writestr("tfplan", b"")
    assert told(tmp_path) == ("the plan file doesn't say where it puts the state; plan again",)
    (tmp_path / "tfplan").write_text('{"encrypted_data":"x"}')
    assert told(tmp_path) == ()
