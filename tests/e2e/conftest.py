"""Fixtures of the end-to-end tests: each says by a skip what this machine lacks."""

from __future__ import annotations

from pathlib import Path

import gatekit
import pytest
import support


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> support.Engine:
    """The engine on PATH, else the embedded one."""
    found = support.current_engine(tmp_path_factory.mktemp("engine"))
    if found is None:
        pytest.skip("there is no terraform or tofu on PATH, and no embedded one")
    return found


@pytest.fixture
def project(tmp_path: Path, engine: support.Engine) -> support.Project:
    """An empty scratch project for the current engine."""
    folder = tmp_path / "project"
    folder.mkdir()
    return support.Project(folder=folder, engine=engine, environment=support.environment_for(tmp_path / "home", engine))


@pytest.fixture(scope="session")
def provider_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLI configuration file by which an engine finds the real AWS provider, offline."""
    archive = support.provider_archive()
    if archive is None:
        pytest.skip("the AWS provider's package can't be installed here")
    return support.write_mirror(tmp_path_factory.mktemp("provider"), archive)


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory):
    """The address of an AWS emulator on loopback."""
    with support.moto_server(tmp_path_factory.mktemp("moto") / "server.log") as address:
        yield address


@pytest.fixture
def alice(tmp_path: Path) -> gatekit.Person:
    """Somebody with a key of their own: an approver, where the test lists them."""
    return gatekit.person(tmp_path / "keys", "alice")


@pytest.fixture
def bob(tmp_path: Path) -> gatekit.Person:
    """Somebody else."""
    return gatekit.person(tmp_path / "keys", "bob")


@pytest.fixture
def carol(tmp_path: Path) -> gatekit.Person:
    """A third."""
    return gatekit.person(tmp_path / "keys", "carol")
