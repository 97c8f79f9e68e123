"""How a message reaches its targets, and that none of their secrets is ever said."""

from __future__ import annotations

import base64
import os
import socket
import threading
from pathlib import Path

import alertkit
import pytest

from tfaudit.alerts import sendchild, sending, targets
from tfaudit.alerts.message import Message

TOKEN = "T0KEN-of-the-receiver"
MESSAGE = Message(
    title="tfaudit: denied on example.test/a",
    text="Apply denied by the gate (quorum)\nwho: github:1 (verified)\nmore: tfaudit inspect 0190",
    urgency="warning",
    events=("denied",),
    about={"run_id": "0190"},
)


def _environ(**secrets: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **secrets}


def test_a_plain_webhook_gets_the_message_and_what_it_is_about() -> None:
    """JSON by POST: words for people, and the run for machines."""
    with alertkit.receiver() as receiver:
        assert sending.send(MESSAGE, ["env:HOOK"], _environ(HOOK=receiver.url())) == {}
    assert receiver.bodies == [MESSAGE.to_json()]
    assert receiver.got[0][0].endswith(TOKEN)


def test_apprise_reaches_its_targets() -> None:
    """Title, text and urgency arrive as they are."""
    pytest.importorskip("apprise")
    with alertkit.receiver() as receiver:
        assert sending.send(MESSAGE, ["env:HOOK"], _environ(HOOK=receiver.url("json"))) == {}
    [body] = receiver.bodies
    assert (body["title"], body["message"], body["type"]) == (MESSAGE.title, MESSAGE.text, "warning")


def test_markup_in_a_message_stays_text_in_apprise() -> None:
    """Nothing in it is taken for HTML, an escape or an emoji."""
    pytest.importorskip("apprise")
    odd = Message(title="a\\tb :smile:", text="x\\n<b> &amp; *y*", urgency="info", events=("denied",), about={})
    with alertkit.receiver() as receiver:
        sending.send(odd, ["env:HOOK"], _environ(HOOK=receiver.url("json")))
    assert receiver.bodies[0]["message"] == odd.text
    assert receiver.bodies[0]["title"] == odd.title


def test_every_target_gets_it_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    """Those that failed are named by where their URL is, with a reason that says nothing of it."""
    secret = tmp_path / "hook"
    with alertkit.receiver() as good, alertkit.receiver(status=500) as bad:
        secret.write_text(good.url() + "\n")
        secret.chmod(0o600)
        environ = _environ(BAD=bad.url(), APPRISE=bad.url("json"), ODD=f"nonsense://{TOKEN}", NONE=f"just {TOKEN}")
        references = ["env:BAD", f"file:{secret}", "env:ODD", "env:APPRISE", "env:NONE", "env:MISSING"]
        failed = sending.send(MESSAGE, references, environ)
        assert len(good.got) == 1
    assert set(failed) == {"env:BAD", "env:ODD", "env:APPRISE", "env:NONE", "env:MISSING"}
    assert failed["env:BAD"] == "answered with the status 500"
    assert not [why for why in failed.values() if TOKEN in why or "127.0.0.1" in why]


def test_nothing_is_printed_by_whatever_sends(capfd: pytest.CaptureFixture[str]) -> None:
    """apprise logs what it was given; here that goes nowhere."""
    pytest.importorskip("apprise")
    with alertkit.receiver(status=404) as bad:
        sending.send(MESSAGE, ["env:A", "env:B"], _environ(A=bad.url("json"), B=f"slack://{TOKEN}/x"))
    assert capfd.readouterr() == ("", "")


def test_a_target_that_hangs_keeps_nobody_waiting_for_long() -> None:
    """It has its time, and the others have theirs beside it."""
    with alertkit.receiver(delay=3) as slow, alertkit.receiver() as quick:
        words = sendchild.deliver([slow.url(), quick.url()], MESSAGE.to_json(), seconds=0.6)
        assert words == ["gave no answer in time", "sent"]


