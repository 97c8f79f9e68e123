"""What is left out of a document that is too large for its sink."""

from __future__ import annotations

import json

import awskit
import msgspec
import pytest
import shapekit
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import schema
from tfaudit.errors import InputError
from tfaudit.events import shapes
from tfaudit.sinks.fitting import KEPT, Fitted, fitted
from tfaudit.sinks.model import Refused


def parsed(found):
    """The document that goes out."""
    return json.loads(found.content)


def test_what_fits_is_whole():
    """Nothing is touched and nothing said where there is room."""
    found = fitted(awskit.document().body, "native", 10_000)
    assert found.note is None
    assert "shortened" not in parsed(found)


def test_the_largest_values_go_first():
    """Values of more than 16 KiB go before those of more than 2 KiB; each says that it is withheld."""
    attributes = [
        {"path": f"/{size}", "before": None, "after": msgspec.Raw(b'"' + b"v" * size + b'"')}
        for size in (50_000, 3_000, 9)
    ]
    body = awskit.document(attributes=attributes).body
    found = fitted(body, "native", 20_000)
    assert [one.get("withheld") for one in parsed(found)["attributes"]] == [True, None, None]
    assert parsed(found)["shortened"] == ["attributes"]
    assert "values of more than 16384 bytes were left out: the whole has 5" in found.note
    smaller = parsed(fitted(body, "native", 3_000))["attributes"]
    assert [one["after"] for one in smaller] == [None, None, "v" * 9]


def test_long_texts_are_cut():
    """A text keeps its beginning, whole characters, and what else is too large becomes null."""
    body = awskit.document(
        reason="ü" * 30_000, outcome={"error": msgspec.Raw(b'"' + b"e" * 40_000 + b'"'), "status": "errored"}
    ).body
    found = parsed(fitted(body, "native", 30_000))
    assert found["reason"] == "ü" * 8_192 + "…"
    assert found["outcome"] == {"error": None, "status": "errored"}
    assert found["shortened"] == ["outcome", "reason"]


def test_at_last_all_attributes_go():
    """Thousands of small ones leave the bones: who did what to which resource."""
    attributes = [{"path": f"/{at}", "before": None, "after": "x"} for at in range(1_000)]
    found = fitted(awskit.document(attributes=attributes).body, "native", 4_000)
    assert found.note.startswith("all attributes were left out: the whole has ")
    assert parsed(found)["attributes"] == []
    assert parsed(found)["address"] == "aws_s3_bucket.b[1]"


def test_even_bones_may_be_too_large():
    """An address of a megabyte is refused rather than cut: it would name another resource."""
    found = fitted(awskit.document(address="a" * 1_000_000).body, "native", 100_000)
    assert isinstance(found, Refused)
    assert "where 100000 are taken" in found.reason


@pytest.mark.parametrize("schema", ["native", "ocsf", "ecs"])
@given(
    sizes=st.lists(st.integers(0, 40_000), max_size=4),
    most=st.integers(1, 60_000),
    text=st.text(max_size=300),
    detail=st.none() | st.integers() | st.lists(st.text(max_size=9), max_size=9),
)
def test_it_fits_or_is_refused(schema, sizes, most, text, detail):
    """Whatever is in it, what comes back is within bounds, names the same document, and reads as JSON."""
    attributes = [{"path": f"/{at}", "before": None, "after": "v" * size} for at, size in enumerate(sizes)]
    body = awskit.document(attributes=attributes, reason=text, facts={"x": detail}).body
    match fitted(body, schema, most):
        case Fitted() as found:
            assert len(found.content) <= most
            assert body["id"] in found.content.decode()
            json.loads(found.content)
        case Refused(reason=reason):
            assert str(most) in reason


def test_attributes_may_be_absent():
    """A record's own document has none."""
    body = awskit.document(attributes=None, summary="s" * 9_000).body
    assert parsed(fitted(body, "native", 8_000))["attributes"] is None
    assert {"id", "address"} <= KEPT


def valid(content):
    """Whether the document is one by our own schema."""
    try:
        schema.validate("delivered-document.v1", json.loads(content))
    except InputError:
        return False
    return True


BULK = {
    "reason": "r" * 50_000,
    "arguments": ["a" * 50_000],
    "actor": {"principal": "os:x", "level": "claimed", "evidence": [{"source": "x", "claims": {"c": "c" * 50_000}}]},
}
CHECKPOINT = {"origin": "o", "position": 7, "size": 9, "root": "34" * 32, "checkpoint": "c" * 400}
DEMANDED = schema.load("delivered-document.v1")["$defs"]
RECORD = dict.fromkeys(DEMANDED["record"]["required"])
LINE = {"diagnostic_severity": None}
WHOLE = {
    name: {"severity": 2, **(RECORD if body["kind"] == "record" else LINE), **body}
    | ({"log": CHECKPOINT} if body["kind"] == "record" else {})
    for name, body in shapekit.every_kind().items()
}
KINDS = {name: body for name, body in WHOLE.items() if valid(shapes.encode(body))}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_left_is_a_document_still(name):
    """However much was left out, it has the form that its schema describes, and says what it lost."""
    body = KINDS[name] | BULK
    for most in (160_000, 20_000, 8_000):
        found = fitted(body, "native", most)
        assert isinstance(found, Fitted)
        assert valid(found.content)
    assert {*BULK} <= {*parsed(found)["shortened"]}
    assert parsed(found).get("log") == body.get("log")


def test_there_are_documents_to_shorten():
    """The kinds above are those that there are, records and changes and outcomes."""
    assert {"record-intent", "change-update", "outcome-applied", "check", "diagnostic", "note"} <= {*KINDS}
