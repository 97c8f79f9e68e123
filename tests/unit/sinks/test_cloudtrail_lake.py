"""CloudTrail Lake as a sink: one answer an event, checksums, limits, who may not use it any more."""

from __future__ import annotations

import json

import awskit
import pytest
from awsfake import ACCOUNT, CHANNEL, Refusal

from tfaudit.errors import ConfigError
from tfaudit.sinks import cloudtrail_lake
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused

URL = f"cloudtrail-lake:{CHANNEL}"


def test_documents_arrive(aws):
    """Each document is an audit event that CloudTrail takes; the receipt is the id that it gives."""
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    answers = awskit.deliver(sink, awskit.document(0, kind="record"), awskit.document(1))
    assert answers == [Accepted(receipt="ct-1"), Accepted(receipt="ct-2")]
    assert [kept["UID"] for kept in aws.kept] == [awskit.document(0).id, awskit.document(1).id]
    assert {kept["recipientAccountId"] for kept in aws.kept} == {ACCOUNT}
    (asked,) = (asked for _, asked, _ in aws.requests)
    assert [event["id"] for event in asked["auditEvents"]] == [f"{awskit.RECORD.format(0)}_{line}" for line in (0, 1)]


CODES = {
    "FieldTooLong": Refused,
    "FieldNotFound": Refused,
    "InvalidChecksum": Refused,
    "InvalidData": Refused,
    "InvalidEventSource": Refused,
    "InvalidRecipient": Misconfigured,
    "AccountNotSubscribed": Misconfigured,
    "Throttling": Later,
    "InternalFailure": Later,
    "SomethingNew": Refused,
}


def test_each_event_has_its_own_answer(aws):
    """An HTTP 200 may refuse each event for a reason of its own: two are worth another try."""
    aws.entries = {f"b[{line}]": code for line, code in enumerate(CODES)}
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    answers = awskit.deliver(sink, *[awskit.document(line) for line in range(len(CODES) + 1)])
    assert [type(answer) for answer in answers] == [*CODES.values(), Accepted]
    assert "acme" not in repr(answers)


def test_an_account_that_is_not_subscribed_is_explained(aws):
    """What AWS closed, and what to take in its place, is in the hint; also in the check."""
    aws.entries = {"": "AccountNotSubscribed"}
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    for answer in (awskit.deliver(sink, awskit.document())[0], sink.check()):
        assert answer.reason == "CloudTrail Lake refuses: AccountNotSubscribed"
        assert "2026-05-31" in answer.hint
        assert "cloudwatch-logs:" in answer.hint


def test_what_got_no_answer_is_for_later(aws):
    """An event that stands neither among the taken nor among the failed is tried again."""
    aws.silent = (awskit.document(1).id.replace("/", "_"),)
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    answers = awskit.deliver(sink, awskit.document(1), awskit.document(2))
    assert [type(answer) for answer in answers] == [Later, Accepted]


@pytest.mark.parametrize(
    "code",
    [
        "ChannelInsufficientPermission",
        "ChannelNotFound",
        "ChannelUnsupportedSchema",
        "InvalidChannelARN",
        "UnsupportedOperationException",
    ],
)
def test_a_channel_that_will_not_do(aws, code):
    """What is wrong with the channel is a matter of configuration, with a hint."""
    aws.whole = [Refusal(400, code)]
    answer = awskit.deliver(awskit.open_at(cloudtrail_lake, URL, aws.address), awskit.document())[0]
    assert (type(answer), answer.reason) == (Misconfigured, f"CloudTrail Lake refuses: {code}")
    assert answer.hint


def test_the_same_document_twice(aws):
    """AWS refuses a request with the same id twice: they go one by one."""
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    answers = awskit.deliver(sink, awskit.document(1), awskit.document(1))
    assert [answer.receipt for answer in answers] == ["ct-1", "ct-2"]


def test_a_batch_may_be_full(aws):
    """As many bytes as the limits allow are at most 1 MB of a request's body, escapes and all."""
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    documents, size = [], 0
    for line in range(sink.limits.documents):
        more = sink.encode(awskit.large(30_000, line, reason='a "quoted" \u00fc\u0001 reason ' * 30))
        if size + len(more.content) + sink.limits.overhead > sink.limits.size:
            break
        size += len(more.content) + sink.limits.overhead
        documents.append(more)
    assert size > 940_000
    assert {type(answer) for answer in sink.send(documents)} == {Accepted}


def test_a_hundred_documents_go_in_one_request(aws):
    """And no more."""
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    assert {type(a) for a in awskit.deliver(sink, *[awskit.document(line) for line in range(100)])} == {Accepted}
    assert len(aws.requests) == 1
    assert sink.limits.documents == 100


def test_a_large_document_is_shortened_and_says_so(aws):
    """Fields that are too long would be refused: they are cut, and the note names them."""
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    document = awskit.large(300_000)
    assert isinstance(awskit.deliver(sink, document)[0], Accepted)
    assert sink.encode(document).note == "shortened: requestParameters.attributes"


def test_a_policy_of_the_channel_may_ask_for_an_id(aws):
    """The external id goes along where it is set."""
    aws.external_id = "ours-2026"
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address, external_id="ours-2026")
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Accepted)
    sink = awskit.open_at(cloudtrail_lake, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Misconfigured)


def test_check_leaves_nothing(aws):
    """The check offers what can't be taken, and is content when it is refused for that."""
    assert awskit.open_at(cloudtrail_lake, URL, aws.address).check() is None
    assert aws.kept == []
    aws.whole = [Refusal(400, "AccessDeniedException")]
    answer = awskit.open_at(cloudtrail_lake, URL, aws.address).check()
    assert answer.hint == "these credentials need cloudtrail-data:PutAuditEvents on the channel"


def test_encode_is_pure(credentials):
    """The same document gives the same bytes, and the checksum is that of the text as it is."""
    sink = awskit.open_at(cloudtrail_lake, URL, "http://127.0.0.1:9")
    first, second = (sink.encode(awskit.document()) for _ in range(2))
    assert first == second
    assert json.loads(json.loads(first.content)["eventData"])["UID"] == first.id


@pytest.mark.parametrize(
    "url", ["cloudtrail-lake:channel", URL.replace(":cloudtrail:", ":sns:"), URL.replace("channel/", "eventdatastore/")]
)
def test_a_channel_is_an_arn(credentials, url):
    """Anything else is refused before anything is asked."""
    with pytest.raises(ConfigError, match="no channel"):
        awskit.open_at(cloudtrail_lake, url, "http://127.0.0.1:9")


def test_there_is_but_one_schema(credentials):
    """CloudTrail Lake has a schema of its own."""
    with pytest.raises(ConfigError, match="schema"):
        awskit.open_at(cloudtrail_lake, URL, "http://127.0.0.1:9", schema="ocsf")
