"""Which text was signed by which named keys (C2SP signed-note).

https://c2sp.org/signed-note, and its verifier keys (*vkeys*): ``name+hex key ID+base64(type byte || key)``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from tfaudit.errors import InputError
from tfaudit.signing import b64, keys
from tfaudit.signing.keys import Algorithm, PublicKey

MAX_NOTE: Final = 128 * 1024
MAX_SIGNATURES: Final = 16

_TYPES: Final[dict[Algorithm, int]] = {"ed25519": 0x01, "ecdsa-p256": 0x02, "ml-dsa-44": 0x06}
_NAME: Final = re.compile(r"[^\s+\x00-\x20\x7f]{1,255}")
_LINE: Final = re.compile(r"— ([^ \n]+) ([A-Za-z0-9+/=]+)")
_ED25519_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
_MLDSA44_SPKI: Final = bytes.fromhex("30820532300b06096086480165030403110382052100")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A verifier key with the name under which it signs notes."""

    name: str
    public: PublicKey

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before this key's signatures."""
        if self.public.algorithm == "ecdsa-p256":
            return hashlib.sha256(self.public.spki).digest()[:4]
        return hashlib.sha256(b"%b\n%b" % (self.name.encode(), self._typed())).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key in C2SP's text form."""
        return f"{self.name}+{self.key_id.hex()}+{b64.encode(self._typed())}"

    def _typed(self) -> bytes:
        encoded = self.public.spki if self.public.algorithm == "ecdsa-p256" else self.public.raw
        return bytes([_TYPES[self.public.algorithm]]) + encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the bytes after the key ID."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line, with its newline."""
        return f"— {self.name} {b64.encode(self.key_id + self.signature)}\n"

    def claims(self, key: NoteKey) -> bool:
        """Tell whether this line names ``key``, so that it must verify under it."""
        return self.name == key.name and self.key_id == key.key_id


def parse_vkey(text: str) -> NoteKey:
    """Return the key of a vkey; :class:`InputError` unless it is the exact text form of a type we know."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    if not _NAME.fullmatch(name):
        raise InputError("verifier key has no name that a note may carry")
    typed = b64.decode(encoded, what=f"verifier key of {name}")
    match typed[:1]:
        case b"\x01":
            spki = _ED25519_SPKI + typed[1:]
        case b"\x02":
            spki = typed[1:]
        case b"\x06":
            spki = _MLDSA44_SPKI + typed[1:]
        case _:
            raise InputError(f"verifier key of {name} is of an unknown signature type")
    key = NoteKey(name=name, public=keys.from_spki(spki, what=f"verifier key of {name}"))
    if key.vkey != text:
        raise InputError(f"verifier key of {name} has another key ID or type than its key")
    return key


def join(text: bytes, signatures: tuple[NoteSignature, ...]) -> bytes:
    """Return the signed note: ``text`` (which ends in a newline), a blank line, the signature lines."""
    return text + b"\n" + "".join(signature.line() for signature in signatures).encode()


def split(note: bytes) -> tuple[bytes, tuple[NoteSignature, ...]]:
    """Return the text of a signed note, with its last newline, and its signatures, none of them verified.

    Raises :class:`InputError` unless ``note`` is exactly what :func:`join` would write, has 1 to
    :data:`MAX_SIGNATURES` signatures and no control characters.
    """
    if len(note) > MAX_NOTE:
        raise InputError(f"signed note is longer than {MAX_NOTE} bytes")
    text, blank, tail = note.rpartition(b"\n\n")
    text += b"\n"
    try:
        lines = tail.decode().split("\n")
        control = any(ch < " " and ch != "\n" for ch in text.decode())
    except UnicodeDecodeError as error:
        raise InputError("signed note is not UTF-8") from error
    if not blank or control or lines.pop() != "" or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise InputError("signed note is not a text, a blank line and signature lines")
    return text, tuple(_signature(line) for line in lines)


def _signature(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    if not match or not _NAME.fullmatch(match[1]):
        raise InputError("signed note has a line that is not a signature")
    signed = b64.decode(match[2], what=f"note signature of {match[1]}")
    if len(signed) < 5:
        raise InputError(f"note signature of {match[1]} is too short")
    return NoteSignature(name=match[1], key_id=signed[:4], signature=signed[4:])
