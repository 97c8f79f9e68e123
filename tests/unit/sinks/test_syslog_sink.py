"""Documents reach a receiver whole, or the outbox is told that they may not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syslogkit import Authority, Receiver, frames, parse, receiver

from tfaudit.config.delivering import SinkSettings
from tfaudit.errors import ConfigError
from tfaudit.sinks import schemes
from tfaudit.sinks.model import Accepted, Document, Encoded, Later, Misconfigured, Refused
from tfaudit.sinks.syslog import SyslogSink

RECORD = "0198c0de-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the receivers' certificates."""
    return Authority(tmp_path_factory.mktemp("tls"))


def _document(line: int = 1, **more: Any) -> Document:
    body = {
        "id": f"{RECORD}/{line}",
        "time": "2026-11-25T04:00:00.000Z",
        "kind": "resource-change",
        "record": "intent",
        "record_id": RECORD,
        "run_id": "run-1",
        "stack": "example.test/team/project",
        "severity": 4,
        "address": "aws_instance.web",
        "action": "delete",
        "attributes": [],
        **more,
    }
    return Document(id=body["id"], time=1_795_579_200_000, kind=body["kind"], body=body)


def _attribute(path: str, after: Any) -> dict[str, Any]:
    return {
        "path": path,
        "before": None,
        "after": after,
        "sensitive": False,
        "unknown": False,
        "forces_replacement": False,
        "withheld": False,
    }


def _settings(url: str, **options: Any) -> SinkSettings:
    given = {key: options.pop(key) for key in ("schema", "secret") if key in options}
    return SinkSettings(name="siem", url=url, scheme="syslog", options=options, **given)


def _open(url: str, **options: Any) -> SyslogSink:
    sink = schemes.open_sink(_settings(url, **options), environ={})
    assert isinstance(sink, SyslogSink)
    return sink


def _at(state: Receiver, authority: Authority, **options: Any) -> SyslogSink:
    return _open(f"syslog:localhost:{state.port}", ca=str(authority.file), **options)


def _encoded(sink: SyslogSink, document: Document) -> Encoded:
    encoded = sink.encode(document)
    assert isinstance(encoded, Encoded)
    return encoded


def test_documents_arrive_in_order(authority: Authority) -> None:
    """Each document is a message with its id, and all are accepted by the receiver's own end of TLS."""
    with receiver(authority) as state:
        sink = _at(state, authority)
        batch = [_encoded(sink, _document(line)) for line in range(1, 300)]
        assert sink.send(batch) == [Accepted(receipt="close_notify")] * 299
    assert [message.params["id"] for message in state.messages] == [each.id for each in batch]
    assert state.mistakes == []
    first = state.messages[0]
    assert (first.kind, first.priority, first.params["run"]) == ("resource-change", 13 * 8 + 3, "run-1")
    assert first.params["stack"] == "example.test/team/project"
    assert first.document == _document(1).body


@pytest.mark.parametrize("schema", ["ocsf", "ecs"])
def test_other_schemas(authority: Authority, schema: str) -> None:
    """The text is the document in the schema that is asked for."""
    with receiver(authority) as state:
        sink = _at(state, authority, schema=schema)
        sink.send([_encoded(sink, _document())])
    said = state.messages[0].document
    assert said.get("class_uid") == 6003 if schema == "ocsf" else said["event"]["id"] == f"{RECORD}/1"


def test_the_same_document_is_the_same_message(authority: Authority) -> None:
    """A second delivery has the same bytes, by which a receiver can tell that it has it already."""
    with receiver(authority) as state:
        assert _encoded(_at(state, authority), _document()) == _encoded(_at(state, authority), _document())


def test_a_long_document_is_shortened(authority: Authority) -> None:
    """What would be too long for a receiver goes without its largest values, and message and receipt say so."""
    document = _document(attributes=[_attribute("/user_data", "x" * 50_000), _attribute("/name", "web")])
    with receiver(authority) as state:
        sink = _at(state, authority)
        encoded = _encoded(sink, document)
        (answer,) = sink.send([encoded])
    assert len(frames(encoded.content)[0][0]) <= 8_000
    assert isinstance(answer, Accepted)
    assert encoded.note
    said = state.messages[0].document
    assert [(each["path"], each["after"], each["withheld"]) for each in said["attributes"]] == [
        ("/user_data", None, True),
        ("/name", "web", False),
    ]


