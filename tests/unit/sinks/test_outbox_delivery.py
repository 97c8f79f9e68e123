"""A delivery finds its place in the log, says what is odd about it, and tries dead letters again where it is asked."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "export"))
from outboxkit import Clock, Scripted
from readkit import Place as Ledger
from readkit import change

from tfaudit.config.delivering import SinkSettings
from tfaudit.errors import ConfigError, VerificationError
from tfaudit.ledger import ids
from tfaudit.sinks import deadletters
from tfaudit.sinks.delivery import Delivery
from tfaudit.sinks.model import Accepted, Limits, Refused
from tfaudit.sinks.shelf import Shelf

SETTINGS = SinkSettings(name="test", url="webhook:http://127.0.0.1:1/", scheme="webhook")


@pytest.fixture
def place(tmp_path):
    """A ledger with one record."""
    found = Ledger(tmp_path / "place")
    found.planned(change("aws_x.a"))
    return found


def delivery(place, sink, settings=SETTINGS, clock=None, **more):
    """Return a delivery of the ledger to a sink."""
    return Delivery(
        settings,
        evidence=place.evidence,
        working=place.working,
        genesis=None,
        open_sink=lambda: sink,
        pace=replace((clock or Clock()).pace(), now=lambda: ids.milliseconds(place.clock())),
        **more,
    )


def deliver(place, sink, settings=SETTINGS, **more):
    """Deliver, and return how that ended."""
    return delivery(place, sink, settings, **more).deliver()


def test_a_new_sink_gets_everything(place):
    """It begins at the log's first record, and the next delivery has nothing to do and opens no sink."""
    sink = Scripted()
    one = delivery(place, sink)
    assert (one.deliver().state, one.accepted, one.left) == ("done", 2, 0)

    def never():
        raise AssertionError("nothing is to be delivered")

    again = delivery(place, sink)
    again._open_sink = never
    assert (again.deliver().state, again.left) == ("done", 0)


def test_a_sink_that_starts_now_gets_what_comes(place):
    """What the log held when the sink was met first is not delivered, even where nothing came at that moment."""
    now = replace(SETTINGS, start="now")
    sink = Scripted()
    assert deliver(place, sink, now).state == "done"
    record_id = place.planned(change("aws_x.b"))
    assert deliver(place, sink, now).state == "done"
    assert sink.has == [f"{record_id}/0", f"{record_id}/1"]


def test_a_sink_that_starts_now_gets_the_run_that_meets_it(place):
    """In a run, now is where the run's own records begin."""
    record_id = place.planned(change("aws_x.b"))
    sink = Scripted()
    deliver(place, sink, replace(SETTINGS, start="now"), since=2)
    assert sink.has == [f"{record_id}/0", f"{record_id}/1"]


def test_another_url_under_the_old_name_is_noticed_once(place):
    """It goes on where the old one was left, and that is said; from then on the new one is the known one."""
    deliver(place, Scripted())
    record_id = place.planned(change("aws_x.b"))
    moved = replace(SETTINGS, url="webhook:http://127.0.0.1:2/")
    sink = Scripted()
    one = delivery(place, sink, moved)
    one.deliver()
    assert "another URL" in (one.note or "")
    assert sink.has[0] == f"{record_id}/0"
    again = delivery(place, sink, moved)
    again.deliver()
    assert again.note is None


def test_a_record_that_is_only_staged_waits(place):
    """Where a sequencer commits, a record is delivered once it has."""
    staging = place.opened(stage_only=True)
    record_id = place.planned(change("aws_x.b"), ledger=staging)
    sink = Scripted()
    deliver(place, sink)
    assert not any(name.startswith(record_id) for name in sink.has)
    place.ledger.sequence()
    deliver(place, sink)
    assert sink.has[-2:] == [f"{record_id}/0", f"{record_id}/1"]


