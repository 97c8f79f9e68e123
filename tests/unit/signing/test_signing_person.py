"""A person's key, by whatever name: an OpenSSH file, its public half, a PEM file, the agent's, KMS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

sys.path.append(str(Path(__file__).resolve().parents[1] / "gate"))

from opensshkit import KINDS, a_key, needs_openssh, new_key, public, public_text, run

from tfaudit.errors import ConfigError
from tfaudit.signing import sshkeys, sshsig
from tfaudit.signing.person import open_person
from tfaudit.signing.signer import create_key_file

NAMESPACE = "tfaudit-approval"
MESSAGE = b"a message"


def is_good(signature):
    """Tell whether a person's signature verifies."""
    if signature.sshsig is not None:
        return sshsig.parse(signature.sshsig, what="it").verified(MESSAGE, NAMESPACE) is not None
    return sshkeys.record_key(signature.key).verify(signature.plain, MESSAGE)


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


@pytest.fixture
def no_agent(monkeypatch):
    """No agent at all."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@needs_openssh
@pytest.mark.parametrize("kind", KINDS)
def test_an_openssh_key_signs_through_ssh_keygen(no_agent, kind):
    """Named by its file, or by the public one beside it, a key of each kind signs, its fingerprint known before."""
    path = a_key(kind)
    for name in (str(path), f"{path}.pub", f"ssh:{path}", f"file:{path}"):
        person = open_person(name, base=Path("/"))
        assert person.key == public(path)
    signature = person.sign(MESSAGE, NAMESPACE)
    assert signature.sshsig is not None
    assert is_good(signature)


@needs_openssh
def test_relative_paths_and_home_are_found(no_agent, tmp_path, monkeypatch):
    """A path starts from where one stands; a tilde is the home folder."""
    path = new_key(tmp_path / "id")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_person("id", base=tmp_path).key == open_person("~/id", base=Path("/")).key == public(path)


@needs_openssh
def test_the_public_half_of_an_encrypted_key_needs_no_passphrase(no_agent, tmp_path):
    """Who approves is known before anybody is asked for a passphrase."""
    path = new_key(tmp_path / "id", passphrase="a pass phrase")
    assert open_person(str(path), base=tmp_path).key == public(path)


@needs_openssh
@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa"])
def test_the_agents_key_is_named_by_its_fingerprint_or_text(tmp_path, agent, kind):
    """No file is needed where the agent holds the key."""
    path = new_key(tmp_path / "id", kind)
    known, text = public(path), public_text(path)
    run("ssh-add", "-q", path)
    path.unlink()
    Path(f"{path}.pub").unlink()
    for name in (f"ssh:{known.fingerprint}", text, f"{text} a comment"):
        person = open_person(name, base=tmp_path)
        assert person.key == known
        assert is_good(person.sign(MESSAGE, NAMESPACE))


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
def test_a_pem_file_signs_the_bytes_themselves(tmp_path, algorithm):
    """A PKCS#8 key of Ed25519 or P-256 needs no OpenSSH, and records can be signed with it too."""
    signer = create_key_file(tmp_path / "key.pem", algorithm=algorithm)
    for name in ("key.pem", f"file:{tmp_path / 'key.pem'}"):
        person = open_person(name, base=tmp_path)
        assert person.key == sshkeys.of_public(signer.public)
        signature = person.sign(MESSAGE, NAMESPACE)
        assert signature.plain is not None
        assert is_good(signature)
    assert person.record_signer().public == signer.public


def pem(tmp_path, private, encryption=None, form=PrivateFormat.PKCS8):
    """Write a private key as PEM."""
    path = tmp_path / "key.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, form, encryption or NoEncryption()))
    path.chmod(0o600)
    return path


def test_an_ec_key_in_openssls_own_form_is_taken(tmp_path):
    """``BEGIN EC PRIVATE KEY`` is as good as PKCS#8."""
    path = pem(tmp_path, ec.generate_private_key(ec.SECP256R1()), form=PrivateFormat.TraditionalOpenSSL)
    assert is_good(open_person(str(path), base=tmp_path).sign(MESSAGE, NAMESPACE))


@needs_openssh
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_rsa_pem_signs_through_ssh_keygen(tmp_path, form):
    """RSA keys sign as OpenSSH has it, with SHA-2."""
    path = pem(tmp_path, rsa.generate_private_key(65537, 2048), form=form)
    person = open_person(str(path), base=tmp_path)
    assert person.key.kind == "ssh-rsa"
    assert is_good(person.sign(MESSAGE, NAMESPACE))
    assert person.record_signer() is None


def test_a_pem_file_that_others_can_read_is_refused(tmp_path):
    """As everywhere, a private key is nobody else's to read."""
    create_key_file(tmp_path / "key.pem").sign(b"")
    (tmp_path / "key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="read or written by others"):
        open_person("key.pem", base=tmp_path)


def test_an_encrypted_pem_without_a_terminal_is_one_line(tmp_path, monkeypatch):
    """Where nobody can be asked for the passphrase the error names the file."""
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    path = pem(tmp_path, ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x"))
    with pytest.raises(ConfigError, match=str(path)):
        open_person(str(path), base=tmp_path)


@needs_openssh
def test_which_keys_can_sign_records(tmp_path, no_agent):
    """Ed25519 and P-256 keys without a passphrase do; an encrypted one without an agent does not."""
    for kind, good in (("ed25519", True), ("p256", True), ("p384", False), ("rsa", False)):
        for name in (str(a_key(kind)), f"{a_key(kind)}.pub"):
            signer = open_person(name, base=tmp_path).record_signer()
            assert (signer is not None) is good, name
            assert signer is None or signer.public.verify(signer.sign(b"m"), b"m")
    locked = new_key(tmp_path / "locked", passphrase="a pass phrase")
    assert open_person(str(locked), base=tmp_path).record_signer() is None


@needs_openssh
def test_the_agent_signs_records_too(tmp_path, agent):
    """A key that the agent holds signs a record's very bytes."""
    path = new_key(tmp_path / "id")
    run("ssh-add", "-q", path)
    path.unlink()
    signer = open_person(f"{path}.pub", base=tmp_path).record_signer()
    assert signer.public.verify(signer.sign(b"m"), b"m")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "holds no key"),
        ("hello\n", "holds no key"),
        ("ssh-ed25519 AAAA\n", "holds no usable key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "no usable OpenSSH key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no usable private key"),
        ("x" * 20_000, "too large"),
    ],
)
def test_what_is_no_key_is_one_line(tmp_path, content, why):
    """The error names the file and what is wrong with it."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=why) as raised:
        open_person("key", base=tmp_path)
    assert str(path) in raised.value.message


def test_missing_keys_are_named(tmp_path, no_agent):
    """A file that is not there, no agent, and an agent without the key."""
    with pytest.raises(ConfigError, match="can't open the key"):
        open_person("nowhere", base=tmp_path)
    with pytest.raises(ConfigError, match="no SSH agent"):
        open_person("ssh:SHA256:abc", base=tmp_path)


@needs_openssh
def test_an_agent_without_the_key_says_so(tmp_path, agent):
    """The fingerprint is named."""
    with pytest.raises(ConfigError, match="does not hold SHA256:abc"):
        open_person("ssh:SHA256:abc", base=tmp_path)
