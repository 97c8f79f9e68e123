"""Where do copies of the records go, and who is told of what: ``[delivery]``, ``[[sink]]`` and ``[[alert]]``?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from tfaudit.config import durations
from tfaudit.config.place import Place
from tfaudit.config.reading import unknown
from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config.sources import FileSource, Sources

Shape = Literal["native", "ocsf", "ecs"]
"""The schema that documents are written in."""
Start = Literal["beginning", "now"]
Option = str | int | bool

DEFAULT_BUDGET: Final = timedelta(seconds=20)
LONGEST_BUDGET: Final = timedelta(hours=1)
MAX_WHEN: Final = 4_096
"""Characters of an alert's expression."""
MAX_NUMBER: Final = 1 << 30
"""The largest number that a sink's own key may have."""

_AWS: Final[Mapping[str, type]] = {"region": str, "profile": str, "role": str, "endpoint_url": str}
_HTTP: Final[Mapping[str, type]] = {"ca": str}
SCHEMES: Final[Mapping[str, Mapping[str, type]]] = {
    "s3": {**_AWS, "owner": str, "acl": str},
    "cloudtrail-lake": {**_AWS, "external_id": str},
    "cloudwatch-logs": {**_AWS, "stream": str},
    "eventbridge": {**_AWS, "source": str},
    "sns": _AWS,
    "splunk-hec": {**_HTTP, "index": str, "source": str, "sourcetype": str, "acknowledge": bool},
    "elasticsearch": {**_HTTP, "stream": str},
    "webhook": {**_HTTP, "batch": bool},
    "otlp": _HTTP,
    "syslog": {**_HTTP, "cert": str, "key": str, "size": int},
    "kafka": {**_HTTP, "cert": str, "key": str, "topic": str, "mechanism": str},
}
"""The kinds of sinks, by the scheme of their URL, each with the keys that it alone has."""
EVENTS: Final = (
    "denied",
    "break-glass",
    "unrecorded-change",
    "verification-failure",
    "logging-failure",
    "outside-hours",
    "first-time-actor",
    "destroy",
    "widening",
)
"""What is alerted of where an alert asks for nothing else."""

_COMMON: Final = ("name", "url", "schema", "values", "secret", "start")
_ALERT: Final = ("name", "to", "when", "on", "hours", "destroys")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SECRET: Final = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:\S.*|secretsmanager:\S+)")
_HOURS: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """The ``[delivery]`` table."""

    budget: timedelta = DEFAULT_BUDGET
    """How long a run delivers at most, before it leaves the rest to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """A ``[[sink]]``: one destination."""

    name: str
    """What its cursor, receipts and dead letters are kept under; derived from the URL where none is given."""
    url: str
    """Without secrets: ``splunk-hec://splunk.example.com:8088``, ``cloudwatch-logs:GROUP`` …"""
    scheme: str
    """A key of :data:`SCHEMES`."""
    schema: Shape | None = None
    """None: as the sink's kind has it."""
    values: bool = True
    """Whether attribute values go along; the names of what changed always do."""
    secret: str | None = None
    """Where its token is: ``env:NAME``, ``file:PATH`` (absolute) or ``secretsmanager:ID``."""
    start: Start = "beginning"
    """What a sink that has never been delivered to begins with."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """What its kind alone has, each of the type that :data:`SCHEMES` tells; paths are absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """An ``[[alert]]``: whom to tell of what."""

    name: str
    to: tuple[str, ...]
    """Where the URLs of the targets are, which hold secrets: as :attr:`SinkSettings.secret`."""
    when: str | None = None
    """A CEL expression over a record or an event, beside what ``on`` tells."""
    on: tuple[str, ...] = EVENTS
    hours: str | None = None
    """The usual hours of the machine's own clock, ``07:00-19:00``, Monday to Friday; None: every hour is usual."""
    destroys: int = 1
    """From how many destroyed resources on ``destroy`` tells of a run."""


_PATHS: Final = ("ca", "cert", "key")


def delivery(said: Sources) -> DeliverySettings:
    """Return the ``[delivery]`` that the sources ask for; :class:`ConfigError` for a wrong value, by name."""
    said.check("delivery")
    budget = said.text("delivery.budget")
    if budget is None:
        return DeliverySettings()
    what = said.place("delivery.budget")
    return DeliverySettings(
        budget=timedelta(0)
        if budget == "0s"
        else durations.parse(budget, what=what, least=timedelta(seconds=1), most=LONGEST_BUDGET)
    )


def sinks(own: FileSource, machine: FileSource | None) -> tuple[SinkSettings, ...]:
    """Return the sinks of the machine's file and then the repository's, which can only add to them."""
    found = [sink for source in (machine, own) if source for sink in _sinks(source)]
    seen: set[str] = set()
    for sink in found:
        if sink.name in seen:
            raise ConfigError(
                f'there are two sinks of the name "{sink.name}"', hint="give each [[sink]] a name of its own"
            )
        seen.add(sink.name)
    return tuple(found)


