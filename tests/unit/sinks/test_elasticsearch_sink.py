"""Documents get into a data stream of Elasticsearch or OpenSearch, each answered for apart."""

import json
from importlib import resources

import pytest
from awskit import deliver, document, large
from httpkit import open_at
from httpsinkfakes import API_KEY, Authority, Elastic, Fault, basic, serving

from tfaudit.errors import ConfigError, UnavailableError
from tfaudit.sinks.elasticsearch import DOCUMENTS, authorization
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused

STREAM = "logs-tfaudit-default"


@pytest.fixture(params=["elasticsearch", "opensearch"])
def product(request):
    """Both products."""
    return request.param


@pytest.fixture
def elastic(product):
    """A running server in which everything is installed."""
    with serving(Elastic(product)) as running:
        sink_at(running).install()
        running.asked.clear()
        yield running


@pytest.fixture
def empty(product):
    """A running server in which nothing is installed."""
    with serving(Elastic(product)) as running:
        yield running


def sink_at(running, **more):
    """A sink that sends to it."""
    return open_at("elasticsearch", running.url, **{"secret": API_KEY, **more})


def bulk(running):
    """The bulk requests that it got."""
    return [one for one in running.asked if one.path.endswith("/_bulk")]


def test_documents_are_created_in_ecs(elastic):
    """Under their own id, which is in the receipt."""
    made = [document(1), document(2)]
    answers = deliver(sink_at(elastic), *made)
    assert answers == [Accepted(receipt=f".ds-{STREAM}-2026.11.25-000001/{one.id}") for one in made]
    stored = elastic.streams[STREAM]
    assert list(stored) == [one.id for one in made]
    assert stored[made[0].id]["event"]["id"] == made[0].id
    assert stored[made[0].id]["@timestamp"] == made[0].body["time"]


def test_a_request_is_lines_of_actions_and_documents(elastic):
    """Neither product's own content type; only what is looked at is asked back for."""
    deliver(sink_at(elastic), document(1), document(2))
    (asked,) = bulk(elastic)
    assert asked.headers["Content-Type"] == "application/x-ndjson"
    assert asked.headers["Authorization"] == f"ApiKey {API_KEY}"
    lines = asked.body.decode().split("\n")
    assert lines[-1] == ""
    assert json.loads(lines[0]) == {"create": {"_id": document(1).id}}
    assert "items.*.status" in asked.query["filter_path"]


@pytest.mark.parametrize("schema", ["native", "ocsf"])
def test_other_schemas_get_their_time(elastic, schema):
    """A data stream takes nothing without @timestamp."""
    made = document()
    assert isinstance(deliver(sink_at(elastic, schema=schema), made)[0], Accepted)
    assert elastic.streams[STREAM][made.id]["@timestamp"] == made.time


def test_another_stream_is_used(empty):
    """As the configuration has it."""
    sink = sink_at(empty, stream="audit-terraform")
    sink.install()
    deliver(sink, document())
    assert list(empty.streams["audit-terraform"]) == [document().id]


def test_what_is_there_already_is_accepted(elastic):
    """409 is as good as taken."""
    sink = sink_at(elastic)
    first, second = deliver(sink, document())[0], deliver(sink, document())[0]
    assert isinstance(second, Accepted)
    assert first == second
    assert len(elastic.streams[STREAM]) == 1


def test_an_answer_that_is_lost_makes_no_duplicate(elastic):
    """The repetition is known by its id."""
    sink = sink_at(elastic)
    deliver(sink, document(1))
    elastic.faults.append(Fault(200, body=b'{"items":[]}', cut=3, after=True))
    assert isinstance(deliver(sink, document(2))[0], Later)
    assert isinstance(deliver(sink, document(2))[0], Accepted)
    assert len(elastic.streams[STREAM]) == 2


