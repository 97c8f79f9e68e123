"""``tfaudit log`` as people and programs see it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3

import pytest
from reading import on_a_terminal, run, tfaudit

from tfaudit import schema


def test_the_log_needs_no_configuration_and_no_key(place, capfd):
    """With nothing but the two folders the log is shown, newest first."""
    code, out, err = tfaudit(place, capfd, "log")
    assert (code, err) == (0, "")
    head, newest, *others = out.splitlines()
    assert head.split()[:1] == ["TIME"]
    assert "no outcome yet" in newest
    assert len(others) == 7
    assert "apply: errored, 2 applied" in out


def test_every_json_line_is_a_log_entry(place, capfd):
    """The lines are of the format log-entry.v1 and as many as there are records."""
    code, out, err = tfaudit(place, capfd, "log", "--json")
    entries = [json.loads(line) for line in out.splitlines()]
    assert (code, err, len(entries)) == (0, "", 8)
    for entry in entries:
        schema.validate("log-entry.v1", entry)
    assert [entry["position"] for entry in entries] == sorted((entry["position"] for entry in entries), reverse=True)


def test_the_log_is_cut_by_number_kind_run_and_time(place, capfd):
    """Each option chooses."""
    assert len(tfaudit(place, capfd, "log", "--json", "-n", "3")[1].splitlines()) == 3
    (plan,) = map(json.loads, tfaudit(place, capfd, "log", "--json", "--kind", "plan")[1].splitlines())
    assert plan["kind"] == "plan"
    (again,) = map(json.loads, tfaudit(place, capfd, "log", "--json", "--run", plan["run_id"])[1].splitlines())
    assert again == plan
    code, out, err = tfaudit(place, capfd, "log", "--from", "1d")
    assert (code, out, err) == (0, "", "no such record\n")
    assert len(tfaudit(place, capfd, "log", "--json", "--from", "2026-03-01", "--to", "2026-03")[1].splitlines()) == 8


def test_a_working_store_that_is_not_there_withholds_the_actors(place, capfd, tmp_path):
    """Without disclosures the log is the same but for them."""
    code, out, _ = tfaudit(place, capfd, "log", working=tmp_path / "none")
    assert code == 0
    assert out.count("(withheld)") == 8


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--from", "yesterday"], 64, "'yesterday' is no date"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], 64, "not before"),
        (["-n", "0"], 64, "0 is not in the range"),
        (["--kind", "nonsense"], 64, "nonsense"),
        (["--run", "ffff"], 65, "no run or record 'ffff'"),
    ],
)
def test_what_can_not_be_meant_is_one_line(place, args, code, message):
    """A wrong option is said in one line, with its exit code."""
    result = run(place, "log", *args)
    assert result.returncode == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_ledger_that_is_not_there_is_74_and_none_at_all_78(place, tmp_path):
    """A folder without a ledger is an error of the ledger, no configuration at all one of the configuration."""
    shutil.rmtree(place.folder / "ledger")
    assert run(place, "log").returncode == 74
    assert run(None, "log", cwd=tmp_path).returncode == 78


def test_an_altered_record_is_said_and_the_exit_code_76(place, capfd):
    """The log is shown all the same."""
    (entry, *_) = map(json.loads, tfaudit(place, capfd, "log", "--json")[1].splitlines())
    file = place.record_file(entry["record_id"])
    file.chmod(0o644)
    file.write_bytes(b"{}" + file.read_bytes())
    shutil.rmtree(place.folder / "working" / "index")
    code, out, err = tfaudit(place, capfd, "log", "--json")
    assert (code, len(out.splitlines())) == (76, 8)
    assert err == f"tfaudit: record {entry['record_id']} is altered (run `tfaudit verify`)\n"


def test_a_damaged_index_is_removed(place, capfd):
    """An index that can't be read costs one try, and says what to do."""
    before = tfaudit(place, capfd, "log", "--json")
    with sqlite3.connect(place.folder / "working/index/cache-v1.sqlite") as database:
        database.execute("UPDATE records SET entry = 'garbage'")
    result = run(place, "--working", str(place.folder / "working"), "log")
    assert (result.returncode, result.stderr.count("\n")) == (74, 1)
    assert "try again" in result.stderr
    assert tfaudit(place, capfd, "log", "--json") == before


def test_columns_are_as_wide_as_what_stands_in_them(place, capfd):
    """What was done stands in one column, however long the stack's name is."""
    place.write("intent", {"command": {"name": "apply", "options": []}, "stack": "github.com/acme/infra network:prod"})
    out = tfaudit(place, capfd, "log")[1]
    head, newest, *others = out.splitlines()
    column = head.index("WHAT")
    assert newest[column - 2 : column + 5] == "  apply"
    assert {line[column - 2 : column] for line in others} == {"  "}
    assert head.index("STACK") < 19 + 18 + 16 + 16


def test_a_narrow_terminal_gets_a_line_a_record(place):
    """No line is wider than the terminal, colours or not."""
    for columns, environment in ((60, {}), (30, {"NO_COLOR": "1"})):
        lines = on_a_terminal(place, "log", columns=columns, **environment).splitlines()
        assert len(lines) == 9
        shown = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
        assert max(map(len, shown)) <= columns
        if environment:
            assert shown == lines


@pytest.mark.parametrize(
    ("closings", "listed"),
    [
        ((), True),
        (("applied",), True),
        (("not-started",), False),
        (("declined",), False),
        (("not-started", "applied"), True),
        (("applied", "not-started"), True),
    ],
)
def test_a_broken_glass_that_nobody_reviewed_is_overdue(place, capfd, closings, listed):
    """But for a run that did nothing, and never said otherwise."""
    glass = {"decision": "allow", "reasons": [], "break_glass": True, "review_by": "2026-03-01T12:00:00.000Z"}
    command = {"name": "apply", "options": []}
    intent = place.write("intent", {"command": command, "decision": glass})
    for result in closings:
        place.closed(intent, result=result)
    code, out, _ = tfaudit(place, capfd, "log", "--overdue", "--json")
    assert (code, [json.loads(line)["record_id"] for line in out.splitlines()]) == (
        (76, [intent]) if listed else (0, [])
    )
