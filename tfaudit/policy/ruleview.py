"""What do a plan, a change and an actor look like to a rule in CEL?

Nothing in them is null: what has no value is not there, so that ``has(…)`` answers every question of this kind.
``change.before`` and ``change.after`` are always objects, empty where there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tfaudit.canonical import readable
from tfaudit.identity.actor import Actor
from tfaudit.plan import policyview
from tfaudit.plan.parse import Plan
from tfaudit.policy.celscan import SIDES, Reads
from tfaudit.policy.rules import PLACEHOLDERS

_PART: Final = 64
"""Changes that are handed over at once."""
_LONGEST: Final = 500
# What a rule over the whole plan sees of each change: no values, of which a large plan has too many.
_LIGHT: Final = (
    "address",
    "previous_address",
    "deposed",
    "module",
    "mode",
    "type",
    "name",
    "index",
    "provider",
    "action",
    "action_reason",
    "importing",
)
_ALWAYS: Final = frozenset(_LIGHT) | {"actions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some changes on their way to the rules."""

    views: list[dict[str, Any]]
    """As the rules see them, without what none of them reads."""
    light: list[dict[str, Any]]
    """The same changes without values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A plan as rules see it."""

    of: Plan
    reveal: bool
    actor: Mapping[str, object]

    @property
    def plan(self) -> dict[str, Any]:
        """``plan``, but for its changes and outputs, which only a rule over the whole plan sees."""
        counts = msgspec.structs.asdict(self.of.counts)
        engine = {"engine_version": self.of.engine_version} if self.of.engine_version else {}
        return {"counts": counts, "errored": bool(self.of.errored), **engine}

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The outputs that change: ``name``, ``action``, ``sensitive``."""
        return [
            {"name": one["name"], "action": one["action"], "sensitive": one["sensitive"]}
            for one in policyview.outputs(self.of)
        ]

    def changes(self, reads: Reads) -> Iterator[Part]:
        """Yield the changes, part by part, each with what the rules read of it.

        Raises :class:`InputError` for a change that can't be read.
        """
        fields = None if reads.fields is None else reads.fields | _ALWAYS
        wanted = policyview.Wanted(fields=fields, members=reads.members)
        part = Part(views=[], light=[])
        for view in policyview.changes(self.of, reveal=self.reveal, wanted=wanted):
            part.light.append({name: view[name] for name in _LIGHT if view[name] is not None})
            part.views.append(_reduced(view, reads))
            if len(part.views) == _PART:
                yield part
                part = Part(views=[], light=[])
        if part.views:
            yield part


def actor_view(actor: Actor) -> dict[str, object]:
    """Return an actor as rules see it: ``principal``, ``level``, ``identities``.

    ``agent`` and ``on_behalf_of`` are there where a software agent acts, and where it says for whom.
    """
    view: dict[str, object] = {
        "principal": readable(actor.principal),
        "level": actor.level,
        "identities": sorted(readable(name) for name in actor.identities),
    }
    if actor.agent is not None:
        view["agent"] = readable(actor.agent.name)
        if actor.agent.on_behalf_of:
            view["on_behalf_of"] = readable(actor.agent.on_behalf_of)
    return view


def label(light: Mapping[str, Any]) -> dict[str, str]:
    """Return what a message may say of a change."""
    return {name: one_line(str(light.get(name, ""))) for name in PLACEHOLDERS}


def one_line(text: str) -> str:
    """Return a text that is safe to print, on one line and not too long."""
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    if cut.isprintable():
        return cut
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in cut)


def _reduced(view: dict[str, Any], reads: Reads) -> dict[str, Any]:
    found = {}
    for name, value in view.items():
        if name in SIDES or (reads.fields is not None and name not in reads.fields):
            continue
        if value is not None:
            found[name] = value
    for side in SIDES:
        if reads.fields is None or side in reads.fields:
            value = view[side]
            members = value.items() if isinstance(value, dict) else ()
            kept = ((name, one) for name, one in members if reads.members is None or name in reads.members)
            found[side] = dict(kept)
    return found
