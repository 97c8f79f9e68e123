"""``tfaudit export`` as auditors and their programs see it."""

from __future__ import annotations

import csv
import json

import pytest
from reading import run, tfaudit

from tfaudit import schema
from tfaudit.export.table import COLUMNS


def test_jsonl_is_a_change_event_a_line(place, capfd, tmp_path):
    """Every change of the ledger once, in log order, and its number said on stderr."""
    code, out, err = tfaudit(place, capfd, "export", "--format", "jsonl", "-o", "changes.jsonl")
    events = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert (code, out, len(events)) == (0, "", 5)
    assert err.startswith("tfaudit: exported 5 change events of the ledger ledger.example/reading, size 16 root ")
    for event in events:
        schema.validate("change-event.v1", event)


def test_csv_has_the_same_rows(place, capfd, tmp_path):
    """One row an event, in the documented columns."""
    tfaudit(place, capfd, "export", "--format", "jsonl", "-o", "changes.jsonl")
    code, _, _ = tfaudit(place, capfd, "export", "--format", "csv", "-o", "changes.csv")
    with (tmp_path / "changes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    events = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert code == 0
    assert tuple(rows[0]) == COLUMNS
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in events]
    assert [row["outcome"] for row in rows] == ["applied", "applied", "errored", "applied", ""]


@pytest.mark.parametrize(("form", "uid"), [("ocsf", ("metadata", "uid")), ("ecs", ("event", "id"))])
def test_the_same_events_in_another_schema(place, capfd, form, uid):
    """OCSF and ECS hold the same events in the same order, a JSON object a line, with what came of each."""
    _, native, _ = tfaudit(place, capfd, "export", "--format", "jsonl", "-o", "-")
    code, out, err = tfaudit(place, capfd, "export", "--format", form, "-o", "-")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, "exported 5 change events" in err) == (0, True)
    assert [event[uid[0]][uid[1]] for event in events] == [json.loads(line)["event_id"] for line in native.splitlines()]
    ends = [event["status"] if form == "ocsf" else event["event"]["outcome"] for event in events]
    pending = "Pending" if form == "ocsf" else "unknown"
    assert [end.lower() for end in ends] == ["success", "success", "failure", "success", pending.lower()]


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
def test_an_altered_record_leaves_no_file_in_another_schema(place, capfd, tmp_path, form):
    """Whole or not at all holds for every schema."""
    entries = map(json.loads, tfaudit(place, capfd, "log", "--json")[1].splitlines())
    (name,) = (entry["record_id"] for entry in entries if entry["kind"] == "intent" and entry["events"] == 2)
    file = place.record_file(name)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"aws_x.db"', b'"aws_x.dx"'))
    assert run(place, "export", "--format", form, "-o", str(tmp_path / "out")).returncode == 76
    assert sorted(path.name for path in tmp_path.iterdir()) == ["place"]


def test_stdout_gets_the_same_bytes(place, capfd, tmp_path):
    """A dash for the file name is stdout."""
    tfaudit(place, capfd, "export", "--format", "csv", "-o", "changes.csv")
    code, out, _ = tfaudit(place, capfd, "export", "--format", "csv", "-o", "-")
    assert (code, out.encode()) == (0, (tmp_path / "changes.csv").read_bytes())


def test_what_was_written_is_told_as_json(place, capfd, tmp_path):
    """With --json the line on stderr is an object on stdout; there is no room for it beside the events themselves."""
    code, out, err = tfaudit(place, capfd, "export", "--format", "ecs", "-o", "changes.jsonl", "--json")
    told = json.loads(out)
    schema.validate("export.v1", told)
    assert (code, err, told["file"], told["format"]) == (0, "", "changes.jsonl", "ecs")
    assert told["events"] == len((tmp_path / "changes.jsonl").read_text().splitlines())
    code, out, err = tfaudit(place, capfd, "export", "--format", "ecs", "-o", "-", "--json")
    assert (code, out) == (64, "")
    assert "--json and -o -" in err


def test_no_changes_are_a_header(place, capfd):
    """A time without changes gives a table without rows, and says so."""
    code, out, err = tfaudit(place, capfd, "export", "--format", "csv", "-o", "-", "--to", "2026-02")
    assert (code, out) == (0, ",".join(COLUMNS) + "\r\n")
    assert "exported 0 change events" in err


def test_the_time_and_the_stack_are_chosen(place, capfd):
    """What lies outside is not exported."""
    _, out, _ = tfaudit(place, capfd, "export", "--format", "jsonl", "-o", "-", "--stack", "other/*")
    assert out == ""
    _, out, _ = tfaudit(place, capfd, "export", "--format", "jsonl", "-o", "-", "--from", "2026-03-01", "--plans")
    assert len(out.splitlines()) == 6


def test_a_file_that_is_there_is_kept(place, capfd, tmp_path):
    """Without --force nothing takes its place; with it, the whole new one does."""
    (tmp_path / "out").write_text("mine")
    result = run(place, "export", "--format", "csv", "-o", str(tmp_path / "out"))
    assert (result.returncode, (tmp_path / "out").read_text()) == (65, "mine")
    assert tfaudit(place, capfd, "export", "--format", "csv", "--force", "-o", "out")[0] == 0
    assert (tmp_path / "out").read_text() != "mine"


def test_an_altered_record_leaves_no_file(place, capfd, tmp_path):
    """A population with a hole is none: 76, and nothing is written."""
    entries = map(json.loads, tfaudit(place, capfd, "log", "--json")[1].splitlines())
    (name,) = (entry["record_id"] for entry in entries if entry["kind"] == "intent" and entry["events"] == 2)
    file = place.record_file(name)
    file.chmod(0o644)
    whole = file.read_bytes()
    for altered in (whole.replace(b'"aws_x.db"', b'"aws_x.dx"'), whole.replace(b"payload", b"paylaod"), None):
        if altered is None:
            file.unlink()
        else:
            file.write_bytes(altered)
        result = run(place, "export", "--format", "jsonl", "-o", str(tmp_path / "out"))
        assert result.returncode == 76
        assert sorted(path.name for path in tmp_path.iterdir()) == ["place"]


def test_what_could_not_be_written_is_not_told_of(place, capfd, tmp_path, monkeypatch):
    """The count is said once the file is there, not before."""

    def refuse(*_, **__):
        raise FileExistsError

    monkeypatch.setattr("os.link", refuse)
    code, _, err = tfaudit(place, capfd, "export", "--format", "csv", "-o", str(tmp_path / "out"))
    assert (code, "is there already" in err, "exported" in err) == (65, True, False)
