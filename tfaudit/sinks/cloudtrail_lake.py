"""How do documents get into an event data store of CloudTrail Lake?

``cloudtrail-lake:CHANNEL-ARN``, by PutAuditEvents: each document is one audit event, in the schema that CloudTrail Lake
asks for (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-integration-event-schema.html). An answer of
HTTP 200 may refuse events one by one. CloudTrail Lake is closed to accounts that were not using it on 2026-05-31.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.events.shapes import cloudtrail
from tfaudit.sinks import aws
from tfaudit.sinks.aws import Fault
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

MOST_EVENTS: Final = 100
MOST_BYTES: Final = 1_000_000
"""Of a request's body. AWS says 1 MB, and not which of the two it means."""
SEPARATOR: Final = 2
"""Bytes between two events of a body."""
AROUND: Final = len('{"auditEvents": []}')

_TITLE: Final = "CloudTrail Lake"
_CHANNEL: Final = "channel/"
_LATER: Final = frozenset({"InternalFailure", "Throttling"})
_CLOSED: Final = (
    "this account has no CloudTrail Lake, and since 2026-05-31 AWS lets no new one in: use cloudwatch-logs:, or the"
    " channel of an account that has it"
)
_CONFIGURATION: Final[Mapping[str, str]] = {
    "AccountNotSubscribed": _CLOSED,
    "ChannelInsufficientPermission": "the job has to run, or take a role, in the account that owns the channel",
    "ChannelNotFound": "is it the right account and region? `aws cloudtrail list-channels` tells the ARNs",
    "ChannelUnsupportedSchema": "the channel must be of source Custom, into an event data store of ActivityAuditLog",
    "InvalidChannelARN": "as in arn:aws:cloudtrail:eu-west-1:123456789012:channel/…",
    "InvalidRecipient": "the channel's ARN has to name the account that owns it",
    "UnsupportedOperationException": "CloudTrail Lake can't do this in this region or account",
}
"""Codes of one event or of the whole request that a change of the document would not help."""
_CONTENT: Final = frozenset({"DuplicatedAuditEventId", "ValidationException", "RequestEntityTooLargeException", "413"})


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> CloudTrailLake:
    """Return the sink; nothing is asked of AWS yet. :class:`ConfigError` for what is no channel's ARN."""
    channel = aws.arn(aws.destination(settings))
    if channel is None or channel.service != "cloudtrail" or not channel.resource.startswith(_CHANNEL):
        raise ConfigError(
            f'the URL of sink {settings.name} names no channel: "{aws.destination(settings)}"',
            hint='by its ARN: "cloudtrail-lake:arn:aws:cloudtrail:eu-west-1:123456789012:channel/…"',
        )
    if settings.schema is not None:
        raise ConfigError(
            f"sink {settings.name} has a schema", hint="CloudTrail Lake takes its own alone: leave it out"
        )
    needs = "cloudtrail-data:PutAuditEvents on the channel"
    service = aws.Service(
        "cloudtrail-data", settings, environ=environ, title=_TITLE, needs=needs, region=channel.region
    )
    return CloudTrailLake(service, channel, aws.option(settings, "external_id"))


class CloudTrailLake:
    """A channel of CloudTrail Lake."""

    limits = Limits(documents=MOST_EVENTS, size=MOST_BYTES - AROUND, overhead=SEPARATOR)

    def __init__(self, service: aws.Service, channel: aws.Arn, external_id: str | None) -> None:
        self._service = service
        self._channel = channel
        self._external_id = external_id

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the audit event as it stands in the request's body; see :class:`tfaudit.sinks.model.Sink`.

        What is too long for its field is shortened: CloudTrail Lake would refuse it.
        """
        data = cloudtrail.event_data(document.body, account=self._channel.account)
        content = json.dumps(_event(_identifier(document.id), data.content)).encode()
        if len(content) > self.limits.size - SEPARATOR:
            return Refused(reason=f"it has {len(content)} bytes, where {self.limits.size - SEPARATOR} are taken")
        note = f"shortened: {', '.join(data.shortened)}" if data.shortened else None
        return Encoded(document.id, document.time, content, note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Put the events; each has an answer of its own."""
        return aws.by_halves(batch, self._put, blames=_CONTENT.__contains__)

    def check(self) -> Misconfigured | Later | None:
        """Offer an event that lacks every field and has a wrong checksum, which is refused by itself."""
        answer = self._call([_event("tfaudit-check", b"{}") | {"eventDataChecksum": _checksum(b"")}])
        if isinstance(answer, Fault):
            return answer.answer
        for told in answer.get("failed", ()):
            found = _failure(told)
            if isinstance(found, Later | Misconfigured):
                return found
        return None

    def close(self) -> None:
        """Let the connections go."""
        self._service.close()

    def _put(self, batch: Sequence[Encoded]) -> list[Answer] | Fault:
        answer = self._call([json.loads(each.content) for each in batch])
        if isinstance(answer, Fault):
            return answer
        taken = {one.get("id"): one for one in answer.get("successful", ())}
        failed = {one.get("id"): one for one in answer.get("failed", ())}
        return [self._answer(each, taken, failed) for each in batch]

    def _call(self, events: Sequence[Mapping[str, str]]) -> Mapping[str, Any] | Fault:
        more = {} if self._external_id is None else {"externalId": self._external_id}
        answer = self._service.call("put_audit_events", auditEvents=events, channelArn=self._channel.text, **more)
        if isinstance(answer, Fault) and answer.code in _CONFIGURATION:
            found = Misconfigured(reason=f"{_TITLE} refuses: {answer.code}", hint=_CONFIGURATION[answer.code])
            return Fault(answer=found, code=answer.code)
        return answer

    def _answer(
        self, encoded: Encoded, taken: Mapping[str, Mapping[str, Any]], failed: Mapping[str, Mapping[str, Any]]
    ) -> Answer:
        identifier = _identifier(encoded.id)
        if identifier in taken:
            return Accepted(receipt=taken[identifier].get("eventID"))
        if identifier in failed:
            return _failure(failed[identifier])
        return Later(reason=f"{_TITLE} didn't say what became of it")


def _failure(told: Mapping[str, Any]) -> Answer:
    code = aws.plain(str(told.get("errorCode", "")))
    if code in _LATER:
        return Later(reason=f"{_TITLE} can't now: {code}")
    if code in _CONFIGURATION:
        return Misconfigured(reason=f"{_TITLE} refuses: {code}", hint=_CONFIGURATION[code])
    return Refused(reason=f"{_TITLE} refuses it: {code}")


def _identifier(document: str) -> str:
    # Letters, digits, "-" and "_" are what an audit event's id may have.
    return document.replace("/", "_")


def _event(identifier: str, data: bytes) -> dict[str, str]:
    return {"id": identifier, "eventData": data.decode(), "eventDataChecksum": _checksum(data)}


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
