"""A folder is a store: objects appear once and whole, and lists are in an object store's order."""

from __future__ import annotations

import errno
import io
import os
import resource
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfaudit.errors import LedgerError
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.store import ForbiddenError, read


def test_an_object_is_created_once(tmp_path: Path) -> None:
    """The first create wins; the second says so and changes nothing."""
    store = FolderStore(tmp_path)
    assert store.create("a/b", b"one", io.BytesIO(b" and more"))
    assert not store.create("a/b", b"two")
    assert read(store, "a/b", limit=100) == b"one and more"
    assert read(store, "a/b", limit=3, settled=True) == b"one"
    assert read(store, "a/c", limit=3) is None
    assert read(store, "a/b/c", limit=3) is None


def test_the_tail_is_copied_from_where_it_stands(tmp_path: Path) -> None:
    """A file is appended from its position on, whatever lies before."""
    source = tmp_path / "source"
    source.write_bytes(b"0123456789" * 300_000)
    store = FolderStore(tmp_path / "store")
    with source.open("rb") as tail:
        tail.seek(10)
        store.create("x", b"head", tail)
    assert read(store, "x", limit=1 << 23) == b"head" + b"0123456789" * 299_999


def test_modes(tmp_path: Path) -> None:
    """Evidence can't be written by accident, working files not be read by others."""
    FolderStore(tmp_path / "evidence").create("a/b", b"")
    FolderStore(tmp_path / "working", mode=0o600).create("a/b", b"")
    assert stat.S_IMODE((tmp_path / "evidence/a/b").stat().st_mode) & 0o222 == 0
    assert stat.S_IMODE((tmp_path / "working/a/b").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "working/a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "working").stat().st_mode) == 0o700


def test_nothing_temporary_is_left_or_listed(tmp_path: Path) -> None:
    """Temporary files go, and the store's own folder for them is no part of a listing."""
    store = FolderStore(tmp_path)
    store.create("a", b"")
    store.create("a", b"")
    store.replace("b", b"")
    assert [entry.key for entry in store.list("")] == ["a", "b"]
    assert list((tmp_path / ".tmp").iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.lists(st.sampled_from(["a", "b", "a-b", "a.b", "é", "z"]), min_size=1, max_size=3).map("/".join)),
    st.text("ab-./é~", max_size=6),
)
def test_lists_are_in_the_order_of_an_object_store(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], after: str
) -> None:
    """Keys come by their UTF-8 bytes, after the given one only."""
    root = tmp_path_factory.mktemp("list")
    store = FolderStore(root)
    usable = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}
    for key in usable:
        store.create(key, b"x")
    expected = sorted((key for key in usable if key.encode() > after.encode()), key=str.encode)
    assert [entry.key for entry in store.list("", after=after)] == expected
    inside = sorted((key for key in usable if key.startswith("a/")), key=str.encode)
    assert [entry.key for entry in store.list("a/")] == inside


def test_a_shallow_list_shows_folders(tmp_path: Path) -> None:
    """The next level only, a folder by its name with a slash."""
    store = FolderStore(tmp_path)
    store.create("x/a/1", b"12")
    store.create("x/b", b"123")
    assert [tuple(entry) for entry in store.list("x/", shallow=True)] == [("x/a/", None), ("x/b", 3)]


def test_symlinks_and_odd_files_are_no_objects(tmp_path: Path) -> None:
    """What is no regular file is listed without a size and can't be opened; nothing is created through a link."""
    store = FolderStore(tmp_path)
    store.create("f/real", b"x")
    (tmp_path / "f/link").symlink_to("real")
    os.mkfifo(tmp_path / "f/fifo")
    (tmp_path / "out").mkdir()
    (tmp_path / "g").symlink_to("out")
    assert {entry.key: entry.size for entry in store.list("f/")} == {"f/fifo": None, "f/link": None, "f/real": 1}
    for key in ("f/link", "f/fifo", "f"):
        with pytest.raises(LedgerError):
            store.open(key)
    with pytest.raises(LedgerError, match="symbolic link"):
        store.create("g/new", b"")
    assert not store.create("f/link", b"")


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".tmp/a", "a\0b"])
def test_keys_stay_inside(tmp_path: Path, key: str) -> None:
    """A key can't leave the folder or reach the temporary files."""
    with pytest.raises(LedgerError, match="no key"):
        FolderStore(tmp_path).create(key, b"")


def test_replace_and_remove(tmp_path: Path) -> None:
    """The working store may change its objects."""
    store = FolderStore(tmp_path, mode=0o600)
    store.replace("a/b", b"one")
    store.replace("a/b", b"two", durable=True)
    assert read(store, "a/b", limit=10) == b"two"
    store.remove("a/b")
    store.remove("a/b")
    assert read(store, "a/b", limit=10) is None


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """When a write fails half way there is no object and no temporary file, and the error names the place."""
    store = FolderStore(tmp_path)
    store.create("before", b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(LedgerError, match="after"):
            store.create("after", b"x" * 10_000)
        with pytest.raises(LedgerError, match="after"):
            store.replace("after", b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [entry.key for entry in store.list("")] == ["before"]
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_what_may_not_be_read_must_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only reads is not told to make the folder writable."""
    store = FolderStore(tmp_path)
    assert store.create("a", b"x")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ForbiddenError, match=r"can't read .*: Permission denied") as raised:
        store.open("a")
    assert raised.value.hint == "the folder must be readable for whoever runs tfaudit"


def test_a_stream_without_a_place_to_go_back_to_is_one_line(tmp_path: Path) -> None:
    """An error of a stream, which has no number, is named all the same."""

    class Stream(io.RawIOBase):
        def readable(self) -> bool:
            return True

    tail = io.BufferedReader(Stream())
    with pytest.raises(LedgerError, match=r"can't create .*/a: UnsupportedOperation"):
        FolderStore(tmp_path).create("a", b"x", tail)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    """Without write permission the error says which folder."""
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError, match="writable"):
        FolderStore(tmp_path).create("a", b"")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("at", ["written", "linked"])
def test_a_crash_while_creating(tmp_path: Path, at: str) -> None:
    """A process that dies leaves no object or a whole one, and its litter can be cleaned."""
    pid = os.fork()
    if pid == 0:
        FolderStore(tmp_path, step=lambda name: os._exit(9) if name == at else None).create("a", b"whole")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    store = FolderStore(tmp_path)
    assert read(store, "a", limit=10) == (b"whole" if at == "linked" else None)
    assert store.create("a", b"whole") == (at == "written")
    assert store.clean(before=(tmp_path / ".tmp").stat().st_mtime + 60) == 1
    assert list((tmp_path / ".tmp").iterdir()) == []
