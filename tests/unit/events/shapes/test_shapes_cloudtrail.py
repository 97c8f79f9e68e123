"""What stands where in CloudTrail Lake's eventData, and what is cut when it does not fit."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapekit import ACCOUNT, ACTOR, attribute, check_cloudtrail, document, outcome_document, record_document

from tfaudit.events.shapes import cloudtrail


def test_a_change():
    """The required fields, what was asked for, and the rest beside it."""
    event = check_cloudtrail(document())
    assert event["eventName"] == "UpdateResource"
    assert event["eventTime"] == "2026-01-02T03:04:05Z"
    assert event["UID"] == document()["id"]
    assert event["userIdentity"]["type"] == "github"
    assert event["userIdentity"]["principalId"] == "github:583231"
    assert event["userIdentity"]["details"]["awsAccount"] == "210987654321"
    assert event["requestParameters"]["address"] == "aws_instance.web[0]"
    assert event["additionalEventData"]["reason"] == "because"
    assert "shortened" not in event["additionalEventData"]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (document(action="create"), "CreateResource"),
        (document(action="unknown"), "ChangeResource"),
        (document(action="no-op", importing={"id": None}), "ImportResource"),
        (document(kind="drift"), "UpdateDriftedResource"),
        (document(kind="output-change", action="delete"), "DeleteOutput"),
        (document(kind="action-invocation"), "ActionInvocation"),
        (document(kind="check"), "Check"),
        (outcome_document(action="delete"), "DeleteResourceOutcome"),
        (record_document("intent"), "IntentRecord"),
    ],
)
def test_names(body, name):
    """An event's name is a verb and a noun, as CloudTrail's are."""
    assert check_cloudtrail(body)["eventName"] == name


def test_errors():
    """An error's code is what became of the change; a denial's is its first reason."""
    event = check_cloudtrail(outcome_document("errored"))
    assert (event["errorCode"], event["errorMessage"]) == ("errored", "it broke")
    event = check_cloudtrail(record_document("plan", decision="deny", reasons=["quorum", "freeze"]))
    assert (event["errorCode"], event["errorMessage"]) == ("quorum", "denied: quorum, freeze")
    assert "errorCode" not in check_cloudtrail(outcome_document())


def test_a_withheld_actor_is_withheld():
    """The required identity says that it is withheld, and names nobody."""
    assert check_cloudtrail(document(actor=None))["userIdentity"] == {"type": "withheld", "principalId": "withheld"}


@pytest.mark.parametrize("letter", ["x", "é", "漢", "🦊", '"', "\x01"])
def test_long_texts_are_cut_between_characters(letter):
    """No text is longer than its limit in bytes, and each is still text; what was cut is told."""
    long = letter * 2000
    body = outcome_document("errored", actor={**ACTOR, "principal": f"github:{long}"})
    body["outcome"]["error"] = long
    event = check_cloudtrail(body)
    assert 253 <= len(event["errorMessage"].encode()) <= 256
    assert long.startswith(event["errorMessage"])
    assert event["additionalEventData"]["shortened"] == ["userIdentity.principalId", "errorMessage"]


def test_large_values_go_first():
    """The largest values are left out, the others stay; every path is still there."""
    small, large = attribute("/small", 1, 2), attribute("/large", "b" * 90_000, "a" * 90_000)
    event = check_cloudtrail(document(attributes=[large, small]))
    first, second = event["requestParameters"]["attributes"]
    assert (first["path"], first["shortened"], "before" in first) == ("/large", True, False)
    assert second["after"] == 2
    assert event["additionalEventData"]["shortened"] == ["requestParameters.attributes"]


def test_too_many_attributes_are_fewer():
    """Where even the paths are too much, the first of them are there."""
    event = check_cloudtrail(document(attributes=[attribute(f"/{number:050d}", 1, 2) for number in range(5000)]))
    kept = event["requestParameters"]["attributes"]
    assert 300 < len(kept) < 5000
    assert kept[0]["path"] == f"/{0:050d}"


def test_a_long_reason_leaves_the_rest():
    """One member that is too large is cut, and nothing else."""
    event = check_cloudtrail(document(reason="because " * 10_000))
    assert event["additionalEventData"]["reason"].startswith("because because")
    assert event["additionalEventData"]["ticket"] == "CHG-1"
    assert event["additionalEventData"]["shortened"] == ["additionalEventData.reason"]


def test_large_objects_go_whole():
    """An object has no part that says the same: it is left out, and told of."""
    event = check_cloudtrail(document(facts={"x": "y" * 200_000}))
    assert "facts" not in event["additionalEventData"]
    assert event["additionalEventData"]["shortened"] == ["additionalEventData.facts"]


def test_numbers_keep_their_digits():
    """Values stand in the content with every digit that the engine wrote."""
    assert b'"after":12345678901234567890.10' in cloudtrail.event_data(document(), account=ACCOUNT).content


def test_the_same_document_is_the_same_bytes():
    """The checksum of a document that is sent again is the same."""
    body = document(reason="x" * 50_000)
    assert cloudtrail.event_data(body, account=ACCOUNT) == cloudtrail.event_data(dict(body), account=ACCOUNT)


_HEAVY = st.text(max_size=30).flatmap(lambda text: st.integers(0, 4000).map(lambda times: text * times))


@settings(max_examples=60, deadline=None)
@given(
    attributes=st.lists(
        st.builds(attribute, path=_HEAVY, before=_HEAVY.map(json.dumps).map(str.encode).map(msgspec.Raw)), max_size=4
    ),
    texts=st.fixed_dictionaries(
        dict.fromkeys(("address", "reason", "ticket", "stack", "command", "module", "workspace", "code"), _HEAVY)
    ),
    arguments=st.lists(_HEAVY, max_size=3),
    error=_HEAVY,
)
def test_whatever_the_size_it_fits(attributes, texts, arguments, error):
    """No document is too large: every limit holds, whatever is long in it."""
    body = outcome_document("errored", **texts, arguments=arguments)
    body["attributes"], body["outcome"]["error"] = attributes, error
    check_cloudtrail(body)
    assert len(cloudtrail.event_data(body, account=ACCOUNT).content) < 250_000
