"""Change events joined from lines, disclosures and outcomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plankit import RECORD_ID, change, fixture, plan_of, salts

from tfaudit import schema
from tfaudit.errors import InputError
from tfaudit.events.build import plan_events
from tfaudit.events.commitment import Disclosure, decode_disclosure, encode_disclosure
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.events.model import EventLine
from tfaudit.events.native import RecordFacts, change_event, encode, plain
from tfaudit.plan.outcome import OutcomeTracker
from tfaudit.plan.parse import Plan, read_plan

OUTCOME_ID = "01920000-0000-7000-8000-000000000001"
FACTS = RecordFacts(
    record_id=RECORD_ID,
    run_id="run",
    time="2026-01-01T00:00:00.000Z",
    stack="host/owner/repository",
    actor={"user": "me"},
    plan_digest="ab" * 32,
    outcome_record_id=OUTCOME_ID,
    extra={"reason": "because"},
)


def opened(event: EventLine) -> Disclosure | None:
    """Return the event's disclosure as read back."""
    return decode_disclosure(encode_disclosure(1, event.disclosure)) if event.disclosure else None


def join(event: EventLine, disclosure: Disclosure | None, **more: Any) -> dict[str, Any]:
    """Return the joined event as an auditor reads it, having checked its format."""
    joined = change_event(event.line, disclosure, number=1, facts=FACTS, **more)
    found: dict[str, Any] = json.loads(encode(joined))
    schema.validate("change-event.v1", found)
    return found


def line_of(plan: Plan) -> EventLine:
    """Return the plan's first event line."""
    return next(iter(plan_events(plan, record_id=RECORD_ID, entropy=salts())))


def test_values_and_facts_are_joined() -> None:
    """An event says who, when, where, what, from what to what."""
    event = line_of(plan_of(change(before={"x": 1}, after={"x": 2})))
    found = join(event, opened(event))
    assert found["event_id"] == f"{RECORD_ID}/1"
    assert (found["run_id"], found["stack"], found["actor"], found["reason"]) == (
        "run",
        FACTS.stack,
        {"user": "me"},
        "because",
    )
    (attribute,) = found["attributes"]
    assert (attribute["before"], attribute["after"], attribute["withheld"]) == (1, 2, False)


def test_absent_and_false_disclosures_are_withheld() -> None:
    """What is not disclosed, or does not open its digest, is null and marked."""
    event = line_of(plan_of(change(before={"x": 1}, after={"x": 2})))
    disclosure = opened(event)
    assert disclosure is not None
    swapped = Disclosure(1, tuple(value._replace(text=b"3") for value in disclosure.values))
    erased = Disclosure(1, tuple(value._replace(salt=None, text=None) for value in disclosure.values))
    for withheld in (None, swapped, erased, Disclosure(1, ())):
        (attribute,) = join(event, withheld)["attributes"]
        assert (attribute["before"], attribute["after"], attribute["withheld"]) == (None, None, True)


def test_numbers_stay_as_the_engine_spelled_them() -> None:
    """The encoded event holds the engine's own literal."""
    event = line_of(read_plan(fixture("create.plan.json")))
    events = list(plan_events(read_plan(fixture("create.plan.json")), record_id=RECORD_ID, entropy=salts()))
    event = next(event for event in events if b'"terraform_data.plain"' in event.line)
    assert b"12345678901234567890" in encode(change_event(event.line, opened(event), number=1, facts=FACTS))
    assert plain(change_event(event.line, opened(event), number=1, facts=FACTS))["address"] == "terraform_data.plain"


def test_a_hidden_address_is_shown_where_it_is_disclosed() -> None:
    """With the disclosure the real address comes back; without it, or with a false one, the pseudonym stays."""
    event = line_of(plan_of(change('a.b["me@example.org"]', ("create",), after={"x": 1})))
    disclosure = opened(event)
    assert disclosure is not None
    assert join(event, disclosure)["address"] == 'a.b["me@example.org"]'
    forged = Disclosure(1, tuple(value._replace(text=b'"a.c"') for value in disclosure.values))
    for withheld in (None, forged):
        assert join(event, withheld)["address"].startswith('a.b["~')


def test_import_ids_and_checks() -> None:
    """What an import or a check commits to is shown where disclosed."""
    event = line_of(plan_of(change(actions=("no-op",), importing={"id": "i-1"})))
    assert join(event, opened(event))["importing"] == {"id": "i-1"}
    assert join(event, None)["importing"] == {"id": None}
    *_, check = plan_events(read_plan(fixture("errored-plan.plan.json")), record_id=RECORD_ID, entropy=salts())
    assert join(check, opened(check))["instances"][0]["problems"] == ["good is not three"]


def test_the_outcome_is_joined() -> None:
    """What came of the change stands in the event, from the other record."""
    plan = read_plan(fixture("failing-provisioner.plan.json"))
    event = line_of(plan)
    index = ChangeIndex()
    index.add(f"{RECORD_ID}/1", event.line, event.disclosure)
    tracker = OutcomeTracker(index, plan.redactor)
    for line in fixture("failing-provisioner.apply.jsonl").splitlines():
        tracker.feed(line)
    (came,) = tracker.finish(exit_code=1, serial_rose=True).outcomes
    outcome = LineWriter(OUTCOME_ID, salts()).outcome(came)
    found = join(event, opened(event), outcome_line=outcome.line, outcome_disclosure=opened(outcome))["outcome"]
    assert (found["status"], found["record_id"]) == ("errored", OUTCOME_ID)
    assert "local-exec provisioner error" in found["error"]
    assert join(event, None, outcome_line=outcome.line)["outcome"]["error"] is None


def test_a_digest_that_is_none_opens_nothing() -> None:
    """A text in a digest's place, ASCII or not, withholds its value and does no harm."""
    event = line_of(plan_of(change(before={"x": 1}, after={"x": 2})))
    for digest in ("é", ""):
        parsed = json.loads(event.line)
        parsed["attributes"][0] |= {"before": digest, "after": digest}
        joined = change_event(json.dumps(parsed).encode(), opened(event), number=1, facts=FACTS)
        assert joined["attributes"][0]["withheld"] is True


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"[]", b"{}", b'{"kind":1}', b"\xff"),
        b'{"kind":"resource-change","attributes":[1]}',
        b'{"kind":"resource-change","attributes":[{"path":1}]}',
        b'{"kind":"resource-change","attributes":[{"path":"/x","before":2}]}',
        b'{"kind":"resource-change","address":{}}',
        b'{"kind":"check","instances":[{"problems":[1]}]}',
    ],
)
def test_what_is_no_event_line_is_refused(line: bytes) -> None:
    """Other bytes are an input error."""
    with pytest.raises(InputError):
        change_event(line, None, number=1, facts=FACTS)
