"""Which key is this of OpenSSH's: its type, its fingerprint, and did it sign these bytes?

A key travels as its wire form (RFC 4253, section 6.6; RFC 5656; RFC 8709; OpenSSH's PROTOCOL.u2f), or in base64 after
its type, as in a ``.pub`` file. Here each key has one spelling only, so that two fingerprints are never one key.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tfaudit.canonical import frame
from tfaudit.errors import InputError
from tfaudit.signing import b64, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.signing.keys import PublicKey

ED25519: Final = "ssh-ed25519"
RSA: Final = "ssh-rsa"
SK_ED25519: Final = "sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "ecdsa-sha2-nistp256": ec.SECP256R1(),
    "ecdsa-sha2-nistp384": ec.SECP384R1(),
    "ecdsa-sha2-nistp521": ec.SECP521R1(),
}
KINDS: Final = (ED25519, *CURVES, RSA, SK_ED25519, SK_ECDSA)
"""The types of key that are taken."""
MAX_BLOB: Final = 8192
MIN_RSA: Final = 2048
MAX_RSA: Final = 16384
"""Bits of an RSA key, as OpenSSH has it at most."""
MAX_EXPONENT: Final = 64
"""Bits of an RSA key's exponent: a long one makes verifying slow, and whoever brings a signature brings its key."""
_CURVE_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
# Never "ssh-rsa", which is RSA with SHA-1.
_RSA_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
}
_USER_PRESENT: Final = 0x01

_Handle = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that the key made."""

    touched: bool | None
    """Whether somebody touched the security token; None for a key that is on none."""


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """A public key as OpenSSH knows it."""

    kind: str
    """One of :data:`KINDS`."""
    blob: bytes
    """The wire form."""
    application: bytes = b""
    """Of a key on a security token: what it was made for, ``ssh:`` as a rule."""
    _handle: _Handle = field(compare=False, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ``ssh-keygen -l`` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @cached_property
    def text(self) -> str:
        """The key as a ``.pub`` file holds it, without a comment."""
        return f"{self.kind} {b64.encode(self.blob)}"

    @property
    def on_token(self) -> bool:
        """Whether the private half is on a FIDO2 token."""
        return self.kind in (SK_ED25519, SK_ECDSA)

    def verified(self, signature: bytes, message: bytes) -> Verified | None:
        """Return what ``signature`` (in the wire form, RFC 4253 section 6.6) says; None unless it is over ``message``.

        An RSA signature must be by SHA-2.
        """
        try:
            wire = Wire(signature)
            kind = wire.string().decode("ascii", "replace")
            raw = wire.string()
            if self.on_token:
                return self._verified_on_token(kind, raw, wire, message)
            wire.end()
            self._verify(kind, raw, message)
        except (InputError, InvalidSignature, ValueError):
            return None
        return Verified(touched=None)

    def _verified_on_token(self, kind: str, raw: bytes, wire: Wire, message: bytes) -> Verified:
        flags, counter = wire.byte(), wire.number()
        wire.end()
        if kind != self.kind:
            raise InputError("a signature of another key's type")
        # The token sees digests only; with the flags it says whether somebody touched it (PROTOCOL.u2f).
        signed = b"".join(
            (
                hashlib.sha256(self.application).digest(),
                bytes([flags]),
                counter.to_bytes(4, "big"),
                hashlib.sha256(message).digest(),
            )
        )
        self._verify(ED25519 if kind == SK_ED25519 else "ecdsa-sha2-nistp256", raw, signed)
        return Verified(touched=bool(flags & _USER_PRESENT))

    def _verify(self, kind: str, raw: bytes, message: bytes) -> None:
        """Return if the raw signature of this algorithm is the key's; else an exception."""
        handle = self._handle
        if isinstance(handle, rsa.RSAPublicKey):
            if kind not in _RSA_HASHES:
                raise InputError("an RSA signature by another digest than SHA-2's")
            # Strictly as long as the modulus: a shorter one is another spelling of the same.
            if len(raw) != (handle.key_size + 7) // 8:
                raise InputError("an RSA signature of another length")
            handle.verify(raw, message, padding.PKCS1v15(), _RSA_HASHES[kind])
        elif isinstance(handle, ec.EllipticCurvePublicKey):
            if kind not in CURVES or not isinstance(handle.curve, type(CURVES[kind])):
                raise InputError("a signature by another curve")
            parts = Wire(raw)
            r, s = parts.integer(), parts.integer()
            parts.end()
            handle.verify(encode_dss_signature(r, s), message, ec.ECDSA(_CURVE_HASHES[kind]))
        else:
            if kind != ED25519:
                raise InputError("a signature by another algorithm")
            handle.verify(raw, message)


def parse_blob(blob: bytes, *, what: str) -> SshKey:
    """Return the key of a wire form; :class:`InputError`, naming ``what``, unless it is a usable one, spelled rightly.

    A certificate, a DSA key, an RSA key of less than 2,048 bits and any unknown type are not usable.
    """
    if len(blob) > MAX_BLOB:
        raise InputError(f"{what} is longer than {MAX_BLOB} bytes")
    try:
        key = _parsed(blob, what)
        same = key.blob == _spelled(key)
    except ValueError as error:
        raise InputError(f"{what} is no public key") from error
    if not same:
        raise InputError(f"{what} is not in the one spelling of its key")
    return key


