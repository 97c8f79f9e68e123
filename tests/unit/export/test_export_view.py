"""What the reading views show of a ledger, and how its index follows it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat

import pytest
from readkit import ACTOR, Place, change

from tfaudit import schema
from tfaudit.errors import InputError, VerificationError
from tfaudit.events import native
from tfaudit.export.inspection import described
from tfaudit.export.view import Filter
from tfaudit.ledger.verify import verify

INDEX = "working/index/cache-v1.sqlite"


@pytest.fixture
def place(tmp_path):
    """An empty ledger."""
    return Place(tmp_path / "place")


def log(place, wanted=None, **more):
    """Return the log's entries as JSON gives them back, each of its format."""
    limit = more.pop("limit", None)
    with place.view(**more) as view:
        entries = json.loads(json.dumps(list(view.log(wanted or Filter(), limit=limit))))
    for entry in entries:
        schema.validate("log-entry.v1", entry)
    return entries


def ids_of(entries):
    """Return the record ids of entries."""
    return [entry["record_id"] for entry in entries]


def plain(events):
    """Return events as JSON gives them back, each of its format."""
    found = [native.plain(event) for event in events]
    for event in found:
        schema.validate("change-event.v1", event)
    return found


# --- the log --------------------------------------------------------------------------------------------------------


def test_the_log_is_newest_first(place):
    """Every record is an entry, the newest first, with what closes an intent."""
    intent, outcome = place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    lonely = place.planned(change("aws_x.z"))
    newest, second, third = log(place)
    assert [newest["record_id"], second["record_id"], third["record_id"]] == [lonely, outcome, intent]
    assert (third["closed_by"], newest["closed_by"]) == (outcome, None)
    assert newest["summary"].endswith("no outcome yet")
    assert (second["exit_code"], second["status"], second["intent"]) == (0, "applied", intent)
    assert newest["actor"] == ACTOR
    assert (third["position"], third["place"]) == (0, "log")


def test_an_empty_ledger_has_an_empty_log(place):
    """A ledger without records is no error."""
    assert log(place) == []


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_short_log_without_an_index_says_the_same(place, limit):
    """Straight from the end of the log or by the index: the entries are the same."""
    for number in range(3):
        place.applied(change(f"aws_x.y{number}", before={"a": 1}, after={"a": 2}))
    direct = log(place, limit=limit, catch_up=0)
    assert not (place.folder / INDEX).exists()
    assert direct == log(place, limit=limit) == log(place)[:limit]


def test_the_log_filters(place):
    """Stack pattern, kind and time choose records; a bracket in a pattern is a bracket."""
    first = place.planned(change("aws_x.y"), stack="example.test/net")
    place.now = place.now.replace(day=5)
    second = place.planned(change("aws_x.y"), stack="example.test/app[1]", kind="plan")
    assert ids_of(log(place, Filter(stack="*/net"))) == [first]
    assert ids_of(log(place, Filter(stack="*/app[1]"))) == [second]
    assert ids_of(log(place, Filter(kinds=("plan",)))) == [second]
    middle = int(place.now.timestamp() * 1000) - 3_600_000
    assert ids_of(log(place, Filter(start=middle))) == [second]
    assert ids_of(log(place, Filter(end=middle))) == [first]


