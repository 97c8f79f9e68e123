"""What do IAM policies make of a request? A small, strict evaluator: what it doesn't know, it refuses to judge.

Specification: the IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements". Keys of a context have one
value each; keys' and actions' names are compared without case, as IAM does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"}
NEGATED = {"StringNotEquals", "ArnNotLike"}


class Request(NamedTuple):
    """Who asks for what; ``resource`` is None where the policy itself hangs on the resource, as a trust policy does."""

    principal: str
    action: str
    resource: str | None
    context: Mapping[str, str]


def decide(policies: Sequence[Mapping], request: Request) -> Literal["allow", "deny", "none"]:
    """Return ``deny`` if any statement denies the request, else ``allow`` if any allows it, else ``none``."""
    context = {name.lower(): value for name, value in request.context.items()}
    context.setdefault("aws:principalarn", request.principal)
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in policy["Statement"]
        if _applies(statement, request, context)
    }
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "none"


def check(policy: Mapping) -> None:
    """Raise :class:`ValueError` for a policy that this evaluator does not wholly understand."""
    if policy["Version"] != "2012-10-17" or not policy["Statement"]:
        raise ValueError("no policy")
    for statement in policy["Statement"]:
        _check(statement)
        for operator, keys in statement.get("Condition", {}).items():
            if operator not in OPERATORS or not keys:
                raise ValueError(f"{statement['Sid']}: {operator}")
            for key, values in keys.items():
                if not re.fullmatch(r"[A-Za-z0-9.:/-]+", key) or not _list(values):
                    raise ValueError(f"{statement['Sid']}: {operator} {key}")


def _check(statement: Mapping) -> None:
    unknown = statement.keys() - ELEMENTS
    if unknown or statement["Effect"] not in ("Allow", "Deny"):
        raise ValueError(f"{statement.get('Sid')}: {unknown or statement['Effect']}")
    if "Resource" in statement and "NotResource" in statement:
        raise ValueError(f"{statement['Sid']} has Resource and NotResource")
    if "Condition" in statement and not statement["Condition"]:
        raise ValueError(f"{statement['Sid']} has an empty condition")


def _applies(statement: Mapping, request: Request, context: Mapping[str, str]) -> bool:
    _check(statement)
    if "Principal" in statement and not _is_principal(statement["Principal"], request.principal):
        return False
    if not any(_like(request.action.lower(), action.lower()) for action in _list(statement["Action"])):
        return False
    if request.resource is not None:
        if "NotResource" in statement:
            if any(_like(request.resource, pattern) for pattern in _list(statement["NotResource"])):
                return False
        elif not any(_like(request.resource, pattern) for pattern in _list(statement["Resource"])):
            return False
    return all(
        OPERATORS[operator](context.get(key.lower()), _list(values))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _is_principal(principal: str | Mapping, who: str) -> bool:
    if principal == "*":
        return True
    for kind, named in principal.items():
        for one in _list(named):
            # An account's root stands for every principal of the account.
            if one == who or (
                kind == "AWS" and one.endswith(":root") and one.split(":")[4] == (who.split(":") + [""] * 5)[4]
            ):
                return True
    return False


def _list(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _like(text: str, pattern: str) -> bool:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _arn_like(text: str, pattern: str) -> bool:
    """Compare ARNs part by part: a wildcard does not reach over a colon, but for the last part."""
    texts, patterns = text.split(":", 5), pattern.split(":", 5)
    return len(texts) == len(patterns) and all(map(_like, texts, patterns))


def _any(compare: Callable[[str, str], bool]) -> Callable[[str | None, list[str]], bool]:
    """One of the values fits; a key that the request lacks fits none."""
    return lambda value, values: value is not None and any(compare(value, one) for one in values)


def _none(compare: Callable[[str, str], bool]) -> Callable[[str | None, list[str]], bool]:
    """None of the values fits; so it is for a key that the request lacks."""
    return lambda value, values: value is None or not any(compare(value, one) for one in values)


OPERATORS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "StringEquals": _any(str.__eq__),
    "StringNotEquals": _none(str.__eq__),
    "StringLike": _any(_like),
    "ArnEquals": _any(_arn_like),
    "ArnLike": _any(_arn_like),
    "ArnNotLike": _none(_arn_like),
    "Bool": _any(lambda value, one: value.lower() == one.lower()),
    "Null": lambda value, values: (value is None) == (values == ["true"]),
    "NumericLessThan": _any(lambda value, one: float(value) < float(one)),
    "NumericGreaterThan": _any(lambda value, one: float(value) > float(one)),
}