@pytest.mark.parametrize(
    ("status", "kind", "meant"),
    [
        (429, "es_rejected_execution_exception", Later),
        (503, "unavailable_shards_exception", Later),
        (403, "cluster_block_exception", Later),
        (400, "document_parsing_exception", Refused),
        (400, "mapper_parsing_exception", Refused),
        (400, "strict_dynamic_mapping_exception", Refused),
        (413, "circuit_breaking_exception", Refused),
        (403, "security_exception", Misconfigured),
        (404, "index_not_found_exception", Misconfigured),
    ],
)
def test_each_document_is_answered_for_apart(elastic, status, kind, meant):
    """Although the request's own status is 200."""
    made = [document(number) for number in (1, 2, 3)]
    elastic.trouble = lambda name: (status, kind) if name == made[1].id else None
    answers = deliver(sink_at(elastic), *made)
    assert isinstance(answers[0], Accepted)
    assert isinstance(answers[1], meant)
    assert kind in answers[1].reason
    assert "canary" not in str(answers)
    if meant is Refused:
        assert isinstance(answers[2], Accepted)


def test_a_mapping_error_names_the_field_and_not_the_value(elastic):
    """The reason is kept with the dead letter."""
    wrong = document(2, break_glass="canary-value")
    answers = deliver(sink_at(elastic), document(1), wrong)
    assert [type(answer) for answer in answers] == [Accepted, Refused]
    assert "tfaudit.break_glass, which is boolean" in answers[1].reason
    assert "canary" not in answers[1].reason


@pytest.mark.parametrize(
    "attributes",
    [
        [{"path": "/a", "before": None, "after": value, "withheld": False}]
        for value in (1, "text", True, [1, "a"], {"a": {"b": 1}}, [[1]], {"a": [{"b": None}]}, 1e400, 2**70)
    ],
)
def test_attributes_of_any_type_fit_the_mapping(elastic, attributes):
    """One resource's text is another's list."""
    assert isinstance(deliver(sink_at(elastic), document(attributes=attributes))[0], Accepted)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_server_is_later(elastic, status):
    """For the time that it asks for."""
    sink = sink_at(elastic)
    deliver(sink, document(1))
    elastic.faults.append(Fault(status, {"Retry-After": "9"}))
    answers = deliver(sink, document(2), document(3))
    assert answers == [answers[0]] * 2
    assert isinstance(answers[0], Later)
    assert answers[0].after == 9


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"items":[]}',
        b'{"items":[{"index":{"_id":"x","status":201}}]}',
        b'{"items":[{"create":{"_id":"another","status":201}}]}',
        b'{"items":[{"create":null}]}',
        b'{"items":["x"]}',
    ],
)
def test_an_answer_of_other_documents_is_none(elastic, body):
    """Nothing is taken for taken that nobody says is."""
    sink = sink_at(elastic)
    elastic.faults.extend([None, Fault(200, body=body)])
    assert isinstance(deliver(sink, document())[0], Later)


def test_an_item_without_a_reason_is_refused(elastic):
    """It is as the server says, whatever it does not say."""
    elastic.faults.extend([None, Fault(200, body=_item({"_id": document().id, "status": 400, "error": "x"}))])
    assert isinstance(deliver(sink_at(elastic), document())[0], Refused)


def _item(result):
    return json.dumps({"items": [{"create": result}]}).encode()


def test_a_wrong_key_is_told_and_not_shown(elastic):
    """401."""
    (answer,) = deliver(sink_at(elastic, secret="wrongcanarykey0123456789"), document())
    assert isinstance(answer, Misconfigured)
    assert "canary" not in str(answer)


def test_a_request_that_is_too_large_is_sent_in_parts(elastic):
    """A lower limit than usual costs requests and no documents."""
    elastic.most = 4_000
    made = [document(number) for number in range(1, 9)]
    answers = deliver(sink_at(elastic), *made, large(9_000, 9))
    assert [type(answer) for answer in answers] == [Accepted] * 8 + [Refused]


def test_a_document_that_is_too_large_loses_values(elastic):
    """The note says what was left out."""
    sink, made = sink_at(elastic), large(6_000_000)
    assert isinstance(deliver(sink, made)[0], Accepted)
    assert sink.encode(made).note is not None


