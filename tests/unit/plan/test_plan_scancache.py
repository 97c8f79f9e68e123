"""When the places of blocks are known from an earlier run, and when they are not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tfaudit.plan import scancache
from tfaudit.plan.source import Source, SourceScan


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root module that calls a local one and a downloaded one."""
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / ".terraform" / "modules" / "net").mkdir(parents=True)
    (root / "main.tf").write_text('module "m" {\n  source = "./inner"\n}\nmodule "net" {\n  source = "x/net"\n}\n')
    (root / "inner" / "a.tf").write_text('resource "a_b" "in" {}\n')
    (root / ".terraform" / "modules" / "net" / "n.tf").write_text('resource "a_b" "n" {}\n')
    manifest = {"Modules": [{"Key": "net", "Dir": ".terraform/modules/net"}]}
    (root / ".terraform" / "modules" / "modules.json").write_text(json.dumps(manifest))
    return root


def places(root: Path, *, timeout: float = 60) -> SourceScan:
    """Return a scan that has begun, with its cache beside the root module."""
    scan = SourceScan(root, data_dir=root / ".terraform", cache=root.parent / "cache")
    scan.begin()
    scan.result(timeout)
    return scan


def entry(root: Path) -> Path:
    """Return the one entry of the cache."""
    (found,) = (root.parent / "cache").iterdir()
    return found


def is_known(root: Path) -> bool:
    """Whether the entry answers."""
    return scancache.recall(entry(root), root / ".terraform") is not None


def test_a_second_run_reads_no_configuration_anew(root: Path) -> None:
    """What the first run found answers the second at once, with no time for a child process."""
    places(root)
    found = places(root, timeout=0).result(0)
    assert found.find("module.m.a_b.in") == Source("inner/a.tf", 1)
    assert found.find("module.net.a_b.n") == Source(".terraform/modules/net/n.tf", 1)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another byte": lambda root: (root / "inner" / "a.tf").write_text('resource "a_b" "un" {}\n'),
    "a new file": lambda root: (root / "inner" / "b.tf").write_text(""),
    "a file less": lambda root: (root / "inner" / "a.tf").unlink(),
    "another name": lambda root: (root / "main.tf").rename(root / "other.tf"),
    "no folder": lambda root: (root / "inner").rename(root / "outer"),
    "a downloaded module": lambda root: (root / ".terraform/modules/net/n.tf").write_text('resource "a_b" "o" {}\n'),
    "another init": lambda root: (root / ".terraform/modules/modules.json").write_text('{"Modules":[]}'),
    "no init": lambda root: (root / ".terraform/modules/modules.json").unlink(),
    "a pipe": lambda root: ((root / "main.tf").unlink(), os.mkfifo(root / "main.tf")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changed_is_read_anew(root: Path, change: Callable[[Path], object]) -> None:
    """An entry answers only for the very files that were read for it."""
    places(root)
    assert is_known(root)
    change(root)
    assert not is_known(root)


def test_what_was_not_there_counts_too(root: Path) -> None:
    """A module whose folder was missing is looked for again once it is there."""
    (root / "more.tf").write_text('module "late" {\n  source = "./late"\n}\n')
    places(root)
    assert is_known(root)
    (root / "late").mkdir()
    (root / "late" / "a.tf").write_text('resource "a_b" "late" {}\n')
    assert places(root).result(0).find("module.late.a_b.late") == Source("late/a.tf", 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"[" * 100_000, b"\xff"])
def test_a_damaged_entry_is_passed_over(root: Path, content: bytes) -> None:
    """Nonsense in the cache costs the time that it would have saved."""
    places(root)
    entry(root).write_bytes(content)
    assert places(root).result(0).find("module.m.a_b.in") == Source("inner/a.tf", 1)


@pytest.mark.parametrize("key", ["format", "manifest", "read", "places"])
def test_an_entry_of_another_shape_is_passed_over(root: Path, key: str) -> None:
    """A member that is missing or of another kind makes no difference but in time."""
    places(root)
    whole = json.loads(entry(root).read_bytes())
    for value in (None, 1, [], {"x": 1}, {"x": ["y"]}, {"x": ["y", "z"]}):
        entry(root).write_text(json.dumps({**whole, key: value}))
        scancache.recall(entry(root), root / ".terraform")
    entry(root).write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
    assert not is_known(root)


def test_an_old_entry_is_passed_over(root: Path) -> None:
    """A month later the files are read again."""
    places(root)
    long_ago = time.time() - 40 * 24 * 3600
    os.utime(entry(root), (long_ago, long_ago))
    assert not is_known(root)


def test_entries_are_private_and_few(root: Path) -> None:
    """Nobody else can read an entry, and old ones make room for new ones."""
    places(root)
    assert entry(root).stat().st_mode & 0o777 == 0o600
    folder = root.parent / "cache"
    for number in range(200):
        scancache.remember(folder / f"{number}.json", {}, read={}, manifest="")
    assert len(list(folder.iterdir())) <= 65
    assert (folder / "199.json").exists()


def test_a_cache_that_cant_be_written_costs_nothing(root: Path) -> None:
    """Where no entry can be kept, the places are found all the same."""
    (root.parent / "cache").write_text("a file")
    assert places(root).result(0).find("module.m.a_b.in") == Source("inner/a.tf", 1)
