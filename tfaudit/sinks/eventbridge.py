"""How do documents get onto an event bus of EventBridge?

``eventbridge:BUS`` by its name or its ARN, which may be another account's. Each document is the detail of one event,
whose detail-type is ``tfaudit`` and the document's kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import aws
from tfaudit.sinks.aws import Fault
from tfaudit.sinks.fitting import Fitted, fitted
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

SOURCE: Final = "tfaudit"
MOST_ENTRIES: Final = 10
MOST_BYTES: Final = 262_144 - 1
"""All entries have to be less than 256 KB: EventBridge itself takes more since 2026, not all of its targets do."""
TIME_BYTES: Final = 14
"""What EventBridge counts for an entry's time; https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html."""

_BUS: Final = re.compile(
    r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:\d{12}:event-bus/)?[.\-_/A-Za-z0-9]{1,256}", re.ASCII
)
_SOURCE: Final = re.compile(r"(?!aws\.)[/.\-_A-Za-z0-9]{1,256}", re.ASCII)
_TITLE: Final = "EventBridge"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATER: Final = frozenset({"InternalException", "InternalFailure", "ThrottlingException"})
_CONTENT: Final = frozenset({"ValidationException", "RequestEntityTooLargeException", "413"})
_CONFIGURATION: Final[Mapping[str, str]] = {
    "AccessDeniedException": "these credentials, and a bus's policy in another account, have to allow events:PutEvents",
    "InvalidAccountIdException": "is the account in the bus's ARN the right one?",
    "NotAuthorizedForDetailTypeException": "the policy has to allow these detail-types: see events:detail-type",
    "NotAuthorizedForSourceException": "the policy has to allow this source: see events:source",
}


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> EventBridge:
    """Return the sink; nothing is asked of AWS yet. :class:`ConfigError` for what is no bus and no source."""
    bus, source = aws.destination(settings), aws.option(settings, "source") or SOURCE
    if not _BUS.fullmatch(bus):
        raise ConfigError(
            f'the URL of sink {settings.name} names no event bus: "{bus}"',
            hint='its name or its ARN: "eventbridge:audit"',
        )
    if not _SOURCE.fullmatch(source):
        raise ConfigError(f'the source of sink {settings.name} is "{source}"', hint='as in "com.example.tfaudit"')
    named = aws.arn(bus)
    service = aws.Service(
        "events",
        settings,
        environ=environ,
        title=_TITLE,
        needs="events:PutEvents on the bus",
        region=named.region if named else None,
    )
    return EventBridge(settings, service, bus, source)


class EventBridge:
    """An event bus."""

    def __init__(self, settings: SinkSettings, service: aws.Service, bus: str, source: str) -> None:
        self._schema = settings.schema or "native"
        self._service = service
        self._bus = bus
        self._source = source
        # An entry's bytes are its time, source, detail-type and detail; the line break between the latter two is ours.
        self._overhead = TIME_BYTES + len(source) - 1
        self.limits = Limits(documents=MOST_ENTRIES, size=MOST_BYTES, overhead=self._overhead)

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the detail-type, a line break and the detail; see :class:`tfaudit.sinks.model.Sink`."""
        kind = f"tfaudit {document.kind}"[:128].encode() + b"\n"
        match fitted(document.body, self._schema, MOST_BYTES - self._overhead - len(kind)):
            case Fitted(content, note):
                return Encoded(document.id, document.time, kind + content, note)
            case refused:
                return refused

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Put the events; each has an answer of its own."""
        return aws.by_halves(batch, self._put, blames=_CONTENT.__contains__)

    def check(self) -> Misconfigured | Later | None:
        """Look whether the bus is there, then offer it an event whose detail is no JSON, which is refused by itself."""
        # EventBridge takes events for a bus that is not there, and drops them.
        bus = self._service.call("describe_event_bus", Name=self._bus)
        if isinstance(bus, Fault) and bus.code == "ResourceNotFoundException":
            return Misconfigured(
                reason=f"there is no event bus {self._bus} here", hint="is it the right account and region?"
            )
        if isinstance(bus, Fault):
            return bus.answer
        entry = {"Source": self._source, "DetailType": "tfaudit check", "Detail": "-", "EventBusName": self._bus}
        tried = self._service.call("put_events", Entries=[entry])
        if isinstance(tried, Fault):
            return None if tried.code in _CONTENT else tried.answer
        for told in tried.get("Entries", ()):
            answer = self._answer(told)
            if isinstance(answer, Later | Misconfigured):
                return answer
        return None

    def close(self) -> None:
        """Let the connections go."""
        self._service.close()

    def _put(self, batch: Sequence[Encoded]) -> list[Answer] | Fault:
        answer = self._service.call("put_events", Entries=[self._entry(each) for each in batch])
        if isinstance(answer, Fault):
            return answer
        told = answer.get("Entries", [])
        if len(told) != len(batch):
            return aws.same(Later(reason=f"{_TITLE} answered for {len(told)} of {len(batch)} events"), batch)
        return [self._answer(one) for one in told]

    def _entry(self, encoded: Encoded) -> dict[str, object]:
        kind, _, detail = encoded.content.partition(b"\n")
        return {
            "Time": _EPOCH + timedelta(milliseconds=encoded.time),
            "Source": self._source,
            "DetailType": kind.decode(),
            "Detail": detail.decode(),
            "EventBusName": self._bus,
        }

    def _answer(self, told: Mapping[str, Any]) -> Answer:
        code = str(told.get("ErrorCode") or "")
        if not code and not told.get("EventId"):
            return Later(reason=f"{_TITLE} didn't say what became of it")
        if not code:
            return Accepted(receipt=told["EventId"])
        if code in _LATER:
            return Later(reason=f"{_TITLE} can't now: {code}")
        if code in _CONFIGURATION:
            return Misconfigured(reason=f"{_TITLE} refuses: {code}", hint=_CONFIGURATION[code])
        return Refused(reason=f"{_TITLE} refuses it: {aws.plain(code)}")
