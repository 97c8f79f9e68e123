"""Which person does a name belong to?

A canonical name is a kind and a name within it: ``github:583231``, ``email:alice@example.com``, ``ssh:SHA256:…``,
``os:alice``, ``aws:arn:…``. ``[identities]`` says which names are one person's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

_CASELESS: Final = frozenset({"email", "github", "gitlab", "env0"})
"""Kinds whose names are compared in lower case. A mail server might tell Alice@ from alice@ (RFC 5321, section 2.4);
none that hands out accounts to two people does, and who could pick the spelling would pass for somebody else. Ids are
digits there. All other kinds (fingerprints, ARNs, system users …) are exact."""


def canonical_name(name: str) -> str:
    """Return the one spelling of a name; a name without a kind is itself."""
    kind, colon, rest = name.partition(":")
    if not colon or kind.lower() not in _CASELESS:
        return name
    return f"{kind.lower()}:{(rest if rest.isascii() else unicodedata.normalize('NFC', rest)).lower()}"


class People:
    """Everybody in ``[identities]``; whoever is not listed is a person of their own.

    The person's own heading counts as a name too: as an e-mail address with an ``@`` in it, else as a principal of the
    approvers file. A name that is listed for two persons makes them one: two who might be one can't vouch for each
    other.
    """

    def __init__(self, identities: Mapping[str, tuple[str, ...]]) -> None:
        self._parent = {f"person:{person}": f"person:{person}" for person in identities}
        for person, names in identities.items():
            own = f"person:{person}"
            for name in (f"email:{person}" if "@" in person else f"principal:{person}", *names):
                self._join(own, canonical_name(name))

    def person(self, name: str) -> str:
        """Return who has this name: ``person:`` and the heading, or for one who is not listed the name itself."""
        found = canonical_name(name)
        return self._root(found) if found in self._parent else found

    def persons(self, names: Iterable[str]) -> frozenset[str]:
        """Return everybody who has one of these names."""
        return frozenset(map(self.person, names))

    def _join(self, own: str, name: str) -> None:
        # The smaller heading stands for both, whatever the order in which they are listed.
        low, high = sorted((self._root(own), self._root(self._parent.setdefault(name, own))))
        self._parent[high] = low

    def _root(self, name: str) -> str:
        while (above := self._parent[name]) != name:
            name = above
        return name
