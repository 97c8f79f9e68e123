"""An alert's own expression: what it can ask, and what happens where it can't be evaluated."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "ledger"))

import ledgerkit

from tfaudit.alerts import expressions, facts, rules, views
from tfaudit.config.delivering import AlertSettings
from tfaudit.errors import InputError
from tfaudit.events import commitment
from tfaudit.ledger.record import Record

ACTOR = {"principal": "github:1", "level": "verified", "agent": {"name": "claude-code"}}
PREDICATE = {
    "run_id": "r",
    "stack": "example.test/prod",
    "workspace": "default",
    "command": {"name": "apply", "options": ["-auto-approve"]},
    "decision": {"decision": "allow", "reasons": [], "break_glass": True},
    "plan": {"sha256": "00" * 32, "counts": {"create": 2, "delete": 1}},
    "source": {"commit": "4f" * 20},
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """An intent with all that a record may say."""
    place = ledgerkit.make(tmp_path_factory.mktemp("expressions") / "place")
    ledger = place.open()
    ledgerkit.add(ledger, "intent", **PREDICATE)
    reader = ledger.reader()
    return reader.record(next(iter(reader.newest_first())).line)


def _alert(when: str, name: str = "mine") -> AlertSettings:
    return AlertSettings(name=name, to=("env:HOOK",), when=when, on=())


def _asked(record: Record, *when: str, events: list[dict[str, Any]] | None = None) -> list[facts.Fact]:
    looked = expressions.Record(
        record_id=record.record_id,
        kind=record.kind,
        view=views.record_view(record, json.dumps(ACTOR).encode()),
    )
    return list(expressions.evaluate([_alert(one) for one in when], looked, events or []))


def _event(record: Record, **line: Any) -> dict[str, Any]:
    spelled = json.dumps({"kind": "resource-change", "address": "a.b", "type": "a", "action": "delete", **line})
    return views.event_view(spelled.encode(), None, number=1, record=record)


@pytest.mark.parametrize(
    "when",
    [
        'record.kind == "intent" && record.stack.endsWith("/prod")',
        'record.actor.principal == "github:1" && record.actor.level == "verified" && record.actor.agent != ""',
        "record.counts.delete > 0 && record.counts.replace == 0 && record.break_glass && !record.spooled",
        'record.command == "apply" && "-auto-approve" in record.options && record.status == ""',
        'record.decision == "allow" && record.reasons.size() == 0 && record.commit.startsWith("4f")',
    ],
)
def test_a_record_can_be_asked_for_what_it_says(record: Record, when: str) -> None:
    """Once, whatever events it has."""
    [fact] = _asked(record, when)
    assert fact.headline == '"mine" holds of this intent'
    assert fact.rule == rules.ident(_alert(when))


def test_events_are_asked_one_by_one_and_named(record: Record) -> None:
    """The record stands beside each."""
    events = [_event(record), _event(record, address="c.d", action="create"), _event(record, address="e.f")]
    [fact] = _asked(record, 'event.action == "delete" && record.kind == "intent"', events=events)
    assert (fact.count, fact.addresses) == (2, ("a.b", "e.f"))


def test_what_an_event_lacks_is_empty_and_no_error(record: Record) -> None:
    """An output has no type, a check no action."""
    events = [
        _event(record),
        {**_event(record), **views.event_view(b'{"kind":"check"}', None, number=2, record=record)},
    ]
    [fact] = _asked(record, 'event.type.startsWith("a") || event.status == "fail"', events=events)
    assert fact.count == 1


def test_an_expression_may_look_at_disclosed_values_which_never_come_back(record: Record) -> None:
    """Only that it holds, and where."""
    salt = bytes(16)
    digest = commitment.value_digest(record.record_id, "a.b", None, "/input", "after", salt, b'"s3cr3t value"')
    line = {"kind": "resource-change", "address": "a.b", "attributes": [{"path": "/input", "after": digest}]}
    member = commitment.encode_value("/input", "after", salt, b'"s3cr3t value"')
    disclosure = commitment.decode_disclosure(commitment.encode_disclosure(1, commitment.encode_values([member])))
    event = views.event_view(json.dumps(line).encode(), disclosure, number=1, record=record)
    when = 'event.attributes.exists(one, one.path == "/input" && has(one.after) && one.after.startsWith("s3cr3t"))'
    [fact] = _asked(record, when, events=[event])
    assert fact.count == 1
    assert "s3cr3t" not in repr(fact)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("record.nothing == 1", 'it names a field that is not there ("nothing")'),
        ("record.kind + 1 == 2", "it compares or computes what does not go together"),
        ("record.kind", "it is neither true nor false"),
        ("record.kind ==", "it is no CEL (at 1:15)"),
        ("nothing.here", 'it names something that there is not ("nothing")'),
    ],
)
def test_one_that_cant_be_evaluated_is_told_as_such(record: Record, when: str, why: str) -> None:
    """In place of what it would have told; the others are evaluated."""
    broken, fine = _asked(record, when, "true")
    assert broken.headline == f'"mine" could not be evaluated: {why}'
    assert fine.headline == '"mine" holds of this intent'


def test_one_that_takes_too_long_is_ended_and_told(record: Record) -> None:
    """A child that may be killed evaluates it."""
    ones = f"[{','.join('1' * 100)}]"
    slow = f"{ones}.all(a, {ones}.all(b, {ones}.all(c, {ones}.all(d, {ones}.all(e, a + b + c + d + e > 0)))))"
    looked = expressions.Record(record_id=record.record_id, kind=record.kind, view=views.record_view(record, None))
    [fact] = expressions.evaluate([_alert(slow)], looked, [], seconds=0.7)
    assert "could not be evaluated: it took longer than 0.7 s" in fact.headline


def test_a_mistake_is_found_without_any_record() -> None:
    """For doctor: what is no CEL, not what some record may lack."""
    assert expressions.problem("record.kind ==") == "it is no CEL (at 1:15)"
    assert expressions.problem('event.type == "x" && record.counts.delete > 2') is None


def test_the_word_event_in_a_text_is_no_question_about_events() -> None:
    """Only the name is."""
    assert expressions.looks_at_events('event.kind == "x"')
    assert not expressions.looks_at_events('record.kind == "event"')


@given(st.binary(max_size=60))
def test_an_event_line_is_one_or_none(line: bytes) -> None:
    """Whatever it is, nothing but an input error comes of it."""
    found = Record.__new__(Record)
    object.__setattr__(found, "record_id", "r")
    try:
        view = views.event_view(line, None, number=1, record=found)
    except InputError:
        return
    assert None not in view.values()
