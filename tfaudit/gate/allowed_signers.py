"""Who may approve, by which keys, valid when: the approvers file, in OpenSSH's form.

ssh-keygen(1), ALLOWED SIGNERS: one key a line, ``PRINCIPALS [OPTIONS] TYPE BASE64 [COMMENT]``. Here a principal is a
name, never a pattern, and there are no certificates: who may approve must stand in the file itself. A time without a
``Z`` is UTC, where OpenSSH takes the reader's own zone: a decision must not depend on who looks at it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError
from tfaudit.gate import words
from tfaudit.gate.model import ApproverKey
from tfaudit.regular import open_regular
from tfaudit.signing import sshkeys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tfaudit.signing.sshkeys import SshKey

NAMESPACE: Final = "tfaudit-approval"
"""What an approval is signed for, so that no signature for anything else can pass as one."""
MAX_FILE: Final = 1_000_000
MAX_LINE: Final = 16_384
MAX_KEYS: Final = 10_000
MAX_PRINCIPAL: Final = 320

_BLANK: Final = " \t"
_TIME: Final = re.compile(r"(\d{8})(?:(\d{4})(\d\d)?)?[Zz]?", re.ASCII)
_OPTION: Final = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)"|=([^",]*))?(,|$)')
_TIMES: Final = ("valid-after", "valid-before")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What stands between the principals and the key; None where it does not."""

    namespaces: str | None = None
    valid_after: int | None = None
    valid_before: int | None = None


