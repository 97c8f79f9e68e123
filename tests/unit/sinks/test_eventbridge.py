"""EventBridge as a sink: one answer an event, the counted sizes, the buses."""

from __future__ import annotations

import json

import awskit
import boto3
import pytest
from awsfake import ACCOUNT, REGION, Refusal

from tfaudit.errors import ConfigError
from tfaudit.sinks import eventbridge
from tfaudit.sinks.model import Accepted, Encoded, Later, Misconfigured, Refused

URL = "eventbridge:audit"
ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/audit"


def test_documents_arrive(aws):
    """Each document is the detail of an event, its kind the detail-type, its time the event's."""
    sink = awskit.open_at(eventbridge, URL, aws.address)
    answers = awskit.deliver(sink, awskit.document(0, kind="record"), awskit.document(1))
    assert answers == [Accepted(receipt="eb-1"), Accepted(receipt="eb-2")]
    assert [(kept["Source"], kept["DetailType"], kept["EventBusName"]) for kept in aws.kept] == [
        ("tfaudit", "tfaudit record", "audit"),
        ("tfaudit", "tfaudit resource-change", "audit"),
    ]
    assert aws.kept[0]["Time"] == awskit.NOW / 1000
    assert json.loads(aws.kept[1]["Detail"])["address"] == "aws_s3_bucket.b[1]"


def test_each_event_has_its_own_answer(aws):
    """Passing troubles are for later, malformed events refused, missing rights a matter of configuration."""
    aws.entries = {
        "b[1]": "ThrottlingException",
        "b[2]": "InternalFailure",
        "b[3]": "MalformedDetail",
        "b[4]": "NotAuthorizedForDetailTypeException",
        "b[5]": "Something: secret",
    }
    sink = awskit.open_at(eventbridge, URL, aws.address)
    answers = awskit.deliver(sink, *[awskit.document(line) for line in range(7)])
    assert [type(answer) for answer in answers] == [Accepted, Later, Later, Refused, Misconfigured, Refused, Accepted]
    assert answers[5].reason == "EventBridge refuses it: an unknown error"


def test_an_answer_for_fewer_is_no_answer(aws):
    """What EventBridge says nothing of is tried again."""
    aws.put_events = lambda asked, size: {"Entries": [], "FailedEntryCount": 0}
    sink = awskit.open_at(eventbridge, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Later)


def test_an_entry_without_an_id_is_no_answer(aws):
    """EventBridge names each event that it has; neither an id nor a code means nothing."""
    aws.put_events = lambda asked, size: {"Entries": [{}], "FailedEntryCount": 0}
    sink = awskit.open_at(eventbridge, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Later)


def test_a_batch_may_be_full(aws):
    """The limits count what EventBridge counts, to the byte."""
    sink = awskit.open_at(eventbridge, URL, aws.address, source="com.example.audit")
    kind = b"tfaudit record\n"
    room = sink.limits.size - 2 * (sink.limits.overhead + len(kind)) - len(b"{}")
    batch = [
        Encoded("r/0", awskit.NOW, kind + b"{}"),
        Encoded("r/1", awskit.NOW, kind + b'"' + b"x" * (room - 2) + b'"'),
    ]
    counted = sum(14 + len("com.example.audit") + len(each.content) - 1 for each in batch)
    assert counted == 262_143
    assert [type(answer) for answer in sink.send(batch)] == [Accepted, Accepted]


def test_a_large_document_is_made_to_fit(aws):
    """256 KB hold it without its largest value."""
    sink = awskit.open_at(eventbridge, URL, aws.address)
    document = awskit.large(300_000)
    assert isinstance(awskit.deliver(sink, document)[0], Accepted)
    assert "left out" in sink.encode(document).note


def test_the_check_knows_the_bus(aws):
    """A bus that is not there takes events in silence: the check asks for it. It leaves no event."""
    assert awskit.open_at(eventbridge, URL, aws.address).check() is None
    absent = awskit.open_at(eventbridge, "eventbridge:other", aws.address).check()
    assert absent.reason == "there is no event bus other here"
    aws.whole = [None, Refusal(400, "AccessDeniedException")]
    assert isinstance(awskit.open_at(eventbridge, URL, aws.address).check(), Misconfigured)
    aws.entries = {"-": "NotAuthorizedForSourceException"}
    assert isinstance(awskit.open_at(eventbridge, URL, aws.address).check(), Misconfigured)
    assert aws.kept == []


def test_an_arn_brings_its_region(aws, monkeypatch):
    """A bus's ARN says where it is."""
    monkeypatch.delenv("AWS_REGION")
    assert awskit.open_at(eventbridge, f"eventbridge:{ARN}", aws.address).check() is None


@pytest.mark.parametrize("url", ["eventbridge:a b", "eventbridge:arn:aws:sns:eu-west-1:123456789012:x", f"{URL}|"])
def test_a_bus_is_a_name_or_an_arn(credentials, url):
    """Anything else is refused before anything is asked."""
    with pytest.raises(ConfigError, match="no event bus"):
        awskit.open_at(eventbridge, url, "http://127.0.0.1:9")


def test_a_source_is_not_amazons(credentials):
    """aws. is AWS's own."""
    with pytest.raises(ConfigError, match="source"):
        awskit.open_at(eventbridge, URL, "http://127.0.0.1:9", source="aws.s3")


def test_moto_takes_events(moto):
    """An independent implementation takes what is sent, and a rule passes it on as it was."""
    options = {"endpoint_url": moto, "region_name": "eu-west-1"}
    events, logs = boto3.client("events", **options), boto3.client("logs", **options)
    events.create_event_bus(Name="audit")
    logs.create_log_group(logGroupName="/seen")
    events.put_rule(Name="all", EventBusName="audit", EventPattern=json.dumps({"source": ["tfaudit"]}))
    target = {"Id": "1", "Arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/seen"}
    events.put_targets(Rule="all", EventBusName="audit", Targets=[target])
    sink = awskit.open_at(eventbridge, URL, moto)
    assert sink.check() is None
    assert [type(answer) for answer in awskit.deliver(sink, awskit.document())] == [Accepted]
    seen = logs.filter_log_events(logGroupName="/seen")["events"]
    assert [json.loads(event["message"])["detail-type"] for event in seen] == ["tfaudit resource-change"]
