"""``tfaudit inspect`` as people and programs see it."""

from __future__ import annotations

import json

from reading import on_a_terminal, run, tfaudit

from tfaudit import schema


def runs(place, capfd):
    """Return the ids of all runs by the kinds of their records."""
    found = {}
    for line in tfaudit(place, capfd, "log", "--json")[1].splitlines():
        entry = json.loads(line)
        found.setdefault(entry["run_id"], []).append(entry)
    return found


def test_every_run_is_of_its_format(place, capfd):
    """Each run is one object of records and change events."""
    for run_id, entries in runs(place, capfd).items():
        code, out, err = tfaudit(place, capfd, "inspect", run_id, "--json")
        document = json.loads(out)
        schema.validate("inspect.v1", document)
        assert (code, err, out.count("\n")) == (0, "", 1)
        assert {record["record_id"] for record in document["records"]} >= {entry["record_id"] for entry in entries}


def test_a_run_is_told_with_changes_and_errors(place, capfd):
    """Who, why, what changed from what to what, and what failed."""
    (intent,) = (
        entry["record_id"]
        for entries in runs(place, capfd).values()
        for entry in entries
        if entry["kind"] == "intent" and entry["events"] == 2
    )
    code, out, err = tfaudit(place, capfd, "inspect", intent)
    assert (code, err) == (0, "")
    assert "github:octocat (claimed)" in out
    assert "~ aws_x.web  update  applied in 2 s" in out
    assert "/size: 1 -> 2" in out
    assert "+ aws_x.db  create  errored" in out
    assert "boom" in out


def test_nothing_in_a_record_steers_the_terminal(place, capfd):
    """Escape sequences and direction marks in reasons and values are shown, not sent."""
    for run_id in runs(place, capfd):
        shown = on_a_terminal(place, "inspect", run_id, NO_COLOR="1")
        assert not any(letter in shown for letter in "\x1b\x07\x9b\u202e")
        told = tfaudit(place, capfd, "inspect", run_id, "--json")[1]
        assert not any(letter in told for letter in "\x1b\x07\x9b\u202e")
    assert any(
        "\\u202e" in tfaudit(place, capfd, "inspect", run_id, "--json")[1].lower() for run_id in runs(place, capfd)
    )


def test_without_disclosures_values_are_withheld(place, capfd, tmp_path):
    """The changes stand, their values do not."""
    code, out, _ = tfaudit(place, capfd, "inspect", next(iter(runs(place, capfd))), working=tmp_path / "none")
    assert code == 0
    assert "(withheld)" in out
    assert "octocat" not in out


def test_an_open_run_says_so(place, capfd):
    """An intent without an outcome is not taken for a success."""
    (open_run,) = (
        run_id
        for run_id, entries in runs(place, capfd).items()
        if entries[-1]["kind"] == "intent" and entries[-1]["closed_by"] is None and entries[-1]["events"] == 1
    )
    assert "not known yet: interrupted, or still running" in tfaudit(place, capfd, "inspect", open_run)[1]


def test_an_unknown_or_ambiguous_id_is_65(place):
    """One line, and nothing on stdout."""
    for name in ("ffff", "0", "no id"):
        result = run(place, "inspect", name, "--json")
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (65, "", 1)


def test_an_altered_record_is_76_and_no_half_of_it_printed(place, capfd):
    """The JSON object is printed when all of it was checked, or not at all."""
    (intent,) = (
        entry["record_id"]
        for entries in runs(place, capfd).values()
        for entry in entries
        if entry["kind"] == "intent" and entry["events"] == 2
    )
    file = place.record_file(intent)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"aws_x.db"', b'"aws_x.dx"'))
    result = run(place, "inspect", intent, "--json")
    assert (result.returncode, result.stdout) == (76, "")
    assert "not those that it signs" in result.stderr
