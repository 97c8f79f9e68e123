"""A receiver gets CloudEvents that are signed as Standard Webhooks has it."""

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path

import pytest
import shapekit
from awskit import deliver, document, large
from httpkit import open_at
from httpsinkfakes import KEY, Authority, Fault, Receiver, serving

from tfaudit.errors import ConfigError
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused
from tfaudit.sinks.webhook import signed

REPOSITORY = Path(__file__).resolve().parents[3]
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def receiver():
    """A running receiver."""
    with serving(Receiver()) as running:
        yield running


def sink_at(running, **more):
    """A sink that sends to it."""
    return open_at("webhook", f"{running.url}/hooks/tfaudit", **{"secret": SECRET, **more})


def verified(asked, key=KEY):
    """Verify a request by the words of the Standard Webhooks specification, with no code of ours."""
    name, moment = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
    assert "." not in name
    assert abs(time.time() - int(moment)) < 300
    content = name.encode() + b"." + moment.encode() + b"." + asked.raw
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    signatures = [one.split(",", 1) for one in asked.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(value, expected) for version, value in signatures)


def test_an_event_is_structured_and_signed(receiver):
    """One request for each document, in order."""
    made = [document(1), document(2)]
    answers = deliver(sink_at(receiver), *made)
    assert answers == [Accepted(receipt=one.id) for one in made]
    for asked, one in zip(receiver.posted, made, strict=True):
        assert verified(asked)
        assert asked.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert asked.headers["webhook-id"] == one.id
        event = json.loads(asked.body)
        assert (event["specversion"], event["id"], event["data"]) == ("1.0", one.id, one.body)


def test_events_are_cloudevents(receiver):
    """As CloudEvents' own schema has them."""
    bodies = [one.body for one in (document(1), large(10, 2))]
    for body in bodies:
        shapekit.check_cloudevent(body)
    deliver(sink_at(receiver), document(1))
    assert receiver.events[0]["type"] == "io.tfaudit.resource-change.v1"


