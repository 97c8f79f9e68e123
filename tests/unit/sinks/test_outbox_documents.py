"""Each record of the log gives a document of its own and one for each line, of the schema, without what is withheld."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "export"))
from readkit import Place as Ledger
from readkit import change

from tfaudit import canonical, schema
from tfaudit.events import commitment, native
from tfaudit.events.model import EventLine
from tfaudit.ledger import ids
from tfaudit.ledger.reader import Reader
from tfaudit.sinks.cursor import Place
from tfaudit.sinks.documents import Documents, behind


@pytest.fixture
def place(tmp_path):
    """An empty ledger."""
    return Ledger(tmp_path / "place")


def reader(place):
    """Open the ledger."""
    return Reader.open(evidence=place.evidence, working=place.working, genesis_digest=None)


def documents(place, *, values=True):
    """Return the documents of a ledger."""
    return Documents(evidence=place.evidence, working=place.working, reader=reader(place), values=values)


def bodies(place, start=Place(0, 0), *, values=True):  # noqa: B008 - a tuple
    """Return what the documents say, as a sink reads it, each held against the schema."""
    found = [line.document for line in documents(place, values=values).start(start) if line.document]
    read = [json.loads(native.encode(document.body)) for document in found]
    for body in read:
        schema.validate("delivered-document.v1", body)
    assert [document.id for document in found] == [body["id"] for body in read]
    return read


def test_a_record_gives_itself_and_its_lines(place):
    """Line 0 is the record, and each event line follows under its own number."""
    record_id = place.planned(change("aws_x.a", before={"n": 1}, after={"n": 2}), change("aws_x.b"))
    found = bodies(place)
    assert [body["id"] for body in found] == [f"{record_id}/{line}" for line in range(3)]
    assert [body["kind"] for body in found] == ["record", "resource-change", "resource-change"]
    assert found[1]["attributes"][0] | {"before": 1, "after": 2, "path": "/n"} == found[1]["attributes"][0]
    assert {body["actor"]["principal"] for body in found} == {"github:octocat"}


def test_the_record_says_where_it_stands(place):
    """Its document has the checkpoint of the very commit that holds it, and stays the same when the log grows."""
    place.planned(change("aws_x.a"))
    before = bodies(place)[0]
    place.planned(change("aws_x.a"))
    after = bodies(place)[0]
    assert before == after
    log = after["log"]
    assert (log["origin"], log["position"], log["size"]) == (place.ledger.origin, 0, 2)
    assert log["checkpoint"].startswith(f"{place.ledger.origin}\n2\n")


def test_an_outcome_names_the_change_that_it_is_about(place):
    """An outcome's document has an id of its own, the change's event id, and what the change was."""
    intent, outcome = place.applied(change("aws_x.a", ("create",)), change("aws_x.b", ("delete",)))
    found = bodies(place)[-2:]
    assert [body["id"] for body in found] == [f"{outcome}/1", f"{outcome}/2"]
    assert [body["event_id"] for body in found] == [f"{intent}/1", f"{intent}/2"]
    assert [(body["address"], body["type"], body["action"]) for body in found] == [
        ("aws_x.a", "aws_x", "create"),
        ("aws_x.b", "aws_x", "delete"),
    ]
    assert [body["outcome"]["status"] for body in found] == ["applied", "applied"]
    assert found[1]["severity"] == 4


def test_an_outcome_is_told_without_its_intent(place):
    """Where the intent's lines can't be had, the outcome is delivered all the same, with what it says itself."""
    intent, outcome = place.applied(change("aws_x.a"))
    place.record_file(intent).unlink()
    found = [line for line in documents(place).start(Place(2, 0)) if line.document]
    assert [line.id for line in found] == [f"{outcome}/0", f"{outcome}/1"]
    assert found[1].document.body["event_id"] == f"{intent}/1"
    assert found[1].document.body["type"] is None


def test_an_address_that_is_hidden_in_the_log_is_disclosed(place):
    """An instance key that is personal data stands in the documents of the change and of its outcome."""
    address = 'aws_x.a["someone@example.com"]'
    place.applied(change(address, ("create",), after={"n": 1}))
    assert [body["address"] for body in bodies(place) if body["kind"] != "record"] == [address, address]


def test_without_values_only_names_go_along(place):
    """With values = false neither values nor the engine's texts and ids are there, and who did it is."""
    intent = place.planned(change("aws_x.a", before={"n": "old-value"}, after={"n": "new-value"}))
    place.closed(intent, "errored")
    found = bodies(place, values=False)
    text = json.dumps(found)
    assert not any(word in text for word in ("old-value", "new-value", "boom", "i-1"))
    assert found[1]["attributes"][0]["path"] == "/n"
    assert found[1]["attributes"][0]["withheld"]
    assert found[1]["actor"]["principal"] == "github:octocat"


