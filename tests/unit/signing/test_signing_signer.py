"""Private keys lie in files that only their owner can read, and signers are named by URI."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tfaudit.errors import ConfigError, InputError
from tfaudit.signing import keys
from tfaudit.signing.signer import create_key_file, open_signer


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256", "ml-dsa-44"])
def test_a_key_file_signs(tmp_path: Path, algorithm: str) -> None:
    """What was created opens again as the same key, in mode 0600, and its signatures verify."""
    made = create_key_file(tmp_path / "key.pem", algorithm=algorithm)  # type: ignore[arg-type]
    signer = open_signer("file:key.pem", base=tmp_path)
    assert signer.public == made.public
    assert signer.public.algorithm == algorithm
    assert signer.public.verify(signer.sign(b"message"), b"message")
    assert not signer.public.verify(signer.sign(b"message"), b"other")
    assert not signer.public.verify(b"", b"message")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert keys.from_text(keys.to_text(made.public)) == made.public


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """Making a key where something is leaves that something."""
    path = tmp_path / "key.pem"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists already"):
        create_key_file(path)
    assert path.read_text() == "precious"


def test_a_key_needs_its_folder(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(ConfigError, match="nowhere"):
        create_key_file(tmp_path / "nowhere" / "key.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """Group or world access to the file is an error that says what to do."""
    create_key_file(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_signer("file:key.pem", base=tmp_path)


def test_a_key_that_can_not_be_opened_says_what_to_do(tmp_path: Path) -> None:
    """Setup helps against a key that is missing, not against one that can't be read."""
    with pytest.raises(ConfigError, match="No such file") as missing:
        open_signer("file:key.pem", base=tmp_path)
    assert "tfaudit setup" in str(missing.value.hint)
    (tmp_path / "key.pem").touch(0o600)
    with pytest.raises(ConfigError, match="can't open the key file") as other:
        open_signer("file:key.pem/key.pem", base=tmp_path)
    assert other.value.hint == "whoever runs tfaudit must be able to read it"


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, garbage, an encrypted key, other algorithms: one clear error each."""
    (tmp_path / "folder").mkdir(mode=0o700)
    others = {
        "garbage": b"nonsense",
        "large": b"x" * 20_000,
        "ed448": _pem(ed448.Ed448PrivateKey.generate()),
        "p384": _pem(ec.generate_private_key(ec.SECP384R1())),
        "rsa": _pem(rsa.generate_private_key(65537, 2048)),
        "encrypted": ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    for name in (*others, "folder", "missing"):
        with pytest.raises(ConfigError):
            open_signer(f"file:{name}", base=tmp_path)


@pytest.mark.parametrize("uri", ["", "key.pem", "gopher:key.pem"])
def test_unknown_schemes_are_refused(tmp_path: Path, uri: str) -> None:
    """Only the known schemes name a signer."""
    with pytest.raises(ConfigError, match="file:"):
        open_signer(uri, base=tmp_path)


def test_a_public_key_has_one_encoding(tmp_path: Path) -> None:
    """A compressed point, trailing bytes and other algorithms are refused."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keys.from_spki(der).spki == der
    other = ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for broken in (b"", der[:-1], der + b"\0", other, b"x" * 10_000):
        with pytest.raises(InputError):
            keys.from_spki(broken)
    with pytest.raises(InputError):
        keys.from_text(7)


def _pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
