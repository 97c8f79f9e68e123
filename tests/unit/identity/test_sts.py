"""AWS says which account, role and session calls: asked of an emulator on loopback."""

from __future__ import annotations

import socket

import pytest

from tfaudit.errors import UnavailableError
from tfaudit.identity import sts

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-north-1",
}


@pytest.fixture(scope="module")
def address():
    """An AWS emulator's address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Credentials in the process's own environment, and no other way to any."""
    environ = CREDENTIALS | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ


def test_the_caller_of_plain_credentials(address, configured, monkeypatch):
    """Account, ARN and user id, as AWS says them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
    found = sts.caller(configured)
    said = dict(found.claims)
    assert (found.source, found.level) == ("aws-sts", "sts")
    assert said["account"] == "123456789012"
    assert found.principal == f"aws:{said['arn']}"
    assert found.principal in found.identities


def test_the_caller_of_an_assumed_role(address, configured, monkeypatch):
    """The role is the principal, whatever the session calls itself."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
    client = boto3.client("sts", region_name="eu-north-1")
    role = "arn:aws:iam::123456789012:role/deploy/apply"
    assumed = client.assume_role(RoleArn=role, RoleSessionName="alice@example.com")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", assumed["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", assumed["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", assumed["SessionToken"])
    found = sts.caller(configured)
    said = dict(found.claims)
    assert said["session_name"] == "alice@example.com"
    assert found.principal == f"aws:arn:aws:iam::123456789012:role/{said['role']}"
    assert not any(name.startswith("email:") for name in found.identities)


def test_a_session_of_single_sign_on_names_the_person():
    """IAM Identity Center calls a session by its user; another role's session is called as anybody likes."""
    arn = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/Ann@Example.com"
    found = sts.evidence(account="123456789012", arn=arn, user_id="AROA:x")
    assert "email:ann@example.com" in found.identities


def test_aws_that_hangs(configured, monkeypatch):
    """One line, in time."""
    monkeypatch.setattr(sts, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnavailableError, match=r"within 0|within 1"):
            sts.caller(configured)


def test_aws_that_is_not_there(configured, monkeypatch):
    """No address and no key is in the reason."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError) as caught:
        sts.caller(configured)
    assert "AKIA" not in str(caught.value)
    assert str(port) not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "plain"),
    [
        ({}, False),
        ({"AWS_REGION": "eu-north-1"}, False),
        ({"AWS_ACCESS_KEY_ID": "x"}, False),
        ({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, True),
        ({"AWS_PROFILE": "prod"}, True),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn"}, True),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, False),
    ],
)
def test_aws_is_asked_only_where_it_is_plainly_meant(environ, plain):
    """Looking for credentials that may not be there takes seconds."""
    assert sts.is_configured(environ) is plain