def test_what_others_commit_meanwhile_is_delivered_too(place):
    """Whoever has the lease delivers until the log has nothing more."""
    made = []

    def script(names):
        if not made:
            made.append(place.planned(change("aws_x.b")))
        return [Accepted() for _ in names]

    sink = Scripted(script=script)
    one = delivery(place, sink)
    assert (one.deliver().state, one.left) == ("done", 0)
    assert f"{made[0]}/1" in sink.has


def test_a_log_that_was_cut_off_is_noticed(place, tmp_path):
    """A sink that was given more than the log holds is given nothing, and that is an error of verification."""
    place.planned(change("aws_x.b"))
    deliver(place, Scripted())
    (place.folder / "ledger" / "commits" / f"{1:016x}").unlink()
    with pytest.raises(VerificationError, match="delivered to it"):
        deliver(place, Scripted())


def test_another_ledgers_cursor_is_refused(place, tmp_path):
    """A working store that serves two ledgers does not mix up what was delivered of which."""
    deliver(place, Scripted())
    other = Ledger(tmp_path / "other")
    other.planned(change("aws_x.a"))
    shutil.copytree(place.folder / "working" / "delivery", other.folder / "working" / "delivery")
    with pytest.raises(ConfigError, match="another ledger"):
        deliver(other, Scripted())


def test_two_jobs_do_not_deliver_at_once(place):
    """The second job is told, and opens no sink."""
    told = []

    def script(names):
        told.append(deliver(place, Scripted()).state)
        return [Accepted() for _ in names]

    assert deliver(place, Scripted(script=script)).state == "done"
    assert told == ["taken"]


def test_dead_letters_are_tried_again_where_that_is_asked(place):
    """One that the sink takes now is forgotten, with a receipt; one that it refuses again stays."""
    refuse = Scripted(script=lambda names: [Refused(reason="first") for _ in names])
    deliver(place, refuse)
    shelf = Shelf(place.working, "test")
    assert deadletters.count(shelf) == 2
    assert deliver(place, Scripted()).state == "done"
    assert deadletters.count(shelf) == 2, "nothing is tried again unasked"
    half = Scripted(
        script=lambda names: [Refused(reason="second") if name.endswith("/1") else Accepted() for name in names]
    )
    one = delivery(place, half, retry_dead=True)
    assert (one.deliver().state, one.accepted, one.dead) == ("done", 1, 1)
    assert [letter.reason for letter in deadletters.every(shelf)] == ["second"]
    deliver(place, Scripted(), retry_dead=True)
    assert deadletters.count(shelf) == 0


def test_a_record_that_was_put_back_is_delivered_after_all(place):
    """A record that could not be read is one dead letter; once it is back, trying again delivers all of its lines."""
    record_id = place.planned(change("aws_x.b"), change("aws_x.c"))
    last = place.planned(change("aws_x.d"))
    path = place.record_file(record_id)
    away = path.rename(path.with_suffix(".away"))
    sink = Scripted(limits=Limits(documents=2, size=10_000))
    one = delivery(place, sink)
    assert (one.deliver().state, one.dead, one.left) == ("done", 1, 0)
    assert f"{last}/1" in sink.has
    assert deliver(place, sink, retry_dead=True).state == "done"
    assert deadletters.count(Shelf(place.working, "test")) == 1
    away.rename(path)
    deliver(place, sink, retry_dead=True)
    assert {f"{record_id}/{line}" for line in range(3)} <= set(sink.has)
    assert deadletters.count(Shelf(place.working, "test")) == 0


def test_what_is_left_is_counted_in_records(place):
    """A delivery that ends early says how many records are still to be delivered, at least in part."""
    for _ in range(3):
        place.planned(change("aws_x.a"))
    clock = Clock(budget=5)

    def script(names):
        clock.time += 3
        return [Accepted() for _ in names]

    sink = Scripted(script=script, limits=Limits(documents=3, size=10_000))
    one = delivery(place, sink, clock=clock)
    assert (one.deliver().state, one.accepted, one.left) == ("left", 6, 1)
