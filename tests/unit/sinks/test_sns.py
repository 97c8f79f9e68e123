"""SNS as a sink: one answer a message, FIFO topics, limits."""

from __future__ import annotations

import json

import awskit
import boto3
import pytest
from awsfake import TOPIC, Refusal

from tfaudit.errors import ConfigError
from tfaudit.sinks import sns
from tfaudit.sinks.model import Accepted, Encoded, Later, Misconfigured, Refused

URL = f"sns:{TOPIC}"


def test_documents_arrive(aws):
    """Each document is a message."""
    answers = awskit.deliver(awskit.open_at(sns, URL, aws.address), awskit.document(1), awskit.document(2))
    assert answers == [Accepted(receipt="sns-1"), Accepted(receipt="sns-2")]
    assert json.loads(aws.kept[1]["Message"])["address"] == "aws_s3_bucket.b[2]"
    assert "MessageGroupId" not in aws.kept[0]


def test_a_fifo_topic_keeps_order_and_drops_repeats(aws):
    """Its messages have one group, and the document's id for what is sent twice."""
    awskit.deliver(awskit.open_at(sns, f"{URL}.fifo", aws.address), awskit.document(1))
    assert aws.kept[0]["MessageGroupId"] == "tfaudit"
    assert aws.kept[0]["MessageDeduplicationId"] == awskit.document(1).id


def test_each_message_has_its_own_answer(aws):
    """Passing troubles are for later, bad messages refused, missing rights a matter of configuration."""
    aws.entries = {
        "b[1]": "InternalError",
        "b[2]": "InvalidParameter",
        "b[3]": "KMSAccessDenied",
        "b[4]": "KMSThrottlingException",
        "b[5]": "AuthorizationError",
    }
    aws.silent = ("6",)
    answers = awskit.deliver(awskit.open_at(sns, URL, aws.address), *[awskit.document(line) for line in range(8)])
    kinds = [Accepted, Later, Refused, Misconfigured, Later, Misconfigured, Later, Accepted]
    assert [type(answer) for answer in answers] == kinds


def test_the_topic_is_not_there(aws):
    """A topic that is missing, and rights that are missing, are matters of configuration."""
    sink = awskit.open_at(sns, URL.replace("changes", "others"), aws.address)
    assert awskit.deliver(sink, awskit.document())[0].reason == "SNS refuses: NotFound"
    assert sink.check().reason == "SNS refuses: NotFound"
    aws.whole = [Refusal(403, "AuthorizationError", "User: x is not authorized")]
    assert "sns:GetTopicAttributes" in awskit.open_at(sns, URL, aws.address).check().hint
    assert awskit.open_at(sns, URL, aws.address).check() is None


def test_one_message_that_is_refused_takes_no_other_with_it(aws):
    """Where SNS refuses the request for what one message holds, that is found by halves."""

    def publish(asked, size):
        if any("b[2]" in entry["Message"] for entry in asked["PublishBatchRequestEntries"]):
            raise Refusal(400, "InvalidParameter", "secret")
        return published(asked, size)

    published, aws.publish_batch = aws.publish_batch, publish
    answers = awskit.deliver(awskit.open_at(sns, URL, aws.address), *[awskit.document(line) for line in range(4)])
    assert [type(answer) for answer in answers] == [Accepted, Accepted, Refused, Accepted]


def test_a_batch_may_be_full(aws):
    """As many bytes as SNS takes go out in one request; a larger document is made to fit."""
    sink = awskit.open_at(sns, URL, aws.address)
    batch = [Encoded("r/1", 0, b"{}"), Encoded("r/2", 0, b"x" * (sink.limits.size - 2))]
    assert [type(answer) for answer in sink.send(batch)] == [Accepted, Accepted]
    document = awskit.large(262_144)
    assert isinstance(awskit.deliver(sink, document)[0], Accepted)
    assert "left out" in sink.encode(document).note


@pytest.mark.parametrize("url", ["sns:changes", URL.replace(":sns:", ":sqs:"), f"{URL}:subscription"])
def test_a_topic_is_an_arn(credentials, url):
    """Anything else is refused before anything is asked."""
    with pytest.raises(ConfigError, match="no topic"):
        awskit.open_at(sns, url, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["changes", "changes.fifo"])
def test_moto_passes_messages_on(moto, name):
    """An independent implementation takes what is sent, and a queue gets it."""
    options = {"endpoint_url": moto, "region_name": "eu-west-1"}
    topics, queues = boto3.client("sns", **options), boto3.client("sqs", **options)
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    arn = topics.create_topic(Name=name, Attributes=fifo)["TopicArn"]
    queue = queues.create_queue(QueueName="seen")["QueueUrl"]
    seen = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topics.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=seen, Attributes={"RawMessageDelivery": "true"})
    sink = awskit.open_at(sns, f"sns:{arn}", moto)
    assert sink.check() is None
    answers = awskit.deliver(sink, awskit.document(1), awskit.document(2))
    assert all(isinstance(answer, Accepted) and answer.receipt for answer in answers)
    messages = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert {json.loads(message["Body"])["id"] for message in messages} == {awskit.document(n).id for n in (1, 2)}
