"""The table of schemas, and what a native change event is as a document."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest
from plankit import change, plan_of
from shapekit import ACCOUNT, attribute, check_cloudtrail, document, events_of

from tfaudit.config import delivering
from tfaudit.events import shapes
from tfaudit.events.shapes import cloudevents, cloudtrail


def test_the_schemas_are_those_of_the_configuration():
    """What a sink may ask for is what there is."""
    assert set(get_args(delivering.Shape)) == set(get_args(shapes.Shape)) == set(shapes.SHAPES)


def test_native_is_the_body_itself():
    """Our own schema changes nothing."""
    assert shapes.shape("native", document()) == document()


def test_a_change_event_as_a_document():
    """An event has the ids and the severity that a document has."""
    (event,) = events_of(plan_of(change("aws_iam_role.x", after={"x": 1})))
    body = shapes.of_event(event)
    assert (body["id"], body["record_id"], body["severity"]) == (event["event_id"], event["event_id"][:-2], 3)


def test_the_engines_word_makes_place():
    """A diagnostic's own severity is kept under another name."""
    body = shapes.of_event(document(kind="diagnostic", severity="warning"))
    assert (body["diagnostic_severity"], body["severity"]) == ("warning", 2)


@pytest.mark.parametrize("value", [b'"\xff\xfe"', b"[1,\r\n\t2]", b'{"a":"\xc3"}', '"é\u2028"'.encode()])
def test_no_value_breaks_a_line(value):
    """A disclosed value of bytes that are no UTF-8, or with line breaks in it, is still one line of JSON in UTF-8."""
    body = document(attributes=[attribute("/x", msgspec.Raw(value), None)])
    written = [shapes.encode(shapes.shape(name, body)) for name in shapes.SHAPES]
    written += [shapes.encode(cloudevents.envelope(body)), cloudtrail.event_data(body, account=ACCOUNT).content]
    for text in written:
        assert not any(code < 32 for code in text)
        assert json.loads(text.decode())


def test_a_value_of_bad_bytes_is_cut_by_what_it_becomes():
    """What replaces a byte that is no UTF-8 counts towards CloudTrail's limits."""
    body = document(attributes=[attribute("/x", msgspec.Raw(b'"%b"' % (b"\xff" * 60_000)), None)])
    assert check_cloudtrail(body)["additionalEventData"]["shortened"] == ["requestParameters.attributes"]


def test_shaping_leaves_the_body_alone():
    """A body is the same after it was shaped, so that it can be for another sink."""
    body = document()
    before = shapes.encode(body)
    for name in shapes.SHAPES:
        json.loads(shapes.encode(shapes.shape(name, body)))
    assert shapes.encode(body) == before
