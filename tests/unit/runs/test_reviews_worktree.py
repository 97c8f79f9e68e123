"""Reviews of a commit count for a work tree that holds that commit's configuration and no other."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from tfaudit.identity import git
from tfaudit.runs.reviews import is_clean

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


@pytest.fixture
def tree(tmp_path):
    """A repository with one commit of a configuration in a folder."""
    (tmp_path / "network").mkdir()
    (tmp_path / "network/main.tf").write_text("# main\n")
    (tmp_path / ".gitignore").write_text(".terraform/\nlocal/\n*_override.tf\n")
    person = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=ENVIRON, check=True)
    return tmp_path


def clean(tree):
    """Return what is_clean says of the folder with the configuration."""
    return is_clean(git.read(tree / "network", ENVIRON), ENVIRON)


def test_a_commit_as_it_is(tree):
    """What was checked out and initialised is clean; plan files and fetched modules don't matter."""
    (tree / "network/next.tfplan").write_text("plan")
    (tree / "network/.terraform/modules/vpc").mkdir(parents=True)
    (tree / "network/.terraform/modules/vpc/main.tf").write_text("# fetched\n")
    assert clean(tree)


@pytest.mark.parametrize(
    "name", ["network/more.tf", "network/more.tf.json", "network/a_override.tf", "local/m/x.tf", "modules/x.tofu"]
)
def test_more_configuration_than_the_commit_has(tree, name):
    """A file that the engine would read counts, ignored or in a folder that is."""
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text("# more\n")
    assert not clean(tree)


def test_a_changed_file(tree):
    """A tracked file that differs from the commit."""
    (tree / "network/main.tf").write_text("# changed\n")
    assert not clean(tree)


def test_no_repository(tmp_path):
    """Without a repository, a commit or git's word there is nothing that could have been reviewed."""
    assert not is_clean(None, ENVIRON)
    assert not clean_without(tmp_path)


def clean_without(folder):
    """Return what is_clean says where git can't be asked."""
    known = git.Repository(
        root=folder, path="", remote=None, commit="a" * 40, author_name=None, author_email=None, dirty=False
    )
    return is_clean(known, ENVIRON) or is_clean(replace(known, dirty=None), ENVIRON)
