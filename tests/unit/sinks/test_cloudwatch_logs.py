"""CloudWatch Logs as a sink: order, limits, refusals one by one, what is made where it is missing."""

from __future__ import annotations

import json

import awskit
import boto3
import pytest
from awsfake import DAY, Refusal
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.sinks import cloudwatch_logs
from tfaudit.sinks.model import Accepted, Encoded, Later, Misconfigured, Refused
from tfaudit.sinks.narrowing import MAX_REQUESTS

URL = "cloudwatch-logs:/tfaudit/changes"
GROUP = "/tfaudit/changes"


@pytest.fixture
def logs(aws):
    """A fake with the group and the stream."""
    aws.groups[GROUP].add("tfaudit")
    return aws


def at(*times):
    """Documents of these times, from the oldest record on."""
    return [awskit.document(line, time=time) for line, time in enumerate(times, 1)]


def test_documents_arrive(logs):
    """Each document is an event: its JSON at its record's time; the receipt is the request's id."""
    answers = awskit.deliver(awskit.open_at(cloudwatch_logs, URL, logs.address), *at(awskit.NOW, awskit.NOW + 1))
    assert answers == [Accepted(receipt="request-1")] * 2
    assert [event["timestamp"] for event in logs.kept] == [awskit.NOW, awskit.NOW + 1]
    assert json.loads(logs.kept[0]["message"])["attributes"][0]["after"] == "acme-logs-ü"


def test_events_are_sorted_and_answers_are_not(logs):
    """A batch goes out in the order of time; each answer stands where its document did."""
    times = (awskit.NOW + 5, awskit.NOW - 15 * DAY, awskit.NOW + 1, awskit.NOW + 3 * 3600 * 1000)
    answers = awskit.deliver(awskit.open_at(cloudwatch_logs, URL, logs.address), *at(*times))
    assert [type(answer) for answer in answers] == [Accepted, Refused, Accepted, Refused]
    assert "older than 14 days" in answers[1].reason
    assert "2 hours ahead" in answers[3].reason
    assert [event["timestamp"] for event in logs.kept] == [awskit.NOW + 1, awskit.NOW + 5]


def test_what_the_retention_would_remove_is_refused(logs):
    """Events that the group's own retention ends are told apart from those that nobody takes."""
    logs.retention_days = 1
    times = (awskit.NOW - 15 * DAY, awskit.NOW - 2 * DAY, awskit.NOW)
    answers = awskit.deliver(awskit.open_at(cloudwatch_logs, URL, logs.address), *at(*times))
    assert [type(answer) for answer in answers] == [Refused, Refused, Accepted]
    assert answers[1].reason == "it is older than the log group's retention"


@given(st.lists(st.integers(awskit.NOW - 16 * DAY, awskit.NOW + DAY), min_size=1, max_size=8))
def test_each_answer_is_its_own_documents(times):
    """Whatever order the times are in: refused are exactly those out of bounds."""
    sink = cloudwatch_logs.CloudWatchLogs(awskit.settings(URL), Answering(), GROUP, "tfaudit")
    answers = sink.send([Encoded(f"r/{line}", time, b"{}") for line, time in enumerate(times)])
    bounds = (awskit.NOW - 14 * DAY, awskit.NOW + 2 * 3600 * 1000)
    expected = [Accepted if bounds[0] <= time <= bounds[1] else Refused for time in times]
    assert [type(answer) for answer in answers] == expected


class Answering:
    """A Logs service in memory that refuses by the clock, as AWS documents it."""

    def call(self, operation, *, logEvents, **names):
        """Answer a PutLogEvents."""
        times = [event["timestamp"] for event in logEvents]
        assert times == sorted(times)
        old = sum(time < awskit.NOW - 14 * DAY for time in times)
        new = sum(time <= awskit.NOW + 2 * 3600 * 1000 for time in times)
        told = {"tooOldLogEventEndIndex": old} if old else {}
        told |= {"tooNewLogEventStartIndex": new} if new < len(times) else {}
        return {"ResponseMetadata": {"RequestId": "1"}, "rejectedLogEventsInfo": told}


