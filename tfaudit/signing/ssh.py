"""Who signs with an SSH key: one that the agent holds, or an OpenSSH key file?

``ssh:SHA256:…`` (what ``ssh-add -l`` prints) and ``ssh:PATH.pub`` name a key of the agent at ``SSH_AUTH_SOCK``,
``ssh:PATH`` an unencrypted OpenSSH private key. Ed25519 and ECDSA P-256 keys sign the bytes themselves, as the same key
in a PEM file would: whoever verifies needs to know nothing of SSH. What tfaudit signs can't be taken for a login: that
starts with a session id, framed in binary, not with text.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.signing import keys
from tfaudit.signing.sshagent import Agent, Wire

if TYPE_CHECKING:
    from tfaudit.signing.keys import Algorithm, PublicKey
    from tfaudit.signing.signer import Signer

_NAMES: Final[dict[Algorithm, str]] = {"ed25519": "ssh-ed25519", "ecdsa-p256": "ecdsa-sha2-nistp256"}
_WANTED: Final = "an Ed25519 or ECDSA P-256 key that is not on a security token is wanted"
_PRIVATE: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSigner:
    """A key that an SSH agent holds."""

    public: PublicKey
    blob: bytes
    """The public key in SSH's wire form."""
    agent: Agent

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``, verified; ECDSA in DER.

        Raises :class:`ConfigError` where the agent refuses, :class:`UnavailableError` when it can't be asked.
        """
        algorithm, signature = self.agent.sign(self.blob, message)
        if algorithm == "ecdsa-sha2-nistp256":
            from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

            parts = Wire(signature)
            signature = encode_dss_signature(parts.integer(), parts.integer())
        if algorithm != _NAMES[self.public.algorithm] or not self.public.verify(signature, message):
            raise UnavailableError(f"the SSH agent at {self.agent.path} returned a signature that does not verify")
        return signature


def open_ssh(name: str, base: Path) -> Signer:
    """Return the signer that follows ``ssh:``; ``base`` is where relative paths start from.

    Raises :class:`ConfigError` for a key that is missing, encrypted, open to others or of another algorithm,
    :class:`UnavailableError` when the agent can't be asked.
    """
    if not name:
        raise ConfigError("ssh: names no key", hint="ssh:SHA256:… as ssh-add -l prints it, or ssh:PATH.pub")
    if name.startswith("SHA256:"):
        return _of_agent(name, name)
    from tfaudit.signing.signer import read_key_file

    path = base / Path(name).expanduser()
    content = _public_file(path) if path.suffix == ".pub" else read_key_file(path)
    if content.startswith(_PRIVATE):
        return _of_file(content, path)
    _, blob = public_line(content, what=str(path))
    return _of_agent(fingerprint(blob), str(path))


def public_line(line: bytes, *, what: str) -> tuple[PublicKey, bytes]:
    """Return the key of an OpenSSH public key line, ``TYPE BASE64 [COMMENT]``, and its wire form.

    Raises :class:`ConfigError`, naming ``what``, for any other line or algorithm.
    """
    try:
        public = keys.public_key(load_ssh_public_key(line.strip()))
        blob = base64.b64decode(line.split()[1], validate=True)
    except (ValueError, IndexError, UnsupportedAlgorithm, InputError) as error:
        raise ConfigError(f"{what} holds no usable SSH key", hint=_WANTED) from error
    if public.algorithm not in _NAMES:
        raise ConfigError(f"{what} holds no usable SSH key", hint=_WANTED)
    return public, blob


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ``ssh-add -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _of_agent(wanted: str, what: str) -> Signer:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise ConfigError(f"no SSH agent is known to sign with {what}", hint="start one, and set SSH_AUTH_SOCK")
    agent = Agent(path=path)
    for identity in agent.identities():
        if fingerprint(identity.blob) == wanted:
            kind = Wire(identity.blob).text()
            public, blob = public_line(kind + b" " + base64.b64encode(identity.blob), what=f"the agent's {wanted}")
            return AgentSigner(public=public, blob=blob, agent=agent)
    raise ConfigError(
        f"the SSH agent does not hold {what}", hint="ssh-add PATH adds it; ssh-add -l lists what it holds"
    )


def _of_file(content: bytes, path: Path) -> Signer:
    from tfaudit.signing.signer import FileSigner

    try:
        private = load_ssh_private_key(content, None)
        public = keys.public_key(private.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm, InputError) as error:
        raise ConfigError(
            f"key file {path} holds no usable private key",
            hint=f"where it has a passphrase: ssh-add {path}, then ssh:{path}.pub; {_WANTED}",
        ) from error
    return FileSigner(public=public, _private=private)  # type: ignore[arg-type] # public_key() refused the others


def _public_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1 << 14)
    except OSError as error:
        raise ConfigError(f"can't open the key file {path}: {error.strerror}") from error
