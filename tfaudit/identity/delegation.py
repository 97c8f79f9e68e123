"""Has a person signed that an agent acts for them: which agent, where, and until when?

The document is canonical JSON in a DSSE envelope, payload type :data:`PAYLOAD_TYPE`, signed as an approval is, but for
a purpose of its own: ``{"format": "tfaudit-delegation/v1", "agent", "person", "stacks": [pattern, …], "made",
"expires", "nonce"}``. Whoever calls opens the envelope, and says whose the key is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn, Protocol

from tfaudit import canonical
from tfaudit.errors import InputError, VerificationError
from tfaudit.identity import names
from tfaudit.identity.people import People
from tfaudit.regular import open_regular

FORMAT: Final = "tfaudit-delegation/v1"
PAYLOAD_TYPE: Final = "application/vnd.tfaudit.delegation.v1+json"
NAMESPACE: Final = "tfaudit-delegation"
"""Of SSH signatures: no approval can pass for a delegation, nor the other way round."""
MAX_BYTES: Final = 64 * 1024
MAX_DAYS: Final = 366
LEEWAY: Final = timedelta(minutes=5)

_AGENT: Final = re.compile(r"[a-z0-9][a-z0-9_.@/-]{0,63}")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_MAX_TEXT: Final = 300
_MAX_STACKS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What a person says. Nothing about it is checked but its form."""

    agent: str
    person: str
    """As in the approvers file, or as a canonical name."""
    stacks: tuple[str, ...]
    """Patterns; none: every stack."""
    made: datetime
    expires: datetime
    nonce: str
    """32 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An envelope that was opened, its signature good."""

    payload: bytes
    fingerprint: str
    """``SHA256:…`` of the key."""
    principals: tuple[str, ...]
    """Whose key the approvers file says it is, at the time; none where no file says."""


class Checker(Protocol):
    """What it takes to check a delegation, from the parts that know keys and configuration."""

    def open(self, envelope: bytes) -> Signed:
        """Return what an envelope holds; :class:`InputError` for a broken one and for a signature that is wrong."""

    def covers(self, stacks: tuple[str, ...]) -> bool:
        """Tell whether the stack at hand is among the patterns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegated:
    """A delegation that holds: a person's own key signed it, and it is in time."""

    agent: str
    person: str
    """The canonical name."""
    claims: tuple[tuple[str, str], ...]
    identities: tuple[str, ...]


def build(delegation: Delegation) -> bytes:
    """Return the document's bytes; :class:`InputError` for one that :func:`parse` would not read back."""
    payload = canonical.encode(
        {
            "format": FORMAT,
            "agent": delegation.agent,
            "person": delegation.person,
            "stacks": list(delegation.stacks),
            "made": delegation.made.astimezone(UTC).strftime(_TIME),
            "expires": delegation.expires.astimezone(UTC).strftime(_TIME),
            "nonce": delegation.nonce,
        }
    )
    parse(payload)
    return payload


def parse(payload: bytes) -> Delegation:
    """Return what a document says; :class:`InputError` unless it is exact in form and within its limits."""
    if len(payload) > MAX_BYTES:
        raise InputError(f"the delegation is longer than {MAX_BYTES} bytes")
    match canonical.decode(payload, what="the delegation"):
        case {
            "format": "tfaudit-delegation/v1",
            "agent": str(agent),
            "person": str(person),
            "stacks": list(stacks),
            "made": str(made),
            "expires": str(expires),
            "nonce": str(nonce),
            **rest,
        } if not rest:
            pass
        case _:
            raise InputError(f"the delegation is not of the format {FORMAT}, or not whole")
    if not _AGENT.fullmatch(agent):
        raise InputError("the delegation's agent is none", hint='small letters and digits, as in "claude-code"')
    if not 0 < len(person) <= _MAX_TEXT or not re.fullmatch(r"[0-9a-f]{32}", nonce):
        raise InputError("the delegation's person or nonce is none")
    if len(stacks) > _MAX_STACKS or not all(isinstance(stack, str) and 0 < len(stack) <= _MAX_TEXT for stack in stacks):
        raise InputError("the delegation's stacks are no list of patterns")
    found = Delegation(
        agent=agent,
        person=person,
        stacks=tuple(stacks),
        made=_moment(made),
        expires=_moment(expires),
        nonce=nonce,
    )
    if not timedelta(0) < found.expires - found.made <= timedelta(days=MAX_DAYS):
        raise InputError(f"the delegation is not for a time of up to {MAX_DAYS} days")
    return found


def read(
    path: Path,
    checker: Checker | None,
    people: People,
    person_name: Callable[[str], str | None],
    *,
    now: datetime,
) -> Delegated:
    """Return the delegation in a file, found to hold; ``person_name`` gives a principal's canonical name.

    The key must be the person's: by the approvers file, or by a name ``ssh:SHA256:…`` in ``[identities]``. Raises
    :class:`InputError` or :class:`VerificationError` with the reason why it does not count.
    """
    if checker is None:
        raise VerificationError(f"the delegation in {path} can't be checked here")
    signed = checker.open(_bytes(path))
    said = parse(signed.payload)
    person = person_name(said.person)
    principals = tuple(name for each in signed.principals if (name := person_name(each)))
    key_name = f"ssh:{signed.fingerprint}"
    if person is None or people.person(person) not in people.persons((*principals, key_name)):
        _refuse(f"nothing says that its key {signed.fingerprint} is of the person it names")
    if now >= said.expires or now < said.made - LEEWAY:
        _refuse(f"it is for {said.made:{_TIME}} to {said.expires:{_TIME}}")
    if not checker.covers(said.stacks):
        _refuse("it is for other stacks")
    return Delegated(
        agent=said.agent,
        person=person,
        claims=(("key", signed.fingerprint), ("expires", f"{said.expires:{_TIME}}"), ("nonce", said.nonce)),
        identities=names.unique((person, key_name, *principals)),
    )


def _refuse(reason: str) -> NoReturn:
    raise VerificationError(f"the delegation does not count: {reason}")


def _bytes(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            found = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if len(found) > MAX_BYTES:
        raise InputError(f"{path} is longer than {MAX_BYTES} bytes")
    return found.removesuffix(b"\n")


def _moment(text: str) -> datetime:
    try:
        found = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError("a time of the delegation is none") from error
    if found.strftime(_TIME) != text:
        raise InputError("a time of the delegation is none")
    return found
