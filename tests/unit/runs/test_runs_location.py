"""A state's place is told by the settings that name it, never by its credentials."""

from pathlib import Path

import pytest

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


S3 = {"bucket": "b", "key": "app.tfstate"}
AZURE = {"storage_account_name": "a", "container_name": "c", "key": "app.tfstate"}
CONSUL = {"address": "127.0.0.1:8500", "path": "app"}


@pytest.mark.parametrize(
    ("backend", "one", "other"),
    [
        ("s3", (S3, "prod"), ({**S3, "workspace_key_prefix": "env:"}, "prod")),
        ("s3", (S3, "prod"), ({**S3, "key": "env:/prod/app.tfstate"}, "default")),
        ("s3", ({**S3, "workspace_key_prefix": "w/x"}, "prod"), ({**S3, "key": "w/x/prod/app.tfstate"}, "default")),
        ("s3", (S3, "default"), ({**S3, "workspace_key_prefix": "w"}, "default")),
        ("azurerm", (AZURE, "prod"), ({**AZURE, "key": "app.tfstateenv:prod"}, "default")),
        ("consul", (CONSUL, "prod"), ({**CONSUL, "path": "app-env:prod"}, "default")),
        ("gcs", ({"bucket": "b", "prefix": "net/prod"}, "a"), ({"bucket": "b", "prefix": "/net//x/../prod/"}, "a")),
        ("gcs", ({"bucket": "b"}, "a"), ({"bucket": "b", "prefix": "./"}, "a")),
        ("http", ({"address": "https://h.example/s"}, "default"), ({"address": "https://H.example:443/s"}, "default")),
        ("http", ({"address": "http://h.example/s"}, "default"), ({"address": "HTTP://u@h.example:80/s#x"}, "default")),
    ],
)
def test_one_state_has_one_place_however_it_is_spelled(
    backend: str, one: tuple[dict[str, str], str], other: tuple[dict[str, str], str]
) -> None:
    """A workspace's state can also be reached as another key's in the default workspace."""
    assert location.of_state(backend, *one) == location.of_state(backend, *other)


@pytest.mark.parametrize(("backend", "config"), [("s3", S3), ("azurerm", AZURE), ("consul", CONSUL), ("gcs", S3)])
def test_workspaces_are_told_apart(backend: str, config: dict[str, str]) -> None:
    """Each has a state of its own; the default one's place is what its settings say."""
    default = location.of_state(backend, config, "default")
    assert default == (location.remote(backend, config), "default")
    assert len({location.of_state(backend, config, name) for name in ("default", "a", "b")}) == 3


def test_another_port_is_another_place() -> None:
    """Only the usual one may be left out."""
    addresses = ("http://h.example/s", "http://h.example:8080/s", "http://h.example:443/s", "http://[::1]:8080/s")
    assert len({location.of_state("http", {"address": address}, "default") for address in addresses}) == 4


def test_a_place_that_nothing_names_stays_none() -> None:
    """The caller has another name for it."""
    assert location.of_state("s3", {}, "prod") == (("", "", ""), "prod")