def parse_text(text: str, *, what: str) -> SshKey:
    """Return the key of ``TYPE BASE64``, without a comment; errors as :func:`parse_blob`."""
    kind, space, encoded = text.partition(" ")
    if kind not in KINDS:
        raise InputError(f"{what} has the unknown type {kind[:60]!r}")
    if not space:
        raise InputError(f"{what} has no base64 after its type")
    key = parse_blob(b64.decode(encoded, what=what), what=what)
    if key.kind != kind:
        raise InputError(f"{what} says {kind} and is {key.kind}")
    return key


def of_public(public: PublicKey) -> SshKey:
    """Return the Ed25519 or P-256 key of a ``file:`` or ``awskms:`` signer as OpenSSH writes it.

    Raises :class:`InputError` for ML-DSA, which OpenSSH has no name for.
    """
    if public.algorithm == "ed25519":
        return parse_blob(frame(ED25519.encode(), public.raw), what="public key")
    if public.algorithm == "ecdsa-p256":
        return parse_blob(frame(b"ecdsa-sha2-nistp256", b"nistp256", public.raw), what="public key")
    raise InputError(f"a key of {public.algorithm} can't approve", hint="an Ed25519 or P-256 key is wanted")


def record_key(key: SshKey) -> PublicKey | None:
    """Return the key as one that can sign a record's very bytes: Ed25519 or P-256, on no token; else None."""
    if key.on_token:
        return None
    try:
        return keys.public_key(key._handle)
    except InputError:
        return None


def _parsed(blob: bytes, what: str) -> SshKey:
    wire = Wire(blob)
    kind = wire.string().decode("ascii", "replace")
    application = b""
    handle: _Handle
    if kind in (ED25519, SK_ED25519):
        handle = ed25519.Ed25519PublicKey.from_public_bytes(wire.string())
    elif kind in CURVES or kind == SK_ECDSA:
        curve = CURVES.get(kind, CURVES["ecdsa-sha2-nistp256"])
        if wire.string() != _curve_name(curve):
            raise InputError(f"{what} names another curve than its type does")
        handle = ec.EllipticCurvePublicKey.from_encoded_point(curve, wire.string())
    elif kind == RSA:
        exponent, modulus = wire.integer(), wire.integer()
        if not MIN_RSA <= modulus.bit_length() <= MAX_RSA:
            raise InputError(
                f"{what} is an RSA key of {max(modulus, 0).bit_length()} bits",
                hint=f"{MIN_RSA} to {MAX_RSA} are taken; better make an ed25519 key",
            )
        if exponent.bit_length() > MAX_EXPONENT:
            raise InputError(f"{what} has an exponent of {exponent.bit_length()} bits", hint="65537 is the usual one")
        handle = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    else:
        raise InputError(f"{what} has the unknown type {kind[:60]!r}", hint=f"known: {', '.join(KINDS)}")
    if kind in (SK_ED25519, SK_ECDSA):
        application = wire.string()
    wire.end()
    return SshKey(kind=kind, blob=blob, application=application, _handle=handle)


def _spelled(key: SshKey) -> bytes:
    """Return the one wire form of the key."""
    handle = key._handle
    parts = [key.kind.encode()]
    if isinstance(handle, rsa.RSAPublicKey):
        numbers = handle.public_numbers()
        parts += [_mpint(numbers.e), _mpint(numbers.n)]
    elif isinstance(handle, ec.EllipticCurvePublicKey):
        parts += [_curve_name(handle.curve), handle.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)]
    else:
        parts.append(handle.public_bytes_raw())
    if key.on_token:
        parts.append(key.application)
    return frame(*parts)


def _curve_name(curve: ec.EllipticCurve) -> bytes:
    return f"nistp{curve.key_size}".encode()


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


class Wire:
    """Numbers and strings of SSH's wire form, read from the front (RFC 4251, section 5).

    What is cut off, or too much, is an :class:`InputError`.
    """

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self._take(1)[0]

    def number(self) -> int:
        """Return the next four bytes as a number."""
        return int.from_bytes(self._take(4), "big")

    def string(self) -> bytes:
        """Return the next string."""
        return self._take(self.number())

    def integer(self) -> int:
        """Return the next mpint, which must be in its shortest form."""
        raw = self.string()
        number = int.from_bytes(raw, "big", signed=True)
        if number <= 0 or raw != _mpint(number):
            raise InputError("a number is negative or not in its shortest form")
        return number

    def take(self, content: bytes) -> None:
        """Take exactly these bytes."""
        if self._take(len(content)) != content:
            raise InputError("other bytes than those that must stand there")

    def end(self) -> None:
        """Return if nothing is left."""
        if self._rest:
            raise InputError(f"{len(self._rest)} bytes too many")

    def _take(self, count: int) -> bytes:
        if count > len(self._rest):
            raise InputError("the bytes are cut off")
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
