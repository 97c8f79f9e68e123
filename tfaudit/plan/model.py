"""What does a plan say, in the engine's own words and without its secrets?

Field names are those of the engine's plan JSON; each docstring says when a value is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from tfaudit.plan.attributes import AttributeChange

ChangeKind = Literal["resource-change", "drift", "deferred-change"]
Action = Literal["no-op", "create", "read", "update", "delete", "replace", "forget", "unknown"]

_SINGLE: Final[dict[str, Action]] = {
    "no-op": "no-op",
    "create": "create",
    "read": "read",
    "update": "update",
    "delete": "delete",
    "forget": "forget",
}
_REPLACE: Final = frozenset(
    {("delete", "create"), ("create", "delete"), ("create", "forget"), ("forget", "create")},
)


def derive_action(actions: Sequence[str]) -> Action:
    """Return the one action that ``actions``, as the engine spelled them, amount to; ``unknown`` for a new spelling."""
    if len(actions) == 1:
        return _SINGLE.get(actions[0], "unknown")
    return "replace" if tuple(actions) in _REPLACE else "unknown"


class Importing(NamedTuple):
    """What a change imports; ``text`` is the JSON text of the id or identity, None where the engine doesn't say it."""

    text: bytes | None


class ResourceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``resource_changes``, ``resource_drift`` or ``deferred_changes``; its key is address and deposed."""

    kind: ChangeKind
    address: str
    previous_address: str | None
    """The address before a move; None where nothing moved."""
    deposed: str | None
    module: str | None
    """The module instance's address; None for the root module."""
    mode: str
    """``managed``, ``data`` or ``ephemeral``; what the engine says, also if it is new."""
    type: str
    name: str
    index: str | int | None
    """The instance key; None for a single instance."""
    provider: str
    actions: tuple[str, ...]
    action: Action
    action_reason: str | None
    importing: Importing | None
    attributes: tuple[AttributeChange, ...]
    withheld: bool
    """True where the plan has no sensitivity marks, so that every value is withheld."""
    deferred_reason: str | None = None


class OutputChange(msgspec.Struct, frozen=True, kw_only=True):
    """One member of ``output_changes`` that is not a no-op."""

    name: str
    actions: tuple[str, ...]
    action: Action
    attributes: tuple[AttributeChange, ...]
    withheld: bool


class ActionInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """A provider action that the apply invokes: a side effect without a resource change (Terraform 1.14 and later)."""

    address: str
    type: str
    name: str
    provider: str
    triggering_address: str | None
    """The resource whose lifecycle triggers it; None where it is invoked by name."""
    trigger_event: str | None
    attributes: tuple[AttributeChange, ...]
    deferred_reason: str | None = None


class CheckInstance(NamedTuple):
    """One instance of a check that did not pass, with the messages of its problems."""

    address: str
    status: str
    problems: tuple[str, ...]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one checked object: ``pass``, ``fail``, ``error`` or ``unknown``."""

    address: str
    kind: str
    status: str
    instances: tuple[CheckInstance, ...]
    passed: int
    """How many instances passed; they are not listed."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many resource changes there are of each action; no-ops are counted here and nowhere else."""

    no_op: int = 0
    create: int = 0
    read: int = 0
    update: int = 0
    delete: int = 0
    replace: int = 0
    forget: int = 0
    unknown: int = 0
    moved: int = 0
    imported: int = 0
    drift: int = 0
    outputs: int = 0
    deferred: int = 0
    action_invocations: int = 0
    checks: int = 0

    @property
    def listed(self) -> bool:
        """Return whether the plan has anything to record besides no-ops."""
        changing = self.create + self.update + self.delete + self.replace + self.forget + self.unknown
        return bool(changing + self.read + self.moved + self.imported + self.outputs + self.action_invocations)
