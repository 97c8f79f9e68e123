"""How the canary tests look for a planted secret: in every spelling that JSON, base64 and escapes give it."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping


def plant(names: Iterable[str]) -> dict[str, str]:
    """Return a secret for each name, with no form of its own that would betray it."""
    return {name: f"canary-{name.replace('_', '-')}-{secrets.token_hex(12)}" for name in names}


def found(canaries: Mapping[str, str], content: bytes) -> list[str]:
    """Return the names of the secrets that are in the content."""
    return [name for name, secret in canaries.items() if any(form in content for form in _spellings(secret))]


def _spellings(secret: str) -> list[bytes]:
    plain = json.dumps(secret)[1:-1]
    escaped = plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    unicode = json.dumps(secret, ensure_ascii=False)[1:-1]
    random = re.search(r"[0-9A-Za-z_-]{24,}$|[0-9a-f]{24,}", secret)
    core = random[0] if random else secret
    encoded = base64.b64encode(secret.encode()).decode()[:-4]
    return [form.encode() for form in (secret, plain, escaped, unicode, core, encoded)]


def unwrapped(content: bytes) -> bytes:
    """Return the content with, for every base64 text of some length in it, its bytes as well."""
    texts = re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content)
    return b"\n".join([content, *(base64.b64decode(text[: len(text) // 4 * 4]) for text in texts)])