def test_a_whole_batch_s_answer_is_small_enough(elastic):
    """Of the largest batch, all refused, the answer is read."""
    elastic.trouble = lambda _: (400, "document_parsing_exception")
    answers = deliver(sink_at(elastic), *[document(number) for number in range(1, DOCUMENTS + 1)])
    assert all(isinstance(answer, Refused) for answer in answers)


def test_nothing_is_sent_where_no_data_stream_would_be_made(empty):
    """OpenSearch would make an ordinary index, and Elasticsearch one of its own template."""
    (answer,) = deliver(sink_at(empty), document())
    assert isinstance(answer, Misconfigured)
    assert "doctor --fix" in answer.hint
    assert (empty.indexes, bulk(empty)) == ({}, [])


def test_whether_there_is_one_is_asked_once(elastic):
    """And not before each batch."""
    sink = sink_at(elastic)
    deliver(sink, document(1))
    deliver(sink, document(2))
    assert [one.path for one in elastic.asked].count(f"/_data_stream/{STREAM}") == 1


def test_who_may_not_look_may_write(elastic):
    """A key with create_doc alone is enough for sending."""
    elastic.rights = {"create_doc"}
    assert isinstance(deliver(sink_at(elastic), document())[0], Accepted)


class TestInstall:
    """What doctor --fix installs."""

    def test_everything_is_installed(self, empty, product):
        """Template and data stream; a policy where the template has no retention of its own, and before the stream."""
        said = sink_at(empty).install()
        assert said.endswith(f"the index template logs-tfaudit, the data stream {STREAM}")
        template = empty.templates["logs-tfaudit"]["template"]
        if product == "elasticsearch":
            assert template["lifecycle"] == {"data_retention": "400d"}
            assert empty.policies == {}
        else:
            assert "lifecycle" not in template
            assert empty.policies["logs-tfaudit"]["made_before"]
        assert sink_at(empty).check() is None

    def test_a_second_time_nothing_is_done(self, elastic):
        """What is there is left."""
        assert sink_at(elastic).install() == "all was there"
        assert all(one.method == "GET" for one in elastic.asked)

    def test_somebody_s_own_template_is_left(self, empty):
        """Who made one of that name knows why."""
        own = {"index_patterns": ["logs-tfaudit-*"], "data_stream": {}, "priority": 500, "template": {}}
        empty.templates["logs-tfaudit"] = own
        sink_at(empty).install()
        assert empty.templates["logs-tfaudit"] is own

    def test_an_older_one_of_ours_is_replaced(self, elastic):
        """A new version may map more fields."""
        elastic.templates["logs-tfaudit"]["version"] = 0
        assert sink_at(elastic).install() == "installed the index template logs-tfaudit"
        assert elastic.templates["logs-tfaudit"]["version"] == 1

    def test_a_stream_of_another_name_has_a_template_of_its_own(self, empty, product):
        """And its policy too, beside the usual one."""
        sink_at(empty).install()
        sink_at(empty, stream="audit-terraform").install()
        assert empty.templates["tfaudit-audit-terraform"]["index_patterns"] == ["audit-terraform"]
        if product == "opensearch":
            (pattern,) = empty.policies["tfaudit-audit-terraform"]["policy"]["ism_template"]
            assert pattern["index_patterns"] == ["audit-terraform"]

    def test_an_old_elasticsearch_gets_no_retention(self):
        """Before data stream lifecycles there was none in a template."""
        with serving(Elastic(version="8.9.0")) as running:
            assert "without a retention" in sink_at(running).install()
            assert "lifecycle" not in running.templates["logs-tfaudit"]["template"]

    def test_rights_that_are_missing_are_told(self, empty):
        """Installing needs more than writing."""
        empty.rights = {"monitor", "view", "create_doc"}
        with pytest.raises(ConfigError, match="manage_index_templates"):
            sink_at(empty).install()

    def test_a_server_that_is_not_told_of_is_told(self, empty):
        """Which product it is decides what is installed."""
        empty.rights = {"view"}
        with pytest.raises(ConfigError, match="does not tell"):
            sink_at(empty).install()

    def test_a_server_that_is_away_is_unavailable(self, empty):
        """It is tried again."""
        empty.faults.append(Fault(503))
        with pytest.raises(UnavailableError):
            sink_at(empty).install()

    def test_something_else_is_told(self, empty):
        """A web page is no Elasticsearch."""
        empty.faults.append(Fault(200, body=b"<html>"))
        with pytest.raises(ConfigError, match="neither Elasticsearch nor OpenSearch"):
            sink_at(empty).install()


