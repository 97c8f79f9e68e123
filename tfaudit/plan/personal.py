"""Which instance keys and map keys are personal data, so that the locked store may hold only a commitment to them?"""

from __future__ import annotations

import re
from typing import Final

_EMAIL: Final = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+\.[^\s@\"'<>]+")


def is_personal(text: str) -> bool:
    """Return whether ``text`` holds an e-mail address."""
    return "@" in text and _EMAIL.search(text) is not None
