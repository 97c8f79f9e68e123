"""Which tree did the log's key sign (C2SP tlog-checkpoint, with ML-DSA-44 signatures of C2SP tlog-cosignature).

https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, VerificationError
from tfaudit.signing import b64, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfaudit.signing.note import NoteKey, NoteSignature
    from tfaudit.signing.signer import Signer

MAX_SIZE: Final = 2**63 - 1

_ORIGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's tree head."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return the note text: three lines, no extension lines."""
        return f"{self.origin}\n{self.size}\n{b64.encode(self.root)}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint with signatures, none of them verified yet."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]
    note: bytes
    """The signed note, exactly as it was read."""


def is_origin(text: object) -> bool:
    """Tell whether ``text`` may be a ledger's origin: 1 to 200 of letters, digits and ``._:/@-``."""
    return isinstance(text, str) and bool(_ORIGIN.fullmatch(text))


def parse(signed: bytes) -> SignedCheckpoint:
    """Return the checkpoint of a signed note; :class:`InputError` unless it is in its one exact form."""
    text, signatures = note.split(signed)
    lines = text.decode().split("\n")
    if len(lines) != 4 or not is_origin(lines[0]) or not _SIZE.fullmatch(lines[1]) or int(lines[1]) > MAX_SIZE:
        raise InputError("checkpoint is not an origin, a size and a root")
    root = b64.decode(lines[2], what="checkpoint root")
    if len(root) != 32:
        raise InputError("checkpoint root is not 32 bytes")
    checkpoint = Checkpoint(origin=lines[0], size=int(lines[1]), root=root)
    return SignedCheckpoint(checkpoint=checkpoint, signatures=signatures, note=signed)


def sign(checkpoint: Checkpoint, signers: Iterable[tuple[NoteKey, Signer]], *, seconds: int) -> bytes:
    """Return the checkpoint as a note signed by each signer under its key's name.

    ``seconds`` (Unix time) is what an ML-DSA-44 signature says of when it was made.
    """
    lines: list[NoteSignature] = []
    for key, signer in signers:
        stamp = seconds.to_bytes(8, "big") if key.public.algorithm == "ml-dsa-44" else b""
        signature = stamp + signer.sign(_message(checkpoint, key, stamp))
        lines.append(note.NoteSignature(name=key.name, key_id=key.key_id, signature=signature))
    return note.join(checkpoint.text(), tuple(lines))


def verify(signed: SignedCheckpoint, keys: Sequence[NoteKey]) -> None:
    """Return when the log's ``keys`` vouch for the checkpoint.

    They do when one Ed25519 or ECDSA key of them signed and, if any of them is ML-DSA-44, one of those signed too.
    Lines of unknown keys are ignored. Raises :class:`VerificationError` otherwise, also for one signature of a known
    key that does not verify.
    """
    wanted = {_class(key) for key in keys} | {"classical"}
    for line in signed.signatures:
        for key in keys:
            if not line.claims(key):
                continue
            if not _signed_by(signed.checkpoint, key, line.signature):
                raise VerificationError(f"checkpoint {signed.checkpoint.size} has a false signature of {key.name}")
            wanted.discard(_class(key))
    if wanted:
        raise VerificationError(
            f"checkpoint {signed.checkpoint.size} lacks a {min(wanted)} signature of the log's keys"
        )


def _class(key: NoteKey) -> str:
    return "post-quantum" if key.public.algorithm == "ml-dsa-44" else "classical"


def _signed_by(checkpoint: Checkpoint, key: NoteKey, signature: bytes) -> bool:
    stamp = signature[:8] if key.public.algorithm == "ml-dsa-44" else b""
    return key.public.verify(signature[len(stamp) :], _message(checkpoint, key, stamp))


def _message(checkpoint: Checkpoint, key: NoteKey, stamp: bytes) -> bytes:
    """Return what ``key`` signs: the note text, or for ML-DSA-44 the ``cosigned_message`` of tlog-cosignature."""
    if key.public.algorithm != "ml-dsa-44":
        return checkpoint.text()
    name, origin = key.name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            len(name).to_bytes(1, "big") + name,
            stamp,
            len(origin).to_bytes(1, "big") + origin,
            bytes(8),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )
