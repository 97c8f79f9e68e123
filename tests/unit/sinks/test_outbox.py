"""One sink gets its documents in log order, at least once, and the cursor never passes one without an answer."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outboxkit import LEDGER, Bench, Clock, Scripted, ids, lines

from tfaudit.errors import LedgerError
from tfaudit.ledger.folder import FolderStore
from tfaudit.sinks.cursor import Cursor, Place
from tfaudit.sinks.model import Accepted, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.outbox import TRIES, Outbox


@pytest.fixture
def bench(tmp_path):
    """A working store."""
    return Bench(tmp_path / "working")


def test_everything_is_delivered_in_log_order(bench):
    """A sink that takes all gets each document once, in order, and the cursor stands behind the last record."""
    sink = Scripted()
    assert bench.deliver(sink, 2, 0, 3).state == "done"
    assert sink.has == ids(2, 0, 3)
    assert bench.place == Place(3, 0)
    assert [line["id"] for line in bench.receipts()] == ids(2, 0, 3)


def test_delivery_goes_on_where_it_stopped(bench):
    """What was delivered is not delivered again when the log has grown."""
    bench.deliver(Scripted(), 1)
    sink = Scripted()
    bench.deliver(sink, 1, 2)
    assert sink.has == ids(1, 2)[2:]


def test_a_receipt_says_what_the_sink_calls_it(bench):
    """Receipt and note stand beside the document's id."""
    bench.deliver(Scripted(script=lambda names: [Accepted(receipt="v7") for _ in names], note="cut"), 0)
    assert bench.receipts() == [{"id": ids(0)[0], "receipt": "v7", "note": "cut"}]


def test_a_refusal_blocks_nothing(bench):
    """A document that the sink will never take becomes a dead letter, and what follows is delivered."""
    bad = ids(3)[1]
    sink = Scripted(script=lambda names: [Refused(reason="no\nsuch") if name == bad else Accepted() for name in names])
    assert bench.deliver(sink, 3).state == "done"
    assert sink.has == [name for name in ids(3) if name != bad]
    assert bench.dead == [bad]
    assert bench.place == Place(1, 0)


def test_what_can_not_be_encoded_is_a_dead_letter(bench):
    """A document that can never fit is not sent, and blocks nothing."""
    bad = ids(3)[0]
    sink = Scripted(unfit=frozenset({bad}))
    assert bench.deliver(sink, 3).state == "done"
    assert bench.dead == [bad]
    assert sink.has == ids(3)[1:]


def test_a_document_beyond_the_limit_is_a_dead_letter(bench):
    """One that is larger than a whole request is refused before it is sent."""
    sink = Scripted(limits=Limits(documents=3, size=10))
    assert bench.deliver(sink, 1).state == "done"
    assert (sink.asked, bench.dead) == ([], ids(1))


def test_batches_keep_to_the_limits(bench):
    """Neither documents, bytes with their overhead, nor the span of times go beyond what the sink takes."""
    size = len(ids(0)[0])
    sink = Scripted(limits=Limits(documents=9, size=3 * (size + 26), overhead=26, span=1_000))
    bench.deliver(sink, 4, 0, 0)
    assert [len(batch) for batch in sink.asked] == [3, 3, 1]
    assert sink.has == ids(4, 0, 0)


def test_later_is_tried_again_with_growing_pauses(bench):
    """A sink that can't is asked again, each time later, and then given up; all is kept."""
    clock = Clock()
    sink = Scripted(script=lambda names: [Later(reason="busy") for _ in names])
    ended = bench.deliver(sink, 1, clock=clock)
    assert (ended.state, ended.reason, bench.place) == ("left", "busy", Place(0, 0))
    assert len(sink.asked) == TRIES
    assert clock.pauses == sorted(clock.pauses)


def test_a_sink_is_left_alone_for_as_long_as_it_asks(bench):
    """Retry-After holds, where the budget has room for it."""
    clock = Clock()
    answers = iter([Later(reason="busy", after=40.0), Accepted()])
    bench.deliver(Scripted(script=lambda names: [next(answers) for _ in names]), 0, clock=clock)
    assert clock.pauses == [40.0]


def test_a_sink_that_is_only_slow_is_not_held_up(bench):
    """One that took a part and asks for no pause is given the rest at once."""
    clock = Clock()
    sink = Scripted(script=lambda names: [Accepted(), *[Later(reason="slow", after=0.0) for _ in names[1:]]])
    assert bench.deliver(sink, 9, clock=clock).state == "done"
    assert (sink.has, clock.pauses) == (ids(9), [])


def test_no_pause_goes_beyond_the_budget(bench):
    """Where the sink wants to be left alone for longer than there is time, the delivery ends at once."""
    clock = Clock(budget=20)
    ended = bench.deliver(
        Scripted(script=lambda names: [Later(reason="busy", after=40.0)] * len(names)), 0, clock=clock
    )
    assert (ended.state, clock.pauses) == ("left", [])
    assert ended.reason == "busy; it asks for 40 seconds without us"


def test_only_what_was_not_taken_is_sent_again(bench):
    """Of a batch that was taken in part, the part that was taken is not sent a second time."""
    seen = set()

    def script(names):
        answers = [Later(reason="busy") if name == ids(2)[1] and name not in seen else Accepted() for name in names]
        seen.update(names)
        return answers

    sink = Scripted(script=script)
    assert bench.deliver(sink, 2).state == "done"
    assert sorted(sink.has) == ids(2)


def test_misconfigured_keeps_everything(bench):
    """What only another configuration mends ends the delivery; nothing is lost and nothing is dead."""
    ended = bench.deliver(
        Scripted(script=lambda names: [Misconfigured(reason="no token", hint="set it")] * len(names)), 2
    )
    assert (ended.state, ended.reason, ended.hint) == ("misconfigured", "no token", "set it")
    assert (bench.place, bench.dead) == (Place(0, 0), [])


def test_answers_that_are_missing_are_asked_for_again(bench):
    """A sink that answers for fewer documents than it was given has not answered for the others."""
    sink = Scripted(script=lambda names: [Accepted()])
    assert bench.deliver(sink, 2).state == "done"
    assert sink.has == ids(2)


def test_a_full_store_sends_nothing_twice_than_needed(tmp_path):
    """Where the cursor can't be kept the delivery fails, and the next one sends what it can't know was taken."""
    full = Bench(tmp_path / "working", store=_Full)
    sink = Scripted()
    with pytest.raises(LedgerError):
        full.deliver(sink, 1)
    full.store.is_full = False
    again = Scripted()
    assert full.deliver(again, 1).state == "done"
    assert again.has == ids(1)


class _Lost:
    """A lease that another job takes over after a while."""

    def __init__(self, looks):
        self.looks = looks

    def keep(self):
        """Look, so many times in vain."""
        self.looks -= 1
        return self.looks > 0


def test_who_sends_nothing_keeps_the_lease_all_the_same(bench):
    """A job that only refuses documents one after the other notices that another one has taken over."""
    sink = Scripted(unfit=frozenset(ids(50)))
    start = Cursor(ledger=LEDGER, url="", next=Place(0, 0), time=0)
    outbox = Outbox(sink=sink, shelf=bench.shelf, cursor=start, lease=_Lost(10), pace=Clock().pace())
    assert outbox.deliver(iter(lines(50))).state == "taken"
    assert outbox.dead < 10
    assert bench.place.line == outbox.dead


def test_what_is_kept_is_kept_on_return_in_any_store(tmp_path):
    """Cursor, dead letters and receipts are there at once, also where a store is far away and could take its time."""
    far = Bench(tmp_path / "working", store=_Far)
    sink = Scripted(script=lambda names: [Refused(reason="no"), *[Accepted()] * (len(names) - 1)])
    assert far.deliver(sink, 1).state == "done"
    assert far.place == Place(1, 0)
    assert far.dead == ids(1)[:1]
    assert [line["id"] for line in far.receipts()] == ids(1)[1:]


class _Far:
    """A store that is no folder, and never gets to what nobody wants to be durable."""

    def __init__(self, folder, *, mode):
        self._real = FolderStore(folder, mode=mode)
        self.create, self.open, self.list, self.remove = (
            self._real.create,
            self._real.open,
            self._real.list,
            self._real.remove,
        )

    def replace(self, key, content, *, durable=False, forget=False):
        """Replace what is to be durable."""
        if durable or forget:
            self._real.replace(key, content, durable=durable, forget=forget)


class _Full(FolderStore):
    """A folder in which nothing can be replaced, for a while: leases can."""

    is_full = True

    def replace(self, key, content, *, durable=False, forget=False):
        """Fail as a full disk does."""
        if self.is_full and "/lease/" not in key:
            raise LedgerError("no space left on device")
        super().replace(key, content, durable=durable, forget=forget)


class _Flaky(FolderStore):
    """A folder whose writes fail as ``fate(n)`` says of the n-th: before or after they took effect."""

    fate = staticmethod(lambda: "well")

    def replace(self, key, content, *, durable=False, forget=False):
        """Replace, or fail on either side of it."""
        fate = self.fate()
        if fate == "lost":
            raise LedgerError("lost")
        super().replace(key, content, durable=durable, forget=forget)
        if fate == "late":
            raise LedgerError("late")


_ANSWERS = st.sampled_from(
    [
        Accepted(),
        Accepted(),
        Accepted(receipt="r"),
        Refused(reason="no"),
        Later(reason="busy"),
        Misconfigured(reason="m"),
    ]
)


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_comes_each_document_is_accepted_dead_or_waiting(data):
    """Whatever is answered and whichever writes fail: what the cursor passed is accepted or dead, the rest waits."""
    counts = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    unfit = frozenset(data.draw(st.lists(st.sampled_from(ids(*counts)), max_size=2)))
    every = [line for line in lines(*counts) if line.id]
    accepted = set()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), store=_Flaky)
        before = Place(0, 0)
        for _ in range(data.draw(st.integers(1, 4))):
            bench.store.fate = lambda: data.draw(st.sampled_from(["well"] * 6 + ["lost", "late"]))
            sink = Scripted(
                script=lambda names: (
                    [data.draw(_ANSWERS) for _ in names][: data.draw(st.integers(0, len(names)))]
                    if data.draw(st.booleans())
                    else [data.draw(_ANSWERS) for _ in names]
                ),
                limits=Limits(documents=data.draw(st.integers(1, 4)), size=10_000),
                unfit=unfit,
            )
            with suppress(LedgerError):
                bench.deliver(sink, *counts)
            bench.store.fate = lambda: "well"
            accepted.update(sink.has)
            # First attempts are in log order, in each delivery.
            first = list(dict.fromkeys(name for batch in sink.asked for name in batch))
            assert first == [line.id for line in every if line.id in first]
            # The cursor never goes back, and never past a document without an answer.
            assert bench.place >= before
            before = bench.place
            settled = accepted | set(bench.dead)
            assert {line.id for line in every if line.place < bench.place} <= settled
        last = Scripted(unfit=unfit)
        assert bench.deliver(last, *counts).state == "done"
        assert set(ids(*counts)) == accepted | set(last.has) | set(bench.dead)
        assert unfit <= set(bench.dead)
