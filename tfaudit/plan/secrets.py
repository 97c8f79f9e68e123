"""Does a text repeat a string that is known to be secret?

A secret may come back quoted: inside a JSON string (once or twice escaped, as Go or as others escape), inside a URL, or
as base64 at any of the three alignments. Each spelling is a *form*; a text is searched for all forms at once. Up to a
dozen forms are looked for one by one; more by sampling: every form is at least eight bytes long, so a text that holds
one holds one of its first five four-byte pieces at a position divisible by five. For thousands of secrets, where pieces
would take too much memory, only the plain and the JSON form are looked for, by their first eight bytes at any position.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

MIN_LENGTH: Final = 8
MASK: Final = "[redacted]"

_FEW: Final = 12
_MANY: Final = 4_000


class KnownSecrets:
    """A set of secret strings, each of at least eight characters, searched for in UTF-8 text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values: Final = frozenset(value for value in values if len(value) >= MIN_LENGTH)
        many = len(self.values) > _MANY
        spell = _main_forms if many else _all_forms
        self._forms: Final = tuple(sorted({form for value in self.values for form in spell(value)}, key=_longest))
        self._piece: Final = MIN_LENGTH if many else MIN_LENGTH // 2
        self._stride: Final = MIN_LENGTH - self._piece + 1
        self._pieces: Final[dict[bytes, list[tuple[bytes, int]]]] = {}
        for form in self._forms:
            for offset in range(self._stride):
                self._pieces.setdefault(form[offset : offset + self._piece], []).append((form, offset))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def joined_by(self, values: Iterable[str]) -> KnownSecrets:
        """Return the set that knows ``values`` as well."""
        more = frozenset(value for value in values if len(value) >= MIN_LENGTH) - self.values
        return KnownSecrets(self.values | more) if more else self

    def occur_in(self, text: bytes) -> bool:
        """Return whether any form of any secret stands in ``text``."""
        if len(self._forms) <= _FEW:
            return any(map(text.__contains__, self._forms))
        return next(self._found(text), None) is not None

    def mask(self, text: str) -> str:
        """Return ``text`` with every form of every secret replaced by ``[redacted]``, the longest first."""
        encoded = text.encode("utf-8", "surrogatepass")
        if len(self._forms) <= _FEW:
            present: Iterable[bytes] = [form for form in self._forms if form in encoded]
        else:
            present = sorted(set(self._found(encoded)), key=_longest)
        for form in present:
            encoded = encoded.replace(form, MASK.encode())
        return encoded.decode("utf-8", "surrogatepass")

    def _found(self, text: bytes) -> Iterator[bytes]:
        pieces, size = self._pieces, self._piece
        for position in range(0, len(text) - size + 1, self._stride):
            for form, offset in pieces.get(text[position : position + size], ()):
                if position >= offset and text.startswith(form, position - offset):
                    yield form


def _longest(form: bytes) -> tuple[int, bytes]:
    return (-len(form), form)


def _main_forms(secret: str) -> set[bytes]:
    """Return the plain spelling and the one inside a JSON string."""
    return {text.encode("utf-8", "surrogatepass") for text in (secret, json.dumps(secret, ensure_ascii=False)[1:-1])}


def _all_forms(secret: str) -> set[bytes]:
    """Return every spelling under which ``secret`` may stand in another text."""
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    go = plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    texts = {go, json.dumps(plain)[1:-1], json.dumps(go)[1:-1], quote(secret.encode("utf-8", "surrogatepass"), safe="")}
    encoded = {text.encode("utf-8", "surrogatepass") for text in texts}
    return encoded | _main_forms(secret) | _base64_forms(secret.encode("utf-8", "surrogatepass"))


def _base64_forms(secret: bytes) -> set[bytes]:
    """Return the part of the base64 that does not depend on what stands around, for each of the three alignments."""
    forms = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret)
        start = (0, 2, 3)[before]
        end = (len(secret) + before) * 8 // 6
        stable = text[start:end]
        if len(stable) >= MIN_LENGTH:
            forms |= {stable, stable.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms
