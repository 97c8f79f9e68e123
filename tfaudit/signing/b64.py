"""How is base64 read so that no two texts stand for the same bytes."""

from __future__ import annotations

import base64
import binascii

from tfaudit.errors import InputError


def encode(data: bytes) -> str:
    """Return ``data`` in the standard alphabet with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str, *, what: str) -> bytes:
    """Return the bytes of ``text``.

    Raises :class:`InputError`, naming ``what``, unless it is exactly what :func:`encode` would have written.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InputError(f"{what} is not base64") from error
    if encode(data) != text:
        raise InputError(f"{what} is not base64 in its one accepted spelling")
    return data
