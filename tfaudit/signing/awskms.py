"""Who signs with a key that never leaves AWS KMS?

``awskms:`` and a key's id, ARN or ``alias/NAME``. Region, credentials, profile and endpoint are those of the ordinary
AWS configuration; an ARN brings its own region. What comes back verifies offline with the public key: P-256 as ECDSA
with SHA-256 in DER, Ed25519 as RFC 8032's pure form, ML-DSA-44 as FIPS 204's with an empty context.
"""

from __future__ import annotations

import os
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from tfaudit import awsclient
from tfaudit.errors import ConfigError, InputError, TfauditError, UnavailableError
from tfaudit.signing import keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfaudit.signing.keys import Algorithm, PublicKey
    from tfaudit.signing.signer import Signer

MAX_RAW: Final = 4096
"""Bytes of a message that KMS hashes itself; for more it takes the digest, of those algorithms that have one."""
_ALGORITHMS: Final[dict[Algorithm, str]] = {
    "ecdsa-p256": "ECDSA_SHA_256",
    "ed25519": "ED25519_SHA_512",
    "ml-dsa-44": "ML_DSA_SHAKE_256",
}
_SOURCE: Final = "the key must be an enabled asymmetric one for signing: ECC_NIST_P256, or ECC_NIST_EDWARDS25519"
_HINTS: Final = {
    "AccessDeniedException": "the role needs kms:GetPublicKey and kms:Sign on this key",
    "NotFoundException": "is it this account's and this region's key? an ARN names both",
    "DisabledException": "enable the key, or name another",
    "KMSInvalidStateException": "the key is disabled or about to be deleted",
    "InvalidKeyUsageException": _SOURCE,
    "UnsupportedOperationException": _SOURCE,
    "InvalidArnException": "name a key by its id, its ARN or alias/NAME",
    "ValidationException": "name a key by its id, its ARN or alias/NAME",
    "ExpiredTokenException": awsclient.LOGIN,
    "ExpiredToken": awsclient.LOGIN,
    "UnrecognizedClientException": awsclient.LOGIN,
    "InvalidClientTokenId": awsclient.LOGIN,
    "InvalidSignatureException": "are the credentials and this machine's clock right?",
    "IncompleteSignature": awsclient.LOGIN,
}
"""What KMS says where trying again can't help, and what does."""


class KmsSigner:
    """A key in AWS KMS. Nothing is asked of KMS before :attr:`public` or :meth:`sign` is used."""

    def __init__(self, key: str, client: Callable[[], Any]) -> None:
        self._key = key
        self._connect = client

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
        return self._ask(self._connect)

    @cached_property
    def public(self) -> PublicKey:
        """The key's public half, as KMS gives it.

        Raises :class:`ConfigError` for a key that can't be used, :class:`UnavailableError` when KMS does not answer.
        """
        answer = self._ask(lambda: self._client.get_public_key(KeyId=self._key))
        try:
            return keys.from_spki(answer["PublicKey"], what=f"awskms:{self._key}")
        except InputError as error:
            raise ConfigError(f"awskms:{self._key} can't sign here: {error.message}", hint=_SOURCE) from error

    def sign(self, message: bytes) -> bytes:
        """Return the signature over ``message``, which has been verified; errors as :attr:`public`."""
        algorithm = self.public.algorithm
        kind = "RAW"
        signed = message
        if len(message) > MAX_RAW:
            if algorithm != "ecdsa-p256":
                raise ConfigError(
                    f"awskms:{self._key} signs at most {MAX_RAW} bytes with {algorithm}, and here are {len(message)}",
                    hint="sign records with an ECC_NIST_P256 key",
                )
            # ECDSA signs a digest anyway: the verifier can't tell who made it.
            kind, signed = "DIGEST", sha256(message).digest()
        answer = self._ask(
            lambda: self._client.sign(
                KeyId=self._key, Message=signed, MessageType=kind, SigningAlgorithm=_ALGORITHMS[algorithm]
            )
        )
        signature: bytes = answer["Signature"]
        if not self.public.verify(signature, message):
            # Better no record than one that nobody can verify.
            raise UnavailableError(
                f"awskms:{self._key} returned a signature that its own public key does not verify",
                hint="an emulator that hashes digests again does that with messages of more than 4,096 bytes"
                if kind == "DIGEST"
                else None,
            )
        return signature

    def _ask(self, request: Callable[[], Any]) -> Any:  # noqa: ANN401 - an AWS answer
        """Return KMS' answer; whatever goes wrong becomes one line that names the key."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return request()
        except ClientError as error:
            raise self._refused(error.response.get("Error", {})) from error
        except (BotoCoreError, OSError, RuntimeError) as error:
            raise self._failed(error) from error

    def _refused(self, error: Any) -> TfauditError:  # noqa: ANN401 - an AWS answer
        code = str(error.get("Code", "unknown"))
        if code in _HINTS:
            return ConfigError(f"KMS refuses awskms:{self._key}: {code}", hint=_HINTS[code])
        return UnavailableError(f"KMS can't use awskms:{self._key} now: {code}", hint="try again")

    def _failed(self, error: Exception) -> TfauditError:
        from botocore import exceptions

        if awsclient.lacks_credentials(error):
            return ConfigError(
                f"no AWS credentials for awskms:{self._key} ({type(error).__name__})", hint=awsclient.LOGIN
            )
        if isinstance(error, exceptions.NoRegionError):
            return ConfigError(
                f"no AWS region for awskms:{self._key}", hint="name the key by its ARN, or set AWS_REGION"
            )
        if isinstance(error, exceptions.ParamValidationError | exceptions.InvalidRegionError | ValueError):
            return ConfigError(f"awskms:{self._key} names no key", hint="a key's id, ARN or alias/NAME")
        return UnavailableError(f"KMS can't be reached for awskms:{self._key} ({type(error).__name__})")

    def __repr__(self) -> str:
        return f"KmsSigner({self._key})"


def open_kms(key: str, _base: Path) -> Signer:
    """Return the signer of a KMS key; nothing is asked of KMS yet. :class:`ConfigError` for an empty name."""
    if not key:
        raise ConfigError("awskms: names no key", hint="a key's id, ARN or alias/NAME")
    return KmsSigner(key, lambda: _client(key))


def _client(key: str) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
    import botocore.session
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=15,
        retries={"mode": "adaptive", "total_max_attempts": 5},
        user_agent_extra="tfaudit",
    )
    # boto3 would only be loaded to do the same.
    return botocore.session.Session().create_client("kms", region_name=_region(key), config=config)


def _region(key: str) -> str | None:
    """Return an ARN's region (arn:PARTITION:kms:REGION:…), else AWS_REGION, or None for what botocore finds."""
    parts = key.split(":")
    if len(parts) >= 6 and parts[0] == "arn":
        return parts[3] or None
    # botocore reads AWS_DEFAULT_REGION only; every other SDK, and CI systems, set this one.
    return os.environ.get("AWS_REGION") or None