def test_group_and_stream_are_made(aws):
    """What is missing is made, and then used."""
    sink = awskit.open_at(cloudwatch_logs, URL, aws.address, stream="ci")
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Accepted)
    assert aws.groups == {GROUP: {"ci"}}
    assert [name for name, *_ in aws.requests] == [
        "put_log_events",
        "create_log_stream",
        "create_log_group",
        "create_log_stream",
        "put_log_events",
    ]


def test_only_the_stream_is_made(aws):
    """A group that is there needs no right to make groups."""
    aws.groups[GROUP] = set()
    aws.may_make = False
    sink = awskit.open_at(cloudwatch_logs, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Accepted)


def test_a_group_that_may_not_be_made_is_told(aws):
    """Where the group is missing and may not be made, whoever configures learns the name."""
    aws.may_make = False
    sink = awskit.open_at(cloudwatch_logs, URL, aws.address)
    answer = awskit.deliver(sink, awskit.document())[0]
    assert isinstance(answer, Misconfigured)
    assert answer.reason == "there is no log group /tfaudit/changes here"
    assert sink.check() == answer


def test_another_job_makes_the_group_at_the_same_time(aws):
    """That somebody was faster is no failure."""
    aws.whole = [None, None, Refusal(400, "ResourceAlreadyExistsException"), None, None]

    def raced(asked, size):
        aws.groups[GROUP]  # the other job
        raise Refusal(400, "ResourceNotFoundException", "The specified log group does not exist.")

    made, aws.create_log_stream = aws.create_log_stream, raced
    aws.create_log_group = lambda asked, size: {}

    def first_raced(asked, size):
        aws.create_log_stream = made
        return raced(asked, size)

    aws.create_log_stream = first_raced
    sink = awskit.open_at(cloudwatch_logs, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Accepted)


def test_a_group_that_is_not_there_yet_is_for_later(aws):
    """AWS may take a while to know what it has made."""
    aws.create_log_stream = aws.create_log_group = lambda asked, size: {}
    sink = awskit.open_at(cloudwatch_logs, URL, aws.address)
    assert isinstance(awskit.deliver(sink, awskit.document())[0], Later)


def test_one_event_that_is_refused_takes_no_other_with_it(logs):
    """Where AWS refuses a batch for what it holds, that is found by halves; AWS's text isn't repeated."""
    logs.entries = {"b[3]": "bad"}
    answers = awskit.deliver(awskit.open_at(cloudwatch_logs, URL, logs.address), *at(*[awskit.NOW] * 8))
    assert [type(answer) for answer in answers] == [Accepted] * 2 + [Refused] + [Accepted] * 5
    assert answers[2].reason == "it was refused by AWS: InvalidParameterException"


def test_where_all_are_refused_the_requests_are_limited(logs):
    """A full batch of events that AWS refuses as a whole is not tried one by one: the rest is for later, at once."""
    logs.whole = [Refusal(400, "InvalidParameterException")] * 1_000
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address)
    answers = sink.send([Encoded(f"r/{line}", awskit.NOW, b"{}") for line in range(200)])
    assert len(logs.requests) == MAX_REQUESTS
    assert [type(answer) for answer in answers] == sorted((type(each) for each in answers), key=[Refused, Later].index)
    assert answers[-1].after == 0


def test_after_a_failure_among_halves_nothing_more_is_sent(logs):
    """When the service goes away in between, the rest is for later."""
    logs.whole = [Refusal(400, "InvalidParameterException"), None, Refusal(503, "ServiceUnavailableException")]
    answers = awskit.deliver(awskit.open_at(cloudwatch_logs, URL, logs.address), *at(*[awskit.NOW] * 4))
    assert [type(answer) for answer in answers] == [Accepted] * 2 + [Later] * 2
    assert len(logs.requests) == 3


