"""Documents reach an OTLP receiver as log records in the protocol's JSON encoding."""

import json

import msgspec
import pytest
from awskit import NOW, deliver, document, large
from httpkit import open_at
from httpsinkfakes import Authority, Collector, Fault, serving
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused
from tfaudit.sinks.otlp import SIZE, log_record


@pytest.fixture
def collector():
    """A running receiver."""
    with serving(Collector()) as running:
        yield running


def sink_at(running, **more):
    """A sink that sends to it."""
    return open_at("otlp", running.url, **more)


def plain(value):
    """Read an AnyValue back."""
    if not value:
        return None
    ((kind, inner),) = value.items()
    match kind:
        case "arrayValue":
            return [plain(one) for one in inner["values"]]
        case "kvlistValue":
            return {one["key"]: plain(one["value"]) for one in inner["values"]}
        case "intValue":
            return int(inner)
        case _:
            return inner


def attributes(record):
    """A log record's attributes."""
    return {one["key"]: plain(one["value"]) for one in record["attributes"]}


def test_a_document_is_a_log_record(collector):
    """Its id is the record's own, which tells a repetition."""
    made = document(severity=5)
    assert deliver(sink_at(collector), made) == [Accepted()]
    (record,) = collector.records
    assert plain(record["body"]) == made.body
    assert record["timeUnixNano"] == f"{NOW}000000"
    assert (record["severityNumber"], record["severityText"]) == (17, "Critical")
    assert record["eventName"] == "tfaudit.resource-change"
    found = attributes(record)
    assert found["log.record.uid"] == made.id
    assert found["tfaudit.address"] == made.body["address"]
    assert found["user.id"] == "github:583231"


@pytest.mark.parametrize(("severity", "number"), [(1, 9), (2, 10), (3, 13), (4, 14), (5, 17)])
def test_severities_are_graded(severity, number):
    """From INFO to ERROR."""
    assert log_record(document(severity=severity), b"{}")["severityNumber"] == number


def test_a_request_is_gzip_in_json(collector):
    """One request, resource and scope once."""
    deliver(sink_at(collector), document(1), document(2))
    (asked,) = collector.asked
    assert asked.headers["Content-Encoding"] == "gzip"
    (logs,) = json.loads(asked.body)["resourceLogs"]
    assert {one["key"] for one in logs["resource"]["attributes"]} == {"service.name", "service.version"}
    assert len(logs["scopeLogs"][0]["logRecords"]) == 2


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.text()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_value_is_read_back(value):
    """Every JSON value has an AnyValue."""
    record = log_record(document(), json.dumps({"value": value}).encode())
    assert plain(record["body"]) == {"value": value}


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9223372036854775808", b"123456789012345678901234567890"])
def test_a_number_that_has_no_form_is_a_text(collector, number):
    """As the engine spelled it."""
    made = document(attributes=[{"path": "/n", "before": None, "after": msgspec.Raw(number), "withheld": False}])
    assert isinstance(deliver(sink_at(collector), made)[0], Accepted)
    assert plain(collector.records[0]["body"])["attributes"][0]["after"] == number.decode()


def test_a_document_that_is_too_deep_is_a_text():
    """Nobody's stack ends."""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert log_record(document(), deep)["body"] == {"stringValue": deep.decode()}


def test_a_document_of_many_small_members_fits(collector):
    """As one text where its members would be ten times as long."""
    attributes = [{"path": "/n", "before": None, "after": [0] * 400_000, "withheld": False}]
    made = document(attributes=attributes)
    sink = sink_at(collector)
    assert len(sink.encode(made).content) <= SIZE
    assert isinstance(deliver(sink, made)[0], Accepted)


def test_a_document_that_is_too_large_loses_values(collector):
    """The note says what was left out."""
    sink, made = sink_at(collector), large(5_000_000)
    assert isinstance(deliver(sink, made)[0], Accepted)
    assert sink.encode(made).note is not None


def test_a_path_of_its_own_is_used():
    """/v1/logs is added where the address has none."""
    with serving(Collector(path="/otlp/v1/logs")) as running:
        assert deliver(open_at("otlp", f"{running.url}/otlp/v1/logs/"), document()) == [Accepted()]


