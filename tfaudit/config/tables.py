"""What do the tables ``[policy]``, ``[identity]`` and ``[identities]`` say?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast, get_args

from tfaudit.config.gating import IdentitySettings, InputShape, PolicySettings, RegoVersion
from tfaudit.config.place import Place
from tfaudit.config.reading import NAMES
from tfaudit.config.sources import FileSource, Source, Sources, overridden
from tfaudit.errors import ConfigError

MAX_SECONDS: Final = 600
MAX_MEMORY_MB: Final = 65_536

_ENGINES: Final = ("opa", "conftest", "regorus")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_IDENTITY: Final = re.compile(r"[a-z][a-z0-9-]{0,31}:\S.{0,298}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def policy(said: Sources) -> PolicySettings:
    """Return the ``[policy]`` that the sources ask for; :class:`ConfigError` for a wrong value, by name."""
    said.check("policy")
    default = PolicySettings()
    cel, rego = (said.text(f"policy.{key}", _path) for key in ("cel", "rego"))
    return PolicySettings(
        cel=None if cel is None else Path(cel),
        rego=None if rego is None else Path(rego),
        rego_version=cast(
            RegoVersion, _word(said, "policy.rego_version", get_args(RegoVersion)) or default.rego_version
        ),
        input=cast(InputShape, _word(said, "policy.input", get_args(InputShape)) or default.input),
        engine=cast("None", _word(said, "policy.engine", _ENGINES)),
        defaults=_or(said.flag("policy.defaults"), default.defaults),
        reveal=_or(said.flag("policy.reveal"), default.reveal),
        timeout_seconds=said.number("policy.timeout_seconds", most=MAX_SECONDS) or default.timeout_seconds,
        memory_mb=said.number("policy.memory_mb", least=64, most=MAX_MEMORY_MB) or default.memory_mb,
    )


def identity(said: Sources) -> IdentitySettings:
    """Return the ``[identity]`` that the sources ask for; :class:`ConfigError` for a wrong value, by name."""
    said.check("identity")
    if said.machine and said.machine.speaks_of("gate"):
        # Whose tokens are believed is part of the gate that the machine's file keeps.
        for key in ("issuers", "audience", "jwks", "agents"):
            said.must_be_the_machines(f"identity.{key}")
    issuers = said.texts("identity.issuers") or ()
    for issuer in issuers:
        if not is_url(issuer):
            raise ConfigError(f'{said.place("identity.issuers")} has "{issuer}"', hint='as in "https://issuer.example"')
    agents = said.texts("identity.agents")
    for name in agents or ():
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(f'{said.place("identity.agents")} has "{name}"', hint="names of environment variables")
    return IdentitySettings(
        issuers=issuers, audience=said.text("identity.audience"), jwks=said.text("identity.jwks", _keys), agents=agents
    )


def identities(own: FileSource, machine: FileSource | None) -> Mapping[str, tuple[str, ...]]:
    """Return who has which names; :class:`ConfigError` for one that two persons have, and one out of form."""
    said, fixed = (people(source.member(NAMES), source.where) if source else {} for source in (own, machine))
    # Under the machine's own gate nobody else joins names either: one person's word could be made another's.
    if machine and said and said != fixed and (fixed or machine.speaks_of("gate")):
        raise overridden(own.name(NAMES), machine.name(NAMES))
    return fixed or said


def people(value: object, where: str) -> dict[str, tuple[str, ...]]:
    """Return the persons of an ``[identities]`` table, each with their names."""
    if value is None:
        return {}
    place = Place(NAMES, where)
    found = {person: place.names(names, person) for person, names in place.table(value, None).items()}
    owners: dict[str, str] = {}
    for person, names in found.items():
        for name in names:
            if not _IDENTITY.fullmatch(name):
                raise ConfigError(
                    f'{place.of(person)} has "{name}"', hint='a kind and a name, as in "email:alice@example.com"'
                )
            if owners.setdefault(name.casefold(), person) != person:
                raise ConfigError(f'{place.of(person)} has "{name}", which {owners[name.casefold()]} has as well')
    return found


def is_url(text: str) -> bool:
    """Tell whether a text is a URL of a server and a path, without a user, a query or a fragment."""
    return bool(_URL.fullmatch(text))


def _word(said: Sources, key: str, words: tuple[str, ...]) -> str | None:
    value = said.text(key)
    if value is not None and value not in words:
        raise ConfigError(f'{said.place(key)} is "{value}"', hint=f"one of {', '.join(words)}")
    return value


def _or(value: bool | None, default: bool) -> bool:
    return default if value is None else value


def _path(text: str, source: Source) -> str:
    return str((source.base / text).absolute())


def _keys(text: str, source: Source) -> str:
    return text if is_url(text) else _path(text, source)
