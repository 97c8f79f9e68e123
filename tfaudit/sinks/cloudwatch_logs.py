"""How do documents get into a log group of CloudWatch Logs?

``cloudwatch-logs:GROUP``, by PutLogEvents: each document is one log event, with the record's time. What is older than
14 days CloudWatch Logs takes no more. Group and stream are made where they are missing and that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import aws
from tfaudit.sinks.aws import Fault
from tfaudit.sinks.fitting import Fitted, fitted
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

STREAM: Final = "tfaudit"
MOST_EVENTS: Final = 10_000
MOST_BYTES: Final = 1_048_576
OVERHEAD: Final = 26
"""Bytes that CloudWatch Logs counts for each event beside its text."""
SPAN: Final = 24 * 3600 * 1000 - 1

_GROUP: Final = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}", re.ASCII)
_STREAM: Final = re.compile(r"[^:*\x00-\x1f]{1,512}")
_TITLE: Final = "CloudWatch Logs"
_MISSING: Final = "ResourceNotFoundException"
_THERE: Final = "ResourceAlreadyExistsException"
_CONTENT: Final = frozenset({"InvalidParameterException", "RequestEntityTooLargeException", "413"})
_TOO_OLD: Final = "CloudWatch Logs takes nothing that is older than 14 days, or than the log group's retention"
_NOT_YET: Final = Later(reason="the log group was just made, and is not there yet")
_EXPIRED: Final = "it is older than the log group's retention"
_TOO_NEW: Final = "CloudWatch Logs takes nothing that is more than 2 hours ahead: the clock of the record's machine was"


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> CloudWatchLogs:
    """Return the sink; nothing is asked of AWS yet. :class:`ConfigError` for a name that can't be."""
    group, stream = aws.destination(settings), aws.option(settings, "stream") or STREAM
    if not _GROUP.fullmatch(group):
        raise ConfigError(
            f'the URL of sink {settings.name} names no log group: "{group}"',
            hint='its name, not its ARN: "cloudwatch-logs:/tfaudit/changes"',
        )
    if not _STREAM.fullmatch(stream):
        raise ConfigError(f'the stream of sink {settings.name} is "{stream}"', hint='without ":" and "*"')
    needs = "logs:PutLogEvents on the log group's streams"
    return CloudWatchLogs(
        settings, aws.Service("logs", settings, environ=environ, title=_TITLE, needs=needs), group, stream
    )


class CloudWatchLogs:
    """A log stream of a log group."""

    limits = Limits(documents=MOST_EVENTS, size=MOST_BYTES, overhead=OVERHEAD, span=SPAN)

    def __init__(self, settings: SinkSettings, service: aws.Service, group: str, stream: str) -> None:
        self._schema = settings.schema or "native"
        self._service = service
        self._group = group
        self._stream = stream

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the event's text: the document's JSON; see :class:`tfaudit.sinks.model.Sink`."""
        match fitted(document.body, self._schema, MOST_BYTES - OVERHEAD):
            case Fitted(content, note):
                return Encoded(document.id, document.time, content, note)
            case refused:
                return refused

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Put the events in the order of their times; the answers are in the batch's own."""
        order = sorted(range(len(batch)), key=lambda at: batch[at].time)
        found = aws.by_halves([batch[at] for at in order], self._put_somewhere, blames=_CONTENT.__contains__)
        answers = dict(zip(order, found, strict=True))
        return [answers[at] for at in range(len(batch))]

    def check(self) -> Misconfigured | Later | None:
        """Offer an event of 1970, which is refused by itself where everything else is in order."""
        match self._put([{"timestamp": 0, "message": "tfaudit looks whether it may write here"}]):
            case Fault(code=code, text=text) if code == _MISSING and "stream" in text:
                return None
            case Fault(code=code) if code == _MISSING:
                return self._no_group()
            case Fault(answer=answer):
                return answer
            case _:
                return None

    def close(self) -> None:
        """Let the connections go."""
        self._service.close()

    def _put_somewhere(self, batch: Sequence[Encoded]) -> list[Answer] | Fault:
        events = [{"timestamp": each.time, "message": each.content.decode()} for each in batch]
        answer = self._put(events)
        if isinstance(answer, Fault) and answer.code == _MISSING:
            problem = self._make()
            if problem is not None:
                return aws.same(problem, batch)
            answer = self._put(events)
            if isinstance(answer, Fault) and answer.code == _MISSING:
                return aws.same(_NOT_YET, batch)
        if isinstance(answer, Fault):
            return answer
        return self._answers(batch, answer)

    def _put(self, events: Sequence[Mapping[str, object]]) -> Mapping[str, Any] | Fault:
        return self._service.call(
            "put_log_events", logGroupName=self._group, logStreamName=self._stream, logEvents=events
        )

    def _make(self) -> Later | Misconfigured | None:
        """Make the stream, and the group where there is none."""
        name = {"logGroupName": self._group}
        made = self._service.call("create_log_stream", **name, logStreamName=self._stream)
        if isinstance(made, Fault) and made.code == _MISSING:
            group = self._service.call("create_log_group", **name)
            if isinstance(group, Fault) and group.code != _THERE:
                return self._no_group() if aws.is_denial(group.code) else group.answer
            made = self._service.call("create_log_stream", **name, logStreamName=self._stream)
        if not isinstance(made, Fault) or made.code == _THERE:
            return None
        if made.code == _MISSING:
            return _NOT_YET
        if aws.is_denial(made.code):
            return Misconfigured(
                reason=f"there is no log stream {self._stream} in {self._group} for these credentials",
                hint="make it, or allow logs:CreateLogStream",
            )
        return made.answer

    def _no_group(self) -> Misconfigured:
        return Misconfigured(
            reason=f"there is no log group {self._group} here",
            hint="make it, or allow logs:CreateLogGroup; is it the right account and region?",
        )

    def _answers(self, batch: Sequence[Encoded], answer: Mapping[str, Any]) -> list[Answer]:
        receipt = answer.get("ResponseMetadata", {}).get("RequestId")
        if receipt is None:
            # Whatever answered, AWS always says this: an empty answer must not pass for a success.
            return aws.same(Later(reason=f"{_TITLE} gave no usable answer"), batch)
        rejected = answer.get("rejectedLogEventsInfo") or {}
        old = rejected.get("tooOldLogEventEndIndex", 0)
        expired = rejected.get("expiredLogEventEndIndex", 0)
        new = rejected.get("tooNewLogEventStartIndex", len(batch))
        answers: list[Answer] = []
        for at in range(len(batch)):
            if at < old:
                answers.append(Refused(reason=_TOO_OLD))
            elif at < expired:
                answers.append(Refused(reason=_EXPIRED))
            elif at >= new:
                answers.append(Refused(reason=_TOO_NEW))
            else:
                answers.append(Accepted(receipt=receipt))
        return answers