def test_a_redirect_is_not_followed() -> None:
    """A token in the URL is for the server that the configuration names."""
    with alertkit.receiver() as other:
        with alertkit.receiver(status=302, headers={"Location": other.url()}) as first:
            failed = sending.send(MESSAGE, ["env:A", "env:B"], _environ(A=first.url(), B=first.url("json")))
            assert len(first.got) == 2
        assert set(failed) == {"env:A", "env:B"}
        assert other.got == []


def test_a_proxy_is_told_who_asks() -> None:
    """Its name and password are in HTTPS_PROXY; what it says of them is not repeated."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        seen: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                seen.append(connection.recv(10_000))
                connection.sendall(b"HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        environ = _environ(A=f"https://hooks.example.com/{TOKEN}")
        environ["HTTPS_PROXY"] = f"http://user:pass%2Dword@127.0.0.1:{proxy.getsockname()[1]}"
        assert sending.send(MESSAGE, ["env:A"], environ) == {"env:A": "can't be reached through the proxy"}
        thread.join(10)
    assert b"proxy-authorization: basic " + base64.b64encode(b"user:pass-word").lower() in seen[0].lower()
    assert TOKEN.encode() not in seen[0]


def test_a_port_that_nobody_listens_at_is_said() -> None:
    """In a word of ours."""
    with alertkit.receiver() as receiver:
        url = receiver.url()
    assert sending.send(MESSAGE, ["env:A"], _environ(A=url)) == {"env:A": "can't be reached"}


def test_no_secret_of_the_job_reaches_the_process_that_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment it gets what reaching a target takes."""
    environ = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "s", "TF_VAR_x": "s", "https_proxy": "http://p", "HOOK": "s"}
    assert set(sending._passed(environ, aws=False)) == {"PATH", "https_proxy"}
    assert set(sending._passed(environ, aws=True)) == {"PATH", "https_proxy", "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.example.com/services/T/B/x", "post"),
        ("http://127.0.0.1:8080/x", "post"),
        ("http://hooks.example.com/x", None),
        ("https://", None),
        ("https://host:99999/x", None),
        ("slack://a/b/c", "apprise"),
        ("mailto://user:pass@example.com", "apprise"),
        ("arn:aws:sns:eu-central-1:111122223333:alerts", "sns"),
        ("arn:aws:sqs:eu-central-1:111122223333:alerts", None),
        ("not a url", None),
        ("", None),
        ("https://a/\nb", None),
    ],
)
def test_a_target_is_what_its_url_says(url: str, kind: str | None) -> None:
    """Plain http goes to this machine only: the URL holds a secret."""
    assert targets.kind(url) == kind


@pytest.mark.parametrize(
    ("url", "alone"),
    [
        ("https://hooks.slack.com/services/T/B/x", "text"),
        ("https://chat.googleapis.com/v1/spaces/x", "text"),
        ("https://discord.com/api/webhooks/1/x", "content"),
    ],
)
def test_a_chat_that_takes_one_text_gets_one(url: str, alone: str) -> None:
    """They refuse, or drop, what they don't know."""
    assert sendchild._body(url, MESSAGE.to_json()) == {alone: f"{MESSAGE.title}\n{MESSAGE.text}"}


def test_a_topic_gets_title_and_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On an emulator of SNS, read back through a queue that is subscribed to the topic."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        sns, sqs = (boto3.client(name, region_name="eu-central-1") for name in ("sns", "sqs"))
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        queue = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        assert sendchild.deliver([topic], MESSAGE.to_json(), seconds=10) == ["sent"]
        assert MESSAGE.title in sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"]
        gone = topic.replace("alerts", "gone")
        assert sendchild.deliver([gone], MESSAGE.to_json(), seconds=10) == ["was refused: NotFound"]


def test_a_topic_is_not_asked_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without TLS on another machine would show the message to the net."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://192.0.2.1:4566")
    topic = "arn:aws:sns:eu-central-1:111122223333:alerts"
    (said,) = sendchild.deliver([topic], MESSAGE.to_json(), seconds=10)
    assert said.startswith("is not asked in clear")


def test_a_target_can_be_looked_at_without_sending() -> None:
    """For doctor: what is wrong, and what to do."""
    assert sending.problem("https://hooks.example.com/x") is None
    found = sending.problem("nothing")
    assert found is not None
    assert "https://" in found[1]
