"""How does a person's signed word get into the ledger, by themselves or carried by another?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError
from tfaudit.events import commitment
from tfaudit.gate import document
from tfaudit.gate.allowed_signers import NAMESPACE
from tfaudit.gate.persons import principal_name
from tfaudit.identity.actor import Evidence, combine
from tfaudit.runs import facts
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.config import Config
    from tfaudit.gate.document import Opened, Word
    from tfaudit.gate.model import Vote, VoteKind
    from tfaudit.identity.actor import Actor
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.log import Ledger, Receipt
    from tfaudit.runs.run import World
    from tfaudit.signing.person import PersonKey
    from tfaudit.signing.signer import Signer

WRITER: Final = "people"
"""The prefix under ``records/`` of approvers: the only one that they need to write to."""
VOTE: Final = "/vote"
"""Where the record commits to the envelope, which is personal and stays erasable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A word that is in the ledger."""

    receipt: Receipt
    carried: bool
    """Whether another key than the person's signed the record around it."""


def record_kind(kind: VoteKind) -> str:
    """Return the kind of the record that holds such a word."""
    return "approval" if kind == "break-glass" else kind


def sign(word: Word, key: PersonKey) -> bytes:
    """Return the envelope of a word that the person has signed; errors as :meth:`PersonKey.sign`."""
    payload = document.build(word)
    return document.seal(payload, key.sign(document.signed_bytes(payload), NAMESPACE))


def import_vote(path: Path, *, at: int) -> tuple[bytes, Vote]:
    """Return the envelope in an approval file, and the vote that it is at the time ``at``.

    Raises :class:`InputError` for a file that can't be read, holds anything else, or whose signature is not good.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ENVELOPE + 2)
    except OSError as error:
        raise InputError(f"the approval file {path} can't be read: {error.strerror}") from error
    envelope = content.removesuffix(b"\n")
    try:
        opened = document.open_envelope(envelope)
    except InputError as error:
        raise InputError(f"{path} holds no approval: {error.message}", hint=error.hint) from error
    if opened.verified is None:
        raise InputError(
            f"the approval in {path} is not signed by the key {opened.key.fingerprint} that it names",
            hint="ask for it again: it was altered, or signed for something else",
        )
    return envelope, document.as_vote(opened, at=at, position=None, record=None, source="file")


def carry(ledger: Ledger, envelope: bytes, *, carrier: bool = True, signer: Signer | None = None) -> Receipt:
    """Append the record of a word that its person has signed, and return where it is.

    Around it signs ``signer``, or the ledger's own; with ``carrier`` the record says that this was not the person. Only
    the word's own signature counts at the gate. Raises :class:`InputError` for what is no word, and as
    :meth:`Ledger.append` does.
    """
    opened = document.open_envelope(envelope)
    word = opened.word
    with ledger.draft(record_kind(word.kind)) as draft:
        predicate: dict[str, object] = {
            "stack": word.subject.stack,
            "tfaudit": facts.tool(),
            "actor": draft.disclose("/actor", commitment.json_text(_voter(opened).to_json())),
            "refers": word.subject.leaf,
            "vote": draft.disclose(VOTE, envelope),
        }
        if word.kind != "review":
            predicate["plan_record"] = word.subject.plan_record
        if carrier:
            predicate["carrier"] = True
        return ledger.append(draft, predicate, signer=signer)


def _voter(opened: Opened) -> Actor:
    """Return the person as the log names whoever acts: whether the key is theirs, the approvers file says."""
    name = principal_name(opened.word.approver)
    claims = (("key", opened.key.fingerprint),)
    return combine([Evidence(source="approval", level="claimed", principal=name, claims=claims)])


def cast(config: Config, world: World, keys: KeySet, envelope: bytes, key: PersonKey) -> Cast:
    """Put a person's word into the ledger that is configured, and return where it is.

    The record is signed by the person's own key where the ledger accepts it, else by this configuration's record key.
    Raises :class:`ConfigError` where neither may, and as an append does.
    """
    from tfaudit.runs.ledgers import open_ledger

    word = document.open_envelope(envelope).word
    kind, stack = record_kind(word.kind), word.subject.stack
    configured = _accepted(_record_signer(config), keys, kind, stack)
    mine = _mine(key, keys, kind, stack)
    if mine is None and configured is None:
        raise ConfigError(
            f"this ledger takes no record by the key {key.key.fingerprint}, nor by the record key configured here",
            hint="--out FILE writes it to a file, and whoever applies brings it: tfaudit --approval FILE apply",
        )
    people = replace(config, writer=WRITER)
    if configured is None:
        # Staging is enough: someone who holds the log's key commits it. An approver's key alone can't sign a commit.
        ledger = open_ledger(people, world, signer=mine, stage_only=True)
    else:
        ledger = open_ledger(people, world)
    receipt = carry(ledger, envelope, carrier=mine is None, signer=mine)
    return Cast(receipt=receipt, carried=mine is None)


def _record_signer(config: Config) -> Signer | None:
    from tfaudit.signing.signer import open_signer

    with suppress(ConfigError):
        return open_signer(config.signer_record, base=config.root)
    return None


def _mine(key: PersonKey, keys: KeySet, kind: str, stack: str) -> Signer | None:
    from tfaudit.signing.sshkeys import record_key

    public = record_key(key.key)
    if public is None or keys.key_for(kind, public.keyid, stack) is None:
        return None
    return key.record_signer()


def _accepted(signer: Signer | None, keys: KeySet, kind: str, stack: str) -> Signer | None:
    if signer is None:
        return None
    # The repository's configuration names a job's key in KMS, which an approver's role may not even look at.
    with suppress(ConfigError):
        return signer if keys.key_for(kind, signer.public.keyid, stack) is not None else None
    return None
