"""Tests of which files a policy in Rego is."""

from __future__ import annotations

import os

import pytest

from tfaudit.errors import ConfigError
from tfaudit.policy import rulefiles


def paths(root):
    """Return the paths of what is read."""
    return [file.path for file in rulefiles.read_rego(root)]


def written(folder, *names, content=b"package x\n"):
    """Write files of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_modules_and_data_below_a_folder_are_read(tmp_path):
    """Sorted by path, without tests, hidden files and other data."""
    written(tmp_path, "b.rego", "a/c.rego", "a/data.json", "a/c_test.rego", "mock.json", ".git/x.rego", "README.md")
    assert paths(tmp_path) == ["a/c.rego", "a/data.json", "b.rego"]


def test_a_single_file_is_a_policy(tmp_path):
    """The path may be one module."""
    assert paths(written(tmp_path, "x.rego") / "x.rego") == ["x.rego"]


def test_links_are_not_followed(tmp_path):
    """A symbolic link is passed over, be it to a module or to the folder itself."""
    written(tmp_path, "x.rego")
    (tmp_path / "y.rego").symlink_to(tmp_path / "x.rego")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert paths(tmp_path) == ["x.rego"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "holds no .rego file"),
        (("data.json",), "holds no .rego file"),
        (("x_test.rego",), "holds no .rego file"),
        (("x.rego", "sub/data.yaml"), "would not be read"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path, names, said):
    """A policy that checks nothing, or whose data would not be read, is refused."""
    with pytest.raises(ConfigError, match=said):
        rulefiles.read_rego(written(tmp_path, *names))


def test_a_pipe_is_refused(tmp_path):
    """A FIFO in place of a module is not waited for."""
    os.mkfifo(tmp_path / "x.rego")
    with pytest.raises(ConfigError, match="is not a file"):
        rulefiles.read_rego(tmp_path)


def test_too_large_a_module_is_refused(tmp_path):
    """There is a limit on one file."""
    written(tmp_path, "x.rego", content=b"#" * (rulefiles.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        rulefiles.read_rego(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    """A path that leads nowhere is named."""
    with pytest.raises(ConfigError, match="can't be read"):
        rulefiles.read_rego(tmp_path / "nope")


def test_the_digest_is_of_paths_and_contents(tmp_path):
    """The same content under another path is another policy."""
    one = rulefiles.rego_digest(rulefiles.read_rego(written(tmp_path / "1", "a.rego")))
    same = rulefiles.rego_digest(rulefiles.read_rego(written(tmp_path / "2", "a.rego", "a_test.rego")))
    moved = rulefiles.rego_digest(rulefiles.read_rego(written(tmp_path / "3", "b.rego")))
    changed = rulefiles.rego_digest(rulefiles.read_rego(written(tmp_path / "4", "a.rego", content=b"package y\n")))
    assert one == same
    assert len({one, moved, changed}) == 3
