"""What stands where in a CloudEvent."""

from __future__ import annotations

import json

from shapekit import check_cloudevent, document, outcome_document, record_document

from tfaudit.events import shapes
from tfaudit.events.shapes import cloudevents


def test_a_change():
    """Id, source, type and subject say which document of what it is; the document is the data, whole."""
    event = check_cloudevent(document())
    assert event["id"] == document()["id"]
    assert event["source"] == "//tfaudit/github.com/acme/network/vpc"
    assert event["type"] == "io.tfaudit.resource-change.v1"
    assert event["subject"] == "aws_instance.web[0]"
    assert event["dataschema"] == "urn:tfaudit:schema:delivered-document.v1"
    assert event["severity"] == 2
    assert event["data"] == json.loads(shapes.encode(document()))


def test_types():
    """Each kind of document is a type of its own."""
    assert check_cloudevent(outcome_document())["type"] == "io.tfaudit.outcome.v1"
    assert check_cloudevent(record_document())["type"] == "io.tfaudit.record.v1"


def test_what_a_string_may_not_hold_is_spelled_out():
    """Control characters and noncharacters can't break an attribute."""
    event = check_cloudevent(document(address='a.b["\n\x00\uffff"]', stack="host.example/a b/ü?#"))
    assert event["subject"] == 'a.b["\\u000a\\u0000\\uffff"]'
    assert event["source"] == "//tfaudit/host.example/a%20b/%C3%BC%3F%23"


def test_another_schema_is_named():
    """The data's schema is told, in whichever the document is."""
    for name in shapes.SHAPES:
        assert check_cloudevent(document(), name)["dataschema"] == cloudevents.DATA_SCHEMAS[name]


def test_numbers_keep_their_digits():
    """Values stand in the data with every digit that the engine wrote."""
    assert b'"after":12345678901234567890.10' in shapes.encode(cloudevents.envelope(document()))
