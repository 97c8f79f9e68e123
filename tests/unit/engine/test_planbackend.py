"""The backend of a saved plan is read as the engine will read it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import planbackend
from tfaudit.engine.planbackend import PlanBackend


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer."""
    length = len(content)
    varint = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    tag = number << 3 | 2
    return (bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])) + varint + content


def backend(kind: str, workspace: str, **config: object) -> bytes:
    """Return a backend as a plan file holds it."""
    packed = field(2, field(1, msgspec.msgpack.encode(config)))
    return field(13, field(1, kind.encode()) + packed + field(3, workspace.encode()))


def read(folder: Path, plan: bytes) -> PlanBackend | None:
    """Return the backend of a plan file with this plan in it."""
    path = folder / "tfplan"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tfplan", plan)
    return opened(path)


def opened(path: Path) -> PlanBackend | None:
    """Return the backend of a file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return planbackend.read(fd)
    finally:
        os.close(fd)


def test_a_backend(tmp_path: Path) -> None:
    """Type, settings and workspace are read, whatever else the plan holds."""
    found = read(tmp_path, field(14, b"1.11.4") + backend("s3", "prod", bucket="b", key=None) + field(2, b"x"))
    assert found == PlanBackend(type="s3", config={"bucket": "b", "key": None}, workspace="prod")


def test_a_backend_twice(tmp_path: Path) -> None:
    """Of two backends the engine heeds the later one's parts, and so do we."""
    found = read(tmp_path, backend("s3", "prod", bucket="good") + backend("s3", "prod", bucket="evil"))
    assert found is not None
    assert found.config == {"bucket": "evil"}


def test_no_backend(tmp_path: Path) -> None:
    """A plan without a backend, one cut off, and what is no plan file say none."""
    assert read(tmp_path, field(14, b"1.11.4")) is None
    assert read(tmp_path, backend("s3", "prod", bucket="b")[:-3]) is None
    assert read(tmp_path, field(13, field(2, field(1, b"\xc1")))) is None
    (tmp_path / "other").write_bytes(b"{}")
    assert opened(tmp_path / "other") is None


@given(plan=st.binary(max_size=60))
def test_whatever_is_there(tmp_path_factory, plan: bytes) -> None:
    """No plan, however broken, raises."""
    read(tmp_path_factory.getbasetemp(), plan)
