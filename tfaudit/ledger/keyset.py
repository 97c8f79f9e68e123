"""Whose signatures count at one place in the log: the keys that genesis names, or a later ``config`` record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tfaudit.canonical import MAX_EXACT_INT
from tfaudit.errors import InputError
from tfaudit.ledger import ids
from tfaudit.signing import keys, note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.signing.keys import PublicKey
    from tfaudit.signing.note import NoteKey

APPROVER_KINDS: Final = frozenset({"approval", "rejection", "review"})
"""What an approver's key may sign; a signer's key may sign every kind but ``config``, which is the root key's."""
MAX_KEYS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedSigner:
    """A key that may sign records and commits."""

    public: PublicKey
    writers: tuple[str, ...]
    """The prefixes this signer is known for; half the places of a commit are kept for them."""


@dataclass(frozen=True, kw_only=True)
class KeySet:
    """All keys in force. A ``config`` record replaces the whole set and counts the generation one up."""

    generation: int
    root: PublicKey
    log: tuple[NoteKey, ...]
    signers: tuple[AcceptedSigner, ...]
    approvers: tuple[PublicKey, ...] = ()

    @cached_property
    def writers(self) -> frozenset[str]:
        """The known prefixes."""
        return frozenset(writer for signer in self.signers for writer in signer.writers)

    @cached_property
    def _by_keyid(self) -> Mapping[str, PublicKey]:
        return {signer.public.keyid: signer.public for signer in self.signers}

    def signer(self, keyid: str) -> PublicKey | None:
        """Return the accepted signer's key of this id."""
        return self._by_keyid.get(keyid)

    def key_for(self, kind: str, keyid: str) -> PublicKey | None:
        """Return the key of this id if it may sign records of ``kind``."""
        if kind == "config":
            return self.root if self.root.keyid == keyid else None
        if kind in APPROVER_KINDS:
            for approver in self.approvers:
                if approver.keyid == keyid:
                    return approver
        return self.signer(keyid)

    def document(self) -> dict[str, Any]:
        """Return the set as it stands under ``keys`` in genesis.json and in a ``config`` record's predicate."""
        return {
            "generation": self.generation,
            "root": keys.to_text(self.root),
            "log": [key.vkey for key in self.log],
            "signers": [
                {"key": keys.to_text(signer.public), "writers": list(signer.writers)} for signer in self.signers
            ],
            "approvers": [keys.to_text(key) for key in self.approvers],
        }


def parse(document: object, *, what: str) -> KeySet:
    """Return the key set of its document; :class:`InputError`, naming ``what``, unless it is whole and exact."""
    match document:
        case {
            "generation": int(generation),
            "root": root,
            "log": [_, *_] as log,
            "signers": [*signers],
            "approvers": [*approvers],
            **rest,
        } if not rest and 0 <= generation <= MAX_EXACT_INT and not isinstance(generation, bool):
            if len(log) + len(signers) + len(approvers) > MAX_KEYS:
                raise InputError(f"{what} names more than {MAX_KEYS} keys")
            return KeySet(
                generation=generation,
                root=keys.from_text(root, what=f"root key in {what}"),
                log=tuple(_log_key(text, what) for text in log),
                signers=tuple(_signer(entry, what) for entry in signers),
                approvers=tuple(keys.from_text(text, what=f"approver key in {what}") for text in approvers),
            )
    raise InputError(f"{what} has no whole set of keys")


def _log_key(text: object, what: str) -> NoteKey:
    if not isinstance(text, str):
        raise InputError(f"{what} has a log key that is not a text")
    return note.parse_vkey(text)


def _signer(entry: object, what: str) -> AcceptedSigner:
    match entry:
        case {"key": key, "writers": [*writers], **rest} if not rest and all(map(ids.is_writer, writers)):
            return AcceptedSigner(public=keys.from_text(key, what=f"signer key in {what}"), writers=tuple(writers))
    raise InputError(f"{what} has a signer that is not a key and its writers")
