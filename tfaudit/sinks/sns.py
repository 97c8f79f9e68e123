"""How do documents get to those who listen to an SNS topic?

``sns:TOPIC-ARN``, by PublishBatch: each document is one message. A FIFO topic gets them in the log's order, and drops
what comes a second time within five minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import aws
from tfaudit.sinks.aws import Fault
from tfaudit.sinks.fitting import Fitted, fitted
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

MOST_MESSAGES: Final = 10
MOST_BYTES: Final = 262_144
"""Of all messages together, as every topic takes them; some are set to take more."""
GROUP: Final = "tfaudit"
"""The message group of a FIFO topic: one, so that all stays in order."""

_TITLE: Final = "SNS"
_CONTENT: Final = frozenset(
    {"BatchRequestTooLong", "BatchRequestTooLongException", "InvalidParameter", "InvalidParameterException"}
    | {"InvalidParameterValue", "ParameterValueInvalid", "ValidationException", "413"}
)
_KMS: Final = "these credentials need kms:GenerateDataKey and kms:Decrypt on the topic's key, which has to be enabled"
_CONFIGURATION: Final[Mapping[str, str]] = {
    "AuthorizationError": "these credentials, and the policy of a topic in another account, have to allow sns:Publish",
    "KMSAccessDenied": _KMS,
    "KMSDisabled": _KMS,
    "KMSInvalidState": _KMS,
    "KMSNotFound": _KMS,
    "KMSOptInRequired": _KMS,
    "NotFound": "is it the right account and region?",
}
"""Codes of one message or of the whole request, without the word Exception."""


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> Sns:
    """Return the sink; nothing is asked of AWS yet. :class:`ConfigError` for what is no topic's ARN."""
    topic = aws.arn(aws.destination(settings))
    if topic is None or topic.service != "sns" or ":" in topic.resource:
        raise ConfigError(
            f'the URL of sink {settings.name} names no topic: "{aws.destination(settings)}"',
            hint='by its ARN: "sns:arn:aws:sns:eu-west-1:123456789012:NAME"',
        )
    needs = "sns:Publish on the topic"
    service = aws.Service("sns", settings, environ=environ, title=_TITLE, needs=needs, region=topic.region)
    return Sns(settings, service, topic)


class Sns:
    """A topic."""

    limits = Limits(documents=MOST_MESSAGES, size=MOST_BYTES)

    def __init__(self, settings: SinkSettings, service: aws.Service, topic: aws.Arn) -> None:
        self._schema = settings.schema or "native"
        self._service = service
        self._topic = topic

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the message: the document's JSON; see :class:`tfaudit.sinks.model.Sink`."""
        match fitted(document.body, self._schema, MOST_BYTES):
            case Fitted(content, note):
                return Encoded(document.id, document.time, content, note)
            case refused:
                return refused

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Publish the messages; each has an answer of its own."""
        return aws.by_halves(batch, self._publish, blames=_CONTENT.__contains__)

    def check(self) -> Misconfigured | Later | None:
        """Look at the topic; whether it takes messages from us can't be tried without leaving one."""
        found = self._service.call("get_topic_attributes", TopicArn=self._topic.text)
        if not isinstance(found, Fault):
            return None
        if aws.is_denial(found.code):
            return Misconfigured(
                reason=f"{_TITLE} doesn't let these credentials look at the topic: {found.code}",
                hint="they need sns:GetTopicAttributes beside sns:Publish",
            )
        return _explained(found).answer

    def close(self) -> None:
        """Let the connections go."""
        self._service.close()

    def _publish(self, batch: Sequence[Encoded]) -> list[Answer] | Fault:
        answer = self._service.call(
            "publish_batch",
            TopicArn=self._topic.text,
            PublishBatchRequestEntries=[self._entry(at, each) for at, each in enumerate(batch)],
        )
        if isinstance(answer, Fault):
            return _explained(answer)
        sent = {one.get("Id"): one for one in answer.get("Successful", ())}
        failed = {one.get("Id"): one for one in answer.get("Failed", ())}
        return [self._answer(sent.get(str(at)), failed.get(str(at))) for at in range(len(batch))]

    def _entry(self, at: int, encoded: Encoded) -> dict[str, str]:
        entry = {"Id": str(at), "Message": encoded.content.decode()}
        if self._topic.resource.endswith(".fifo"):
            entry |= {"MessageGroupId": GROUP, "MessageDeduplicationId": encoded.id}
        return entry

    def _answer(self, sent: Mapping[str, Any] | None, failed: Mapping[str, Any] | None) -> Answer:
        if sent is not None:
            return Accepted(receipt=sent.get("MessageId"))
        if failed is None:
            return Later(reason=f"{_TITLE} didn't say what became of it")
        code = aws.plain(str(failed.get("Code", "")))
        hint = _CONFIGURATION.get(code.removesuffix("Exception"))
        if hint is not None:
            return Misconfigured(reason=f"{_TITLE} refuses: {code}", hint=hint)
        if not failed.get("SenderFault", True) or aws.is_passing(code):
            return Later(reason=f"{_TITLE} can't now: {code}")
        return Refused(reason=f"{_TITLE} refuses it: {code}")


def _explained(fault: Fault) -> Fault:
    hint = _CONFIGURATION.get(fault.code.removesuffix("Exception"))
    if hint is None:
        return fault
    return Fault(answer=Misconfigured(reason=f"{_TITLE} refuses: {fault.code}", hint=hint), code=fault.code)
