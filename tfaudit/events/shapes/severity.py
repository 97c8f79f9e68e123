"""How grave is what a document tells: 1 (nothing changes) to 5 (look at it now)?

1 no-op, read; 2 create, update; 3 IAM, network, key policy, policy warning; 4 delete, replace; 5 stateful or production
destroy, break-glass, unapproved, unrecorded change. What each word covers stands in docs/schemas.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tfaudit.events.shapes.kinds import is_iam, is_key_policy, is_network, is_production, is_stateful

_ACTIONS: Final = {
    "no-op": 1,
    "read": 1,
    "create": 2,
    "update": 2,
    "forget": 2,
    "delete": 4,
    "replace": 4,
    # What we don't know may be as grave.
    "unknown": 4,
}
_DESTROYS: Final = frozenset({"delete", "replace", "unknown"})
_NOTHING: Final = frozenset({"declined", "not-started"})
"""What came of a run that changed nothing."""
_COMMANDS: Final = {
    "destroy": 4,
    "apply": 4,
    "state push": 4,
    "workspace delete": 4,
    "force-unlock": 3,
    "state rm": 3,
    "state replace-provider": 3,
}
"""Commands of which there are no changes to look at, by what they may do; 2 for every other one."""
_DESTRUCTIVE: Final = frozenset({"destroy", "state push", "workspace delete"})
"""Those of which the outcome is as grave: what else an apply did, the outcomes of its changes tell."""
_RECORDS: Final = {
    "access": 1,
    "adopt": 1,
    "config": 3,
    "erasure": 4,
    "retention": 2,
    "finding": 5,
    "external": 5,
}
_DIAGNOSTICS: Final = {"error": 3, "warning": 2}


def of(body: Mapping[str, Any]) -> int:
    """Return the severity of a document's body, 1 to 5."""
    kind = body.get("kind")
    if kind == "record":
        grave = _of_record(body)
    elif kind == "operation":
        grave = _of_command(body)
    elif kind == "check":
        grave = 3 if body.get("status") in ("fail", "error") else 1
    elif kind == "diagnostic":
        grave = _DIAGNOSTICS.get(str(body.get("diagnostic_severity")), 1)
    elif kind == "note":
        # The engine changed what no plan had said it would.
        return 5 if body.get("code") == "unplanned" else 1
    else:
        grave = _of_change(body)
    return 5 if grave > 1 and body.get("break_glass") else grave


def grade(body: Mapping[str, Any]) -> int:
    """Return the severity that a document says it has, 1 to 5; where it says none, what it is judged to be."""
    said = body.get("severity")
    return said if isinstance(said, int) and 1 <= said <= 5 and said is not True else of(body)


def _of_change(body: Mapping[str, Any]) -> int:
    said = body.get("action")
    action = said if isinstance(said, str) else "" if said is None else "unknown"
    grave = _ACTIONS.get(action, 2)
    if grave == 1 and (body.get("importing") or body.get("previous_address")):
        grave = 2
    if grave == 1:
        return 1
    of_type = body.get("type")
    kind = of_type if isinstance(of_type, str) else None
    if action in _DESTROYS and body.get("kind") != "output-change" and body.get("mode") != "data":
        return 5 if is_stateful(kind) or _in_production(body) else 4
    if body.get("kind") == "output-change":
        return 2
    return max(grave, 3) if is_iam(kind) or is_network(kind) or is_key_policy(kind) else grave


def _of_record(body: Mapping[str, Any]) -> int:
    record = body.get("record")
    if body.get("decision") == "deny" or body.get("unrecorded") or _status(body) == "denied":
        return 5
    if record in ("plan", "intent"):
        grave = _of_counts(body) if body.get("plan") else _of_command(body)
        return max(grave, 3) if _warned(body) else grave
    if record in ("outcome", "operation"):
        if str(_status(body)) in _NOTHING:
            return 1
        return _of_command(body) if str(body.get("command")) in _DESTRUCTIVE else 2
    if record == "retention" and _member(body, "retention", "action") in ("prune", "release"):
        return 4
    return _RECORDS.get(str(record), 2)


def _of_counts(body: Mapping[str, Any]) -> int:
    """Return how grave a plan's changes are, as far as their numbers tell."""
    counts = _member(body, "plan", "counts")
    if not isinstance(counts, Mapping):
        return 2
    if any(counts.get(name) for name in _DESTROYS):
        return 5 if _in_production(body) else 4
    return 2 if any(counts.get(name) for name in ("create", "update", "forget", "moved", "imported", "outputs")) else 1


def _of_command(body: Mapping[str, Any]) -> int:
    grave = _COMMANDS.get(str(body.get("command")), 2)
    return 5 if grave == 4 and _in_production(body) else grave


def _warned(body: Mapping[str, Any]) -> bool:
    policy = body.get("policy")
    if not isinstance(policy, list | tuple):
        return False
    return any(
        one.get(name)
        for one in policy
        if isinstance(one, Mapping)
        for name in ("warned", "required", "denied", "failed")
    )


def _status(body: Mapping[str, Any]) -> object:
    return _member(body, "result", "status")


def _in_production(body: Mapping[str, Any]) -> bool:
    stack, workspace = body.get("stack"), body.get("workspace")
    return is_production(stack if isinstance(stack, str) else None, workspace if isinstance(workspace, str) else None)


def _member(body: Mapping[str, Any], name: str, key: str) -> object:
    value = body.get(name)
    return value.get(key) if isinstance(value, Mapping) else None
