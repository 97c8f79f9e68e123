"""Which inputs of an apply does no plan bind?

Some are never bound (:func:`always`): another state's place, a provider that is somebody's own build. Others are
compared with what was there at the plan (:class:`Inputs`): the values of ephemeral variables, which a plan file doesn't
hold, and the options that TF_CLI_ARGS brings. The plan's record has a digest of these under that record's own key, so
that nobody without the key can guess a value.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfaudit.canonical import frame
from tfaudit.engine import clifile, flags, varfiles, words
from tfaudit.engine.invocation import Invocation

_EPHEMERAL: Final = b"tfaudit/ephemeral/v1\n"
_CLI_ARGS: Final = b"tfaudit/cli-args/v1\n"
_PREFIX: Final = "TF_VAR_"
_STATE_OPTIONS: Final = ("state", "state-out")

# What these say of an apply changes nothing that it does: how it is shown, how fast it goes, where a copy is kept.
_HARMLESS: Final = frozenset(
    (
        "auto-approve",
        "backup",
        "compact-warnings",
        "concise",
        "consolidate-errors",
        "consolidate-warnings",
        "deprecation",
        "detailed-exitcode",
        "input",
        "json",
        "json-into",
        "lock",
        "lock-timeout",
        "no-color",
        "out",
        "parallelism",
        "show-sensitive",
        "suppress-forget-errors",
    )
)


def always(invocation: Invocation, environ: Mapping[str, str], *, brand: str, cwd: Path) -> tuple[str, ...]:
    """Return one line for each input that is refused under a gate, whatever was planned.

    ``cwd`` is the process' directory, from where TF_CLI_CONFIG_FILE counts. ``-backup`` is none of them: what is
    written there is a copy.
    """
    found = [
        f"-{name} puts the state elsewhere; remove it, also from TF_CLI_ARGS, and say in a backend where the state is"
        for name in _STATE_OPTIONS
        if invocation.given(name)
    ]
    if environ.get("TF_REATTACH_PROVIDERS"):
        found.append("TF_REATTACH_PROVIDERS has a running program in a provider's place; unset it")
    return (*found, *clifile.overrides(environ, brand=brand, cwd=cwd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run gives the engine besides its plan."""

    ephemeral: Mapping[str, bytes | None]
    """The ephemeral variables as they are spelled: a value, or the file that sets it; None for one that can't be read
    a second time."""
    cli_args: tuple[str, ...]
    """The options of TF_CLI_ARGS and its like that matter to an apply."""

    def digests(self, key: bytes) -> dict[str, str]:
        """Return the members ``ephemeral`` and ``cli_args``, each where there is any, for the plan's record.

        They are HMAC-SHA-256 under the record's key, 64 hexadecimal digits.
        """
        found = {}
        if self.ephemeral and None not in self.ephemeral.values():
            given = sorted((name.encode(), value or b"") for name, value in self.ephemeral.items())
            found["ephemeral"] = _digest(key, _EPHEMERAL, [part for pair in given for part in pair])
        if self.cli_args:
            found["cli_args"] = _digest(
                key, _CLI_ARGS, [word.encode("utf-8", "surrogateescape") for word in self.cli_args]
            )
        return found

    def differing(self, key: bytes, stored: Mapping[str, str]) -> tuple[str, ...]:
        """Return one line for each input that is not what it was at the plan whose record has ``key`` and ``stored``.

        What was there at the plan and is no longer needed at the apply is no difference.
        """
        own = self.digests(key)
        found = []
        if self.ephemeral and not _same(own.get("ephemeral"), stored.get("ephemeral")):
            names = ", ".join(sorted(self.ephemeral))
            found.append(
                f"an ephemeral variable has another value, or is given in another way, than at the plan: {names}"
            )
        if self.cli_args and not _same(own.get("cli_args"), stored.get("cli_args")):
            found.append("TF_CLI_ARGS or TF_CLI_ARGS_<command> has options that it did not have at the plan; unset it")
        return tuple(found)


def inputs(invocation: Invocation, environ: Mapping[str, str], *, root: Path, ephemeral: Collection[str]) -> Inputs:
    """Return what this run brings; ``ephemeral`` names the variables that the plan file doesn't hold.

    ``root`` is the engine's directory, from where variable files count.
    """
    given = _spelled(invocation, environ, root) if ephemeral else {}
    return Inputs(
        ephemeral={name: given.get(name) for name in ephemeral},
        cli_args=_cli_args(environ, invocation.spelled),
    )


def _spelled(invocation: Invocation, environ: Mapping[str, str], root: Path) -> dict[str, bytes]:
    """Return every variable that is given, as its last giver spells it: the order is the engine's."""
    found = {
        name.removeprefix(_PREFIX): value.encode("utf-8", "surrogateescape")
        for name, value in environ.items()
        if name.startswith(_PREFIX)
    }
    for path in varfiles.automatic(root):
        found |= _from_file(path)
    for flag in invocation.flags:
        if flag.name == "var":
            name, _, value = (flag.value or "").partition("=")
            found[name.strip()] = value.encode("utf-8", "surrogateescape")
        elif flag.name == "var-file":
            found |= _from_file(root / (flag.value or ""))
    return found


def _from_file(path: Path) -> dict[str, bytes]:
    text = varfiles.content(path)
    return dict.fromkeys(varfiles.names(path, text), text)


def _cli_args(environ: Mapping[str, str], command: str) -> tuple[str, ...]:
    specific = "TF_CLI_ARGS_" + command.replace("-", "_").replace(" ", "_")
    split: list[str] = []
    for name in (specific, "TF_CLI_ARGS"):
        try:
            split += words.split(environ.get(name, ""))
        except words.WordsError:
            split.append(environ[name])  # the engine refuses it too
    parsed = flags.skim(tuple(split))
    options = tuple(flag.word() for flag in parsed.flags if flag.name not in _HARMLESS)
    return (*options, *parsed.positionals)


def _digest(key: bytes, domain: bytes, parts: list[bytes]) -> str:
    return hmac.new(key, domain + frame(*parts), hashlib.sha256).hexdigest()


def _same(own: str | None, stored: str | None) -> bool:
    return own is not None and stored is not None and hmac.compare_digest(own, stored)
