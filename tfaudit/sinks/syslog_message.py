"""How is a document written as a syslog message (RFC 5424), and framed for a stream (RFC 5425)?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

FACILITY: Final = 13
"""Log audit."""
SD_ID: Final = "tfaudit@32473"
"""32473 is the number for those without one of their own (RFC 5612)."""
MAX_PARAM: Final = 255
"""Characters of a parameter's value; the text of the message has the whole."""
SEVERITIES: Final[Mapping[int, int]] = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2}
"""A document's severity, and syslog's: informational, notice, warning, error, critical."""
_NIL: Final = "-"
_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TO_ESCAPE: Final = re.compile(r'(["\\\]])')
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def head(*, time: int, host: str, kind: str, severity: int, params: Mapping[str, str | None]) -> bytes:
    """Return all of the message that stands before its text.

    ``time`` is in milliseconds since the epoch, ``severity`` from 1 to 5, ``params`` the structured data, of which None
    is left out.
    """
    stamp = datetime.fromtimestamp(time // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{time % 1000:03d}Z"
    priority = FACILITY * 8 + SEVERITIES.get(severity, 6)
    header = f"<{priority}>1 {stamp} {_word(host, 255)} tfaudit - {_word(kind, 32)}"
    return f"{header} {structured_data(params)} ".encode()


def frame(content: bytes) -> bytes:
    """Return the message behind its length: octet counting."""
    return b"%d %s" % (len(content), content)


def structured_data(params: Mapping[str, str | None]) -> str:
    """Return the one element that we have, control characters replaced and long values cut."""
    told = "".join(f' {name}="{_value(value)}"' for name, value in params.items() if value is not None)
    return f"[{SD_ID}{told}]"


def ascii_json(document: bytes) -> bytes:
    """Return the same JSON, in UTF-8, by JSON's own escapes in ASCII: outside of a string it has nothing else.

    RFC 5424 wants a byte order mark before a text in UTF-8, and RFC 8259 none before JSON.
    """
    if document.isascii():
        return document
    return _BEYOND_ASCII.sub(_escaped, document.decode()).encode("ascii")


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _word(text: str, most: int) -> str:
    return _NOT_PRINTABLE.sub("_", text)[:most] or _NIL


def _value(text: str) -> str:
    return _TO_ESCAPE.sub(r"\\\1", _CONTROL.sub("?", text[:MAX_PARAM]))
