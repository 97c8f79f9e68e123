"""Documents get into Splunk; each of its codes means what its table says."""

import json

import pytest
from awskit import NOW, deliver, document, large
from httpkit import open_at
from httpsinkfakes import TOKEN, Authority, Fault, Splunk, said, serving

from tfaudit.errors import ConfigError
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused


@pytest.fixture
def splunk():
    """A running collector."""
    with serving(Splunk()) as running:
        yield running


def sink_at(running, **more):
    """A sink that sends to it."""
    return open_at("splunk-hec", running.url, **{"secret": TOKEN, **more})


def test_documents_are_indexed(splunk):
    """Time, marks and the id for a search that drops duplicates stand around the native document."""
    made = [document(1), document(2)]
    assert deliver(sink_at(splunk), *made) == [Accepted(), Accepted()]
    first, second = splunk.indexed
    assert first["event"] == made[0].body
    assert first["time"] == NOW / 1000
    assert first["fields"] == {"uid": made[0].id}
    assert (first["host"], first["source"], first["sourcetype"]) == (made[0].body["stack"], "tfaudit", "tfaudit:native")
    assert "index" not in first
    assert second["fields"] == {"uid": made[1].id}


def test_a_request_is_concatenated_objects_in_gzip(splunk):
    """No array, one request, the token in its header."""
    deliver(sink_at(splunk), document(1), document(2))
    (asked,) = splunk.asked
    assert asked.headers["Content-Encoding"] == "gzip"
    assert asked.headers["Authorization"] == f"Splunk {TOKEN}"
    assert asked.body.startswith(b'{"time":1795000000.000,')
    assert [json.loads(line)["fields"]["uid"] for line in asked.body.splitlines()] == [document(n).id for n in (1, 2)]


def test_options_mark_the_events(splunk):
    """Index, source and sourcetype are the configuration's."""
    deliver(sink_at(splunk, index="terraform", source="ci", sourcetype="audit", schema="ocsf"), document())
    (event,) = splunk.indexed
    assert (event["index"], event["source"], event["sourcetype"]) == ("terraform", "ci", "audit")
    assert event["event"]["class_uid"] == 6003


def test_the_sourcetype_tells_the_schema(splunk):
    """Each schema has its own field extractions."""
    deliver(sink_at(splunk, schema="ecs"), document())
    assert splunk.indexed[0]["sourcetype"] == "tfaudit:ecs"


def test_the_same_document_gives_the_same_bytes(splunk):
    """Encoding is pure."""
    assert sink_at(splunk).encode(document()) == sink_at(splunk).encode(document())


def test_numbers_stay_as_the_engine_spelled_them(splunk):
    """A number beyond a double's digits is not rounded."""
    import msgspec

    attributes = [{"path": "/n", "before": None, "after": msgspec.Raw(b"12345678901234567890.10"), "withheld": False}]
    deliver(sink_at(splunk), document(attributes=attributes))
    assert b"12345678901234567890.10" in splunk.asked[0].body


def test_a_document_that_is_too_large_loses_values(splunk):
    """Splunk Cloud takes 1 MB; the note says what was left out."""
    sink, made = sink_at(splunk), large(2_000_000)
    assert isinstance(deliver(sink, made)[0], Accepted)
    assert sink.encode(made).note is not None
    assert len(splunk.asked[0].body) < 1_000_000
    assert splunk.indexed[0]["event"]["address"] == large(1).body["address"]


def test_a_document_without_a_stack_has_a_host(splunk):
    """The record of an approval has no stack."""
    deliver(sink_at(splunk), document(stack=None))
    assert splunk.indexed[0]["host"] == "tfaudit"


@pytest.mark.parametrize("code", [6, 12, 13, 5])
@pytest.mark.parametrize("named", [True, False])
def test_the_bad_one_of_a_batch_is_refused_alone(splunk, code, named):
    """Every other one is indexed, whether or not Splunk says which it is."""
    bad = document(7).id
    splunk.invalid = lambda event: code if event["fields"]["uid"] == bad else None
    splunk.names_the_event = named
    made = [document(number) for number in range(1, 21)]
    answers = deliver(sink_at(splunk), *made)
    assert [isinstance(answer, Refused) for answer in answers] == [one.id == bad for one in made]
    assert f"code {code}" in answers[6].reason
    assert {event["fields"]["uid"] for event in splunk.indexed} == {one.id for one in made} - {bad}


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, 1), (401, 2), (401, 3), (403, 4), (400, 7), (400, 10), (400, 11), (400, 14), (400, 16)],
)
def test_codes_of_the_configuration_keep_everything(splunk, status, code):
    """Somebody must change something, and is told what."""
    splunk.faults.append(Fault(status, body=json.dumps({"text": "canary", "code": code}).encode()))
    answers = deliver(sink_at(splunk), document(1), document(2))
    assert isinstance(answers[0], Misconfigured)
    assert answers == [answers[0]] * 2
    assert f"(code {code})" in answers[0].reason
    assert answers[0].hint
    assert "canary" not in str(answers)


