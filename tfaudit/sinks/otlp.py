"""How do documents reach an OpenTelemetry collector, or whatever else takes logs by OTLP over HTTP?

``POST /v1/logs`` in OTLP's JSON encoding, gzip. https://opentelemetry.io/docs/specs/otlp/. A receiver that knows what
``log.record.uid`` means drops what it has already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from tfaudit import __version__, secret
from tfaudit.errors import ConfigError
from tfaudit.sinks.address import address
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.https import Reply, Server
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.narrowing import Doubtful, narrowed

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

SIZE: Final = 4_000_000
"""Bytes of a request; a collector takes 20 MiB unless it is told otherwise."""
DOCUMENTS: Final = 100
"""Few: where some of them are rejected, nobody says which."""
PATH: Final = "/v1/logs"

_MOST: Final = 1_000_000
"""Bytes of a document before it is spelled as OTLP has it."""
_AROUND: Final = 1_024
_LARGEST_INTEGER: Final = 2**63
_SEVERITIES: Final = {
    1: (9, "Informational"),
    2: (10, "Low"),
    3: (13, "Medium"),
    4: (14, "High"),
    5: (17, "Critical"),
}
"""By ours: OTLP's number (INFO, INFO2, WARN, WARN2, ERROR) and its word."""
_ATTRIBUTES: Final = ("kind", "record", "record_id", "run_id", "stack", "event_id", "address", "action", "decision")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS: Final = frozenset(
    {"content-type", "content-length", "content-encoding", "transfer-encoding", "host", "connection"}
)
_DATA: Final = (400, 413, 422)


class OtlpSink:
    """A receiver of OTLP logs."""

    limits = Limits(documents=DOCUMENTS, size=SIZE - _AROUND, overhead=1)

    def __init__(self, settings: SinkSettings, server: Server, path: str, headers: Mapping[str, str]) -> None:
        self._server = server
        self._shape = settings.schema or "native"
        self._path = path
        self._headers = {**headers, "Content-Type": "application/json"}

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the log record; values are left out of one that would not fit into a request."""
        shaped = fitted(document.body, self._shape, _MOST)
        if isinstance(shaped, Refused):
            return shaped
        record = log_record(document, shaped.content)
        content = _json(record)
        if len(content) > SIZE - _AROUND:
            # Many small members are spelled ten times as long: the document as one text, then.
            content = _json(record | {"body": {"stringValue": shaped.content.decode()}})
        return Encoded(document.id, document.time, content, shaped.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the batch; where some of it is rejected, all of it is taken for rejected: nobody says which."""
        return narrowed(batch, self._post)

    def check(self) -> Misconfigured | Later | None:
        """Send a request without a log record."""
        said = self._post([])
        if isinstance(said, Doubtful):
            return Misconfigured(reason=f"{self._server.at.where} refuses even a request without log records")
        return said if isinstance(said, Later | Misconfigured) else None

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _post(self, part: Sequence[Encoded]) -> Answer | Doubtful:
        body = _REQUEST % b",".join(one.content for one in part)
        reply = self._server.ask("POST", self._path, body=body, headers=self._headers, compress=True)
        if not isinstance(reply, Reply):
            return reply
        if 200 <= reply.status < 300:
            return self._taken(reply, part)
        if reply.status in _DATA:
            return Doubtful(reason=f"the receiver refuses it (status {reply.status})")
        return reply.trouble() or Misconfigured(
            reason=f"{reply.where} answers in a way that is not OTLP's (status {reply.status})",
            hint="see the sink's url",
        )

    def _taken(self, reply: Reply, part: Sequence[Encoded]) -> Answer:
        said = reply.json()
        if reply.body.strip() and not isinstance(said, dict):
            return Later(reason=f"{reply.where} gives an answer that is not OTLP's")
        rejected = _rejected(said)
        if rejected == 0:
            return Accepted()
        # OTLP forbids to send such a request again, and so to find out by smaller ones.
        return Refused(reason=f"the receiver rejects {rejected} of {len(part)} log records and does not say which")


def log_record(document: Document, content: bytes) -> dict[str, Any]:
    """Return the log record of a document whose shape's JSON is ``content``."""
    body = document.body
    number, word = _SEVERITIES.get(body.get("severity", 1), _SEVERITIES[1])
    moment = f"{document.time}000000"
    named = {f"tfaudit.{name}": body.get(name) for name in _ATTRIBUTES}
    actor = body.get("actor")
    if isinstance(actor, Mapping):
        named["user.id"] = actor.get("principal")
    return {
        "timeUnixNano": moment,
        "observedTimeUnixNano": moment,
        "severityNumber": number,
        "severityText": word,
        "eventName": f"tfaudit.{document.kind}",
        "body": _any(content),
        "attributes": [
            _member("log.record.uid", document.id),
            *(_member(name, value) for name, value in named.items() if isinstance(value, str)),
        ],
    }


def _any(content: bytes) -> dict[str, Any]:
    """Return JSON as OTLP's AnyValue; as one text where it is too deep."""
    try:
        return _value(json.loads(content, parse_float=_float))
    except RecursionError:
        return {"stringValue": content.decode()}


def _float(text: str) -> float | str:
    number = float(text)
    # What no double holds stays as it was spelled.
    return text if number in (float("inf"), float("-inf")) else number


def _value(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case float():
            return {"doubleValue": value}
        case int():
            fits = -_LARGEST_INTEGER <= value < _LARGEST_INTEGER
            return {"intValue": str(value)} if fits else {"stringValue": str(value)}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case _:
            return {"kvlistValue": {"values": [_member(name, one) for name, one in value.items()]}}


def _member(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"key": name, "value": _value(value)}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _request() -> bytes:
    resource = [_member("service.name", "tfaudit"), _member("service.version", __version__)]
    logs = {"resource": {"attributes": resource}, "scopeLogs": [{"scope": {"name": "tfaudit"}, "logRecords": ["%b"]}]}
    return _json({"resourceLogs": [logs]}).replace(b'"%b"', b"%b")


_REQUEST: Final = _request()


def _rejected(said: object) -> int:
    partial = said.get("partialSuccess") if isinstance(said, dict) else None
    count = partial.get("rejectedLogRecords", 0) if isinstance(partial, dict) else 0
    try:
        # A 64-bit integer is a text in protobuf's JSON.
        return max(int(count), 0)
    except (TypeError, ValueError):
        return 0


def headers(text: str, settings: SinkSettings) -> dict[str, str]:
    """Return the headers of a secret: ``name=value,name=value``, as ``OTEL_EXPORTER_OTLP_HEADERS`` has them.

    Values may be percent-encoded. :class:`ConfigError` for anything else, and for headers that are ours to set.
    """
    found: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        name, value = name.strip(), unquote(value.strip())
        usable = equals and value and value.isascii() and value.isprintable()
        if not usable or not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ConfigError(
                f'the secret of sink "{settings.name}" holds no headers',
                hint="as in api-key=KEY or Authorization=Bearer%20KEY",
            )
        found[name] = value
    return found


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> OtlpSink:
    """Return the sink; nothing is asked of it yet. An address without a path is a collector's: ``/v1/logs`` is added.

    Raises :class:`ConfigError` for a wrong address or secret, :class:`UnavailableError` where the secret's own keeper
    can't be asked.
    """
    at = address(settings)
    sent = {} if settings.secret is None else headers(secret.read(settings.secret, environ), settings)
    return OtlpSink(settings, Server(settings, at, environ=environ), "" if at.path else PATH, sent)
