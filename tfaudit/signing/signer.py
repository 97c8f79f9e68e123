"""Who signs: signers by URI, and the key files behind ``file:``."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tfaudit.errors import ConfigError, InputError
from tfaudit.signing.keys import Algorithm, PublicKey, public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric import mldsa

MAX_KEY_FILE: Final = 16 * 1024


class Signer(Protocol):
    """A private key that may lie elsewhere. Signing twice gives two valid signatures; nothing is stored."""

    @property
    def public(self) -> PublicKey:
        """The verifier key of what :meth:`sign` returns."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``, in the form that :meth:`PublicKey.verify` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSigner:
    """A private key in a PEM file (PKCS#8, not encrypted)."""

    public: PublicKey
    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``; ECDSA in DER."""
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            return self._private.sign(message, ec.ECDSA(SHA256()))
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"FileSigner({self.public.algorithm}, {self.public.keyid})"


def open_signer(uri: str, *, base: Path) -> Signer:
    """Return the signer that ``uri`` names; ``base`` is the folder that relative ``file:`` paths start from.

    Raises :class:`ConfigError` for an unknown scheme and for a key that is missing, unreadable, of another algorithm or
    open to other users.
    """
    scheme, colon, rest = uri.partition(":")
    constructor = SIGNERS.get(scheme) if colon else None
    if constructor is None:
        known = ", ".join(f"{name}:" for name in SIGNERS)
        raise ConfigError(f"no signer is known for {uri!r}", hint=f"use one of {known}")
    return constructor(rest, base)


def _open_file(path_text: str, base: Path) -> Signer:
    path = base / path_text
    return _load(read_key_file(path), path)


def read_key_file(path: Path) -> bytes:
    """Return the bytes of a private key's file; :class:`ConfigError` unless it is one that nobody else may read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        hint = (
            "tfaudit setup makes a ledger's first keys; a key that is kept elsewhere is named by its path"
            if isinstance(error, FileNotFoundError)
            else "whoever runs tfaudit must be able to read it"
        )
        raise ConfigError(f"can't open the key file {path}: {error.strerror}", hint=hint) from error
    try:
        _check_private(os.fstat(descriptor), path)
        content = os.read(descriptor, MAX_KEY_FILE + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_KEY_FILE:
        raise ConfigError(f"key file {path} is too large to be a key")
    return content


def _check_private(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"key file {path} is not a regular file")
    if status.st_mode & 0o077:
        raise ConfigError(
            f"key file {path} can be read or written by others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"run `chmod 600 {path}`, and replace the key if others may have read it",
        )


def _load(pem: bytes, path: Path) -> Signer:
    try:
        private = load_pem_private_key(pem, None)
        public = public_key(private.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm, InputError) as error:
        raise ConfigError(
            f"key file {path} holds no usable private key",
            hint="an unencrypted PKCS#8 PEM of an Ed25519, ECDSA P-256 or ML-DSA-44 key is wanted",
        ) from error
    return FileSigner(public=public, _private=private)  # type: ignore[arg-type] # public_key() refused the others


def create_key_file(path: Path, *, algorithm: Algorithm = "ed25519") -> FileSigner:
    """Make a new private key in ``path`` (mode 0600, durable on return) and return its signer.

    Raises :class:`ConfigError` when anything is there already, or the file can't be written: then none is left.
    """
    private = _generate(algorithm)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"key file {path} exists already", hint="a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"can't create the key file {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise ConfigError(f"can't write the key file {path}: {error.strerror}") from error
    return FileSigner(public=public_key(private.public_key()), _private=private)


def _generate(
    algorithm: Algorithm,
) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey:
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ecdsa-p256":
        return ec.generate_private_key(ec.SECP256R1())
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa

        return mldsa.MLDSA44PrivateKey.generate()
    except (ImportError, UnsupportedAlgorithm) as error:
        raise ConfigError("this version of package cryptography has no ML-DSA", hint="upgrade it") from error


def _open_kms(key: str, base: Path) -> Signer:
    from tfaudit.signing.awskms import open_kms

    return open_kms(key, base)


def _open_ssh(name: str, base: Path) -> Signer:
    from tfaudit.signing.ssh import open_ssh

    return open_ssh(name, base)


SIGNERS: Final[Mapping[str, Callable[[str, Path], Signer]]] = {
    "file": _open_file,
    "awskms": _open_kms,
    "ssh": _open_ssh,
}
"""URI scheme to constructor; the constructor takes what follows the colon and the folder of relative paths."""
