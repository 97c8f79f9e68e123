"""Documents reach a real Kafka broker, in order for each stack, or the outbox is told that they may not have."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kafkakit
import pytest
from syslogkit import Authority

from tfaudit.config.delivering import SinkSettings
from tfaudit.errors import ConfigError
from tfaudit.sinks import kafka, schemes
from tfaudit.sinks.model import Accepted, Document, Encoded, Later, Misconfigured, Refused

pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
pytestmark = pytest.mark.xdist_group("kafka")

RECORD = "0198c0de-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafkakit.Broker]:
    """A broker in clear, for all tests that don't end it."""
    with kafkakit.broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Don't wait for long for what does not come."""
    monkeypatch.setattr(kafka, "SECONDS", 3.0)
    monkeypatch.setattr(kafka, "_LOOK_SECONDS", 2.0)


def _document(line: int = 1, stack: str | None = "team/a", **more: Any) -> Document:
    body = {
        "id": f"{RECORD}/{line}",
        "time": "2026-11-25T04:00:00.000Z",
        "kind": "resource-change",
        "record": "intent",
        "record_id": RECORD,
        "run_id": "run-1",
        "stack": stack,
        "severity": 4,
        "address": 'aws_instance.web["é"]',
        "attributes": [],
        **more,
    }
    return Document(id=body["id"], time=1_795_579_200_000, kind=body["kind"], body=body)


@contextlib.contextmanager
def _open(url: str, environ: dict[str, str] | None = None, **options: Any) -> Iterator[kafka.KafkaSink]:
    given = {key: options.pop(key) for key in ("schema", "secret") if key in options}
    settings = SinkSettings(name="stream", url=url, scheme="kafka", options=options, **given)
    sink = schemes.open_sink(settings, environ=environ or {})
    assert isinstance(sink, kafka.KafkaSink)
    with contextlib.closing(sink):
        yield sink


def _batch(sink: kafka.KafkaSink, *documents: Document) -> list[Encoded]:
    return [encoded for each in documents if isinstance(encoded := sink.encode(each), Encoded)]


def test_documents_arrive(broker: kafkakit.Broker) -> None:
    """Each document is one message, with its id, keyed by stack and so in order for each stack."""
    broker.make("arrive")
    documents = [_document(line, stack=f"team/{line % 4}") for line in range(1, 201)]
    with _open(f"kafka:plaintext://{broker.server}", topic="arrive") as sink:
        answers = sink.send(_batch(sink, *documents))
    assert {type(answer) for answer in answers} == {Accepted}
    found = broker.read("arrive", 200)
    assert len(found) == 200
    assert {json.loads(each.value())["id"] for each in found} == {each.id for each in documents}
    for number in range(4):
        of_one = [each for each in found if each.key() == f"team/{number}".encode()]
        assert [json.loads(each.value()) for each in of_one] == [
            each.body for each in documents if each.body["stack"] == f"team/{number}"
        ]
    receipts = {f"arrive-{each.partition()}@{each.offset()}" for each in found}
    assert {answer.receipt for answer in answers if isinstance(answer, Accepted)} == receipts


def test_headers(broker: kafkakit.Broker) -> None:
    """Id, kind and schema can be read without the document; without a stack the record is the key."""
    broker.make("headers")
    with _open(f"kafka:plaintext://{broker.server}", topic="headers", schema="ocsf") as sink:
        sink.send(_batch(sink, _document(stack=None)))
    (found,) = broker.read("headers", 1)
    assert dict(found.headers()) == {
        "id": f"{RECORD}/1".encode(),
        "kind": b"resource-change",
        "schema": b"ocsf",
        "content-type": b"application/json",
    }
    assert found.key() == RECORD.encode()
    assert json.loads(found.value())["class_uid"] == 6003


def test_several_batches(broker: kafkakit.Broker) -> None:
    """One sink sends batch after batch, in order."""
    broker.make("batches", 1)
    with _open(f"kafka:plaintext://{broker.server}", topic="batches") as sink:
        for start in (1, 11, 21):
            sink.send(_batch(sink, *(_document(line) for line in range(start, start + 10))))
    found = [json.loads(each.value())["id"] for each in broker.read("batches", 30, 1)]
    assert found == [f"{RECORD}/{line}" for line in range(1, 31)]