class TestCheck:
    """What doctor says."""

    def test_all_is_well(self, elastic):
        """And no document is left."""
        assert sink_at(elastic).check() is None
        assert elastic.streams == {STREAM: {}}

    def test_a_missing_template_is_told(self, empty):
        """With what mends it."""
        assert "doctor --fix" in sink_at(empty).check().hint

    def test_a_wrong_key_is_told(self, elastic):
        """401."""
        assert isinstance(sink_at(elastic, secret="wrong:password").check(), Misconfigured)

    def test_a_key_that_may_not_create_is_told(self):
        """Elasticsearch says so before a document is lost."""
        with serving(Elastic()) as running:
            sink_at(running).install()
            running.rights = {"monitor", "view"}
            assert "may not create documents" in sink_at(running).check().reason

    def test_a_key_that_may_create_only_is_well(self, elastic):
        """It can't look, and need not."""
        elastic.rights = {"create_doc"}
        assert sink_at(elastic).check() is None

    def test_a_server_that_is_away_is_later(self, elastic):
        """It may come back."""
        elastic.faults.append(Fault(503, {"Retry-After": "2"}))
        answer = sink_at(elastic).check()
        assert isinstance(answer, Later)
        assert answer.after == 2


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        (API_KEY, f"ApiKey {API_KEY}"),
        ("elastic:pass:word", basic("elastic", "pass:word")),
        ("user:pässword", basic("user", "pässword")),
        ("Bearer token.of.a.kind", "Bearer token.of.a.kind"),
        ("ApiKey abc", "ApiKey abc"),
        ("Basic dTpw", "Basic dTpw"),
    ],
)
def test_the_secrets_form_tells_its_kind(secret, header):
    """A colon makes a user and a password; a word before it says it outright."""
    assert authorization(secret) == header


@pytest.mark.parametrize("secret", ["canary", "canary canary", "a:b\nc", "Bearer tökên", "Bearer \x01"])
def test_a_secret_that_is_neither_is_told_and_not_shown(secret):
    """It would never be right."""
    with pytest.raises(ConfigError) as caught:
        open_at("elasticsearch", "//es.example.com", secret=secret)
    assert secret not in str(caught.value)


def test_a_server_without_users_needs_no_secret():
    """As on a laptop."""
    with serving(Elastic(authorization="")) as running:
        sink = open_at("elasticsearch", running.url)
        sink.install()
        assert isinstance(deliver(sink, document())[0], Accepted)


@pytest.mark.parametrize("stream", ["Logs", "logs*", "a/b", "-x", ".ds-logs", "x" * 101, "a b", "logs?"])
def test_a_stream_of_another_form_is_told(stream):
    """No pattern and no path gets into an address."""
    with pytest.raises(ConfigError, match="the stream of sink"):
        open_at("elasticsearch", "//es.example.com", stream=stream)


def test_it_works_over_tls(tmp_path):
    """With a private authority, by the short form of the address."""
    authority = Authority(tmp_path)
    with serving(Elastic(), certificate=authority.certificate()) as running:
        at = running.url.removeprefix("https:")
        sink = open_at("elasticsearch", at, secret=API_KEY, ca=str(authority.path))
        sink.install()
        assert isinstance(deliver(sink, document())[0], Accepted)


def test_the_two_templates_have_the_same_fields():
    """They differ in the retention alone."""
    folder = resources.files("tfaudit.sinks").joinpath("templates")
    one, other = (
        json.loads(folder.joinpath(f"{product}-index-template.json").read_bytes())
        for product in ("elasticsearch", "opensearch")
    )
    assert one["template"].pop("lifecycle") == {"data_retention": "400d"}
    assert one == other
