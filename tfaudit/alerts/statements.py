"""Does an IAM policy allow more than another did? AWS's policy language, statement by statement.

It errs on the side of telling: where two wordings can't be compared, the later one counts as more. But for what is only
taken away (an action, a resource, a principal, a value that a condition admits), or asked for in addition, it never
does, unless a policy is larger than any cloud takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from tfaudit import wildcards

_MAX_COMPARISONS: Final = 5_000_000
"""Of the words of two policies, a few seconds' worth; no cloud takes a policy that asks for nearly as many."""
_HARMLESS: Final = re.compile(r"[a-z0-9-]+:(describe|list)", re.IGNORECASE)
_ANY_RESOURCE: Final = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:\*")
_ACCOUNT: Final = re.compile(r"\d{12}")
_NEGATIVE: Final = re.compile(r"not", re.IGNORECASE)

WILDCARD_ACTIONS: Final = "a policy allows wildcard actions"
ALL_RESOURCES: Final = "a policy allows actions on all resources"
ANYBODY: Final = "a policy lets anybody in"
DENY_GONE: Final = "a denial is taken away"
CONDITION_GONE: Final = "a condition is taken away"
MORE_TRUST: Final = "more may assume the role"
UNCONDITIONAL: Final = "an identity provider's users may assume the role without a condition"
UNREADABLE: Final = "a policy that can't be read takes the place of one that could"
TOO_LARGE: Final = "a policy is too large to be compared"


@dataclass(frozen=True, slots=True)
class Words:
    """Patterns that a statement names, or (``inverted``) names as all but these."""

    names: frozenset[str]
    inverted: bool = False

    def within(self, other: Words) -> bool:
        """Return whether all that these stand for is certainly among what the others do."""
        if not self.inverted and not other.inverted:
            return all(any(_matches(name, pattern) for pattern in other.names) for name in self.names)
        if self.inverted and other.inverted:
            return all(any(_matches(name, pattern) for pattern in self.names) for name in other.names)
        if self.inverted:
            return "*" in other.names
        return not any(_may_meet(name, pattern) for name in self.names for pattern in other.names)

    def each(self) -> tuple[Words, ...]:
        """Return them one by one."""
        return (self,) if self.inverted else tuple(Words(frozenset({name})) for name in sorted(self.names))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    allows: bool
    actions: Words
    resources: Words | None
    """None where it names none: a trust policy is about its own role."""
    principals: Words | None
    """None where it names none: the policy hangs on whom it is about."""
    conditions: tuple[tuple[str, str, frozenset[str]], ...]
    """Operator, key and values."""

    def covers(self, other: Statement, *, conditions: bool = True) -> bool:
        """Return whether it certainly says of all that the other is about what the other says."""
        return (
            self.allows == other.allows
            and other.actions.within(self.actions)
            and _within(other.resources, self.resources)
            and _within(other.principals, self.principals)
            and (not conditions or _admits(self.conditions, other.conditions))
        )

    def count(self) -> int:
        """Return how many statements :meth:`units` gives."""
        return len(self.actions.each()) * len(_each(self.resources)) * len(_each(self.principals))

    def units(self) -> Iterator[Statement]:
        """Yield it in statements of one action, resource and principal each."""
        for action, resource, principal in product(self.actions.each(), _each(self.resources), _each(self.principals)):
            yield replace(self, actions=action, resources=resource, principals=principal)


Policy = tuple[Statement, ...]


def parse(text: object) -> Policy | None:
    """Return the statements of a policy's JSON; None for what is no policy. No text is no statement."""
    if text is None or text == "":
        return ()
    try:
        document = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return None
    said = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(said, dict):
        said = [said]
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        return None
    return tuple(_statement(one) for one in said)


def widened(before: Policy | None, after: Policy | None, *, is_new: bool, is_trust: bool = False) -> tuple[str, ...]:
    """Return in which ways ``after`` allows more than ``before``; None is a policy that can't be read.

    ``is_new``: there was none; what is then widening is only what is so wide that nobody should get it. Of a trust
    policy every further principal counts, unless it is new.
    """
    if after is None:
        return (UNREADABLE,) if before is not None else ()
    known = before or ()
    if _comparisons(after, known) > _MAX_COMPARISONS:
        return (TOO_LARGE,) if after != known else ()
    found: dict[str, None] = {}
    for unit in (unit for statement in after if statement.allows for unit in statement.units()):
        if not any(earlier.covers(unit) for earlier in known):
            known_but_for_conditions = any(earlier.covers(unit, conditions=False) for earlier in known)
            found |= dict.fromkeys(_reasons(unit, is_new=is_new, is_trust=is_trust, loosened=known_but_for_conditions))
    denials = [statement for statement in after if not statement.allows]
    for unit in (unit for statement in known if not statement.allows for unit in statement.units()):
        if not any(later.covers(unit) for later in denials):
            found[DENY_GONE] = None
    return tuple(found)


