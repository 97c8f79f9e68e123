"""Which engine calls stand for one invocation?

Pure: the environment comes in, nothing is run. A bare ``apply`` becomes ``plan -out``, ``show -json``, ``apply
PLANFILE`` and ``state pull``. ``TF_CLI_ARGS*`` are in the arguments already and are taken out of the environment, so
that they don't reach the wrong one of these calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tfaudit.engine.flags import Flag
from tfaudit.engine.invocation import GUARD, Invocation, Refusal, Role, parse

__all__ = [
    "GUARD",
    "Call",
    "Invocation",
    "Refusal",
    "Role",
    "apply_call",
    "help_filter",
    "parse",
    "plan_call",
    "probe_call",
    "show_call",
    "state_pull_call",
    "typed_call",
]

# What a saved plan doesn't hold and `apply PLANFILE` takes: the rest is in the plan, and the engine refuses it there.
_AT_APPLY: Final = frozenset(
    (
        "backup",
        "compact-warnings",
        "concise",
        "consolidate-errors",
        "consolidate-warnings",
        "deprecation",
        "input",
        "lock",
        "lock-timeout",
        "no-color",
        "parallelism",
        "show-sensitive",
        "state",
        "state-out",
        "suppress-forget-errors",
    )
)
_NOT_AT_PLAN: Final = frozenset(("auto-approve", "compact-warnings", "suppress-forget-errors", "json-into"))
"""Options of an apply that its plan doesn't get; warnings are made compact where the two halves come together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One engine process to start."""

    args: tuple[str, ...]
    """Its arguments, without the words that start the engine."""
    env: Mapping[str, str]
    """Its whole environment."""


def typed_call(invocation: Invocation, environ: Mapping[str, str]) -> Call:
    """Return the command exactly as it was typed."""
    return Call(args=invocation.typed, env=dict(environ))


def probe_call(invocation: Invocation, environ: Mapping[str, str]) -> Call | None:
    """Return the call that finds out whether the engine refuses a command line that we can't read; None if it must.

    It can't change anything. If what it prints holds GUARD, the engine can read the line and we must not let it run:
    that is a usage error. Otherwise the engine refuses the typed line, and running that shows its own words.
    """
    refusal = invocation.refusal
    if refusal is None or refusal.probe is None:
        return None
    return Call(args=refusal.probe, env=dict(environ) if refusal.expand else _inner(environ))


def plan_call(invocation: Invocation, environ: Mapping[str, str], *, out: str, sealed: bool = False) -> Call:
    """Return the plan, the user's own or the one inside an apply; it writes ``out`` unless the user gave -out.

    ``sealed``: it writes ``out`` all the same; the user's file is written by tfaudit.
    """
    own = None if sealed else invocation.out
    left = ("out",) if sealed else () if _is_plan(invocation) else _NOT_AT_PLAN
    options = [flag.word() for flag in invocation.flags if flag.name not in left]
    mode = ["-destroy"] if invocation.command == "destroy" else []
    file = [] if own else [f"-out={out}"]
    # The engine's advice on how to apply the file is edited away; TF_IN_AUTOMATION would change more than that.
    return Call(args=(*invocation.globals, "plan", *mode, *file, *options), env=_inner(environ))


def show_call(invocation: Invocation, environ: Mapping[str, str], *, plan_file: str) -> Call:
    """Return ``show -json`` of a saved plan."""
    return Call(args=(*invocation.globals, "show", "-json", plan_file), env=_quiet(invocation, _unlogged(environ)))


def state_pull_call(invocation: Invocation, environ: Mapping[str, str]) -> Call:
    """Return ``state pull``: the state with its lineage and serial on stdout, nothing when there is none."""
    return Call(args=(*invocation.globals, "state", "pull"), env=_quiet(invocation, _unlogged(environ)))


def apply_call(
    invocation: Invocation,
    environ: Mapping[str, str],
    *,
    plan_file: str,
    json: bool,
    json_into: str | None = None,
    ephemeral: Collection[str] = (),
) -> Call:
    """Return the apply of a saved plan, by its stream with ``json``.

    ``ephemeral`` names the variables that must be given again (:mod:`tfaudit.engine.variables`): older engines refuse
    every variable beside a plan file, newer ones all but these. A variable file is given whole: its other values are
    those of the plan.
    """
    env = _inner(environ)
    if invocation.plan_file:
        kept = [flag for flag in invocation.flags if flag.name not in ("json", "json-into")]
    else:
        kept = [flag for flag in invocation.flags if flag.name in _AT_APPLY or _is_ephemeral(flag, ephemeral)]
        env = _quiet(invocation, env)
    stream = ["-json"] if json else []
    into = [f"-json-into={json_into}"] if json_into else []
    options = [flag.word() for flag in kept]
    return Call(args=(*invocation.globals, "apply", *stream, *into, *options, plan_file), env=env)


def help_filter(invocation: Invocation) -> Callable[[bytes], bytes] | None:
    """Return what puts the typed command's name into the help hint of the plan inside an apply, or None for a plan."""
    if _is_plan(invocation):
        return None
    right = f" {invocation.spelled} -help\n".encode()
    return lambda line: line.replace(b" plan -help\n", right) if line.endswith(b" plan -help\n") else line


def _is_plan(invocation: Invocation) -> bool:
    return invocation.role is Role.PLAN


def _is_ephemeral(flag: Flag, ephemeral: Collection[str]) -> bool:
    if flag.name == "var":
        return (flag.value or "").partition("=")[0].strip() in ephemeral
    return flag.name == "var-file" and bool(ephemeral)


def _inner(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("TF_CLI_ARGS")}


def _unlogged(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in _inner(environ).items() if not name.startswith("TF_LOG")}


def _quiet(invocation: Invocation, env: dict[str, str]) -> dict[str, str]:
    """An empty file in place of the missing one: unsetting the variable would bring in ``~/.terraformrc``."""
    return {**env, "TF_CLI_CONFIG_FILE": os.devnull} if invocation.silence else env
