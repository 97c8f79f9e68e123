"""Which ledger is this, and whose keys started it: genesis.json, whose digest is the trust anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.ledger import checkpoint, ids, keyset
from tfaudit.ledger.keyset import KeySet
from tfaudit.signing import b64

FORMAT: Final = "tfaudit-ledger/v1"
MAX_GENESIS: Final = 256 * 1024
NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What every record of a ledger rests on."""

    origin: str
    """The log's name, the first line of each checkpoint."""
    keys: KeySet
    """Generation 0."""
    nonce: bytes
    """32 random bytes: they tell two ledgers of one name apart, and key the pseudonyms of states."""
    time: int
    """When it was made, milliseconds since the epoch."""
    digest: str
    """``sha256:`` and the SHA-256 of genesis.json's bytes: the trust anchor."""


def create(*, origin: str, keys: KeySet, nonce: bytes, time: int) -> bytes:
    """Return the bytes of a new genesis.json; :class:`InputError` where :func:`parse` would refuse them."""
    document = {
        "format": FORMAT,
        "origin": origin,
        "nonce": b64.encode(nonce),
        "time": ids.time_text(time),
        "keys": keys.document(),
    }
    raw = canonical.encode(document) + b"\n"
    parse(raw)
    return raw


def parse(raw: bytes) -> Genesis:
    """Return the genesis of the file's bytes; :class:`InputError` unless it is exactly of format v1."""
    if len(raw) > MAX_GENESIS:
        raise InputError(f"genesis.json is longer than {MAX_GENESIS} bytes")
    if not raw.endswith(b"\n"):
        raise InputError("genesis.json does not end in a newline")
    match canonical.decode(raw[:-1], what="genesis.json"):
        case {"format": str(version)} if version != FORMAT:
            raise InputError(f"genesis.json is of format {version!r}, which this version of tfaudit does not know")
        case {"format": _, "origin": origin, "nonce": str(nonce), "time": time, "keys": keys, **rest} if not rest:
            pass
        case _:
            raise InputError("genesis.json has not exactly the fields of its format")
    if not checkpoint.is_origin(origin):
        raise InputError(f"genesis.json names no usable origin: {origin!r}")
    genesis = Genesis(
        origin=origin,
        keys=keyset.parse(keys, what="genesis.json"),
        nonce=b64.decode(nonce, what="genesis nonce"),
        time=ids.parse_time(time, what="genesis time"),
        digest="sha256:" + canonical.sha256_hex(raw),
    )
    if len(genesis.nonce) != NONCE_BYTES or genesis.keys.generation != 0:
        raise InputError(f"genesis.json needs a nonce of {NONCE_BYTES} bytes and keys of generation 0")
    return genesis