def test_what_was_erased_is_withheld(place):
    """Without its disclosures a record is delivered with null for actor, reason and values."""
    record_id = place.planned(change("aws_x.a", before={"n": 1}, after={"n": 2}))
    place.working.remove(ids.disclosure_key(record_id))
    found = bodies(place)
    assert (found[0]["actor"], found[0]["reason"]) == (None, None)
    assert found[1]["attributes"][0]["withheld"]


def test_a_value_that_was_put_in_its_place_is_not_delivered(place):
    """A disclosure that does not open its digest is withheld."""
    record_id = place.planned(change("aws_x.a", before={"n": 1}, after={"n": 2}))
    key = ids.disclosure_key(record_id)
    content = (place.folder / "working" / key).read_bytes()
    place.working.replace(key, content.replace(b"github:octocat", b"github:mallory"), durable=True)
    found = bodies(place)
    assert found[0]["actor"] is None
    assert found[0]["reason"] == "because\x1b[31m"


def test_delivery_can_start_at_any_line(place):
    """From every place on, what is given is the rest of what is given from the beginning."""
    place.applied(change("aws_x.a"), change("aws_x.b"))
    place.operated("state mv", "aws_x.a", "aws_x.c")
    lines = list(documents(place).start(Place(0, 0)))
    for line in lines:
        rest = [body["id"] for body in bodies(place, line.place)]
        assert rest == [one.id for one in lines if one.id and one.place >= line.place]


def test_a_record_that_is_altered_blocks_nothing(place):
    """It comes as one problem that stands for the rest of the record, and what follows is given."""
    first = place.planned(change("aws_x.a"), change("aws_x.b"))
    second = place.planned(change("aws_x.c"))
    path = place.record_file(first)
    content = path.read_bytes().split(b"\n")
    path.chmod(0o644)
    path.write_bytes(b"\n".join([content[0], content[1], content[2].replace(b"aws_x.b", b"aws_x.z"), b""]))
    lines = list(documents(place).start(Place(0, 0)))
    problems = [line for line in lines if line.problem]
    assert [line.problem.rest for line in problems] == [True]
    assert problems[0].id.startswith(first)
    assert f"{second}/1" in [line.id for line in lines if line.document]


def test_a_change_past_tfaudit_is_told(place):
    """A plan that meets a serial that the record before did not leave says from which to which."""
    key = "5a" * 32

    def state(before, after=None):
        found = {"key": key, "before": {"lineage": "l", "serial": before}}
        return found if after is None else found | {"after": {"lineage": "l", "serial": after}}

    intent = place.planned(change("aws_x.a"))
    place.write("outcome", {"intent": intent, "result": {"status": "applied"}, "state": state(1, 2)})
    place.write("plan", {"state": state(2), "result": {"status": "planned"}})
    place.write("plan", {"state": state(5), "result": {"status": "planned"}})
    told = [body["unrecorded"] for body in bodies(place) if body["record"] == "plan"]
    assert told == [None, {"from": 2, "to": 5}]
    last = bodies(place, Place(reader(place).state.size - 2, 0))
    assert [body["unrecorded"] for body in last] == [{"from": 2, "to": 5}]


def test_records_that_are_behind_are_counted(place):
    """Leaves that are commits' own don't count."""
    for _ in range(3):
        place.planned(change("aws_x.a"))
    assert [behind(reader(place), position) for position in (0, 1, 2, 6)] == [3, 2, 2, 0]


def test_a_diagnostic_keeps_the_engines_word(place):
    """The engine's severity stands under a name of its own, beside the document's number."""

    def fill(draft):
        opened = commitment.commit(draft.record_id, "aws_x.a", None, "/summary", b'"broken"', bytes(16))
        line = {"kind": "diagnostic", "severity": "error", "address": "aws_x.a", "summary": {"digest": opened.digest}}
        yield EventLine(canonical.encode(line), commitment.encode_values([opened.member]))

    place.write("outcome", {"result": {"status": "errored"}}, fill=fill)
    found = bodies(place)[1]
    assert (found["diagnostic_severity"], found["summary"], found["severity"]) == ("error", "broken", 3)
