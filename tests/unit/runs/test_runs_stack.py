"""Stacks are named by the repository, states by a keyed digest."""

from pathlib import Path

import pytest

from tfaudit.errors import ConfigError
from tfaudit.identity.git import Repository
from tfaudit.runs import stack


def repository(remote: str | None, path: str = "envs/prod") -> Repository:
    """Return a repository with that remote."""
    return Repository(
        root=Path("/r"),
        path=path,
        remote=remote,
        commit=None,
        author_name=None,
        author_email=None,
        dirty=None,
    )


def test_the_default_is_remote_path_and_workspace() -> None:
    """Repository, path and workspace make the name."""
    name = stack.stack_name(
        configured=None, repository=repository("github.com/a/b"), below_root="x", workspace="default"
    )
    assert name == "github.com/a/b/envs/prod:default"


def test_a_configured_name_fills_its_placeholders() -> None:
    """{path} and {workspace} keep the stacks of one repository apart."""
    name = stack.stack_name(configured="shop/{path}:{workspace}", repository=None, below_root="eu", workspace="w")
    assert name == "shop/eu:w"


def test_at_the_root_the_path_goes_with_its_slash() -> None:
    """The folder of the configuration itself has no path below it."""
    name = stack.stack_name(configured="shop/{path}:{workspace}", repository=None, below_root="", workspace="w")
    assert name == "shop:w"


@pytest.mark.parametrize("name", ["shop:{workspce}", "{}", "shop/{path}/{Workspace}"])
def test_an_unknown_placeholder_is_an_error(name: str) -> None:
    """Taken as it stands, it would make one stack of several."""
    with pytest.raises(ConfigError, match=r"has \{") as raised:
        stack.stack_name(configured=name, repository=None, below_root="eu", workspace="w")
    assert raised.value.hint == "known are {path} and {workspace}"


def test_no_name_is_an_error() -> None:
    """Without a remote nothing is made up."""
    with pytest.raises(ConfigError, match="no git remote"):
        stack.stack_name(configured=None, repository=repository(None), below_root="", workspace="default")


def test_state_keys_differ_by_every_part() -> None:
    """Moving a character between two parts gives another key."""
    keys = {
        stack.state_key(nonce=b"n", backend="s3", location=("ab", "c"), workspace="d"),
        stack.state_key(nonce=b"n", backend="s3", location=("a", "bc"), workspace="d"),
        stack.state_key(nonce=b"n", backend="s3", location=("ab",), workspace="cd"),
        stack.state_key(nonce=b"m", backend="s3", location=("ab", "c"), workspace="d"),
    }
    assert len(keys) == 4


def test_bytes_that_are_no_text_have_a_spelling() -> None:
    """A folder may be named by any bytes; its stack is a text and its state has a key of its own."""
    name = stack.stack_name(
        configured=None, repository=repository("github.com/a/b", "caf\udce9"), below_root="", workspace="default"
    )
    assert name == "github.com/a/b/caf\\xe9:default"
    keys = {
        stack.state_key(nonce=b"n", backend="local", location=(place,), workspace="d")
        for place in ("caf\udce9", "caf\\xe9", "caf\u00e9")
    }
    assert len(keys) == 3
