"""With which key does a person sign: an SSH key of any kind, a key in a PEM file, or one in AWS KMS?

SSH keys sign through ``ssh-keygen`` (agent, passphrase, FIDO2 token); the others sign the bytes themselves, and their
public half is named as OpenSSH would.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.signing import b64, sshkeys, sshsig
from tfaudit.signing.signer import MAX_KEY_FILE, SIGNERS, open_signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.signing.signer import Signer
    from tfaudit.signing.sshkeys import SshKey

_OPENSSH: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC: Final = b"openssh-key-v1\0"
_WANTED: Final = "an OpenSSH key or its .pub file, a PEM file of an Ed25519 or P-256 key, awskms:…, or ssh:SHA256:…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A person's signature: exactly one of the last two is there."""

    key: SshKey
    plain: bytes | None = None
    """As a ``file:`` or ``awskms:`` signer makes it."""
    sshsig: str | None = None
    """Armored, as ``ssh-keygen -Y sign`` makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonKey:
    """A person's key, ready to sign."""

    key: SshKey
    """Its public half."""
    signer: Signer | None = None
    """What signs the bytes themselves, for a PEM file or KMS."""
    path: Path | None = None
    """What ``ssh-keygen`` is given; None for a key of the agent that no file names."""
    lonely: bool = False
    """Whether the file holds no public half, as OpenSSH's own do: ``ssh-keygen`` looks for one beside it."""

    def sign(self, message: bytes, namespace: str) -> Signature:
        """Return the signature over ``message`` for a purpose; errors as :func:`sshsig.sign` and the signer's own."""
        if self.signer is not None:
            return Signature(key=self.key, plain=self.signer.sign(message))
        with self._file() as path:
            return Signature(key=self.key, sshsig=sshsig.sign(message, path, namespace))

    def record_signer(self) -> Signer | None:
        """Return what signs a record's very bytes with this key; None where it can't, or not without a passphrase."""
        if self.signer is not None or sshkeys.record_key(self.key) is None:
            return self.signer
        names = [self.key.fingerprint]
        if self.path is not None:
            names.append(str(self.path.with_suffix("") if self.path.suffix == ".pub" else self.path))
        for name in names:
            with suppress(ConfigError, UnavailableError):
                return open_signer(f"ssh:{name}", base=Path("/"))
        return None

    @contextmanager
    def _file(self) -> Iterator[Path]:
        """Give the file that names the key to ``ssh-keygen``."""
        if self.path is not None and not self.lonely:
            yield self.path
            return
        with TemporaryDirectory(prefix="tfaudit-") as folder:
            public = Path(folder, "key.pub")
            public.write_text(f"{self.key.text}\n")
            if self.path is None:
                yield public
                return
            private = Path(folder, "key")
            private.symlink_to(self.path)
            yield private


def open_person(name: str, *, base: Path) -> PersonKey:
    """Return the key that ``name`` names; relative paths start from ``base``.

    A path, a URI (``file:``, ``awskms:``, ``ssh:``), or a public key's own text, whose other half the agent holds.
    Raises :class:`ConfigError` for a key that is missing or can't be used, and as the signers do.
    """
    scheme, colon, rest = name.partition(":")
    if name.partition(" ")[0] in sshkeys.KINDS:
        return PersonKey(key=_public_line(name, "the public key"))
    if not colon or scheme not in SIGNERS:
        return _of_file((base / Path(name).expanduser()).absolute())
    if scheme == "ssh" and rest.startswith("SHA256:"):
        return PersonKey(key=_of_agent(rest))
    if scheme in ("ssh", "file"):
        return _of_file((base / Path(rest).expanduser()).absolute())
    return _plain(open_signer(name, base=base), name)


def _plain(signer: Signer, name: str) -> PersonKey:
    try:
        return PersonKey(key=sshkeys.of_public(signer.public), signer=signer)
    except InputError as error:
        raise ConfigError(f"{name}: {error.message}", hint=error.hint) from error


def _of_file(path: Path) -> PersonKey:
    content = _read(path)
    if content.partition(" ")[0] in sshkeys.KINDS:
        return PersonKey(key=_public_line(content, str(path)), path=path)
    if content.startswith(_OPENSSH):
        return PersonKey(key=_public_half(content, path), path=path)
    if not content.startswith("-----BEGIN "):
        raise ConfigError(f"{path} holds no key", hint=_WANTED)
    try:
        return _plain(open_signer(f"file:{path}", base=Path("/")), str(path))
    except ConfigError:
        # RSA, another curve, or a passphrase: ssh-keygen may know what to do with it.
        if " PRIVATE KEY-----" not in content.partition("\n")[0] or os.stat(path).st_mode & 0o077:  # noqa: PTH116
            raise
        with suppress(ConfigError):
            return PersonKey(key=sshsig.public_of(path), path=path, lonely=True)
        raise


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise ConfigError(f"can't open the key {path}: {error.strerror}", hint=_WANTED) from error
    if len(content) > MAX_KEY_FILE:
        raise ConfigError(f"{path} is too large to be a key")
    return content.decode("utf-8", "replace")


def _public_line(line: str, what: str) -> SshKey:
    fields = line.split(maxsplit=2)
    try:
        return sshkeys.parse_text(" ".join(fields[:2]), what=what)
    except InputError as error:
        raise ConfigError(f"{what} holds no usable key: {error.message}", hint=error.hint) from error


def _public_half(content: str, path: Path) -> SshKey:
    """Return the public half of an OpenSSH private key, which stands in it unencrypted (OpenSSH's PROTOCOL.key)."""
    try:
        return _first_key(content)
    except InputError as error:
        raise ConfigError(f"{path} holds no usable OpenSSH key: {error.message}", hint=error.hint) from error


def _first_key(content: str) -> SshKey:
    body = "".join(line for line in content.splitlines() if line and not line.startswith("-----"))
    wire = sshkeys.Wire(b64.decode(body, what="its body"))
    wire.take(_MAGIC)
    for _cipher_kdf_options in range(3):
        wire.string()
    if wire.number() != 1:
        raise InputError("it holds not exactly one key")
    return sshkeys.parse_blob(wire.string(), what="its public half")


def _of_agent(fingerprint: str) -> SshKey:
    from tfaudit.signing.sshagent import Agent

    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise ConfigError(f"no SSH agent is known to sign with {fingerprint}", hint="start one, and set SSH_AUTH_SOCK")
    for identity in Agent(path=path).identities():
        with suppress(InputError):
            key = sshkeys.parse_blob(identity.blob, what="the agent's key")
            if key.fingerprint == fingerprint:
                return key
    raise ConfigError(f"the SSH agent does not hold {fingerprint}", hint="ssh-add -l lists what it holds")
