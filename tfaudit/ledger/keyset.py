"""Whose signatures count at one place in the log: the keys that genesis names, or a later ``config`` record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tfaudit.canonical import MAX_EXACT_INT
from tfaudit.config.stackpattern import is_pattern, matches
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
    stacks: tuple[str, ...] = ()
    """Patterns: it may sign records of stacks that match one of them, and no other record; none: every record."""

    def may_sign(self, stack: object) -> bool:
        """Tell whether the key may sign a record of this stack (a text, or something else where it names none)."""
        if not self.stacks:
            return True
        return isinstance(stack, str) and any(matches(pattern, stack) for pattern in self.stacks)


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
    def _by_keyid(self) -> Mapping[str, AcceptedSigner]:
        return {signer.public.keyid: signer for signer in self.signers}

    def signer(self, keyid: str) -> PublicKey | None:
        """Return the accepted signer's key of this id: it may sign commits, whatever records they adopt."""
        found = self._by_keyid.get(keyid)
        return None if found is None else found.public

    def key_for(self, kind: str, keyid: str, stack: object) -> PublicKey | None:
        """Return the key of this id if it may sign records of ``kind`` and of ``stack``, as the statement has it."""
        if kind == "config":
            return self.root if self.root.keyid == keyid else None
        if kind in APPROVER_KINDS:
            for approver in self.approvers:
                if approver.keyid == keyid:
                    return approver
        found = self._by_keyid.get(keyid)
        return found.public if found is not None and found.may_sign(stack) else None

    def document(self) -> dict[str, Any]:
        """Return the set as it stands under ``keys`` in genesis.json and in a ``config`` record's predicate."""
        return {
            "generation": self.generation,
            "root": keys.to_text(self.root),
            "log": [key.vkey for key in self.log],
            "signers": [_document(signer) for signer in self.signers],
            "approvers": [keys.to_text(key) for key in self.approvers],
        }


def _document(signer: AcceptedSigner) -> dict[str, Any]:
    document: dict[str, Any] = {"key": keys.to_text(signer.public), "writers": list(signer.writers)}
    if signer.stacks:
        document["stacks"] = list(signer.stacks)
    return document


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
            accepted = tuple(_signer(entry, what) for entry in signers)
            if len({signer.public.keyid for signer in accepted}) != len(accepted):
                raise InputError(f"{what} has a signer twice")
            return KeySet(
                generation=generation,
                root=keys.from_text(root, what=f"root key in {what}"),
                log=tuple(_log_key(text, what) for text in log),
                signers=accepted,
                approvers=tuple(keys.from_text(text, what=f"approver key in {what}") for text in approvers),
            )
    raise InputError(f"{what} has no whole set of keys")


def _log_key(text: object, what: str) -> NoteKey:
    if not isinstance(text, str):
        raise InputError(f"{what} has a log key that is not a text")
    return note.parse_vkey(text)


def _signer(entry: object, what: str) -> AcceptedSigner:
    match entry:
        case {"key": key, "writers": [*writers], "stacks": [_, *_] as stacks, **rest} if all(map(is_pattern, stacks)):
            pass
        case {"key": key, "writers": [*writers], **rest}:
            stacks = []
        case _:
            raise InputError(f"{what} has a signer that is not a key and its writers")
    if rest or not all(map(ids.is_writer, writers)):
        raise InputError(f"{what} has a signer that is not a key and its writers, or unusable stack patterns")
    public = keys.from_text(key, what=f"signer key in {what}")
    return AcceptedSigner(public=public, writers=tuple(writers), stacks=tuple(stacks))
