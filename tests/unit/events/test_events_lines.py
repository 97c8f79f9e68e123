"""The bytes of event lines, and what they disclose."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import RECORD_ID, change, disclosed, fixture, plan_json, plan_of, salts, values

from tfaudit import canonical, schema
from tfaudit.errors import InputError
from tfaudit.events.build import plan_events
from tfaudit.events.commitment import opens
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.events.model import EventLine
from tfaudit.plan.messages import Diagnostic
from tfaudit.plan.outcome import OutcomeTracker
from tfaudit.plan.parse import Plan, read_plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.source import SourceMap


def events(plan: Plan, **more: Any) -> list[EventLine]:
    """Return the plan's event lines."""
    return list(plan_events(plan, record_id=RECORD_ID, entropy=salts(), **more))


def parsed(event: EventLine) -> dict[str, Any]:
    """Return an event line, having checked its form."""
    line: dict[str, Any] = canonical.decode(event.line, what="an event line")
    schema.validate("event-line.v1", line)
    return line


def test_a_golden_line() -> None:
    """A line holds what the change is, and digests for values."""
    plan = plan_of(
        change(
            'module.m["x"].a.b[0]',
            ("delete", "create"),
            {"ami": "old", "id": "i-1"},
            {"ami": "new"},
            unknown={"id": True},
            replace_paths=[["ami"]],
            entry={
                "module_address": 'module.m["x"]',
                "index": 0,
                "type": "a",
                "name": "b",
                "action_reason": "replace_because_cannot_update",
            },
        )
    )
    (event,) = events(plan, sources=SourceMap({"module.m.a.b": ("m/main.tf", 3)}))
    line = parsed(event)
    digests = [
        line["attributes"][0].pop("after"),
        line["attributes"][0].pop("before"),
        line["attributes"][1].pop("before"),
    ]
    assert line == {
        "kind": "resource-change",
        "address": 'module.m["x"].a.b[0]',
        "module": 'module.m["x"]',
        "mode": "managed",
        "type": "a",
        "name": "b",
        "index": 0,
        "provider": "registry.terraform.io/hashicorp/aws",
        "actions": ["delete", "create"],
        "action": "replace",
        "action_reason": "replace_because_cannot_update",
        "source": {"file": "m/main.tf", "line": 3},
        "attributes": [{"path": "/ami", "forces_replacement": True}, {"path": "/id", "unknown": True}],
    }
    assert values(event) == {("/ami", "before"): "old", ("/ami", "after"): "new", ("/id", "before"): "i-1"}
    opened = [
        value
        for value in disclosed(event)
        if any(opens(digest, RECORD_ID, line["address"], None, value) for digest in digests)
    ]
    assert len(opened) == 3


def test_a_sensitive_value_has_neither_digest_nor_disclosure() -> None:
    """Of a sensitive attribute the line says that it changed, and no more."""
    (event,) = events(
        plan_of(
            change(before={"s": "canary-a"}, after={"s": "canary-b"}, before_marks={"s": True}, after_marks={"s": True})
        )
    )
    assert parsed(event)["attributes"] == [{"path": "/s", "sensitive": True}]
    assert event.disclosure == b""


def test_a_personal_instance_key_is_a_pseudonym() -> None:
    """The line holds digits of the digest in place of the key; the disclosure holds the address."""
    address = 'module.u["me@example.org"].a.b["x"]'
    plan = plan_of(
        change(
            address,
            ("update",),
            {"x": 1},
            {"x": 2},
            entry={
                "module_address": 'module.u["me@example.org"]',
                "index": "x",
                "previous_address": 'a.b["me@example.org"]',
                "deposed": "0f0f",
            },
        )
    )
    (event,) = events(plan)
    line = parsed(event)
    assert b"example.org" not in event.line
    found = {value.pointer: value for value in disclosed(event)}
    pseudonym = line["address"].split('"')[1]
    assert line["module"] == f'module.u["{pseudonym}"]'
    assert line["index"] == "x"
    assert values(event)[("/address", "value")] == address
    digest = line["attributes"][0]["after"]
    assert opens(
        digest, RECORD_ID, line["address"], "0f0f", next(value for value in disclosed(event) if value.side == "after")
    )
    assert found["/previous_address"].text == b'"a.b[\\"me@example.org\\"]"'


def test_a_personal_index_is_a_pseudonym_too() -> None:
    """The raw key is replaced like the one in the address."""
    (event,) = events(plan_of(change('a.b["me@example.org"]', after={"x": 1}, entry={"index": "me@example.org"})))
    line = parsed(event)
    assert line["address"] == f'a.b["{line["index"]}"]'


def test_an_import_id_is_committed_to() -> None:
    """An import id may be personal; it stands in the disclosure."""
    (event,) = events(plan_of(change(actions=("no-op",), importing={"id": "me@example.org"})))
    line = parsed(event)
    assert values(event) == {("/importing", "value"): "me@example.org"}
    assert opens(line["importing"]["digest"], RECORD_ID, "aws_instance.a", None, disclosed(event)[0])


def test_big_instance_keys_are_text() -> None:
    """An index beyond what JSON numbers hold everywhere is written as text."""
    (event,) = events(plan_of(change(after={"x": 1}, entry={"index": 2**60})))
    assert parsed(event)["index"] == str(2**60)