def test_what_no_commit_holds_is_shown_as_such(place):
    """Staged and spooled records come in front, by their place, and close what they close."""
    intent = place.planned(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    staged = place.planned(change("aws_x.z"), ledger=place.opened(stage_only=True))
    spooled = place.closed(intent, "applied", how="keep")
    entries = {entry["record_id"]: entry for entry in log(place)}
    assert ids_of(log(place)) == [spooled, staged, intent]
    assert [entries[name]["place"] for name in (spooled, staged, intent)] == ["spool", "staged", "log"]
    assert entries[spooled]["position"] is None
    assert entries[intent]["closed_by"] == spooled
    with place.view() as view:
        (event,) = plain(view.run_events(view.run(intent)))
    assert event["outcome"]["status"] == "applied"
    place.ledger.drain()
    assert {entry["place"] for entry in log(place)} == {"log"}


def test_what_no_accepted_key_signed_is_not_shown(place, tmp_path):
    """A record of another ledger that someone put into the store is none of ours."""
    other = Place(tmp_path / "other", entropy=os.urandom)
    stranger = other.planned(change("aws_x.y"))
    file = other.record_file(stranger)
    target = place.folder / "ledger" / file.relative_to(other.folder / "ledger")
    place.planned(change("aws_x.y"))
    shutil.copy(file, target)
    assert stranger not in ids_of(log(place))


# --- the index -------------------------------------------------------------------------------------------------------


def test_the_index_is_private_and_grows_with_the_log(place):
    """It is a file of mode 0600 in a folder of mode 0700, and later records come in."""
    place.applied(change("aws_x.y"))
    first = log(place)
    path = place.folder / INDEX
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    place.applied(change("aws_x.y"))
    assert log(place)[2:] == first


def test_an_index_of_another_log_is_built_anew(place, tmp_path):
    """When the head it knew is no longer in the log, nothing of it is shown."""
    other = Place(tmp_path / "other", entropy=os.urandom)
    other.applied(change("aws_x.y"))
    assert len(log(other)) == 2
    place.planned(change("aws_x.z"))
    (place.folder / "working/index").mkdir(mode=0o700)
    shutil.copy(other.folder / INDEX, place.folder / INDEX)
    assert len(log(place)) == 1


def test_a_log_that_was_cut_off_is_noticed(place, tmp_path):
    """An index that reaches further than the log is given up for the log."""
    place.planned(change("aws_x.y"))
    shutil.copytree(place.folder / "ledger", tmp_path / "earlier")
    place.planned(change("aws_x.z"))
    assert len(log(place)) == 2
    shutil.rmtree(place.folder / "ledger")
    shutil.copytree(tmp_path / "earlier", place.folder / "ledger")
    assert len(log(place)) == 1


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_damaged_index_is_built_anew(place, content):
    """A file that is no database loses nothing."""
    place.applied(change("aws_x.y"))
    before = log(place)
    (place.folder / INDEX).write_bytes(content)
    assert log(place) == before
    assert len(log(place)) == 2


def test_an_index_that_others_may_write_is_not_trusted(place):
    """A file that is readable or writable for others is not used."""
    place.applied(change("aws_x.y"))
    log(place)
    with sqlite3.connect(place.folder / INDEX) as database:
        database.execute("DELETE FROM records")
    (place.folder / INDEX).chmod(0o666)
    assert len(log(place)) == 2


def test_an_index_that_is_a_link_is_not_followed(place, tmp_path):
    """What the link names stays as it is."""
    place.applied(change("aws_x.y"))
    (tmp_path / "mine").write_bytes(b"")
    (place.folder / "working/index").mkdir()
    (place.folder / INDEX).symlink_to(tmp_path / "mine")
    assert len(log(place)) == 2
    assert (tmp_path / "mine").read_bytes() == b""


def test_without_a_working_store_everything_but_values_is_shown(place, tmp_path):
    """An auditor with the ledger alone sees the log; nothing is made where nothing was."""
    place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    shutil.rmtree(place.folder / "working")
    entries = log(place, spool=None)
    assert [entry["actor"] for entry in entries] == [None, None]
    with place.view() as view:
        (event,) = plain(view.changes(next(view.index.rows("kind = 'intent'"))))
    assert event["attributes"][0]["withheld"] is True
    assert not (place.folder / "working").exists()


def test_an_erased_actor_is_gone_from_the_index(place):
    """When a disclosure is gone, the actor is withheld and no byte of the index tells it."""
    intent, _ = place.applied(change("aws_x.y"))
    with place.view() as view:
        list(view.log(Filter()))
    assert b"octocat" in (place.folder / INDEX).read_bytes()
    for file in (place.folder / "working/disclosures").iterdir():
        file.unlink()
    assert [entry["actor"] for entry in log(place)] == [None, None]
    assert b"octocat" not in (place.folder / INDEX).read_bytes()
    assert intent in ids_of(log(place))


def test_reading_changes_no_byte_that_verify_looks_at(place):
    """After all views were used verify finds nothing."""
    place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    log(place)
    with place.view() as view:
        list(view.run_events(view.run(next(view.index.rows()).record_id)))
    report = verify(place.evidence, place.working, now=int(place.now.timestamp() * 1000))
    assert [finding.code for finding in report.findings] == []


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_any_of_its_ids(place):
    """The start of a run's or a record's id gives the whole run."""
    intent, outcome = place.applied(change("aws_x.y"))
    with place.view() as view:
        run = view.run(intent)
        assert [row.record_id for row in run.records] == [intent, outcome]
        assert view.run(outcome) == view.run(run.run_id) == view.run(run.run_id.upper()) == run


def test_an_id_that_names_none_or_many_is_refused(place):
    """One line says which."""
    place.planned(change("aws_x.y"))
    place.planned(change("aws_x.y"))
    with place.view() as view:
        with pytest.raises(InputError, match="2 runs"):
            view.run("0")
        for name in ("ffff", "", "zz", "*", "x' OR 1 --"):
            with pytest.raises(InputError):
                view.run(name)


def test_changes_are_joined_with_values_and_outcomes(place):
    """Each change has its disclosed values and what came of it."""
    intent = place.planned(
        change("aws_x.a", before={"n": 1}, after={"n": 2}), change("aws_x.b", ("create",), after={"n": 3})
    )
    place.closed(intent, "applied", "errored", result="errored")
    with place.view() as view:
        first, second = plain(view.changes(next(view.index.rows("kind = 'intent'"))))
    assert first["event_id"] == f"{intent}/1"
    assert (first["attributes"][0]["before"], first["attributes"][0]["after"]) == (1, 2)
    assert (first["outcome"]["status"], second["outcome"]["status"]) == ("applied", "errored")
    assert second["outcome"]["error"] == "boom"
    assert (first["actor"], first["reason"], first["record"]) == (ACTOR, "because\x1b[31m", "intent")


def test_outcomes_in_another_order_find_their_changes(place):
    """The order of the outcome lines does not matter."""
    intent = place.planned(*(change(f"aws_x.y{number}", before={"n": 1}, after={"n": 2}) for number in range(3)))
    place.closed(intent, None, None, "applied")
    with place.view() as view:
        events = plain(view.changes(next(view.index.rows("kind = 'intent'"))))
    assert [(event["outcome"]["status"], event["outcome"]["inferred"]) for event in events] == [
        ("applied", True),
        ("applied", True),
        ("applied", False),
    ]


def test_the_run_itself_counts_before_its_recovery(place):
    """Where a late outcome follows one that another run wrote for it, the real one is shown."""
    intent = place.planned(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    recovered = place.closed(intent, "unknown", recovered=True, result="unknown")
    with place.view() as view:
        assert view.index.closing(intent).record_id == recovered
    real = place.closed(intent, "applied")
    with place.view() as view:
        assert view.index.closing(intent).record_id == real
        assert len(view.run(intent).records) == 3
    assert [entry["closed_by"] for entry in log(place)] == [None, None, real]
    assert log(place, limit=3, folder=None, catch_up=0) == log(place)


def test_an_intent_names_the_plan_it_carries_out(place):
    """The plan record with the same digest before it is told."""
    planned = place.planned(change("aws_x.y"), kind="plan", digest="b" * 64)
    intent, _ = place.applied(change("aws_x.y"), digest="b" * 64)
    place.planned(change("aws_x.y"), kind="plan", digest="b" * 64)
    with place.view() as view:
        rows = {row.record_id: row for row in view.run(intent).records}
        document = {
            "records": [described(view, row) for row in rows.values()],
            "events": plain(view.run_events(view.run(intent))),
        }
    schema.validate("inspect.v1", json.loads(json.dumps(document)))
    assert document["records"][0]["plan_record"] == planned


def test_an_operation_is_a_change_of_its_own(place):
    """A command without a plan is one change event, joined with what came of it."""
    intent, closing = place.operated("state mv", "aws_x.a", "aws_x.b")
    with place.view() as view:
        (event,) = plain(view.run_events(view.run(intent)))
    assert event["event_id"] == f"{intent}/0"
    assert (event["kind"], event["address"], event["previous_address"]) == ("operation", "aws_x.b", "aws_x.a")
    assert (event["outcome"]["status"], event["outcome"]["record_id"]) == ("applied", closing)


# --- what is altered -------------------------------------------------------------------------------------------------


def test_an_altered_record_is_told_of_and_the_rest_shown(place):
    """The log goes on past a record that is not what the leaf says; once it is put back, all is well."""
    place.applied(change("aws_x.y"))
    bad = place.planned(change("aws_x.z"))
    place.planned(change("aws_x.z"))
    file = place.record_file(bad)
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole.replace(b"payload", b"paylaod", 1))
    for direct in (False, True):
        entries = log(
            place, limit=4, folder=None if direct else place.folder / "working", catch_up=0 if direct else 500
        )
        assert [("altered" in entry["summary"], entry["events"]) for entry in entries] == [
            (False, 1),
            (True, None),
            (False, 1),
            (False, 1),
        ]
        assert any(bad in problem for problem in place.problems)
        place.problems.clear()
    file.write_bytes(whole)
    assert not any("altered" in entry["summary"] for entry in log(place))
    assert place.problems == []


def test_an_altered_event_line_is_an_error(place):
    """Events are given only with the error that says they are not those which were signed."""
    intent, _ = place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    file = place.record_file(intent)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"aws_x.y"', b'"aws_x.z"'))
    with place.view() as view, pytest.raises(VerificationError, match="not those that it signs"):
        list(view.changes(next(view.index.rows("kind = 'intent'"))))


def test_a_value_that_is_not_the_one_committed_to_is_withheld(place):
    """A disclosure that was changed opens nothing."""
    intent, _ = place.applied(change("aws_x.y", before={"a": 1}, after={"a": 2}))
    file = place.folder / "working/disclosures" / f"{intent}.jsonl"
    file.write_bytes(file.read_bytes().replace(b",2]", b",3]").replace(b"octocat", b"octodog"))
    with place.view() as view:
        (event,) = plain(view.changes(next(view.index.rows("kind = 'intent'"))))
    assert (event["attributes"][0]["before"], event["attributes"][0]["after"]) == (1, None)
    assert event["attributes"][0]["withheld"] is True
    assert event["actor"] is None


def test_a_missing_commit_is_an_error(place):
    """A log with a hole before its end can't be shown as whole."""
    for _ in range(3):
        place.planned(change("aws_x.y"))
    (place.folder / "ledger/commits/0000000000000000").unlink()
    with place.view(folder=None) as view, pytest.raises(VerificationError, match="commit 0 is missing"):
        list(view.log(Filter()))
