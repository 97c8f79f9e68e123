"""Fixtures of the tests of the sinks."""

from __future__ import annotations

import urllib.request

import awsfake
import awskit
import pytest


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """The AWS credentials of a test, and nothing of the developer's AWS configuration."""
    for name, value in awskit.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))


@pytest.fixture
def aws(credentials):
    """The strict small AWS of awsfake."""
    with awsfake.serving() as running:
        running.now = awskit.NOW
        yield running


@pytest.fixture(scope="session")
def moto_address():
    """The address of a moto server on a free port of 127.0.0.1."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def moto(moto_address, credentials):
    """A moto server that holds nothing yet."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_address}/moto-api/reset", method="POST")).close()
    return moto_address
