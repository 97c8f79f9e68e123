"""Did this SSH key sign these bytes for this purpose, and how does a person make such a signature?

OpenSSH's PROTOCOL.sshsig: ``ssh-keygen -Y sign`` wraps what it signs in a frame with a namespace, so that a signature
made for one purpose is none for another. Verifying needs no OpenSSH; signing is left to ``ssh-keygen``, which knows the
agent, asks for passphrases and talks to FIDO2 tokens.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.canonical import frame
from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.signing import b64, sshkeys
from tfaudit.signing.sshkeys import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.signing.sshkeys import SshKey, Verified

MAX_ARMORED: Final = 32 * 1024
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_HASHES: Final = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_WIDTH: Final = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSignature:
    """A parsed signature; nothing about it is verified until :meth:`verified` says so."""

    key: SshKey
    """The key that it claims to be by."""
    namespace: str
    reserved: bytes
    digest: str
    """The algorithm by which the message was hashed first: ``sha256`` or ``sha512``."""
    signature: bytes
    """In the wire form (RFC 4253, section 6.6)."""

    def verified(self, message: bytes, namespace: str) -> Verified | None:
        """Return what the signature says of its making; None unless the key signed ``message`` for ``namespace``."""
        if self.namespace != namespace:
            return None
        return self.key.verified(self.signature, self._signed(message))

    def _signed(self, message: bytes) -> bytes:
        hashed = _HASHES[self.digest](message).digest()
        return _MAGIC + frame(self.namespace.encode(), self.reserved, self.digest.encode(), hashed)


def parse(armored: str, *, what: str) -> SshSignature:
    """Return the signature of its armored form.

    Raises :class:`InputError`, naming ``what``, for anything else, for another version or an unusable key.
    """
    try:
        return _parsed(Wire(_dearmored(armored)))
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is no usable SSH signature: its namespace is not UTF-8") from error
    except InputError as error:
        raise InputError(f"{what} is no usable SSH signature: {error.message}", hint=error.hint) from error


def armored(blob: bytes) -> str:
    """Return the armored form of a signature's bytes, as ``ssh-keygen`` writes it."""
    return "\n".join([_BEGIN, *textwrap.wrap(b64.encode(blob), _WIDTH), _END, ""])


def sign(message: bytes, key: Path, namespace: str) -> str:
    """Return the armored signature that ``ssh-keygen`` makes over ``message``.

    ``key`` is a private key's file, or a public key's file where the agent or the folder has the other half. Whoever is
    at the terminal may be asked for a passphrase, or to touch a token. Raises :class:`ConfigError` where the key can't
    sign, :class:`UnavailableError` without ``ssh-keygen``.
    """
    # On a terminal its own words (touch the token!) must be seen as they come; else its last one explains the failure.
    seen = sys.stderr.isatty()
    result = _keygen(["-q", "-Y", "sign", "-n", namespace, "-f", str(key)], message, seen=seen)
    if result.returncode != 0:
        raise ConfigError(
            f"ssh-keygen can't sign with {key}{_last_line(result.stderr)}",
            hint="is the private key there, or in the agent (ssh-add -l)? is it the right passphrase?",
        )
    text = result.stdout.decode("ascii", "replace")
    if parse(text, what="what ssh-keygen wrote").verified(message, namespace) is None:
        raise UnavailableError(f"ssh-keygen made a signature with {key} that does not verify")
    return text


def public_of(key: Path) -> SshKey:
    """Return the public half of a private key's file, which ``ssh-keygen`` may ask a passphrase for.

    Raises as :func:`sign`.
    """
    result = _keygen(["-y", "-f", str(key)], b"", seen=False)
    fields = result.stdout.decode("utf-8", "replace").split()
    if result.returncode != 0 or len(fields) < 2:
        raise ConfigError(f"ssh-keygen can't read the key {key}{_last_line(result.stderr)}")
    return sshkeys.parse_text(f"{fields[0]} {fields[1]}", what=f"the key {key}")


def _keygen(arguments: list[str], message: bytes, *, seen: bool) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=message,
            stdout=subprocess.PIPE,
            stderr=None if seen else subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except OSError as error:
        raise UnavailableError(
            f"ssh-keygen can't be run: {error.strerror}",
            hint="install OpenSSH 8.1 or later, or sign with a file: or awskms: key",
        ) from error


def _last_line(stderr: bytes | None) -> str:
    lines = [line for line in (stderr or b"").decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    return ": " + "".join(letter for letter in lines[-1].strip()[:200] if letter.isprintable())


def _parsed(wire: Wire) -> SshSignature:
    wire.take(_MAGIC)
    version = wire.number()
    if version != _VERSION:
        raise InputError(f"its version is {version}")
    key = sshkeys.parse_blob(wire.string(), what="its key")
    namespace, reserved = wire.string().decode(), wire.string()
    digest = wire.string().decode("ascii", "replace")
    if digest not in _HASHES:
        raise InputError("it is by an unknown digest")
    signature = wire.string()
    wire.end()
    return SshSignature(key=key, namespace=namespace, reserved=reserved, digest=digest, signature=signature)


def _dearmored(text: str) -> bytes:
    """Return the bytes of an armored signature; lines may be of any length."""
    if len(text) > MAX_ARMORED:
        raise InputError(f"it is longer than {MAX_ARMORED} characters")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise InputError("it has no armor")
    return b64.decode("".join(lines[1:-1]), what="what is in its armor")