@pytest.mark.parametrize(("status", "code"), [(500, 8), (503, 9), (503, 18), (503, 23), (429, 26), (429, 27)])
def test_codes_of_a_busy_splunk_are_later(splunk, status, code):
    """It asks for the time that it needs."""
    headers = {"Retry-After": "3"}
    splunk.faults.append(Fault(status, headers, json.dumps({"text": "Server is busy", "code": code}).encode()))
    (answer,) = deliver(sink_at(splunk), document())
    assert isinstance(answer, Later)
    assert answer.after == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_load_balancers_word_is_later(splunk, status):
    """It knows no codes."""
    splunk.faults.append(Fault(status, body=b"<html>Service Unavailable</html>"))
    assert isinstance(deliver(sink_at(splunk), document())[0], Later)


@pytest.mark.parametrize(
    "body", [b"", b"<html>ok</html>", b"[]", b'{"code":"0"}', b'{"text":"Success"}', b'{"code":true}']
)
def test_a_success_that_is_not_splunks_is_none(splunk, body):
    """Something else answers there."""
    splunk.faults.append(Fault(200, body=body))
    assert isinstance(deliver(sink_at(splunk), document())[0], Later)


@pytest.mark.parametrize(("status", "body"), [(400, b"Bad Request"), (404, b""), (418, b"{}"), (302, b"")])
def test_another_status_is_a_wrong_configuration(splunk, status, body):
    """Nothing is refused for good by what is no Splunk."""
    splunk.faults.append(Fault(status, body=body))
    assert isinstance(deliver(sink_at(splunk), document())[0], Misconfigured)


def test_a_wrong_token_is_told_and_not_shown(splunk):
    """The error names the server."""
    (answer,) = deliver(sink_at(splunk, secret="22222222-canary"), document())
    assert isinstance(answer, Misconfigured)
    assert "127.0.0.1" in answer.reason
    assert "canary" not in str(answer)


def test_an_index_that_the_token_does_not_allow_is_told(splunk):
    """Code 7."""
    (answer,) = deliver(sink_at(splunk, index="other"), document())
    assert isinstance(answer, Misconfigured)
    assert "index" in answer.reason


def test_a_batch_that_is_too_large_is_sent_in_parts(splunk):
    """A lower limit than usual costs requests and no documents."""
    splunk.most = 2_500
    made = [document(number) for number in range(1, 9)]
    assert deliver(sink_at(splunk), *made) == [Accepted()] * 8
    assert len(splunk.indexed) == 8


def test_one_that_is_larger_than_this_splunk_takes_is_refused(splunk):
    """The others are indexed."""
    splunk.most = 3_000
    answers = deliver(sink_at(splunk), document(1), large(9_000, 2), document(3))
    assert [type(answer) for answer in answers] == [Accepted, Refused, Accepted]


def test_an_answer_that_is_lost_is_later(splunk):
    """The document may have arrived: the uid tells its repetition."""
    splunk.faults.append(Fault(200, body=b'{"text":"Success","code":0}', cut=5, after=True))
    sink = sink_at(splunk)
    assert isinstance(deliver(sink, document())[0], Later)
    assert deliver(sink, document()) == [Accepted()]
    assert len({event["fields"]["uid"] for event in splunk.indexed}) == 1


def test_a_third_of_unavailable_answers_loses_nothing(splunk):
    """Whoever sends again until it is taken gets all of it in."""
    splunk.faults.extend([None, Fault(503), None] * 20)
    sink = sink_at(splunk)
    for number in range(1, 31):
        while isinstance(deliver(sink, document(number))[0], Later):
            pass
    assert {event["fields"]["uid"] for event in splunk.indexed} == {document(number).id for number in range(1, 31)}


def test_a_check_leaves_no_document(splunk):
    """Health, and a request without data, are all that it asks for."""
    assert sink_at(splunk).check() is None
    assert [(one.method, one.body) for one in splunk.asked] == [("GET", b""), ("POST", b"")]


def test_a_check_tells_a_wrong_token(splunk):
    """Health says nothing of it."""
    assert isinstance(sink_at(splunk, secret="other").check(), Misconfigured)


def test_a_check_tells_of_a_splunk_that_is_not_well(splunk):
    """Its queues are full."""
    splunk.faults.append(Fault(503, body=b'{"text":"HEC is unhealthy, queues are full","code":18}'))
    assert isinstance(sink_at(splunk).check(), Later)


def test_a_check_tells_of_something_else(splunk):
    """A server without a collector is a wrong address."""
    splunk.faults.append(Fault(404, body=b"nothing here"))
    assert isinstance(sink_at(splunk).check(), Misconfigured)


