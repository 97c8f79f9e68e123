"""The documents of a whole ledger, made as a sink gets them, in every schema."""

from __future__ import annotations

import json

import pytest
from reading import change
from shapekit import check_cloudevent, check_cloudtrail, check_ecs, check_ocsf

from tfaudit import schema
from tfaudit.events import shapes
from tfaudit.ledger.reader import Reader
from tfaudit.sinks.cursor import Place
from tfaudit.sinks.documents import Documents


def bodies(place, *, values=True):
    """Return the bodies of all documents that the ledger gives, in log order."""
    reader = Reader.open(evidence=place.evidence, working=place.working, genesis_digest=None)
    documents = Documents(evidence=place.evidence, working=place.working, reader=reader, values=values)
    return [line.document.body for line in documents.start(Place(0, 0)) if line.document is not None]


@pytest.fixture
def told(place):
    """The ledger with a story, and in it also what is rarer: a denial, broken glass, other kinds of records."""
    denied = {"decision": "deny", "reasons": ["no-approval"], "required": 1}
    warned = {"engine": "cel", "version": "1", "digest": "ab" * 32, "rules": 1, "denied": 0, "required": 0, "warned": 1}
    glass = {"decision": "allow", "reasons": [], "break_glass": True, "review_by": "2026-03-05T00:00:00.000Z"}
    common = {"command": {"name": "apply", "options": []}}
    planned = {**common, "plan": {"sha256": "c" * 64, "counts": {"create": 1}}}
    result = {"status": "denied", "exit_code": None, "started": "2026-03-01T10:00:00.000Z", "elapsed_ms": 5}
    place.write("plan", {**planned, "decision": denied, "result": result})
    place.write("intent", {**planned, "decision": {"decision": "allow", "reasons": [], "policy": [warned]}})
    intent = place.write("intent", {**planned, "decision": glass})
    place.closed(intent, result="errored")
    for kind in ("approval", "rejection", "review", "access"):
        place.write(kind, {"capture": "none"})
    place.planned(
        change("aws_iam_role.x", ("delete", "create"), before={"a": 1}, after={"a": 2}), stack="x.y/acme/prod"
    )
    return place


@pytest.mark.parametrize("values", [True, False])
def test_every_document_of_a_ledger_is_valid(told, values):
    """Whatever the ledger gives is a document of our own schema, and valid in each of the others."""
    found = bodies(told, values=values)
    assert len(found) > 25
    for body in found:
        schema.validate("delivered-document.v1", json.loads(shapes.encode(body)))
        for check in (check_ocsf, check_ecs, check_cloudtrail, check_cloudevent):
            check(body)


def test_the_grave_ones(told):
    """What is to be looked at is a 5: a denial, broken glass, a replacement in production."""
    grave = [(body["record"], body["kind"], body.get("address")) for body in bodies(told) if body["severity"] == 5]
    assert grave == [
        ("plan", "record", None),
        ("intent", "record", None),
        ("intent", "resource-change", "aws_iam_role.x"),
    ]
    warned = [body for body in bodies(told) if body["kind"] == "record" and body.get("policy")]
    assert [body["severity"] for body in warned] == [3]


def test_an_outcome_says_what_of_which_change(told):
    """An outcome's document has the change's action, address and id, and ends as the engine said."""
    events = [check_ocsf(body) for body in bodies(told) if body["kind"] == "outcome"]
    assert [(event["activity_name"], event["status"]) for event in events] == [
        ("Create", "Success"),
        ("Update", "Success"),
        ("Create", "Failure"),
    ]
    assert {event["resources"][0]["uid"] for event in events} == {"i-1"}


def test_without_values_none_is_there(told):
    """With values = false no schema has a value, and the paths are all there."""
    for body in bodies(told, values=False):
        for name in shapes.SHAPES:
            text = shapes.encode(shapes.shape(name, body))
            assert b"owned" not in text
            assert b"boom" not in text
            assert (b'"path":"/size"' in text) is any(one["path"] == "/size" for one in body.get("attributes", ()))
