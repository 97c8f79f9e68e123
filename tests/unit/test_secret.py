"""Secrets are read from where the configuration says, and no error shows one."""

import json
import os
import socket

import pytest

from tfaudit import secret
from tfaudit.errors import ConfigError, UnavailableError

CANARY = "sec-canary-5b1e7c"


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """An AWS configuration of dummy credentials and nothing of the machine's own."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture(scope="module")
def server():
    """A moto server of this file's own."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://127.0.0.1:{1}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def manager(aws, server):
    """A Secrets Manager client, and the endpoint set for what is tested."""
    import boto3

    aws.setenv("AWS_ENDPOINT_URL", server)
    return boto3.client("secretsmanager", region_name="eu-central-1")


def written(tmp_path, content=None, mode=0o600):
    """Write a secret's file; its reference comes back."""
    path = tmp_path / "token"
    path.write_bytes(CANARY.encode() if content is None else content)
    path.chmod(mode)
    return f"file:{path}"


def test_a_variable_is_read():
    """env: is a variable of the environment that was handed in."""
    assert secret.read("env:TOKEN", {"TOKEN": CANARY}) == CANARY


@pytest.mark.parametrize("environ", [{}, {"TOKEN": ""}, {"TOKEN": "  "}, {"TOKEN": "\n"}])
def test_a_variable_without_a_secret_is_told(environ):
    """An absent variable and an empty one are configuration errors that name it."""
    with pytest.raises(ConfigError, match="env:TOKEN"):
        secret.read("env:TOKEN", environ)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_one_line_break_at_the_end_of_a_file_is_dropped(tmp_path, end):
    """An editor's last line break is no part of a secret."""
    assert secret.read(written(tmp_path, CANARY.encode() + end), {}) == CANARY


def test_only_one_line_break_is_dropped(tmp_path):
    """What stands before the last line break is the secret, as it is."""
    assert secret.read(written(tmp_path, b" a\nb \n\n"), {}) == " a\nb \n"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    """A secret that everybody on the machine may read, or a group change, is none."""
    with pytest.raises(ConfigError, match=f"by others .mode {mode:04o}") as caught:
        secret.read(written(tmp_path, mode=mode), {})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_file_of_owner_and_group_is_read(tmp_path, mode):
    """A pod's volume gives the group the right to read."""
    assert secret.read(written(tmp_path, mode=mode), {}) == CANARY


def test_a_file_of_the_largest_size_is_read_and_no_larger(tmp_path):
    """64 KiB are read, one more byte is refused."""
    assert len(secret.read(written(tmp_path, b"x" * secret.MAX_SECRET + b"\r\n"), {})) == secret.MAX_SECRET
    with pytest.raises(ConfigError, match="larger than 65,536 bytes"):
        secret.read(written(tmp_path, b"x" * (secret.MAX_SECRET + 1)), {})


def test_an_endless_file_is_not_read_whole(tmp_path):
    """A file of any size costs no more than the limit."""
    path = tmp_path / "token"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        secret.read(f"file:{path}", {})


@pytest.mark.parametrize("content", [b"", b"\n", b"a\0b", b"\xff\xfe", b"   \n"])
def test_a_file_without_a_text_is_refused(tmp_path, content):
    """Nothing, blanks, NUL and what is not UTF-8 are no secrets."""
    with pytest.raises(ConfigError, match="empty or no text") as caught:
        secret.read(written(tmp_path, content), {})
    assert caught.value.__cause__ is None


def test_a_pipe_is_not_waited_for(tmp_path):
    """What is no file is refused before anything is read from it."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a file"):
        secret.read(f"file:{tmp_path / 'pipe'}", {})


def test_a_file_that_is_not_there_is_told(tmp_path):
    """The error names the reference."""
    with pytest.raises(ConfigError, match=r"file:.*/none can't be read: No such file"):
        secret.read(f"file:{tmp_path / 'none'}", {})


@pytest.mark.parametrize("reference", ["", CANARY, f"token:{CANARY}", "env:", "file:", "secretsmanager:"])
def test_an_unknown_reference_is_not_shown(reference):
    """Who wrote the secret itself into the configuration does not find it in the job's log as well."""
    with pytest.raises(ConfigError) as caught:
        secret.read(reference, {})
    assert CANARY not in str(caught.value)


