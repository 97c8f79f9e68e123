"""Signing with keys that a real SSH agent holds, or that lie in OpenSSH's own files."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from tfaudit.errors import ConfigError, UnavailableError
from tfaudit.signing import envelope, keys
from tfaudit.signing.signer import open_signer
from tfaudit.signing.sshagent import Agent, Wire

needs_openssh = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="no OpenSSH here")

KINDS = {"ed25519": ["-t", "ed25519"], "ecdsa-p256": ["-t", "ecdsa", "-b", "256"]}


def run(*command, **environment):
    """Run an OpenSSH program and return what it prints."""
    result = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return result.stdout


def new_key(path: Path, *kind: str, passphrase: str = "") -> Path:
    """Make an OpenSSH key pair."""
    run("ssh-keygen", "-q", *kind, "-N", passphrase, "-C", "a comment", "-f", str(path))
    return path


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A real agent of this test's own, its socket in SSH_AUTH_SOCK."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield str(path)
    process.terminate()
    process.wait()


def fingerprint(path):
    """Return a public key's fingerprint as ssh-keygen prints it."""
    return run("ssh-keygen", "-lf", str(path)).split()[1]


@needs_openssh
@pytest.mark.parametrize("algorithm", KINDS)
def test_an_agents_key_signs_the_bytes_themselves(tmp_path, agent, algorithm):
    """A key of the agent, named by file or fingerprint, makes signatures that plain verification accepts."""
    path = new_key(tmp_path / "id", *KINDS[algorithm])
    run("ssh-add", "-q", str(path))
    path.unlink()
    for uri in (f"ssh:{path}.pub", "ssh:id.pub", f"ssh:{fingerprint(f'{path}.pub')}"):
        signer = open_signer(uri, base=tmp_path)
        assert signer.public.algorithm == algorithm
        known = keys.from_spki(signer.public.spki)
        for message in (b"", b"a message", os.urandom(200_000)):
            assert known.verify(signer.sign(message), message)
        assert not known.verify(signer.sign(b"a message"), b"another")


@needs_openssh
def test_an_agents_key_seals_a_record(tmp_path, agent):
    """An envelope that the agent signed is like any other."""
    path = new_key(tmp_path / "id", *KINDS["ed25519"])
    run("ssh-add", "-q", str(path))
    signer = open_signer(f"ssh:{path}.pub", base=tmp_path)
    assert envelope.parse(envelope.seal(b"{}", signer)).signed_by(signer.public)


@needs_openssh
@pytest.mark.parametrize("algorithm", KINDS)
def test_a_key_file_signs_without_an_agent(tmp_path, monkeypatch, algorithm):
    """An OpenSSH private key without a passphrase needs no agent."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    path = new_key(tmp_path / "id", *KINDS[algorithm])
    signer = open_signer("ssh:id", base=tmp_path)
    assert signer.public.verify(signer.sign(b"m"), b"m")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read or written by others"):
        open_signer("ssh:id", base=tmp_path)


@needs_openssh
def test_a_key_with_a_passphrase_wants_the_agent(tmp_path):
    """An encrypted key file ends in one line that says how to use it."""
    path = new_key(tmp_path / "id", *KINDS["ed25519"], passphrase="secret")
    with pytest.raises(ConfigError, match="ssh-add"):
        open_signer(f"ssh:{path}", base=tmp_path)


@needs_openssh
def test_other_algorithms_are_refused(tmp_path, agent):
    """An RSA key, in a file or in the agent, is told to be of no use."""
    path = new_key(tmp_path / "id", "-t", "rsa", "-b", "2048")
    run("ssh-add", "-q", str(path))
    for uri in (f"ssh:{path}", f"ssh:{path}.pub", f"ssh:{fingerprint(path)}"):
        with pytest.raises(ConfigError, match="Ed25519 or ECDSA P-256"):
            open_signer(uri, base=tmp_path)


@needs_openssh
def test_a_key_that_the_agent_lacks_is_named(tmp_path, agent):
    """A key that the agent does not hold, or holds no longer, is told by name."""
    path = new_key(tmp_path / "id", *KINDS["ed25519"])
    with pytest.raises(ConfigError, match="does not hold"):
        open_signer(f"ssh:{path}.pub", base=tmp_path)
    run("ssh-add", "-q", str(path))
    signer = open_signer(f"ssh:{path}.pub", base=tmp_path)
    run("ssh-add", "-q", "-D")
    with pytest.raises(ConfigError, match="refuses to sign"):
        signer.sign(b"m")
    with pytest.raises(ConfigError, match="can't sign 300009 bytes"):
        signer.sign(bytes(300_000 - 55))


def test_no_agent_is_told(tmp_path, monkeypatch):
    """Without SSH_AUTH_SOCK, or with a dead one, one line says so."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(ConfigError, match="no SSH agent is known"):
        open_signer("ssh:SHA256:abc", base=tmp_path)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="does not answer"):
        open_signer("ssh:SHA256:abc", base=tmp_path)


@pytest.mark.parametrize("name", ["", "missing", "missing.pub"])
def test_a_key_that_is_not_there_is_told(tmp_path, name):
    """A missing file, or none at all, ends in one line."""
    with pytest.raises(ConfigError):
        open_signer(f"ssh:{name}", base=tmp_path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"ssh-ed25519", b"ssh-ed25519 AAAA", b"ssh-ed25519 \xff"])
def test_a_file_without_a_key_is_told(tmp_path, content):
    """A public key file that holds something else ends in one line."""
    (tmp_path / "id.pub").write_bytes(content)
    with pytest.raises(ConfigError, match="holds no usable SSH key"):
        open_signer("ssh:id.pub", base=tmp_path)


def answering(path, answer):
    """Be an agent that gives one answer, whatever is asked."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(1 << 16)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return Agent(path=str(path))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\5\x0c\xff\xff\xff\xff",
        b"\0\0\0\5\x0c\0\0\0\1",
        b"\0\0\0\x09\x0c\0\0\0\1\xff\xff\xff\xff",
        b"\0\0\0\3\x0c\0\0",
    ],
)
def test_whatever_else_answers_is_no_agent(tmp_path, answer):
    """An answer that is cut off, too long or out of form ends in one line."""
    with pytest.raises(UnavailableError):
        answering(tmp_path / "sock", answer).identities()


def test_a_false_signature_is_not_used(tmp_path):
    """A signature of the agent that does not verify is never returned."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tfaudit.signing.ssh import AgentSigner

    def string(content):
        return struct.pack(">I", len(content)) + content

    public = keys.public_key(Ed25519PrivateKey.generate().public_key())
    body = b"\x0e" + string(string(b"ssh-ed25519") + string(bytes(64)))
    signer = AgentSigner(public=public, blob=b"", agent=answering(tmp_path / "sock", string(body)))
    with pytest.raises(UnavailableError, match="does not verify"):
        signer.sign(b"m")


def test_an_mpint_is_read_with_its_sign():
    """SSH's integers have a leading zero where the first bit is set."""
    assert Wire(b"\0\0\0\2\0\x80").integer() == 128