def test_every_kind_of_line_has_its_form() -> None:
    """Changes, outputs, invocations, deferred ones, drift and checks come in this order, each valid."""
    for name, kinds in {
        "action-invocations": [
            "resource-change",
            "action-invocation",
            "action-invocation",
            "deferred-action-invocation",
        ],
        "deferred": ["deferred-change"],
        "drift": ["drift", "drift"],
        "errored-plan": ["resource-change", "check"],
        "create": ["resource-change"] * 8 + ["output-change"] * 2,
    }.items():
        lines = [parsed(event) for event in events(read_plan(fixture(f"{name}.plan.json")))]
        assert [line["kind"] for line in lines] == kinds, name


def test_outcome_lines_name_their_change() -> None:
    """An outcome line carries the change's event id and printed address; ids and errors are committed to."""
    plan = read_plan(fixture("failing-provisioner.plan.json"))
    index = ChangeIndex()
    for number, event in enumerate(events(plan), 1):
        index.add(f"{RECORD_ID}/{number}", event.line, event.disclosure)
    tracker = OutcomeTracker(index, plan.redactor)
    for line in fixture("failing-provisioner.apply.jsonl").splitlines():
        tracker.feed(line)
    outcome = tracker.finish(exit_code=1, serial_rose=True)
    writer = LineWriter(RECORD_ID, os.urandom)
    found = [writer.outcome(one) for one in outcome.outcomes]
    assert [parsed(event)["status"] for event in found] == ["errored", "not-reached", "applied"]
    assert parsed(found[0])["event_id"] == f"{RECORD_ID}/1"
    assert parsed(found[0])["provisioner"] == "local-exec"
    assert "canary-provisioner" not in "".join(event.line.decode() + event.disclosure.decode() for event in found)
    for diagnostic in outcome.diagnostics:
        assert parsed(writer.diagnostic(diagnostic))["severity"] == "error"


def test_the_index_finds_the_real_address() -> None:
    """The stream names the real address, the line a pseudonym: the disclosure joins them."""
    (event,) = events(plan_of(change('a.b["me@example.org"]', ("create",), after={"x": 1})))
    index = ChangeIndex()
    index.add("1", event.line, event.disclosure)
    index.add("2", event.line)
    known, unknown = index
    assert known.address == 'a.b["me@example.org"]'
    assert known.printed == parsed(event)["address"] == unknown.address
    with pytest.raises(InputError):
        index.add("3", b"{}")


def test_notes_and_diagnostics() -> None:
    """A note has a code and facts; a diagnostic without words has no commitment."""
    writer = LineWriter(RECORD_ID, salts())
    assert parsed(writer.note("errored-state", file="errored.tfstate")) == {
        "kind": "note",
        "code": "errored-state",
        "facts": {"file": "errored.tfstate"},
    }
    bare = Diagnostic(severity="warning", address='a["me@example.org"]', summary="", detail="", file=None, line=None)
    line = writer.diagnostic(bare)
    assert set(parsed(line)) == {"kind", "severity", "address"}
    assert b"example.org" not in line.line


@pytest.mark.parametrize("workers", [2, 3])
def test_several_processes_write_the_same_lines(workers: int) -> None:
    """Written in turn the plan comes to the same lines, but for salts, in the same order."""
    plan = plan_of(*(change(f"a.b[{number}]", before={"x": 1}, after={"x": number}) for number in range(2, 5003)))
    found = list(plan_events(plan, record_id=RECORD_ID, workers=workers))
    assert [json.loads(event.line)["address"] for event in found] == [f"a.b[{number}]" for number in range(2, 5003)]
    assert [values(event)[("/x", "after")] for event in found] == list(range(2, 5003))


def test_an_error_in_another_process_comes_back() -> None:
    """An entry that can't be read is an input error wherever it was read."""
    good = [change(f"a.b[{number}]", after={"x": 1}) for number in range(999)]
    plan = read_plan(plan_json(*good, {"mode": "managed", "change": {"actions": ["create"]}}))
    with pytest.raises(InputError, match="has no address"):
        list(plan_events(plan, record_id=RECORD_ID, workers=2))


def test_unfinished_processes_are_ended() -> None:
    """Whoever stops early leaves no process behind."""
    plan = plan_of(*(change(f"a.b[{number}]", after={"x": 1}) for number in range(2000)))
    before = children()
    lines = plan_events(plan, record_id=RECORD_ID, workers=2)
    next(lines)
    assert children() > before
    lines.close()  # type: ignore[attr-defined]
    assert children() == before


def children() -> set[str]:
    """Return the ids of this process' children; other tests may have servers running."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)


@given(TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.one_of(TEXT, st.integers()))
def test_lines_are_canonical_whatever_they_name(
    address: str, kind: str, reason: str, after: dict[str, str], index: Any
) -> None:
    """Names of any characters give canonical JSON whose values open."""
    data = plan_json(
        change(
            f"a{address}", after=after, entry={"type": kind, "index": index, "action_reason": reason, "deposed": reason}
        )
    )
    try:
        (event,) = events(read_plan(data, redactor=Redactor()))
    except InputError:
        return
    line = parsed(event)
    for value in disclosed(event):
        if value.side == "after":
            (digest,) = [entry["after"] for entry in line["attributes"] if entry["path"] == value.pointer]
            assert opens(digest, RECORD_ID, line["address"], line.get("deposed"), value)