def test_a_large_document_is_shortened(broker: kafkakit.Broker) -> None:
    """A document above what brokers take goes without its largest values, and the receipt says so."""
    broker.make("large")
    attribute = {"path": "/user_data", "before": None, "after": "x" * 2_000_000, "withheld": False}
    with _open(f"kafka:plaintext://{broker.server}", topic="large") as sink:
        (encoded,) = _batch(sink, _document(attributes=[attribute]))
        assert isinstance(sink.send([encoded])[0], Accepted)
    assert encoded.note
    assert json.loads(broker.read("large", 1)[0].value())["attributes"][0]["after"] is None


def test_what_can_never_fit(broker: kafkakit.Broker) -> None:
    """A document whose bones alone are too large is refused."""
    with _open(f"kafka:plaintext://{broker.server}") as sink:
        assert isinstance(sink.encode(_document(address="x" * 2_000_000)), Refused)


class _Refusing:
    """A producer whose brokers find a record invalid, whichever: they say so of all of a batch."""

    def __init__(self, invalid: bytes) -> None:
        self.invalid = invalid
        self.batches: list[list[bytes]] = []
        self._waiting: list[tuple[bytes, Any]] = []

    def produce(self, _topic: str, *, value: bytes, on_delivery: Any, **_more: object) -> None:
        """Take a record."""
        self._waiting.append((value, on_delivery))

    def flush(self, _seconds: float) -> int:
        """Answer for what was taken."""
        records, self._waiting = self._waiting, []
        if records:
            self.batches.append([value for value, _ in records])
        refused = any(self.invalid in value for value, _ in records)
        for _, told in records:
            told(_Error("INVALID_RECORD") if refused else None, _Message())
        return 0

    def purge(self) -> None:
        """Have nothing to forget."""


class _Error:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """Return Kafka's own name."""
        return self._name


class _Message:
    def partition(self) -> int:
        """Return the only one."""
        return 0

    def offset(self) -> int:
        """Return the first."""
        return 0


def test_one_that_is_refused_takes_no_other_with_it() -> None:
    """Brokers refuse a batch as a whole: each of its documents is tried alone before that is believed."""
    with _open("kafka:127.0.0.1:9") as sink:
        sink.close()
        sink._producer = refusing = _Refusing(b"bad")
        answers = sink.send(_batch(sink, _document(1), _document(2, address="bad"), _document(3)))
    assert [type(each) for each in answers] == [Accepted, Refused, Accepted]
    assert [len(each) for each in refusing.batches] == [3, 1, 1, 1]


def test_when_the_time_is_over_nothing_more_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still doubtful then is for later, at once."""
    monkeypatch.setattr(kafka, "SECONDS", 0.0)
    with _open("kafka:127.0.0.1:9") as sink:
        sink.close()
        sink._producer = refusing = _Refusing(b"bad")
        answers = sink.send(_batch(sink, _document(1), _document(2, address="bad")))
    assert [(type(each), getattr(each, "after", None)) for each in answers] == [(Later, 0.0)] * 2
    assert len(refusing.batches) == 1


def test_check(broker: kafkakit.Broker) -> None:
    """A topic that is there is fine; one that isn't is told, and not made by asking."""
    broker.make("there")
    with _open(f"kafka:plaintext://{broker.server}", topic="there") as sink:
        assert sink.check() is None
    for _ in range(2):
        with _open(f"kafka:plaintext://{broker.server}", topic="absent") as sink:
            missing = sink.check()
        assert isinstance(missing, Misconfigured)
        assert "no such topic" in missing.reason
    assert broker.read("there", 0) == []


def test_nobody_there(impatient: None) -> None:
    """Brokers that don't answer are for later, and are not waited for without end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with _open(f"kafka:plaintext://127.0.0.1:{port}") as sink:
        answers = sink.send(_batch(sink, _document(1), _document(2)))
        found = [*answers, sink.check()]
    assert [type(answer) for answer in found] == [Later] * 3
    assert {answer.reason for answer in found if isinstance(answer, Later)} == {
        f"127.0.0.1:{port}, topic tfaudit: no broker can be reached"
    }


def test_a_broker_that_goes(tmp_path: Path, impatient: None) -> None:
    """What isn't acknowledged when the broker goes is for later."""
    with kafkakit.broker(tmp_path) as leaving:
        leaving.make("going")
        with _open(f"kafka:plaintext://{leaving.server}", topic="going") as sink:
            assert [type(each) for each in sink.send(_batch(sink, _document(1)))] == [Accepted]
            kafkakit.stop(leaving.process)
            assert [type(each) for each in sink.send(_batch(sink, _document(2)))] == [Later]


