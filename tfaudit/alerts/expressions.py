"""Of which records and events do the alerts' own expressions hold?

They are evaluated where the policy's rules are: in a child that may be killed (:mod:`tfaudit.policy.celchild`), which
tells numbers and nothing of what it saw. An expression that names ``event`` is asked of every event of the record, any
other once of the ``record``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tfaudit.alerts import facts, rules
from tfaudit.policy import celscan
from tfaudit.policy.cel import WORDS, answered
from tfaudit.policy.child import Child, ChildError, Limits

if TYPE_CHECKING:
    from tfaudit.alerts.facts import Fact
    from tfaudit.config.delivering import AlertSettings
    from tfaudit.policy.cel import Answer, Failure

SECONDS: Final = 8.0
_MEMORY_MB: Final = 512
_MAX_OUTPUT: Final = 1 << 20
_PART: Final = 64
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is looked at."""

    record_id: str
    kind: str
    view: Mapping[str, Any]
    """As :func:`tfaudit.alerts.views.record_view` returns it."""


def looks_at_events(when: str) -> bool:
    """Return whether an expression is about events, and not the record alone."""
    return any(token.kind == "name" and token.text == "event" for token in celscan.tokens(when))


def evaluate(
    alerts: Sequence[AlertSettings], record: Record, events: Iterable[Mapping[str, Any]], *, seconds: float = SECONDS
) -> Iterator[Fact]:
    """Yield of which alerts the expressions hold, and which could not be evaluated; all ``alerts`` have one.

    ``events`` are views, read as they are evaluated. Whatever reading them raises comes through.
    """
    addresses: list[str] = []

    def said() -> Iterator[bytes]:
        yield _encode({"record": record.view}) + b"\n"
        part: list[Mapping[str, Any]] = []
        for event in events:
            addresses.append(str(event.get("address", "")))
            part.append(event)
            if len(part) == _PART:
                yield _encode(part) + b"\n"
                part = []
        yield _encode(part) + b"\n{}\n"

    try:
        answer = _ask(alerts, said(), addresses, seconds)
    except ChildError as error:
        for alert in alerts:
            yield facts.unevaluated(rules.ident(alert), alert.name, error.message)
        return
    for alert, found in zip(alerts, answer.rules, strict=True):
        if found.error is not None:
            yield facts.unevaluated(rules.ident(alert), alert.name, f"it {_explained(found.error, alert.when or '')}")
        if found.count:
            named = [addresses[hit] for hit in found.hits if addresses[hit]] if found.hits else []
            count = found.count if looks_at_events(alert.when or "") else 0
            yield facts.matched(rules.ident(alert), alert.name, record.record_id, record.kind, named, count)


def problem(when: str) -> str | None:
    """Return why an expression can't be evaluated on any record, None where it is CEL; nothing else is found here."""
    settings = _Expression(when)
    try:
        answer = _ask((settings,), iter([_encode({"record": {}}) + b"\n", b"{}\n"]), [], SECONDS)
    except ChildError as error:
        return error.message
    failure = answer.rules[0].error
    return f"it {_explained(failure, when)}" if failure is not None and failure.code == "syntax" else None


@dataclass(frozen=True, slots=True)
class _Expression:
    when: str | None


def _ask(
    alerts: Sequence[AlertSettings | _Expression], said: Iterator[bytes], addresses: Sequence[str], seconds: float
) -> Answer:
    asked = {
        "rules": [_listed(alert.when or "") for alert in alerts],
        "each": "event",
        "memory_mb": _MEMORY_MB,
        "seconds": int(seconds) + 1,
    }
    limits = Limits(seconds=seconds, memory_mb=_MEMORY_MB, output=_MAX_OUTPUT)
    with Child([sys.executable, "-I", "-m", "tfaudit.policy.celchild"], limits) as child:
        child.tell(_encode(asked) + b"\n")
        output, code = child.ask(said)
    return answered(output, code, len(alerts), len(addresses))


def _listed(when: str) -> dict[str, Any]:
    return {
        "when": when,
        "scope": "change" if looks_at_events(when) else "plan",
        "names": sorted(celscan.names(when)),
        "reads": [None, None],
    }


def _explained(failure: Failure, when: str) -> str:
    text = WORDS.get(failure.code, WORDS["failed"])
    if failure.code == "syntax" and failure.detail:
        return f"{text} (at {failure.detail[:40]})"
    if failure.detail and failure.detail in celscan.names(when):
        return f'{text} ("{failure.detail[:80]}")'
    return text
