"""A state's place is told by the settings that name it, never by its credentials."""

from pathlib import Path

from tfaudit.runs import location


def test_a_local_state_is_told_from_the_root() -> None:
    """Two clones of one repository have one place."""
    assert location.local(Path("/a/repo/envs/terraform.tfstate"), Path("/a/repo")) == ("envs/terraform.tfstate",)
    assert location.local(Path("/elsewhere/x.tfstate"), Path("/a/repo")) == ("/elsewhere/x.tfstate",)


def test_credentials_are_not_looked_at() -> None:
    """Access keys of a backend don't take part."""
    config = {"bucket": "b", "key": "k", "workspace_key_prefix": None, "secret_key": "s3cr3t", "access_key": "a"}
    assert location.remote("s3", config) == ("b", "", "k")


def test_a_url_loses_its_user_and_query() -> None:
    """An http backend's address may carry a password."""
    place = location.remote("http", {"address": "https://user:pw@example.com/state?token=x", "password": "p"})
    assert place == ("https://example.com/state",)


def test_cloud_workspaces_take_part() -> None:
    """Organization and workspace make the place of a remote state."""
    config = {"hostname": "h", "organization": "o", "workspaces": {"name": "w"}}
    assert location.remote("cloud", config) == ("h", "o", "w", "")


def test_an_unknown_backend_has_no_place() -> None:
    """Which of its settings are secret can't be known."""
    assert location.remote("new", {"token": "x"}) == ()
