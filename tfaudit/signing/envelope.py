"""Which bytes of a signed statement are signed, and who signed them (DSSE v1).

https://github.com/secure-systems-lab/dsse. Our envelopes carry exactly one signature and are canonical JSON, so that
the line a ledger holds has one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.signing import b64

if TYPE_CHECKING:
    from tfaudit.signing.keys import PublicKey
    from tfaudit.signing.signer import Signer

IN_TOTO: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE: Final = 64 * 1024
"""Bytes of an envelope as it is stored, without its newline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One DSSE envelope; nothing about it is verified until :meth:`signed_by` says so."""

    payload_type: str
    payload: bytes
    keyid: str
    """The id that the envelope claims for its key: which key to try, never proof of anything."""
    signature: bytes

    def signed_by(self, key: PublicKey) -> bool:
        """Tell whether ``key`` signed this payload under this payload type."""
        return key.verify(self.signature, pae(self.payload_type, self.payload))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: what is really signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, signer: Signer, *, payload_type: str = IN_TOTO) -> bytes:
    """Return the envelope of ``payload`` signed by ``signer``, as the bytes to store, without a newline.

    Raises :class:`InputError` when it would be longer than :data:`MAX_ENVELOPE`.
    """
    signature = signer.sign(pae(payload_type, payload))
    line = canonical.encode(
        {
            "payload": b64.encode(payload),
            "payloadType": payload_type,
            "signatures": [{"keyid": signer.public.keyid, "sig": b64.encode(signature)}],
        }
    )
    if len(line) > MAX_ENVELOPE:
        raise InputError(f"the signed statement takes {len(line)} bytes, more than {MAX_ENVELOPE}")
    return line


def parse(line: bytes) -> Envelope:
    """Return the envelope of a stored line (without its newline).

    Raises :class:`InputError` unless it is canonical, within :data:`MAX_ENVELOPE`, has exactly the three fields and one
    signature.
    """
    if len(line) > MAX_ENVELOPE:
        raise InputError(f"envelope is longer than {MAX_ENVELOPE} bytes")
    match canonical.decode(line, what="envelope"):
        case {
            "payload": str(payload),
            "payloadType": str(payload_type),
            "signatures": [{"keyid": str(keyid), "sig": str(signature), **others}],
            **rest,
        } if not others and not rest:
            return Envelope(
                payload_type=payload_type,
                payload=b64.decode(payload, what="envelope payload"),
                keyid=keyid,
                signature=b64.decode(signature, what="envelope signature"),
            )
    raise InputError("envelope has not exactly payload, payloadType and one signature")