def test_a_check_tells_of_acknowledgements_that_are_off(splunk):
    """Code 14."""
    answer = sink_at(splunk, acknowledge=True).check()
    assert isinstance(answer, Misconfigured)
    assert "(code 14)" in answer.reason


class TestAcknowledge:
    """A document counts as taken once Splunk has indexed it."""

    @pytest.fixture
    def splunk(self):
        """A running collector with acknowledgements."""
        with serving(Splunk(acknowledge=True)) as running:
            yield running

    def test_acknowledged_documents_are_accepted(self, splunk):
        """The receipt is the channel and the acknowledgement's number."""
        answers = deliver(sink_at(splunk, acknowledge=True), document(1), document(2))
        channel = splunk.posted[0].headers["X-Splunk-Request-Channel"]
        assert answers == [Accepted(receipt=f"{channel}/0")] * 2

    def test_each_sink_has_a_channel_of_its_own(self, splunk):
        """Two jobs do not read each other's acknowledgements."""
        for number in (1, 2):
            deliver(sink_at(splunk, acknowledge=True), document(number))
        assert len({asked.headers["X-Splunk-Request-Channel"] for asked in splunk.posted}) == 2

    def test_an_acknowledgement_is_waited_for(self, splunk):
        """It is asked for more than once."""
        splunk.slow_acks = 2
        assert isinstance(deliver(sink_at(splunk, acknowledge=True), document())[0], Accepted)
        assert len(splunk.indexed) == 1

    def test_what_is_not_acknowledged_is_asked_about_and_not_sent_again(self, splunk):
        """The same delivery's next try asks for the same number."""
        splunk.slow_acks = 1_000
        sink = sink_at(splunk, acknowledge=True)
        sink.acknowledged_within = 0.5
        assert isinstance(deliver(sink, document(1))[0], Later)
        splunk.slow_acks = 0
        answers = deliver(sink, document(1), document(2))
        assert [type(answer) for answer in answers] == [Accepted, Accepted]
        assert len(splunk.indexed) == 2

    def test_the_bad_one_is_refused_alone(self, splunk):
        """Each part of the batch has a number of its own."""
        bad = document(3).id
        splunk.invalid = lambda event: 6 if event["fields"]["uid"] == bad else None
        made = [document(number) for number in range(1, 6)]
        answers = deliver(sink_at(splunk, acknowledge=True), *made)
        assert [type(answer) for answer in answers] == [Accepted, Accepted, Refused, Accepted, Accepted]

    def test_acknowledgements_that_are_off_are_told(self):
        """Without a number in the answer nothing counts as taken."""
        with serving(Splunk()) as running:
            (answer,) = deliver(sink_at(running, acknowledge=True), document())
        assert isinstance(answer, Misconfigured)
        assert "(code 14)" in answer.reason

    def test_a_token_that_wants_them_is_told(self, splunk):
        """Code 10."""
        (answer,) = deliver(sink_at(splunk), document())
        assert isinstance(answer, Misconfigured)
        assert "(code 10)" in answer.reason
        assert "acknowledge = true" in answer.hint

    def test_a_check_passes(self, splunk):
        """With acknowledgements on both sides."""
        assert sink_at(splunk, acknowledge=True).check() is None

    def test_acknowledgements_that_are_garbage_are_later(self, splunk):
        """The document is asked about again."""
        splunk.faults.extend([None, Fault(200, body=b"<html>")])
        assert isinstance(deliver(sink_at(splunk, acknowledge=True), document())[0], Later)


def test_it_works_over_tls(tmp_path):
    """With a private authority, by the short form of the address."""
    authority = Authority(tmp_path)
    with serving(Splunk(), certificate=authority.certificate()) as running:
        sink = open_at("splunk-hec", running.url.removeprefix("https:"), secret=TOKEN, ca=str(authority.path))
        assert sink.check() is None
        assert deliver(sink, document()) == [Accepted()]


def test_a_sink_without_a_token_is_told():
    """Splunk takes nothing without one."""
    with pytest.raises(ConfigError, match="has no token"):
        open_at("splunk-hec", "//splunk.example.com")


@pytest.mark.parametrize("secret", [f"Splunk {TOKEN}", "a\nb", "tökên", "a\x01b"])
def test_a_token_that_is_none_is_told_and_not_shown(secret):
    """It would break the header, or never be right."""
    with pytest.raises(ConfigError) as caught:
        open_at("splunk-hec", "//splunk.example.com", secret=secret)
    assert secret not in str(caught.value)


def test_the_fake_refuses_what_splunk_refuses(splunk):
    """An array, a missing event and a field of its own are refused by the fake as by Splunk."""
    assert said(200, {})[0] == 200
    for body, code in ((b'[{"event":1}]', 6), (b'{"time":1}', 12), (b'{"event":""}', 13), (b'{"event":1,"x":1}', 6)):
        status, _, content = splunk._events(type("Asked", (), {"body": body, "headers": {}}))
        assert (status, json.loads(content)["code"]) == (400, code)