def alerts(own: FileSource, machine: FileSource | None) -> tuple[AlertSettings, ...]:
    """Return the alerts of the machine's file and then the repository's, which can only add to them."""
    return tuple(alert for source in (machine, own) if source for alert in _alerts(source))


def _sinks(source: FileSource) -> Iterator[SinkSettings]:
    place = Place("sink", source.where)
    known = (*_COMMON, *dict.fromkeys(key for options in SCHEMES.values() for key in options))
    for table in place.tables(source.member("sink"), known):
        url = place.name(table.get("url"), "url")
        scheme = _scheme(url, place)
        name = place.name(table["name"], "name") if "name" in table else _derived(scheme, url)
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f'{place.of("name")} is "{name}"', hint="lower-case letters, digits and hyphens, at most 63"
            )
        secret = table.get("secret")
        yield SinkSettings(
            name=name,
            url=url,
            scheme=scheme,
            schema=cast("Shape | None", _word(table, "schema", get_args(Shape), place)),
            values=place.flag(table.get("values", True), "values"),
            secret=None if secret is None else _secret(secret, "secret", place, source),
            start=cast(Start, _word(table, "start", get_args(Start), place) or "beginning"),
            options=_options(table, scheme, place, source),
        )


def _scheme(url: str, place: Place) -> str:
    scheme, colon, rest = url.partition(":")
    if not colon or not rest:
        raise ConfigError(f'{place.of("url")} is "{url}"', hint='as in "splunk-hec://splunk.example.com:8088"')
    if scheme not in SCHEMES:
        raise unknown(scheme, SCHEMES, place.of("url"), what="kind of sink")
    if "@" in rest or "?" in rest or "#" in rest:
        # Not shown: what stands there is most likely a password or a token.
        raise ConfigError(
            f"{place.of('url')} holds a user, a query or a fragment: no secret belongs into this file",
            hint='put it into secret = "env:NAME", "file:PATH" or "secretsmanager:ID"',
        )
    return scheme


def _derived(scheme: str, url: str) -> str:
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _options(table: Mapping[str, object], scheme: str, place: Place, source: FileSource) -> dict[str, Option]:
    kinds = SCHEMES[scheme]
    found: dict[str, Option] = {}
    for key, value in table.items():
        if key in _COMMON:
            continue
        if key not in kinds:
            raise ConfigError(
                f'{place.of(key)} is nothing that a sink "{scheme}" has',
                hint=f"it has {', '.join(sorted(kinds))}",
            )
        if kinds[key] is bool:
            found[key] = place.flag(value, key)
        elif kinds[key] is int:
            found[key] = place.count(value, key, least=1, most=MAX_NUMBER)
        else:
            text = place.name(value, key)
            found[key] = str((source.base / text).absolute()) if key in _PATHS else text
    return found


def _alerts(source: FileSource) -> Iterator[AlertSettings]:
    place = Place("alert", source.where)
    for number, table in enumerate(place.tables(source.member("alert"), _ALERT), 1):
        to = place.names(table.get("to"), "to")
        if not to:
            raise ConfigError(f"{place.of('to')} names nobody")
        when = table.get("when")
        if when is not None and (not isinstance(when, str) or not 0 < len(when) <= MAX_WHEN):
            raise ConfigError(f"{place.of('when')} is no expression of at most {MAX_WHEN} characters")
        # Whoever asks for something of his own gets just that.
        on = place.names(table["on"], "on") if "on" in table else () if when is not None else EVENTS
        for word in on:
            if word not in EVENTS:
                raise unknown(word, EVENTS, place.of("on"), what="event")
        hours = place.name(table["hours"], "hours") if "hours" in table else None
        if hours is not None and not _HOURS.fullmatch(hours):
            raise ConfigError(f'{place.of("hours")} is "{hours}"', hint='as in "07:00-19:00"')
        yield AlertSettings(
            name=place.name(table.get("name", f"alert-{number}"), "name"),
            to=tuple(_secret(target, "to", place, source) for target in to),
            when=when,
            on=on,
            hours=hours,
            destroys=place.count(table.get("destroys", 1), "destroys", least=1, most=1_000_000),
        )


def _secret(value: object, key: str, place: Place, source: FileSource) -> str:
    text = place.name(value, key)
    if not _SECRET.fullmatch(text):
        # Not shown: whoever wrote a secret here must not find it in the job's log as well.
        raise ConfigError(
            f"{place.of(key)} does not tell where a secret is",
            hint='as in "env:NAME", "file:PATH", "secretsmanager:ID"',
        )
    kind, _, rest = text.partition(":")
    return f"file:{(source.base / rest).absolute()}" if kind == "file" else text


def _word(table: Mapping[str, object], key: str, words: tuple[str, ...], place: Place) -> str | None:
    if key not in table:
        return None
    value = place.name(table[key], key)
    if value not in words:
        raise ConfigError(f'{place.of(key)} is "{value}"', hint=f"one of {', '.join(words)}")
    return value
