"""What does a bucket policy keep everybody from doing, whatever other policies allow them?

Read as AWS reads it: a request is denied if the action, the resource, the principal and all conditions of one ``Deny``
statement match. What can't be decided here (a policy variable, an operator that is not known) counts as not matching:
a policy never looks safer than it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tfaudit import wildcards
from tfaudit.ledger import ids

_ANYBODY: Final = "arn:aws:iam::000000000000:role/anybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A request that nobody should be able to make."""

    what: str
    statement: str
    """The statement of the AWS module that denies it."""
    action: str
    key: str
    context: Mapping[str, str] = field(default_factory=dict)
    """What the request says, by condition key; a key that is absent is not said."""


def wrongs(mode: str | None, days: int | None) -> tuple[Wrong, ...]:
    """Return the requests that the policy of an evidence bucket must deny.

    ``mode`` and ``days`` are the ledger's own retention, where it is known.
    """
    commit, put = ids.commit_key(1), "s3:PutObject"
    known = [
        Wrong(what="delete markers", statement="DenyDelete", action="s3:DeleteObject", key=commit),
        Wrong(
            what="deleted versions",
            statement="DenyDeleteVersion",
            action="s3:DeleteObjectVersion",
            key=commit,
        ),
        Wrong(
            what="lifting GOVERNANCE locks",
            statement="DenyBypassRetention",
            action="s3:BypassGovernanceRetention",
            key=commit,
        ),
        Wrong(
            what="writing over an object (no If-None-Match)",
            statement="DenyUnconditionalPut",
            action=put,
            key=commit,
            context={
                "s3:objectcreationoperation": "true",
                **({"s3:object-lock-mode": mode} if mode else {}),
                **({"s3:object-lock-remaining-retention-days": str(days)} if days else {}),
            },
        ),
    ]
    if mode is not None:
        other = "GOVERNANCE" if mode == "COMPLIANCE" else "COMPLIANCE"
        said = {"s3:if-none-match": "*", "s3:objectcreationoperation": "true"}
        known.append(
            Wrong(
                what=f"locks in {other} mode",
                statement="DenyOtherLockMode",
                action=put,
                key=commit,
                context={**said, "s3:object-lock-mode": other, "s3:object-lock-remaining-retention-days": str(days)},
            )
        )
        known.append(
            Wrong(
                what="locks of a day",
                statement="DenyShortRetention",
                action=put,
                key=commit,
                context={**said, "s3:object-lock-mode": mode, "s3:object-lock-remaining-retention-days": "1"},
            )
        )
    return tuple(known)


def allowed(policy: str, *, bucket: str, prefix: str, mode: str | None, days: int | None) -> tuple[Wrong, ...]:
    """Return which of :func:`wrongs` the policy does not deny; ValueError for what is no policy."""
    document = json.loads(policy)
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list):
        raise ValueError("a policy without statements")  # noqa: TRY004 - whatever it is instead
    found = [one for one in statements if isinstance(one, dict)]
    return tuple(
        wrong
        for wrong in wrongs(mode, days)
        if not any(_denies(one, wrong, f"arn:aws:s3:::{bucket}/{prefix}{wrong.key}") for one in found)
    )


def _denies(statement: Mapping[str, Any], wrong: Wrong, resource: str) -> bool:
    context = {"aws:securetransport": "true", "aws:principalarn": _ANYBODY, **wrong.context}
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and _covers(statement, "Action", wrong.action.lower(), fold=True)
        and _covers(statement, "Resource", resource.replace("arn:aws:", "arn:*:"), fold=False)
        and all(
            _holds(operator, key.lower(), values, context)
            for operator, tests in _object(statement.get("Condition")).items()
            for key, values in _object(tests).items()
        )
    )


def _covers(statement: Mapping[str, Any], name: str, value: str, *, fold: bool) -> bool:
    """Whether ``Action`` or ``Resource``, or its ``Not`` form, takes in the value."""
    patterns = _texts(statement.get(name))
    if patterns:
        return any(_like(one.lower() if fold else _anywhere(one), value) for one in patterns)
    others = _texts(statement.get(f"Not{name}"))
    return bool(others) and not any(_like(one.lower() if fold else _anywhere(one), value) for one in others)


def _anywhere(arn: str) -> str:
    """Return the ARN with the partition, which a bucket can't be told, left open."""
    return re.sub(r"\Aarn:aws[a-z-]*:", "arn:*:", arn)


def _holds(operator: str, key: str, values: object, context: Mapping[str, str]) -> bool:
    """Whether one condition matches; False for what isn't known here."""
    wanted = _texts(values)
    if operator == "Null":
        return wanted == [str(key not in context).lower()]
    kind = operator.removesuffix("IfExists")
    negated = "Not" in kind
    test = _TESTS.get(kind.replace("Not", ""))
    if test is None or not wanted:
        return False
    said = context.get(key)
    if said is None:
        return negated or kind != operator
    try:
        return any(test(said, one) for one in wanted) != negated
    except ValueError:
        return False


def _like(pattern: str, value: str) -> bool:
    if "${" in pattern:
        return False
    return wildcards.compiled(pattern).fullmatch(value) is not None


_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "Bool": lambda said, one: said.lower() == one.lower(),
    "StringEquals": lambda said, one: "${" not in one and said == one,
    "StringEqualsIgnoreCase": lambda said, one: said.lower() == one.lower(),
    "StringLike": lambda said, one: _like(one, said),
    "ArnEquals": lambda said, one: _like(one, said),
    "ArnLike": lambda said, one: _like(one, said),
    "NumericEquals": lambda said, one: float(said) == float(one),
    "NumericLessThan": lambda said, one: float(said) < float(one),
    "NumericLessThanEquals": lambda said, one: float(said) <= float(one),
    "NumericGreaterThan": lambda said, one: float(said) > float(one),
    "NumericGreaterThanEquals": lambda said, one: float(said) >= float(one),
}


def _texts(value: object) -> list[str]:
    values: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
