"""The public formats: every schema is a valid one, and a departure from it is told in one line without values."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from tfaudit import schema
from tfaudit.errors import InputError, InternalError

REPORT = {
    "ok": True,
    "origin": "ledger.example",
    "trust": "anchor",
    "size": 0,
    "root": None,
    "commits": 0,
    "records": 0,
    "events": 0,
    "values": 0,
    "pending": 0,
    "findings": [],
    "omitted": 0,
    "checkpoint": None,
}


@pytest.mark.parametrize("name", schema.names())
def test_every_schema_is_valid(name):
    """Every file in schemas/ is itself a valid JSON Schema 2020-12 under the name that its id gives."""
    document = schema.load(name)
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"urn:tfaudit:schema:{name}"


@pytest.mark.parametrize("name", schema.names())
def test_every_reference_resolves(name):
    """Every reference in a schema leads somewhere in schemas/."""
    document = schema.load(name)
    for reference in _references(document):
        base, _, fragment = reference.partition("#")
        target = schema.load(base.removeprefix("urn:tfaudit:schema:")) if base else document
        for step in fragment.split("/")[1:]:
            target = target[step]


def test_a_good_document_passes():
    """A document of the format is accepted."""
    schema.validate("verify-report.v1", REPORT)


def test_a_missing_key_is_named():
    """A document that lacks a key is refused, and the key named."""
    with pytest.raises(InputError, match=r"not a verify-report.v1 document: at the top: missing key 'ok'"):
        schema.validate("verify-report.v1", {key: value for key, value in REPORT.items() if key != "ok"})


def test_an_unknown_key_is_named():
    """A key that our own formats don't have is refused by name."""
    with pytest.raises(InputError, match=r"at /signer: unknown key 'recrod'"):
        schema.validate("config.v1", {"signer": {"recrod": "file:key.pem"}})


def test_the_error_says_where_and_keeps_the_value_to_itself():
    """The one line gives the place and the rule, never the value that broke it."""
    finding = {
        "code": "gap",
        "severity": "hunter2",
        "where": "commits/0",
        "who": None,
        "message": "A commit is missing.",
    }
    with pytest.raises(InputError) as caught:
        schema.validate("verify-report.v1", {**REPORT, "findings": [finding]})
    assert str(caught.value).endswith('at /findings/0/severity: enum must be ["error", "warning"]')
    assert "hunter2" not in str(caught.value)


def test_an_unknown_schema_names_the_known_ones():
    """Asking for a schema that isn't there is a mistake of ours, told with what there is."""
    with pytest.raises(InternalError, match=r"no schema 'verify-report.v9'.*verify-report.v1"):
        schema.load("verify-report.v9")


def _references(node):
    match node:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for member in node.values():
                yield from _references(member)
        case list():
            for member in node:
                yield from _references(member)