def test_a_batch_is_one_request(receiver):
    """An array of events, signed as a whole."""
    made = [document(number) for number in range(1, 31)]
    answers = deliver(sink_at(receiver, batch=True), *made)
    (asked,) = receiver.posted
    assert verified(asked)
    assert asked.headers["Content-Type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert [event["id"] for event in json.loads(asked.body)] == [one.id for one in made]
    assert answers == [Accepted(receipt=asked.headers["webhook-id"])] * 30


def test_a_repetition_has_the_same_id_and_a_time_of_its_own(receiver):
    """So a receiver drops it, and can refuse what is old."""
    for _ in range(2):
        deliver(sink_at(receiver, batch=True), document(1), document(2))
    deliver(sink_at(receiver, batch=True), document(1))
    first, second, third = (asked.headers["webhook-id"] for asked in receiver.posted)
    assert first == second != third


@pytest.mark.parametrize("schema", ["ocsf", "ecs"])
def test_the_data_is_in_the_schema_that_is_asked_for(receiver, schema):
    """And says which."""
    deliver(sink_at(receiver, schema=schema), document())
    (event,) = receiver.events
    assert schema in event["dataschema"] or "elastic" in event["dataschema"]
    assert event["data"] != document().body


def test_the_receiver_of_the_documentation_knows_what_is_ours(receiver):
    """Its ten lines take what is sent, and nothing that was altered or is old."""
    page = (REPOSITORY / "docs" / "sinks-http.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    is_ours = names["is_ours"]
    deliver(sink_at(receiver, secret=f"whsec_{base64.b64encode(b'x' * 32).decode()}\n{SECRET}"), document())
    (asked,) = receiver.posted
    assert is_ours(asked.headers, asked.raw, SECRET)
    assert not is_ours(asked.headers, asked.raw + b" ", SECRET)
    assert not is_ours(asked.headers, asked.raw, "another secret of enough characters")
    assert not is_ours(signed([KEY], "a", 1, b"x"), b"x", SECRET)


def test_another_key_does_not_verify(receiver):
    """Nor does a request that was altered."""
    deliver(sink_at(receiver), document())
    (asked,) = receiver.posted
    assert not verified(asked, b"another key of this length...")
    asked.raw = asked.raw.replace(b"apply", b"plan ")
    assert not verified(asked)


def test_two_keys_sign_both(receiver):
    """For a change of keys at the receiver's own pace."""
    old = b"an older key of enough characters"
    deliver(sink_at(receiver, secret=f"{SECRET}\n{old.decode()}\n"), document())
    (asked,) = receiver.posted
    assert verified(asked)
    assert verified(asked, old)


def test_the_specifications_own_example_verifies():
    """The vector of the reference implementations."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(status):
    """Standard Webhooks asks for 2xx."""
    with serving(Receiver(status=status)) as running:
        assert isinstance(deliver(sink_at(running), document())[0], Accepted)


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (301, Misconfigured),
        (400, Refused),
        (401, Misconfigured),
        (403, Misconfigured),
        (404, Misconfigured),
        (405, Misconfigured),
        (408, Later),
        (409, Misconfigured),
        (410, Misconfigured),
        (413, Refused),
        (415, Misconfigured),
        (422, Refused),
        (425, Later),
        (429, Later),
        (500, Later),
        (503, Later),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_each_status_has_its_meaning(status, meant, batch):
    """And nothing of the receiver's text is told."""
    with serving(Receiver(status=status)) as running:
        (answer,) = deliver(sink_at(running, batch=batch), document())
    assert isinstance(answer, meant)
    assert "canary" not in str(answer)
    assert "hooks" not in str(answer)


@pytest.mark.parametrize(("text", "least", "most"), [("17", 17, 17), ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0)])
def test_retry_after_is_honoured(receiver, text, least, most):
    """In seconds and as a date."""
    receiver.faults.append(Fault(429, {"Retry-After": text}))
    (answer,) = deliver(sink_at(receiver), document())
    assert least <= answer.after <= most


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("refusal", [400, 413, 422])
def test_the_refused_one_is_refused_alone(receiver, batch, refusal):
    """What stands around it arrives, each once where nothing was lost."""
    bad = document(4).id
    receiver.refuses, receiver.refusal = (lambda event: event["id"] == bad), refusal
    made = [document(number) for number in range(1, 11)]
    answers = deliver(sink_at(receiver, batch=batch), *made)
    assert [isinstance(answer, Refused) for answer in answers] == [one.id == bad for one in made]
    assert [event["id"] for event in receiver.events] == [one.id for one in made if one.id != bad]


def test_nothing_overtakes_one_that_is_tried_later(receiver):
    """After a failure no further request is made."""
    receiver.faults.extend([None, Fault(503)])
    answers = deliver(sink_at(receiver), *[document(number) for number in range(1, 6)])
    assert [type(answer) for answer in answers] == [Accepted, Later, Later, Later, Later]
    assert len(receiver.asked) == 2


def test_a_third_of_unavailable_answers_loses_nothing(receiver):
    """Whoever sends again until it is taken gets all of it in."""
    receiver.faults.extend([None, Fault(503), None] * 20)
    sink = sink_at(receiver)
    left = [document(number) for number in range(1, 31)]
    while left:
        answers = deliver(sink, *left[: sink.limits.documents])
        left = left[sum(isinstance(answer, Accepted) for answer in answers) :]
    assert [event["id"] for event in receiver.events] == [document(number).id for number in range(1, 31)]


def test_an_answer_that_is_lost_is_later(receiver):
    """The event may have arrived: its id tells the repetition."""
    receiver.faults.append(Fault(200, body=b"thanks", cut=2, after=True))
    sink = sink_at(receiver)
    assert isinstance(deliver(sink, document())[0], Later)
    assert isinstance(deliver(sink, document())[0], Accepted)
    assert len({asked.headers["webhook-id"] for asked in receiver.posted}) == 1


def test_a_document_that_is_too_large_loses_values(receiver):
    """The note says what was left out."""
    sink, made = sink_at(receiver), large(2_000_000)
    assert isinstance(deliver(sink, made)[0], Accepted)
    assert sink.encode(made).note is not None
    assert len(receiver.posted[0].body) < 1_000_000


def test_a_check_sends_no_event(receiver):
    """It asks for the options."""
    assert sink_at(receiver).check() is None
    assert [asked.method for asked in receiver.asked] == ["OPTIONS"]


@pytest.mark.parametrize(
    ("status", "meant"),
    [(200, None), (204, None), (401, None), (405, None), (501, None), (404, Misconfigured), (410, Misconfigured)],
)
def test_a_check_tells_what_options_can(receiver, status, meant):
    """Many a receiver knows no OPTIONS, and is there all the same."""
    receiver.faults.append(Fault(status))
    answer = sink_at(receiver).check()
    assert answer is None if meant is None else isinstance(answer, meant)


def test_a_check_tells_of_a_receiver_that_is_away(receiver):
    """503."""
    receiver.faults.append(Fault(503))
    assert isinstance(sink_at(receiver).check(), Later)


def test_it_works_over_tls(tmp_path):
    """With a private authority."""
    authority = Authority(tmp_path)
    with serving(Receiver(), certificate=authority.certificate()) as running:
        assert isinstance(deliver(sink_at(running, ca=str(authority.path)), document())[0], Accepted)
        assert isinstance(deliver(sink_at(running), document())[0], Misconfigured)
        assert len(running.posted) == 1


def test_a_sink_without_a_key_is_told():
    """Nothing is sent unsigned."""
    with pytest.raises(ConfigError, match="no key to sign with"):
        open_at("webhook", "https://hooks.example.com/x")


@pytest.mark.parametrize(
    "secret", ["short-canary", "whsec_", "whsec_Y2FuYXJ5", "whsec_%%%canary%%%canary%%%canary%", " \n "]
)
def test_a_key_that_is_none_is_told_and_not_shown(secret):
    """A key has at least 24 bytes."""
    with pytest.raises(ConfigError) as caught:
        open_at("webhook", "https://hooks.example.com/x", secret=secret)
    assert "canary" not in str(caught.value)


def test_the_short_form_of_an_address_is_none():
    """A webhook has a whole URL."""
    with pytest.raises(ConfigError, match='as in "webhook:https://HOST/PATH"'):
        open_at("webhook", "//hooks.example.com", secret=SECRET)
