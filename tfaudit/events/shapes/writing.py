"""Which bytes is a document, whatever its values hold?

A value is whatever its disclosure holds, as long as it opens the digest that a record's key signed: its bytes may be no
UTF-8, and line breaks may stand between its tokens. Neither must end a line or a request of a sink's.
"""

from __future__ import annotations

from typing import Final

import msgspec

_encoder: Final = msgspec.json.Encoder(order="sorted")
_SPACES: Final = bytes(32 if code < 32 else code for code in range(256))
"""In JSON, control characters stand between tokens alone, where a space says the same."""


def encode(value: object) -> bytes:
    """Return the JSON of a value: UTF-8, one line, keys sorted, numbers spelled as the engine spelled them.

    A byte that is no UTF-8 becomes U+FFFD.
    """
    encoded = _encoder.encode(value).translate(_SPACES)
    if encoded.isascii():
        return encoded
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("utf-8", "replace").encode()
    return encoded