def test_a_batch_may_be_full(logs):
    """As many bytes as AWS takes, 26 an event counted, go out in one request."""
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address)
    small, full = sink.encode(awskit.document(1)), sink.limits.size
    rest = full - len(small.content) - 2 * sink.limits.overhead
    batch = [small, Encoded("r/2", awskit.NOW, b'"' + b"x" * (rest - 2) + b'"')]
    assert sum(len(each.content) + sink.limits.overhead for each in batch) == full == 1_048_576
    assert [type(answer) for answer in sink.send(batch)] == [Accepted, Accepted]
    many = [Encoded(f"r/{line}", awskit.NOW, b"{}") for line in range(sink.limits.documents)]
    assert {type(answer) for answer in sink.send(many)} == {Accepted}


def test_a_document_that_is_too_large_loses_its_largest_values(logs):
    """It fits, says so, and keeps the rest."""
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address)
    document = awskit.large(1_100_000)
    assert isinstance(awskit.deliver(sink, document)[0], Accepted)
    assert "values of more than 16384 bytes were left out" in sink.encode(document).note
    kept = json.loads(logs.kept[0]["message"])
    assert [one["withheld"] for one in kept["attributes"]] == [True, False]
    assert kept["attributes"][1]["after"] == "new"


@pytest.mark.parametrize("schema", ["ocsf", "ecs"])
def test_other_schemas(logs, schema):
    """The configured schema is what arrives."""
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address, schema=schema)
    awskit.deliver(sink, awskit.document())
    kept = json.loads(logs.kept[0]["message"])
    assert kept["class_uid"] == 6003 if schema == "ocsf" else kept["ecs"]["version"]


@pytest.mark.parametrize(
    "url", ["cloudwatch-logs:arn:aws:logs:eu-west-1:123456789012:log-group:x", "cloudwatch-logs:a b"]
)
def test_a_group_is_a_name(credentials, url):
    """An ARN's account would be passed over in silence, so that it is refused."""
    with pytest.raises(ConfigError, match="no log group"):
        awskit.open_at(cloudwatch_logs, url, "http://127.0.0.1:9")


def test_a_stream_is_a_name(credentials):
    """So is the stream."""
    with pytest.raises(ConfigError, match="stream"):
        awskit.open_at(cloudwatch_logs, URL, "http://127.0.0.1:9", stream="a:b")


def test_check_leaves_nothing(logs):
    """Where all is in order the check says nothing and leaves nothing; a stream that is missing will be made."""
    sink = awskit.open_at(cloudwatch_logs, URL, logs.address)
    assert sink.check() is None
    logs.groups[GROUP].clear()
    assert sink.check() is None
    assert (logs.kept, logs.groups) == ([], {GROUP: set()})
    logs.whole = [Refusal(400, "AccessDeniedException")]
    assert isinstance(sink.check(), Misconfigured)


def test_moto_takes_and_gives_back(moto):
    """An independent implementation takes what is sent, and gives back the same documents in order."""
    import time

    now = int(time.time() * 1000)
    sink = awskit.open_at(cloudwatch_logs, URL, moto)
    assert isinstance(sink.check(), Misconfigured)
    answers = awskit.deliver(sink, *at(now, now - 1000, now - 20 * DAY))
    # moto counts the last that is too old, where AWS tells the first that is not: of one it tells none.
    assert [type(answer) for answer in answers[:2]] == [Accepted, Accepted]
    assert sink.check() is None
    sink.close()
    client = boto3.client("logs", endpoint_url=moto, region_name="eu-west-1")
    events = client.get_log_events(logGroupName=GROUP, logStreamName="tfaudit", startFromHead=True)["events"]
    assert [json.loads(event["message"])["id"][-2:] for event in events] == ["/2", "/1"]
