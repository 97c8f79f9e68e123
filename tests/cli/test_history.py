"""``tfaudit history`` as people and programs see it."""

from __future__ import annotations

import json

from reading import run, tfaudit

from tfaudit import schema


def test_a_resource_has_its_life_told(place, capfd):
    """Every change, the newest last, through its move; planned and open ones as such."""
    code, out, err = tfaudit(place, capfd, "history", "aws_x.front", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    for event in events:
        schema.validate("change-event.v1", event)
    assert [event["action"] or event["command"] for event in events] == ["create", "update", "state mv", "delete"]
    assert [event["outcome"] and event["outcome"]["status"] for event in events] == [
        "applied",
        "applied",
        "applied",
        None,
    ]


def test_people_read_it_too(place, capfd):
    """Who, when, what, with the values."""
    out = tfaudit(place, capfd, "history", "aws_x.front")[1]
    assert out.count("github:octocat") == 4
    assert "/size: 1 -> 2" in out
    assert "\x07" not in out


def test_plans_are_said_to_be_plans(place, capfd):
    """With --plans what was only planned is shown as that."""
    assert "only planned" not in tfaudit(place, capfd, "history", "aws_x.web")[1]
    assert tfaudit(place, capfd, "history", "aws_x.web", "--plans")[1].count("only planned") == 1


def test_an_address_without_changes_is_no_error(place, capfd):
    """Nothing on stdout, a word on stderr, exit code 0."""
    assert tfaudit(place, capfd, "history", "aws_x.none", "--json") == (0, "", "no recorded change of aws_x.none\n")


def test_a_text_that_is_no_address_is_64(place):
    """One line that says how an address looks."""
    result = run(place, "history", "aws_x.y[")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (64, "", 1)


def test_an_altered_record_is_76(place, capfd):
    """A history that may miss something does not end with 0."""
    lines = tfaudit(place, capfd, "history", "aws_x.db", "--json")[1].splitlines()
    file = place.record_file(json.loads(lines[0])["event_id"].partition("/")[0])
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"create"', b'"delete"'))
    code, _, err = tfaudit(place, capfd, "history", "aws_x.db", "--json")
    assert code == 76
    assert "not those that it signs" in err
