"""How does a person's word come about: what is asked, as whom, until when; then it is signed and put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.gate.document import NONCE_BYTES, Word
from tfaudit.ledger import ids
from tfaudit.runs import approver, asked, voting
from tfaudit.signing.person import open_person

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.config import Config
    from tfaudit.export.view import View
    from tfaudit.gate.model import Rules, VoteKind
    from tfaudit.runs.asked import Asked
    from tfaudit.runs.run import World
    from tfaudit.runs.voting import Cast
    from tfaudit.signing.person import PersonKey

BREAK_GLASS: Final = timedelta(hours=1)
"""How long a break-glass word is valid at most."""
USUAL: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """All that is known before the person is asked."""

    asked: Asked
    key: PersonKey
    approver: str
    """The principal."""
    lasts: timedelta
    warnings: tuple[str, ...]
    """What the gate will hold against the word, one line each."""


def prepare(
    config: Config,
    world: World,
    view: View,
    what: str,
    kind: VoteKind,
    *,
    key: str | None,
    principal: str | None,
    lasts: timedelta | None,
) -> Ballot:
    """Return the ballot on ``what``, a plan file, run or record; nothing is signed yet.

    ``key`` names the key, ``principal`` as whom it signs where the key is several people's, ``lasts`` how long the word
    is valid. Errors as those of :func:`asked.about`, :func:`open_person` and :func:`approver.principal`.
    """
    question = asked.about(view, what, kind, cwd=world.cwd)
    person = open_person(key or approver.default_key(world.environ, world.cwd), base=world.cwd)
    recorded = question.basis.rules
    rules, where = approver.rules_here(config, view.reader, question.subject.stack, recorded)
    now = ids.milliseconds(world.clock())
    name = approver.principal(person.key, rules, wanted=principal, at=now, where=where)
    return Ballot(
        asked=question,
        key=person,
        approver=name,
        lasts=_lasts(kind, rules, lasts),
        warnings=approver.warnings(question.involved, rules, name, person.key, kind=kind),
    )


def _lasts(kind: VoteKind, rules: Rules | None, wanted: timedelta | None) -> timedelta:
    most = BREAK_GLASS if kind == "break-glass" else None
    usual = rules.expires if rules is not None else USUAL
    lasts = wanted or (min(usual, most) if most else usual)
    if most is not None and lasts > most:
        raise InputError("a break-glass word is valid for an hour at most", hint="--expires 1h, or less")
    return lasts


def sign(ballot: Ballot, world: World, reason: str | None) -> tuple[Word, bytes]:
    """Have the person's key sign the word, and return both; errors as :func:`voting.sign`."""
    made = ids.milliseconds(world.clock())
    question = ballot.asked
    word = Word(
        kind=question.kind,
        subject=question.subject,
        approver=ballot.approver,
        reason=_without_secrets(reason, world) if reason else None,
        made=made,
        expires=made + ballot.lasts // timedelta(milliseconds=1),
        nonce=world.entropy(NONCE_BYTES).hex(),
        shown=question.shown,
        intent=question.record_id if question.kind == "review" else None,
    )
    return word, voting.sign(word, ballot.key)


def _without_secrets(reason: str, world: World) -> str:
    """Return the reason without what looks like a token: what is signed and kept can't be taken back."""
    from tfaudit.plan.redact import Redactor

    kept = Redactor().text(canonical.readable(reason))
    if kept != reason:
        world.say("what looks like a secret in the reason is left out")
    return kept


def write(envelope: bytes, path: Path) -> None:
    """Write the approval file; :class:`InputError` where there is one already, or it can't be written."""
    from tfaudit.export.whole import whole_file

    with whole_file(path) as stream:
        stream.write(envelope + b"\n")


def cast(config: Config, world: World, view: View, envelope: bytes, ballot: Ballot) -> Cast:
    """Put the signed word into the ledger; errors as :func:`voting.cast`."""
    return voting.cast(config, world, view.reader.state.keys, envelope, ballot.key)
