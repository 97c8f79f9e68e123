"""In which settings does one gate differ from another, and which of the differences loosen it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tfaudit.config import durations
from tfaudit.config.gate import SCALARS, looser
from tfaudit.gate.words import listed

if TYPE_CHECKING:
    from tfaudit.config.gating import BreakGlass, Freeze, GateRule, GateSettings, IdentitySettings
    from tfaudit.gate.model import ApproverKey


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that differs."""

    key: str
    """As in tfaudit.toml: ``gate.approvals``, ``gate.rule "two DBAs"``."""
    before: str
    """Empty where it was not there."""
    after: str
    """Empty where it is not there any more."""
    loosens: bool
    """Whether less is asked for, or another asked; also where that can't be told."""

    def text(self) -> str:
        """Return it as one line."""
        return f"{self.key}: {self.before or 'nothing'} → {self.after or 'nothing'}"


def scalars(old: GateSettings, new: GateSettings, prefix: str = "gate.") -> Iterator[Change]:
    """Yield the keys of :data:`SCALARS` that ``new`` says otherwise; what it leaves to a default it does not say."""
    for key in SCALARS:
        before, after = getattr(old, key), getattr(new, key)
        if before != after and key not in new.absent:
            yield Change(key=prefix + key, before=_word(before), after=_word(after), loosens=looser(key, new, old))


def rules(old: Sequence[GateRule], new: Sequence[GateRule], *, whole: bool, prefix: str = "gate.") -> Iterator[Change]:
    """Yield the rules that differ. Where ``new`` is the ``whole``, a rule that it lacks is one taken away.

    One name means one thing: only its approvals may be raised.
    """
    yield from _by_name(
        {rule.name: rule for rule in old},
        {rule.name: rule for rule in new},
        whole=whole,
        prefix=f"{prefix}rule",
        spell=lambda rule: f"{rule.approvals}{' of ' + listed(rule.groups) if rule.groups else ''} if {rule.when}",
        covers=lambda after, before: (
            (after.when, after.groups) == (before.when, before.groups) and after.approvals >= before.approvals
        ),
    )


def freezes(old: Sequence[Freeze], new: Sequence[Freeze], *, whole: bool, prefix: str = "gate.") -> Iterator[Change]:
    """Yield the freezes that differ, as :func:`rules`; a longer one of the same name covers the shorter."""
    yield from _by_name(
        {freeze.name: freeze for freeze in old},
        {freeze.name: freeze for freeze in new},
        whole=whole,
        prefix=f"{prefix}freeze",
        spell=lambda freeze: f"{freeze.start:%Y-%m-%dT%H:%M:%SZ} to {freeze.end:%Y-%m-%dT%H:%M:%SZ}",
        covers=lambda after, before: after.start <= before.start and after.end >= before.end,
    )


def _by_name(
    old: Mapping[str, _T],
    new: Mapping[str, _T],
    *,
    whole: bool,
    prefix: str,
    spell: Callable[[_T], str],
    covers: Callable[[_T, _T], bool],
) -> Iterator[Change]:
    for name, before in old.items():
        after = new.get(name)
        if (after is None and whole) or (after is not None and after != before):
            yield Change(
                key=f'{prefix} "{name}"',
                before=spell(before),
                after="" if after is None else spell(after),
                loosens=after is None or not covers(after, before),
            )
    for name, after in new.items():
        if name not in old:
            yield Change(key=f'{prefix} "{name}"', before="", after=spell(after), loosens=False)


def evidence(old: Sequence[str], new: Sequence[str], prefix: str = "gate.") -> Iterator[Change]:
    """Yield a change where other platforms' reviews count: each further one loosens."""
    if set(old) != set(new):
        yield Change(key=f"{prefix}evidence", before=listed(old), after=listed(new), loosens=not set(new) <= set(old))


def break_glass(old: BreakGlass | None, new: BreakGlass | None, prefix: str = "gate.") -> Iterator[Change]:
    """Yield a change of who may go past the gate, and by when somebody looks at it."""
    if old != new:
        less = new is None or (
            old is not None and set(new.groups) <= set(old.groups) and new.review_within <= old.review_within
        )
        yield Change(key=f"{prefix}break_glass", before=_glass(old), after=_glass(new), loosens=not less)


def approvers(old: Iterable[ApproverKey], new: Iterable[ApproverKey], *, whole: bool) -> Iterator[Change]:
    """Yield who may approve by which key that could not before, or for a longer time; and who no more, where whole."""
    before, after = _who(old), _who(new)
    for who, times in after.items():
        if before.get(who) != times:
            known = before.get(who, frozenset())
            wider = any(not any(_within(time, old_time) for old_time in known) for time in times)
            if wider or whole:
                yield Change(
                    key="gate.approvers",
                    before=f"{' '.join(who)} at other times" if known else "",
                    after=" ".join(who),
                    loosens=wider,
                )
    if whole:
        for who in before:
            if who not in after:
                yield Change(key="gate.approvers", before=" ".join(who), after="", loosens=False)


_Times = tuple[int | None, int | None]


def _who(keys: Iterable[ApproverKey]) -> dict[tuple[str, str], frozenset[_Times]]:
    found: dict[tuple[str, str], frozenset[_Times]] = {}
    for key in keys:
        for principal in key.principals:
            who = (principal, key.key)
            found[who] = found.get(who, frozenset()) | {(key.valid_after, key.valid_before)}
    return found


def _within(inner: _Times, outer: _Times) -> bool:
    starts = outer[0] is None or (inner[0] is not None and inner[0] >= outer[0])
    return starts and (outer[1] is None or (inner[1] is not None and inner[1] <= outer[1]))


def groups(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]], *, whole: bool) -> Iterator[Change]:
    """Yield the groups that have other members. Each further member loosens; so does a group that was not there."""
    for name in sorted({*old, *new} if whole else new):
        before, after = old.get(name, ()), new.get(name, ())
        if set(before) != set(after):
            further = not set(after) <= set(before)
            if further or whole:
                yield Change(key=f"gate.groups.{name}", before=listed(before), after=listed(after), loosens=further)


def identities(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> Iterator[Change]:
    """Yield the persons who have other names: what is no longer joined could pass for two persons."""
    for person in sorted({*old, *new}):
        before, after = old.get(person, ()), new.get(person, ())
        if set(before) != set(after):
            yield Change(
                key=f"identities.{person}",
                before=listed(before),
                after=listed(after),
                loosens=not set(before) <= set(after),
            )


def identity(old: IdentitySettings, new: IdentitySettings, *, whole: bool) -> Iterator[Change]:
    """Yield what differs in whose tokens are believed, and what marks an agent."""
    default = type(new)()
    if set(old.issuers) != set(new.issuers) and (whole or new.issuers):
        # Where none are named, all well-known platforms' are.
        less = set(new.issuers) <= set(old.issuers) and bool(new.issuers)
        yield Change(key="identity.issuers", before=listed(old.issuers), after=listed(new.issuers), loosens=not less)
    for key in ("audience", "jwks", "agents"):
        before, after = getattr(old, key), getattr(new, key)
        if before != after and (whole or after != getattr(default, key)):
            yield Change(key=f"identity.{key}", before=_word(before), after=_word(after), loosens=True)


def _glass(value: BreakGlass | None) -> str:
    return "" if value is None else f"{listed(value.groups)} within {durations.spell(value.review_within)}"


def _word(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple():
            return listed([str(one) for one in value]) or "none"
        case int() | str():
            return str(value)
    return durations.spell(value)  # type: ignore[arg-type] # what is left is a duration