def test_headers_are_the_secrets(collector):
    """In the form of OTEL_EXPORTER_OTLP_HEADERS."""
    collector.wanted = {"api-key": "a=b", "Authorization": "Bearer key"}
    secret = "api-key=a=b, Authorization=Bearer%20key"
    assert deliver(sink_at(collector, secret=secret), document()) == [Accepted()]
    assert isinstance(deliver(sink_at(collector), document())[0], Misconfigured)


@pytest.mark.parametrize(
    "secret",
    ["canary", "=canary", "a=", "a b=canary", "a=b%0acanary", "Content-Type=canary", "host=canary", "a=b,,c=canary"],
)
def test_headers_that_are_none_are_told_and_not_shown(secret):
    """They would break the request."""
    with pytest.raises(ConfigError) as caught:
        open_at("otlp", "https://otlp.example.com", secret=secret)
    assert "canary" not in str(caught.value)


def test_where_some_are_rejected_all_count_as_refused(collector):
    """OTLP says how many and not which, and forbids to send them again."""
    bad = document(2).id
    collector.rejects = lambda record: attributes(record)["log.record.uid"] == bad
    answers = deliver(sink_at(collector), *[document(number) for number in (1, 2, 3)])
    assert all(isinstance(answer, Refused) for answer in answers)
    assert "rejects 1 of 3" in answers[0].reason
    assert "canary" not in answers[0].reason
    assert len(collector.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"partialSuccess":{}}', b'{"partialSuccess":{"errorMessage":"slow"}}', b'{"partialSuccess":null}'],
)
def test_a_success_is_one(collector, body):
    """A message alone is advice."""
    collector.faults.append(Fault(200, body=body))
    assert deliver(sink_at(collector), document()) == [Accepted()]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\x0a\x02"])
def test_a_success_that_is_not_otlps_is_none(collector, body):
    """Something else answers there."""
    collector.faults.append(Fault(200, body=body))
    assert isinstance(deliver(sink_at(collector), document())[0], Later)


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (302, Misconfigured),
        (400, Refused),
        (401, Misconfigured),
        (403, Misconfigured),
        (404, Misconfigured),
        (413, Refused),
        (415, Misconfigured),
        (429, Later),
        (500, Later),
        (502, Later),
        (503, Later),
        (504, Later),
    ],
)
def test_each_status_has_its_meaning(collector, status, meant):
    """A busy receiver's time is honoured."""
    collector.faults.append(Fault(status, {"Retry-After": "4"}))
    (answer,) = deliver(sink_at(collector), document())
    assert isinstance(answer, meant)
    if meant is Later:
        assert answer.after == 4


def test_a_request_that_is_too_large_is_sent_in_parts(collector):
    """A lower limit than usual costs requests and no documents."""
    collector.most = 6_000
    answers = deliver(sink_at(collector), *[document(number) for number in range(1, 9)], large(9_000, 9))
    assert [type(answer) for answer in answers] == [Accepted] * 8 + [Refused]


def test_a_check_sends_no_log_record(collector):
    """An empty request is one."""
    assert sink_at(collector).check() is None
    assert collector.records == []


def test_a_check_tells_of_another_server(collector):
    """404."""
    assert isinstance(open_at("otlp", f"{collector.url}/other").check(), Misconfigured)


def test_a_check_tells_of_a_server_that_refuses_all(collector):
    """400 for nothing."""
    collector.faults.append(Fault(400))
    assert isinstance(sink_at(collector).check(), Misconfigured)


def test_an_answer_that_is_lost_is_later(collector):
    """The record may have arrived: its uid tells the repetition."""
    collector.faults.append(Fault(200, body=b"{}", cut=1, after=True))
    assert isinstance(deliver(sink_at(collector), document())[0], Later)


def test_it_works_over_tls(tmp_path):
    """With a private authority."""
    authority = Authority(tmp_path)
    with serving(Collector(), certificate=authority.certificate()) as running:
        assert deliver(sink_at(running, ca=str(authority.path)), document()) == [Accepted()]
