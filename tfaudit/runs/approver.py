"""Who approves: with which key, as which principal of the approvers in force, and may they judge this plan at all?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, UsageError
from tfaudit.gate import allowed_signers, words
from tfaudit.signing import sshkeys

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.gate.model import Rules, VoteKind
    from tfaudit.ledger.reader import Reader
    from tfaudit.signing.sshkeys import SshKey

_TIMEOUT_SECONDS: Final = 5
_USUAL: Final = ".ssh/id_ed25519"


def default_key(environ: Mapping[str, str], cwd: Path) -> str:
    """Return what names the key that is meant where none is given.

    That is git's signing key if it is an SSH key, else the usual file. Raises :class:`ConfigError` for neither.
    """
    configured = _git_config(environ, cwd, "user.signingkey")
    if configured:
        literal = configured.removeprefix("key::")
        if literal.partition(" ")[0] in sshkeys.KINDS:
            return literal
        if _git_config(environ, cwd, "gpg.format") == "ssh":
            return configured
    usual = Path(environ.get("HOME") or "~").expanduser() / _USUAL
    if usual.is_file():
        return str(usual)
    raise ConfigError(
        f"no key to sign with: git has no SSH signing key, and there is no {usual}",
        hint="--key FILE names one",
    )


def _git_config(environ: Mapping[str, str], cwd: Path, name: str) -> str:
    try:
        found = subprocess.run(
            ["git", "-c", "safe.bareRepository=explicit", "config", "--get", name],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.decode("utf-8", "replace").strip()


def rules_here(config: Config, reader: Reader, stack: str, recorded: Rules | None) -> tuple[Rules | None, str]:
    """Return the rules that an approval of this stack's plans meets now, and where its approvers stand.

    They are those in force; where this place has none for the stack, those that the plan was made under. None where
    nobody configured anything. Raises :class:`ConfigError` for a repository that loosens what is pinned.
    """
    from tfaudit.gate import inforce
    from tfaudit.ledger import pinned

    rules = inforce.rules_for(config, pinned.in_force(reader), stack)
    if rules is None or rules.approvers is None:
        return recorded, "the approvers that the plan was made under"
    if rules.pinned is not None:
        return rules, "the pinned configuration (tfaudit config show)"
    named = config.gate.approvers if config.gate is not None else None
    return rules, f"the approvers file {named}" if named else "the approvers in force"


def principal(key: SshKey, rules: Rules | None, *, wanted: str | None, at: int, where: str) -> str:
    """Return the principal as which the key's holder signs; ``wanted`` is the one they say.

    Raises :class:`ConfigError` for a key that is not listed, or not valid now, and :class:`UsageError` where it is
    listed for several people and none of them was named.
    """
    if rules is None or rules.approvers is None:
        if wanted is None:
            raise UsageError("no approvers are configured here", hint="--as NAME says who approves")
        return wanted
    lines = allowed_signers.find(rules.approvers, key.fingerprint, at)
    if not lines:
        raise _unlisted(key, rules, at, where)
    names = allowed_signers.principals(lines)
    if wanted is not None:
        if wanted not in names:
            raise ConfigError(
                f"{where} lists the key {key.fingerprint} for {words.listed(names)}, not for {words.line(wanted)}"
            )
        return wanted
    if len(names) > 1:
        raise UsageError(f"the key is listed for {words.listed(names)}", hint="--as NAME says as whom")
    return names[0]


def _unlisted(key: SshKey, rules: Rules, at: int, where: str) -> ConfigError:
    for line in rules.approvers or ():
        if line.key == key.fingerprint:
            early = line.valid_after is not None and at < line.valid_after
            edge = line.valid_after if early else line.valid_before
            when = f"from {words.moment(edge or 0)} on" if early else f"only until {words.moment(edge or 0)}"
            return ConfigError(f"{where} lets the key {key.fingerprint} approve {when}")
    return ConfigError(
        f"the key {key.fingerprint} is not in {where}",
        hint=f"have this line added there, after your name: {key.text}; or sign with another --key",
    )


def warnings(
    involved: frozenset[str], rules: Rules | None, name: str, key: SshKey, *, kind: VoteKind
) -> tuple[str, ...]:
    """Return what the gate will hold against this person's word, one line each: they may want to know before.

    ``involved`` are the names of those who may not judge it.
    """
    from tfaudit.gate.persons import principal_name
    from tfaudit.identity.people import People

    if rules is None or kind == "rejection":
        return ()
    people = People(rules.identities)
    mine = people.persons([principal_name(name), f"ssh:{key.fingerprint}"])
    found: list[str] = []
    if mine & people.persons(involved) and (kind == "review" or not rules.allow_self_approval):
        found.append("you had a part in this yourself: the gate will not count your word")
    if rules.require_touch and not key.on_token:
        found.append("only keys on a FIDO2 token count here, and this is none")
    if kind == "break-glass":
        found += _break_glass(rules, name)
    return tuple(found)


def _break_glass(rules: Rules, name: str) -> Iterator[str]:
    if rules.break_glass is None or rules.pinned is None:
        yield "break-glass is not enabled by a pinned configuration: the gate will not heed it"
        return
    members = {member for group in rules.break_glass.groups for member in rules.groups.get(group, ())}
    if name not in members:
        yield f"only members of {words.listed(rules.break_glass.groups)} may break the glass"