def read(path: Path) -> tuple[ApproverKey, ...]:
    """Return the keys of an approvers file; :class:`ConfigError` as :func:`parse`, and where it can't be read."""
    try:
        with open_regular(path) as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(
            f"the approvers file {path} can't be read: {error.strerror}",
            hint="one line for each key: alice@example.com ssh-ed25519 AAAA…",
        ) from error
    if len(content) > MAX_FILE:
        raise ConfigError(f"the approvers file {path} is larger than {MAX_FILE} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"the approvers file {path} is not UTF-8") from error
    return parse(text, what=str(path))


def parse(text: str, *, what: str) -> tuple[ApproverKey, ...]:
    """Return the keys that may sign approvals, one for each such line, in order.

    A line whose ``namespaces`` leave out :data:`NAMESPACE` is for other signatures, and passed over. Raises
    :class:`ConfigError`, naming ``what`` and the line, for everything that is not understood: who may approve is not to
    be guessed at.
    """
    found: list[ApproverKey] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            key = _line(line.removesuffix("\r"))
        except InputError as error:
            raise ConfigError(f"{what} line {number}: {error.message}", hint=error.hint) from error
        if key is not None:
            found.append(key)
        if len(found) > MAX_KEYS:
            raise ConfigError(f"{what} lists more than {MAX_KEYS} keys")
    return tuple(found)


def valid(key: ApproverKey, at: int) -> bool:
    """Tell whether the line holds at this time, milliseconds since the epoch; both ends belong to it, as in OpenSSH."""
    if key.valid_after is not None and at < key.valid_after:
        return False
    return key.valid_before is None or at <= key.valid_before


def find(keys: Iterable[ApproverKey], fingerprint: str, at: int) -> tuple[ApproverKey, ...]:
    """Return the lines of the key with this fingerprint that hold at this time."""
    return tuple(key for key in keys if key.key == fingerprint and valid(key, at))


def principals(lines: Iterable[ApproverKey]) -> tuple[str, ...]:
    """Return the principals of these lines, each once, in order."""
    return tuple(dict.fromkeys(name for line in lines for name in line.principals))


def _line(line: str) -> ApproverKey | None:
    """Return the key of one line; None for a blank one, a comment and a key for other namespaces."""
    if len(line) > MAX_LINE:
        raise InputError(f"longer than {MAX_LINE} characters")
    rest = line.strip(_BLANK)
    if not rest or rest.startswith("#"):
        return None
    names, rest = _first_field(rest)
    people = _principals(names)
    options = _Options()
    if rest.partition(" ")[0].partition("\t")[0] not in sshkeys.KINDS:
        text, rest = _options_field(rest)
        options = _options(text)
    key = _key(rest)
    if options.namespaces is not None and not _matches(NAMESPACE, options.namespaces):
        return None
    return ApproverKey(
        principals=people,
        key=key.fingerprint,
        public=key.text,
        valid_after=options.valid_after,
        valid_before=options.valid_before,
    )


def _first_field(text: str) -> tuple[str, str]:
    """Return the first field, which may be quoted to hold spaces, and what follows."""
    if text.startswith('"'):
        inside, quote, rest = text[1:].partition('"')
        if not quote or (rest and rest[0] not in _BLANK):
            raise InputError("the principals have a quote without its end")
        return inside, rest.lstrip(_BLANK)
    field = re.split(r"[ \t]", text, maxsplit=1)
    return field[0], field[1].lstrip(_BLANK) if len(field) > 1 else ""


def _principals(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name.startswith("!") or "*" in name or "?" in name:
            raise InputError(
                f"the principal {words.line(name)} is a pattern", hint="name each approver in full; no * ? or !"
            )
        if not name or name != name.strip() or len(name) > MAX_PRINCIPAL or not name.isprintable():
            raise InputError("a principal is empty, too long, or has characters that can't be printed")
    return names


def _options_field(text: str) -> tuple[str, str]:
    """Return the options, which end at a space outside quotes, and what follows."""
    quoted = False
    for at, letter in enumerate(text):
        if letter == '"' and (at == 0 or text[at - 1] != "\\"):
            quoted = not quoted
        elif letter in _BLANK and not quoted:
            return text[:at], text[at:].lstrip(_BLANK)
    if quoted:
        raise InputError("an option has a quote without its end")
    raise InputError("there is no key after the principals", hint="PRINCIPALS [OPTIONS] TYPE BASE64 [COMMENT]")


def _options(text: str) -> _Options:
    found: dict[str, str] = {}
    for name, value in _pairs(text):
        if name == "cert-authority":
            raise InputError("cert-authority is not taken", hint="list the approvers' own keys")
        if name not in ("namespaces", *_TIMES):
            raise InputError(
                f"the option or key type {words.line(name)} is unknown",
                hint=f"options: namespaces, {', '.join(_TIMES)}; types: {', '.join(sshkeys.KINDS)}",
            )
        if name in found:
            raise InputError(f"{name} stands twice")
        if not value:
            raise InputError(f"{name} has no value", hint=f'{name}="…"')
        found[name] = value
    after, before = (_time(found[name], name) if name in found else None for name in _TIMES)
    if after is not None and before is not None and before <= after:
        raise InputError("valid-before is not after valid-after")
    return _Options(namespaces=found.get("namespaces"), valid_after=after, valid_before=before)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each option's name in lower case and its value, "" without one."""
    at = 0
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            # Neither an option nor a known type of key: say what stands there.
            raise InputError(
                f"neither options nor a known type of key: {words.line(text[at:])}",
                hint=f"types: {', '.join(sshkeys.KINDS)}",
            )
        name, quoted, bare, comma = match.groups()
        yield name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare or ""
        at = match.end()
        if comma and at == len(text):
            raise InputError("the options end with a comma")


def _time(text: str, name: str) -> int:
    match = _TIME.fullmatch(text)
    if match is not None:
        day, minute, second = match.groups()
        with suppress(ValueError):
            moment = datetime.strptime(f"{day}{minute or '0000'}{second or '00'}Z", "%Y%m%d%H%M%S%z")
            return words.instant(moment)
    raise InputError(f"{name} is not a time", hint="YYYYMMDD[HHMM[SS]][Z], in UTC")


def _key(text: str) -> SshKey:
    fields = text.split(maxsplit=2)
    if len(fields) < 2:
        raise InputError("there is no key after the principals", hint="PRINCIPALS [OPTIONS] TYPE BASE64 [COMMENT]")
    return sshkeys.parse_text(f"{fields[0]} {fields[1]}", what="the key")


def _matches(name: str, patterns: str) -> bool:
    """Tell whether a name matches OpenSSH's list of patterns (ssh_config(5)): one that is negated excludes it."""
    matched = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        if _like(name, pattern.removeprefix("!")):
            if negated:
                return False
            matched = True
    return matched


def _like(name: str, pattern: str) -> bool:
    """Tell whether a name matches one pattern with ``*`` and ``?``: which starts of it each letter more can match."""
    ends = {0}
    for letter in pattern:
        if letter == "*":
            ends = set(range(min(ends), len(name) + 1)) if ends else ends
        else:
            ends = {end + 1 for end in ends if end < len(name) and letter in ("?", name[end])}
    return len(name) in ends
