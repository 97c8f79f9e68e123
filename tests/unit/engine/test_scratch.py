"""The private place for a plan."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from pathlib import Path

import pytest

from tfaudit.engine.scratch import Scratch


def test_written_by_path_read_by_descriptor() -> None:
    """What another opens and writes by the path is what we read and digest."""
    with Scratch("plan") as scratch:
        Path(scratch.path).write_bytes(b"plan")
        assert scratch.size == 4
        assert scratch.digest() == hashlib.sha256(b"plan").hexdigest()
        assert os.pread(scratch.fd, 10, 0) == b"plan"


@pytest.mark.skipif(sys.platform != "linux", reason="seals are Linux's")
def test_sealed_stays_as_it_is() -> None:
    """A sealed file can't be written, by whichever descriptor."""
    with Scratch("plan") as scratch:
        Path(scratch.path).write_bytes(b"plan")
        scratch.seal()
        with pytest.raises(PermissionError):
            os.pwrite(scratch.fd, b"x", 0)
        with pytest.raises(PermissionError):
            Path(scratch.path).write_bytes(b"other")
        assert scratch.size == 4


def test_gone_when_closed() -> None:
    """Nothing is left of it."""
    with Scratch("plan") as scratch:
        path = Path(scratch.path)
    assert not path.exists()


def test_out_of_the_way_of_re_executed_engines() -> None:
    """The descriptor is none of the low ones that an engine's own child may use for its streams."""
    with Scratch("plan") as scratch:
        assert scratch.fd >= 100
        assert not os.get_inheritable(scratch.fd)


def test_where_few_descriptors_are_allowed_a_lower_one_does() -> None:
    """A limit below that number stops no run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with Scratch("plan") as scratch:
            assert 10 <= scratch.fd < 64
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