def test_a_broker_elsewhere_in_clear(tmp_path: Path, impatient: None) -> None:
    """A broker on this machine that sends us on to another one gets nothing in clear."""
    with (
        kafkakit.broker(tmp_path, host="broker.example.test") as leading,
        _open(f"kafka:plaintext://{leading.server}") as sink,
    ):
        (answer,) = sink.send(_batch(sink, _document()))
    assert isinstance(answer, Misconfigured)
    assert "broker.example.test" in answer.reason


def test_tls_and_password(tmp_path: Path, authority: Authority) -> None:
    """By TLS, with our certificate and a password from the secret."""
    cert, key = authority.issue("tfaudit")
    context = authority.server("127.0.0.1", mutual=True)
    with kafkakit.fronted(tmp_path, context, alice="pass:word") as (front, _):
        url = f"kafka:127.0.0.1:{front.port}"
        options = {"ca": str(authority.file), "cert": str(cert), "key": str(key), "mechanism": "PLAIN"}
        with _open(url, {"KAFKA": "alice:pass:word"}, secret="env:KAFKA", topic="secured", **options) as sink:
            missing = sink.check()
            assert isinstance(missing, Misconfigured)
            assert "no such topic" in missing.reason
            (answer,) = sink.send(_batch(sink, _document()))
    assert isinstance(answer, Accepted), answer
    assert set(front.peers) == {"tfaudit"}
    assert set(front.attempts) == {("alice", True)}


def test_a_wrong_password(tmp_path: Path, authority: Authority) -> None:
    """It is told at once, and stands in no message."""
    with kafkakit.fronted(tmp_path, authority.server("127.0.0.1"), alice="right") as (front, _):
        url = f"kafka:127.0.0.1:{front.port}"
        options = {"ca": str(authority.file), "mechanism": "PLAIN"}
        with _open(url, {"KAFKA": "alice:canary"}, secret="env:KAFKA", **options) as sink:
            told = [*sink.send(_batch(sink, _document())), sink.check()]
    for each in told:
        assert isinstance(each, Misconfigured), each
        assert "name or password" in each.reason
        assert "canary" not in repr(each)


@pytest.mark.usefixtures("impatient")
def test_a_stranger(tmp_path: Path, authority: Authority) -> None:
    """A certificate that isn't trusted is told, and nothing is sent."""
    other = Authority(tmp_path, "other")
    with (
        kafkakit.fronted(tmp_path, other.server("127.0.0.1")) as (front, _),
        _open(f"kafka:127.0.0.1:{front.port}", ca=str(authority.file)) as sink,
    ):
        told = [*sink.send(_batch(sink, _document())), sink.check()]
    for each in told:
        assert isinstance(each, Misconfigured), each
        assert "TLS" in each.reason


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("kafka:plaintext://broker.example.test:9092", {}, r"in clear to broker\.example\.test"),
        ("kafka:plaintext://localhost:9092", {}, "in clear to localhost"),
        ("kafka:plaintext://127.0.0.1:9092,10.0.0.1:9092", {}, r"in clear to 10\.0\.0\.1"),
        ("kafka:plaintext://127.0.0.1:9092", {"ca": "/ca.pem"}, "no TLS"),
        ("kafka:broker", {}, "the url"),
        ("kafka:broker:0", {}, "the url"),
        ("kafka:a:1,,b:2", {}, "the url"),
        ("kafka:broker:9093", {"topic": "no topic"}, "topic of the sink"),
        ("kafka:broker:9093", {"topic": ".."}, "topic of the sink"),
        ("kafka:broker:9093", {"cert": "/c.pem"}, "only one of cert and key"),
        ("kafka:broker:9093", {"ca": "/nowhere/ca.pem"}, "can't be used"),
        ("kafka:broker:9093", {"mechanism": "PLAIN"}, "no secret"),
        ("kafka:broker:9093", {"mechanism": "GSSAPI", "secret": "env:USER_ONLY"}, "mechanism of the sink"),
        ("kafka:broker:9093", {"secret": "env:USER_ONLY"}, "user:password"),
        ("kafka:broker:9093", {"secret": "env:ABSENT"}, "env:ABSENT"),
    ],
)
def test_what_is_no_destination(url: str, options: dict[str, Any], message: str) -> None:
    """A mistake in the configuration is told by name, a secret never."""
    with pytest.raises(ConfigError, match=message) as wrong, _open(url, {"USER_ONLY": "canary"}, **options):
        pass
    assert "canary" not in str(wrong.value)
