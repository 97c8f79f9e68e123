"""What vouches for commits from outside: timestamp tokens and witness cosignatures, in their places in the store.

``tokens/<n>.tsr`` is an RFC 3161 token over commit n's checkpoint, ``cosignatures/<n>/<key id>`` a witness' C2SP
cosignature of it. A check of a kind goes into :data:`CHECKS`; of a kind without one it is said that nobody looked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tfaudit.ledger.verify.findings import warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfaudit.ledger.store import Store
    from tfaudit.ledger.verify.findings import Finding


class Anchor(NamedTuple):
    """One object that vouches for a commit."""

    key: str
    number: int
    """The commit's."""


class Check(Protocol):
    """How one kind of anchor is checked."""

    def __call__(self, evidence: Store, anchor: Anchor) -> Iterator[Finding]:
        """Yield what is wrong with it; raises :class:`LedgerError` when the store failed."""


PLACES: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "tokens/": ("timestamp tokens", re.compile(r"tokens/([0-9a-f]{16})\.tsr")),
    "cosignatures/": ("witness cosignatures", re.compile(r"cosignatures/([0-9a-f]{16})/[0-9a-f]{8,64}")),
}
CHECKS: Final[Mapping[str, Check]] = {}
"""By prefix."""


def findings(evidence: Store, *, checks: Mapping[str, Check] = CHECKS) -> Iterator[Finding]:
    """Yield what the anchors show, and how many of a kind were not looked at; errors as :class:`Check`."""
    for prefix, (name, pattern) in PLACES.items():
        unchecked = 0
        for entry in evidence.list(prefix):
            match = pattern.fullmatch(entry.key)
            if match is None or entry.size is None:
                yield warning("foreign", entry.key, "its key is none that a ledger has")
            elif prefix in checks:
                yield from checks[prefix](evidence, Anchor(entry.key, int(match[1], 16)))
            else:
                unchecked += 1
        if unchecked:
            yield warning("unchecked", prefix, f"this version of tfaudit can't check the {unchecked} {name} here")
