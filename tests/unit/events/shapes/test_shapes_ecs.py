"""What stands where in ECS."""

from __future__ import annotations

import json

import msgspec
import pytest
from shapekit import FACTS, attribute, check_ecs, document, outcome_document, record_document


def test_a_change():
    """Who, what, where and why of a change stand in the fields that ECS has for them."""
    found = check_ecs(document())
    assert found["@timestamp"] == FACTS.time
    assert found["event"]["id"] == document()["id"]
    assert (found["event"]["category"], found["event"]["type"]) == (["configuration"], ["change"])
    assert (found["event"]["action"], found["event"]["outcome"]) == ("update", "unknown")
    assert found["event"]["reason"] == "because"
    assert found["user"] == {"id": "github:583231", "name": "583231", "domain": "github"}
    assert found["related"]["user"] == ["github:583231", "alice@example.com"]
    assert found["cloud"] == {"provider": "aws", "account": {"id": "210987654321"}}
    assert found["tfaudit"]["changed"] == ["/size"]
    assert found["tfaudit"]["run_id"] == FACTS.run_id


@pytest.mark.parametrize(
    ("members", "types"),
    [
        ({"action": "create"}, ["creation"]),
        ({"action": "delete"}, ["deletion"]),
        ({"action": "replace"}, ["creation", "deletion"]),
        ({"action": "read"}, ["access"]),
        ({"action": "no-op"}, ["info"]),
        ({"action": "no-op", "previous_address": "a.b"}, ["change"]),
        ({"record": "plan"}, ["info"]),
        ({"record": "plan", "decision": "deny"}, ["info"]),
    ],
)
def test_types(members, types):
    """The type is what is done; what is only planned or denied is information."""
    assert check_ecs(document(**members))["event"]["type"] == types


def test_iam_is_a_category_of_its_own():
    """A change of an identity or a grant is in both categories; reading one is not."""
    assert check_ecs(document(type="aws_iam_role"))["event"]["category"] == ["configuration", "iam"]
    assert check_ecs(document(type="aws_iam_role", action="read"))["event"]["category"] == ["configuration"]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (outcome_document("applied"), "success"),
        (outcome_document("errored"), "failure"),
        (outcome_document("not-reached"), "failure"),
        (outcome_document("unknown"), "unknown"),
        (document(record="plan"), None),
        (document(record="plan", decision="deny"), "failure"),
        (record_document("plan", decision="deny"), "failure"),
        (record_document("intent"), "unknown"),
    ],
)
def test_outcomes(body, outcome):
    """The outcome is success, failure, unknown, or none."""
    assert check_ecs(body)["event"].get("outcome") == outcome


def test_an_outcome_has_times_and_an_error():
    """Start, end, duration in nanoseconds, and the error's text."""
    found = check_ecs(outcome_document("errored"))
    assert found["event"]["start"] == "2026-01-02T03:04:06.000Z"
    assert found["event"]["end"] == "2026-01-02T03:04:08.000Z"
    assert found["event"]["duration"] == 2_000_000_000
    assert found["error"] == {"message": "it broke"}
    assert found["tfaudit"]["outcome"]["id"] == "i-0123"


@pytest.mark.parametrize(
    ("body", "action"),
    [
        (record_document("intent"), "apply-intent"),
        (record_document("plan", decision="deny"), "apply-denied"),
        (record_document("plan", command="plan"), "plan"),
        (record_document("operation", command="state mv"), "state-mv-operation"),
        (record_document("approval", command=None), "approval"),
    ],
)
def test_actions_of_records(body, action):
    """A record's action is its command and its kind."""
    assert check_ecs(body)["event"]["action"] == action


def test_values_are_texts_with_their_digits():
    """A value is the text of its JSON, whatever its type; none is invented."""
    values = [attribute("/a", None, msgspec.Raw(b"1.50")), attribute("/b", msgspec.Raw(b'{"x":[1]}'), "y")]
    found = check_ecs(document(attributes=[*values, {"path": "/c"}]))["tfaudit"]["attributes"]
    assert found == [
        {"path": "/a", "after": "1.50"},
        {"path": "/b", "before": '{"x":[1]}', "after": '"y"'},
        {"path": "/c"},
    ]


def test_fields_of_two_types_are_texts():
    """An index of either type, and an import id that is an identity, are texts."""
    found = check_ecs(document(index=0, importing={"id": msgspec.Raw(b'{"a":"b"}')}))["tfaudit"]
    assert (found["index"], found["importing"]) == ("0", {"id": '{"a":"b"}'})


def test_a_record_has_its_hash_and_position():
    """A record's document holds its leaf hash and where the log has it."""
    event = check_ecs(record_document())["event"]
    assert (event["hash"], event["sequence"], event["dataset"]) == ("12" * 32, 7, "tfaudit.record")


def test_withheld_is_not_invented():
    """Without an actor there is no user."""
    found = check_ecs(document(actor=None, approved_by=None))
    assert "user" not in found
    assert "related" not in found


def test_no_message_holds_a_value():
    """The message tells what was done to what, and no value."""
    found = check_ecs(document(attributes=[attribute("/x", "secret-before", "secret-after")]))
    assert found["message"] == "update aws_instance.web[0] in github.com/acme/network/vpc"
    assert json.dumps(found).count("secret-before") == 1
