"""How is what a decision rests on written down, so that the decision can be recomputed from the ledger?

The text is canonical JSON, one object. It is read strictly: whatever would be spelled differently is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.gate.model import Reason, Request, Rules, Vote
from tfaudit.policy.model import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.gate.model import Decision

MAX_BASIS: Final = 32 << 20
"""Bytes of a basis that are read."""

_Model = TypeVar("_Model", Request, Rules, Evaluation, Vote, Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """All that a decision was made on, and what it said. A part that was absent is None."""

    decided: int
    """When, milliseconds since the epoch: the ``now`` of :func:`tfaudit.gate.decide.decide`."""
    request: Request | None
    rules: Rules | None
    evaluations: tuple[Evaluation, ...] | None
    votes: tuple[Vote, ...] | None
    """Every vote of the view that was decided on; None where there was no view."""
    reasons: tuple[Reason, ...]


def encode(
    *,
    decided: int,
    request: Request | None,
    rules: Rules | None,
    evaluations: Sequence[Evaluation] | None,
    votes: Sequence[Vote] | None,
    decision: Decision,
) -> bytes:
    """Return the text of a decision's basis."""
    found = Basis(
        decided=decided,
        request=request,
        rules=rules,
        evaluations=None if evaluations is None else tuple(evaluations),
        votes=None if votes is None else tuple(votes),
        reasons=decision.reasons,
    )
    return canonical.encode(_plain(found))


def decode(text: bytes) -> Basis:
    """Return the basis that a text holds; :class:`InputError` unless it is what :func:`encode` writes.

    Members that an older version did not write are what they are by default.
    """
    if len(text) > MAX_BASIS:
        raise InputError(f"the basis of a decision has {len(text)} bytes, more than {MAX_BASIS}")
    return _strict(canonical.decode(text, what="the basis of a decision"), Basis, what="the basis of a decision")


def digest(rules: Rules) -> str:
    """Return the SHA-256 of the rules' canonical JSON, 64 hexadecimal digits."""
    return canonical.sha256_hex(canonical.encode(_plain(rules)))


def to_json(value: Request | Rules | Evaluation | Vote | Reason) -> dict[str, Any]:
    """Return one of the gate's values as plain JSON: times in milliseconds, spans and instants as ISO 8601 has them."""
    plain: dict[str, Any] = _plain(value)
    return plain


def from_json(document: object, model: type[_Model]) -> _Model:
    """Return the value that ``document`` stands for; :class:`InputError` unless :func:`to_json` gives just that."""
    return _strict(document, model, what=f"the gate's {model.__name__.lower()}")


def _plain(value: object) -> Any:  # noqa: ANN401 - plain JSON of any of the models
    return msgspec.to_builtins(value, order="deterministic")


_Any = TypeVar("_Any")


def _strict(document: object, model: type[_Any], *, what: str) -> _Any:
    try:
        found = msgspec.convert(document, model, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{what} is not in form: {error}") from error
    # A dataclass takes no notice of members that it doesn't have.
    if not _holds(_plain(found), document):
        raise InputError(f"{what} has members that don't belong there, or spells one otherwise")
    return found


def _holds(written: object, read: object) -> bool:
    """Tell whether what was read is what is written of it; a member that has a default may be absent."""
    match read:
        case dict():
            return isinstance(written, dict) and all(
                name in written and _holds(written[name], member) for name, member in read.items()
            )
        case list() | tuple():
            if not isinstance(written, list | tuple) or len(written) != len(read):
                return False
            return all(map(_holds, written, read))
    return written == read