@pytest.mark.parametrize("letter", ["é", "語", "😀"])
def test_letters_beyond_ascii_count_as_they_go_out(authority: Authority, letter: str) -> None:
    """A document that is short in UTF-8 and too long in ASCII is shortened as well."""
    document = _document(attributes=[_attribute(f"/tags/{n}", letter * 240) for n in range(8)])
    with receiver(authority) as state:
        encoded = _encoded(_at(state, authority), document)
    (message,) = frames(encoded.content)[0]
    assert len(message) <= 8_000
    assert parse(message).document["address"] == "aws_instance.web"


def test_a_larger_size(authority: Authority) -> None:
    """``size`` lets longer messages out."""
    document = _document(attributes=[_attribute("/user_data", "x" * 50_000)])
    with receiver(authority) as state:
        encoded = _encoded(_at(state, authority, size=65_536), document)
    assert parse(frames(encoded.content)[0][0]).document == document.body


def test_what_can_never_fit(authority: Authority) -> None:
    """A document whose bones alone are too long is refused, and its content isn't told."""
    with receiver(authority) as state:
        answer = _at(state, authority, size=2_048).encode(_document(address="x" * 10_000))
    assert isinstance(answer, Refused)
    assert "xxx" not in answer.reason


def test_a_connection_that_breaks_is_later(authority: Authority) -> None:
    """Where the receiver goes in the middle, nothing of the batch counts as delivered."""
    with receiver(authority, ending="after some") as state:
        sink = _at(state, authority)
        answers = sink.send([_encoded(sink, _document(line)) for line in range(1, 1_000)])
    assert len(answers) == 999
    assert {type(answer) for answer in answers} == {Later}


def test_a_stranger_is_misconfigured(authority: Authority, tmp_path: Path) -> None:
    """A certificate that isn't trusted keeps everything until somebody mends it, and says how."""
    with receiver(Authority(tmp_path, "other")) as state:
        sink = _at(state, authority)
        (answer,) = sink.send([_encoded(sink, _document())])
        assert sink.check() == answer
    assert isinstance(answer, Misconfigured)
    assert "ca =" in str(answer.hint)


def test_check_leaves_nothing(authority: Authority) -> None:
    """Looking whether the receiver is there sends no message."""
    with receiver(authority) as state:
        assert _at(state, authority).check() is None
    assert state.connections == 1
    assert state.received == b""


def test_check_tells_a_receiver_that_is_away(authority: Authority) -> None:
    """One that does not answer is for later."""
    with receiver(authority) as state:
        sink = _at(state, authority)
    assert isinstance(sink.check(), Later)


def test_our_own_receiver_in_clear() -> None:
    """A receiver on this machine may be spoken to without TLS."""
    with receiver(None) as state:
        sink = _open(f"syslog:tcp://127.0.0.1:{state.port}")
        assert sink.send([_encoded(sink, _document())]) == [Accepted(receipt="end of stream")]
    assert json.loads(state.messages[0].text) == _document().body


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("syslog:tcp://logs.example.test:514", {}, "in clear to logs.example.test"),
        ("syslog:tcp://localhost:514", {}, "in clear to localhost"),
        ("syslog:tcp://127.0.0.1", {}, "names no port"),
        ("syslog:tcp://127.0.0.1:601", {"ca": "/ca.pem"}, "no TLS"),
        ("syslog:udp://127.0.0.1:514", {}, "the url"),
        ("syslog:host:0", {}, "the url"),
        ("syslog:host:70000", {}, "the url"),
        ("syslog:host/path", {}, "the url"),
        ("syslog:höst", {}, "the url"),
        ("syslog:host", {"cert": "/c.pem"}, "only one of cert and key"),
        ("syslog:host", {"ca": "/nowhere/ca.pem"}, r"ca /nowhere/ca.pem .* can't be used: No such file"),
        ("syslog:host", {"size": 100}, "size of the sink siem"),
        ("syslog:host", {"secret": "env:TOKEN"}, "no use for a secret"),
    ],
)
def test_what_is_no_destination(url: str, options: dict[str, Any], message: str) -> None:
    """A mistake in the configuration is told by name."""
    with pytest.raises(ConfigError, match=message):
        _open(url, **options)


@pytest.mark.parametrize("url", ["syslog:logs.example.test", "syslog://logs.example.test:6514", "syslog:tls://[::1]"])
def test_what_is_a_destination(url: str) -> None:
    """Host alone, with a port, as an IPv6 address; each by TLS."""
    assert _open(url)


def test_a_key_with_a_password(authority: Authority) -> None:
    """A key that needs a password is refused, and nobody is asked for one."""
    cert, key = authority.issue("closed", password=b"secret")
    with pytest.raises(ConfigError, match=r"can't be used"):
        _open("syslog:host", cert=str(cert), key=str(key))
