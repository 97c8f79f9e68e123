"""A document is a syslog message that a strict reader gets back whole."""

from __future__ import annotations

import json

import pytest
import syslogkit
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.sinks import syslog_message

TIME = 1_790_000_000_123
_TEXT = st.text(st.characters(codec="utf-8"), max_size=300)


def _message(document: bytes = b"{}", **more):
    facts = {"time": TIME, "host": "host", "kind": "record", "severity": 2, "params": {}, **more}
    return syslogkit.parse(syslog_message.head(**facts) + syslog_message.ascii_json(document))


def test_golden_message() -> None:
    """The whole of a message, byte by byte."""
    params = {"id": "0198-a/3", "run": "r", "stack": 'a"]\\b', "absent": None}
    head = syslog_message.head(time=TIME, host="ci-1", kind="resource-change", severity=4, params=params)
    assert syslog_message.frame(head + syslog_message.ascii_json('{"a":"é"}'.encode())) == (
        b"132 <107>1 2026-09-21T14:13:20.123Z ci-1 tfaudit - resource-change "
        rb'[tfaudit@32473 id="0198-a/3" run="r" stack="a\"\]\\b"] {"a":"\u00e9"}'
    )


@pytest.mark.parametrize(("severity", "syslog"), [(1, 6), (2, 5), (3, 4), (4, 3), (5, 2)])
def test_severity(severity: int, syslog: int) -> None:
    """The graver a change, the lower syslog's number, in the facility of the audit log."""
    assert _message(severity=severity).priority == 13 * 8 + syslog


@given(_TEXT, _TEXT, _TEXT)
def test_any_text_is_understood(host: str, kind: str, stack: str) -> None:
    """Whatever stands in names and parameters, a strict reader understands the message."""
    message = _message(host=host, kind=kind, params={"stack": stack})
    assert message.app == "tfaudit"
    if stack.isprintable() and len(stack) <= syslog_message.MAX_PARAM:
        assert message.params["stack"] == stack


@given(st.recursive(_TEXT | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner)))
def test_the_document_comes_back(document: object) -> None:
    """JSON in UTF-8 goes out in ASCII, without a byte order mark, and is the same JSON."""
    assert _message(json.dumps(document, ensure_ascii=False).encode()).document == document


def test_no_byte_order_mark() -> None:
    """There is none before a document with other letters: JSON's readers refuse it, and ASCII needs none."""
    message = _message('{"a":"😀 ü"}'.encode())
    assert message.text == '{"a":"\\ud83d\\ude00 \\u00fc"}'
