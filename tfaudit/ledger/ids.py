"""Which name has a record or a commit in the store, and which time does that name carry.

Times are milliseconds since the Unix epoch, UTC; in text RFC 3339 with three decimals and ``Z``. Record ids are UUIDv7
(RFC 9562) in lower case.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], datetime]
    """The store's time, aware of its zone."""

GENESIS_KEY: Final = "genesis.json"
RECORDS: Final = "records/"
COMMITS: Final = "commits/"
DISCLOSURES: Final = "disclosures/"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = 253402300800000  # 10000-01-01: no later time has an RFC 3339 text
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_WRITER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY: Final = re.compile(
    r"records/([a-z0-9][a-z0-9-]{0,62})/(\d{4}/\d\d/\d\d/\d\d)/"
    r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.jsonl",
    re.ASCII,
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def milliseconds(moment: datetime) -> int:
    """Return ``moment`` in whole milliseconds since the epoch, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def time_text(milliseconds: int) -> str:
    """Return the RFC 3339 text of a time."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def parse_time(text: object, *, what: str) -> int:
    """Return the time of an RFC 3339 text; :class:`InputError` unless it is what :func:`time_text` writes."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        try:
            time = milliseconds(datetime.fromisoformat(text))
        except ValueError as error:
            raise InputError(f"{what} is not a time") from error
        if time >= 0 and time_text(time) == text:
            return time
    raise InputError(f"{what} is not a time in UTC with milliseconds")


def new_record_id(milliseconds: int, entropy: Callable[[int], bytes]) -> str:
    """Return a fresh UUIDv7 of the given time; ``entropy(n)`` returns n random bytes."""
    random = int.from_bytes(entropy(10), "big")
    value = (milliseconds << 80) | 0x7 << 76 | (random >> 64 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return unpack(value.to_bytes(16, "big"))


def is_record_id(text: object) -> bool:
    """Tell whether ``text`` is a record id whose time has an RFC 3339 text."""
    return isinstance(text, str) and bool(_ID.fullmatch(text)) and record_time(text) < _END


def is_writer(text: object) -> bool:
    """Tell whether ``text`` may stand as a writer's prefix."""
    return isinstance(text, str) and bool(_WRITER.fullmatch(text))


def record_time(record_id: str) -> int:
    """Return the time that a record id carries."""
    return int(record_id[:8] + record_id[9:13], 16)


def first_id(milliseconds: int) -> str:
    """Return the start of every record id of this time: text before it sorts before them."""
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def pack(record_id: str) -> bytes:
    """Return the 16 bytes of a record id; they sort as the texts do."""
    return bytes.fromhex(record_id.replace("-", ""))


def unpack(packed: bytes) -> str:
    """Return the text of a packed record id."""
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def packed_time(packed: bytes) -> int:
    """Return the time that a packed record id carries."""
    return int.from_bytes(packed[:6], "big")


def hour(milliseconds: int) -> str:
    """Return the folder of a time's hour, ``YYYY/MM/DD/HH``."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment.year:04d}/{moment.month:02d}/{moment.day:02d}/{moment.hour:02d}"


def record_key(writer: str, record_id: str) -> str:
    """Return the one key in the evidence store under which ``writer`` may have this record."""
    return f"records/{writer}/{hour(record_time(record_id))}/{record_id}.jsonl"


def parse_record_key(key: str) -> tuple[str, str] | None:
    """Return (writer, record id) of a key of the exact pattern whose hour is its id's; None for any other key."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    time = record_time(match[3])
    if time >= _END or hour(time) != match[2]:
        return None
    return match[1], match[3]


def commit_key(number: int) -> str:
    """Return the key of commit ``number`` (from 0)."""
    return f"commits/{number:016x}"


def disclosure_key(record_id: str) -> str:
    """Return the key of a record's disclosures in the working store."""
    return f"disclosures/{record_id}.jsonl"
