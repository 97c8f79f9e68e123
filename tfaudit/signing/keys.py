"""Which public key is this, and did it sign these bytes.

Keys travel as DER SubjectPublicKeyInfo (RFC 5280); a key's id is the SHA-256 of that, in hexadecimal.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tfaudit.errors import InputError
from tfaudit.signing import b64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import mldsa

Algorithm = Literal["ed25519", "ecdsa-p256", "ml-dsa-44"]

MAX_SPKI: Final = 4096


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A verifier key: Ed25519, ECDSA over P-256 with SHA-256, or ML-DSA-44."""

    algorithm: Algorithm
    spki: bytes
    """DER SubjectPublicKeyInfo."""
    _handle: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | mldsa.MLDSA44PublicKey = field(
        compare=False, repr=False
    )

    @cached_property
    def keyid(self) -> str:
        """The SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hexadecimal digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @cached_property
    def raw(self) -> bytes:
        """The key's own bytes without the wrapping: 32 of Ed25519, 65 of P-256 (uncompressed), 1,312 of ML-DSA-44."""
        if isinstance(self._handle, ec.EllipticCurvePublicKey):
            return self._handle.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self._handle.public_bytes_raw()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``message``; ECDSA signatures are DER (RFC 3279)."""
        try:
            if isinstance(self._handle, ec.EllipticCurvePublicKey):
                self._handle.verify(signature, message, ec.ECDSA(SHA256()))
            else:
                self._handle.verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def public_key(handle: object) -> PublicKey:
    """Return the verifier key of one of package cryptography's public keys.

    Raises :class:`InputError` for any algorithm but Ed25519, ECDSA over P-256 and ML-DSA-44.
    """
    if isinstance(handle, ed25519.Ed25519PublicKey):
        return PublicKey(algorithm="ed25519", spki=_spki(handle), _handle=handle)
    if isinstance(handle, ec.EllipticCurvePublicKey) and isinstance(handle.curve, ec.SECP256R1):
        return PublicKey(algorithm="ecdsa-p256", spki=_spki(handle), _handle=handle)
    # Only a key that is neither of the common two pays for this import; older releases of the package lack it.
    with suppress(ImportError):
        from cryptography.hazmat.primitives.asymmetric import mldsa

        if isinstance(handle, mldsa.MLDSA44PublicKey):
            return PublicKey(algorithm="ml-dsa-44", spki=_spki(handle), _handle=handle)
    raise InputError(f"a {type(handle).__name__} can't be used here: only Ed25519, ECDSA P-256 and ML-DSA-44 can")


def _spki(handle: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | mldsa.MLDSA44PublicKey) -> bytes:
    return handle.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def from_spki(der: bytes, *, what: str = "public key") -> PublicKey:
    """Return the key of a DER SubjectPublicKeyInfo.

    Raises :class:`InputError`, naming ``what``, unless it is a key of a known algorithm in its one DER encoding.
    """
    if len(der) > MAX_SPKI:
        raise InputError(f"{what} is longer than {MAX_SPKI} bytes")
    try:
        key = public_key(load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{what} is not a public key in DER") from error
    if key.spki != der:
        raise InputError(f"{what} is not in the one DER encoding of its key")
    return key


def from_text(text: object, *, what: str = "public key") -> PublicKey:
    """Return the key of a base64 SubjectPublicKeyInfo as our JSON documents hold it; errors as :func:`from_spki`."""
    if not isinstance(text, str):
        raise InputError(f"{what} is not a text")
    return from_spki(b64.decode(text, what=what), what=what)


def to_text(key: PublicKey) -> str:
    """Return the base64 SubjectPublicKeyInfo of ``key``."""
    return b64.encode(key.spki)