def _comparisons(after: Policy, known: Policy) -> int:
    """Return how many words are held against how many, at most."""
    allowed = sum(statement.count() for statement in after if statement.allows)
    denied = sum(statement.count() for statement in known if not statement.allows)
    return allowed * (1 + _words_in(known)) + denied * (1 + _words_in(after))


def _words_in(policy: Policy) -> int:
    return sum(
        len(statement.actions.names) + len({*_names(statement.resources)}) + len({*_names(statement.principals)})
        for statement in policy
    )


def _reasons(unit: Statement, *, is_new: bool, is_trust: bool, loosened: bool) -> Iterator[str]:
    if loosened:
        yield CONDITION_GONE
    if unit.principals is not None and (unit.principals.inverted or "*" in unit.principals.names):
        yield ANYBODY
    if is_trust:
        if not is_new:
            yield MORE_TRUST
        elif not unit.conditions and any(name.startswith("Federated:") for name in _names(unit.principals)):
            yield UNCONDITIONAL
        return
    if unit.actions.inverted or any(name == "*" or name.endswith(":*") for name in unit.actions.names):
        yield WILDCARD_ACTIONS
    # Where a policy names who may, it hangs on a resource: there * means that one.
    if unit.principals is None and not _is_harmless(unit.actions) and _is_any_resource(unit.resources):
        yield ALL_RESOURCES


def _is_any_resource(resources: Words | None) -> bool:
    return resources is not None and (
        resources.inverted or any(_ANY_RESOURCE.fullmatch(name) for name in resources.names)
    )


def _is_harmless(actions: Words) -> bool:
    return not actions.inverted and all(_HARMLESS.match(name) for name in actions.names)


def _statement(said: Mapping[str, Any]) -> Statement:
    # What says neither is taken as allowing.
    return Statement(
        allows=said.get("Effect") != "Deny",
        actions=_words(said, "Action", lower=True) or Words(frozenset()),
        resources=_words(said, "Resource"),
        principals=_principals(said),
        conditions=tuple(_conditions(said.get("Condition"))),
    )


def _words(said: Mapping[str, Any], key: str, *, lower: bool = False) -> Words | None:
    for name, inverted in ((key, False), (f"Not{key}", True)):
        if name in said:
            texts = _texts(said[name])
            return Words(frozenset(text.lower() if lower else text for text in texts), inverted)
    return None


def _principals(said: Mapping[str, Any]) -> Words | None:
    for name, inverted in (("Principal", False), ("NotPrincipal", True)):
        if name in said:
            value = said[name]
            members = value.items() if isinstance(value, dict) else (("AWS", value),)
            named = (_principal(kind, text) for kind, texts in members for text in _texts(texts))
            return Words(frozenset(named), inverted)
    return None


def _principal(kind: str, text: str) -> str:
    if kind == "AWS" and text == "*":
        return "*"
    if kind == "AWS" and _ACCOUNT.fullmatch(text):
        text = f"arn:aws:iam::{text}:root"
    return f"{kind}:{text}"


def _conditions(value: object) -> Iterator[tuple[str, str, frozenset[str]]]:
    for operator, keys in sorted(value.items()) if isinstance(value, dict) else ():
        for key, texts in sorted(keys.items()) if isinstance(keys, dict) else ():
            yield operator, key.lower(), frozenset(_texts(texts))


def _texts(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else (value,):
        yield one if isinstance(one, str) else json.dumps(one, sort_keys=True)


def _names(words: Words | None) -> Iterable[str]:
    return words.names if words is not None else ()


def _each(words: Words | None) -> tuple[Words | None, ...]:
    return (None,) if words is None else words.each()


def _within(one: Words | None, other: Words | None) -> bool:
    return one is other is None or (one is not None and other is not None and one.within(other))


def _admits(
    conditions: tuple[tuple[str, str, frozenset[str]], ...], others: tuple[tuple[str, str, frozenset[str]], ...]
) -> bool:
    """Return whether whatever meets the other conditions certainly meets these."""
    given = {(operator, key): values for operator, key, values in others}
    for operator, key, values in conditions:
        found = given.get((operator, key))
        if found is None or not (values <= found if _NEGATIVE.search(operator) else found <= values):
            return False
    return True


def _matches(text: str, pattern: str) -> bool:
    # A question mark must not stand for the other's asterisk.
    return text == pattern or (
        ("*" in pattern or "?" in pattern) and wildcards.compiled(pattern, one="[^*]").fullmatch(text) is not None
    )


def _may_meet(one: str, other: str) -> bool:
    """Return whether anything may match both."""
    if not set("*?").isdisjoint(one) and not set("*?").isdisjoint(other):
        left, right = (re.split(r"[*?]", text, maxsplit=1)[0] for text in (one, other))
        return left.startswith(right) or right.startswith(left)
    return _matches(one, other) or _matches(other, one)