def test_a_stored_secret_is_read(manager):
    """secretsmanager: is a secret's name."""
    manager.create_secret(Name="tfaudit/splunk", SecretString=CANARY)
    assert secret.read("secretsmanager:tfaudit/splunk", {"AWS_REGION": "eu-central-1"}) == CANARY


def test_an_arn_brings_its_region(manager):
    """A secret named by its ARN needs no region."""
    made = manager.create_secret(Name="by-arn", SecretString=CANARY)
    assert secret.read(f"secretsmanager:{made['ARN']}", {"AWS_REGION": "us-east-1"}) == CANARY


def test_a_member_of_a_stored_object_is_read(manager):
    """ID#MEMBER is one text of a secret that is a JSON object."""
    manager.create_secret(Name="object", SecretString=json.dumps({"token": CANARY, "port": 1}))
    environ = {"AWS_REGION": "eu-central-1"}
    assert secret.read("secretsmanager:object#token", environ) == CANARY
    for member in ("port", "other"):
        with pytest.raises(ConfigError) as caught:
            secret.read(f"secretsmanager:object#{member}", environ)
        assert CANARY not in str(caught.value)


def test_a_member_of_what_is_no_object_is_told(manager):
    """A plain secret has no members, and the error does not show it."""
    manager.create_secret(Name="plain", SecretString=CANARY)
    with pytest.raises(ConfigError) as caught:
        secret.read("secretsmanager:plain#token", {"AWS_REGION": "eu-central-1"})
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.__cause__)


def test_a_stored_secret_of_bytes_is_read(manager):
    """A binary secret that is UTF-8 text is one too."""
    manager.create_secret(Name="bytes", SecretBinary=CANARY.encode())
    assert secret.read("secretsmanager:bytes", {"AWS_REGION": "eu-central-1"}) == CANARY


def test_a_stored_secret_that_is_not_there_is_told(manager):
    """The error says what to look at."""
    with pytest.raises(ConfigError, match=r"ResourceNotFoundException .is it this account's"):
        secret.read("secretsmanager:absent", {"AWS_REGION": "eu-central-1"})


def test_a_region_is_asked_for(manager):
    """Without a region one line says which to set."""
    with pytest.raises(ConfigError, match="AWS_REGION"):
        secret.read("secretsmanager:absent", {})


def test_without_credentials_one_line_says_so(aws, server):
    """Without credentials one line says how to get them."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    aws.setenv("AWS_ENDPOINT_URL", server)
    with pytest.raises(ConfigError, match="no AWS credentials"):
        secret.read("secretsmanager:any", {"AWS_REGION": "eu-central-1"})


def test_a_token_that_is_not_there_is_no_credentials(aws, server):
    """A web identity's token comes from a file; where that is missing, one line says so."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    aws.setenv("AWS_ENDPOINT_URL", server)
    aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
    with pytest.raises(ConfigError, match=r"no AWS credentials .* .FileNotFoundError"):
        secret.read("secretsmanager:any", {"AWS_REGION": "eu-central-1"})


def test_a_secret_is_not_asked_for_in_clear(aws):
    """An endpoint without TLS on another machine would show the secret to the net."""
    aws.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://192.0.2.1:4566")
    with pytest.raises(ConfigError, match="neither https nor on this machine"):
        secret.read("secretsmanager:any", {"AWS_REGION": "eu-central-1"})


def test_a_secrets_manager_that_is_away_is_unavailable(aws):
    """A service that can't be reached is one to try again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        aws.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match="can't be reached for secretsmanager:any"):
            secret.read("secretsmanager:any", {"AWS_REGION": "eu-central-1"})
