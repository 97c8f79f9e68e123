"""A record gets into the log, whole, whoever else is writing and whatever fails."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledgerkit import EVENT, FailingStore, Failure, Place, add, make

from tfaudit.errors import ConfigError, InputError, InternalError, LedgerError, UnavailableError
from tfaudit.events.model import EventLine
from tfaudit.ledger import chain, commit, ids, record
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.log import Ledger, SpooledError
from tfaudit.ledger.store import read
from tfaudit.signing.keys import PublicKey
from tfaudit.signing.signer import Signer, create_key_file


def test_append_returns_where_the_record_is(tmp_path: Path) -> None:
    """The receipt names the leaf, the commit and the tree that holds them."""
    place = make(tmp_path)
    receipt = add(place.open())
    state, lives, voids = place.walk()
    assert (receipt.position, receipt.commit, receipt.size) == (0, 0, 2)
    assert receipt.root == state.root.hex()
    assert receipt.checkpoint == state.checkpoint
    assert [line.leaf.hex() for line in place.whole()] == [receipt.leaf]
    assert (len(lives), voids) == (1, [])


def test_each_record_has_seen_the_head_before_it(tmp_path: Path) -> None:
    """The statement carries the whole signed checkpoint of the head that its writer read."""
    place = make(tmp_path)
    ledger = place.open()
    first, second = add(ledger), add(ledger)
    lines = place.whole()
    assert _statement(place, lines[0].key).seen is None
    assert _statement(place, lines[1].key).seen == first.checkpoint
    assert second.size == first.size + 2


def test_records_of_one_state_are_chained(tmp_path: Path) -> None:
    """A record names the last record of its own state, not of another."""
    place = make(tmp_path)
    ledger = place.open()
    one, other = {"key": "a" * 64}, {"key": "b" * 64}
    first = add(ledger, state=one)
    add(ledger, state=other)
    add(ledger)
    add(place.open(), state=one)
    found = [_statement(place, line.key) for line in place.whole()]
    assert [entry.previous and entry.previous.record_id for entry in found] == [None, None, None, first.record_id]
    assert found[3].previous is not None
    assert found[3].previous.leaf == first.leaf


def test_the_chain_holds_across_snapshots(tmp_path: Path) -> None:
    """A state's last record is found however far back it is, with the snapshot, without it, and past a false one."""
    place = make(tmp_path)
    first = add(place.open(), state={"key": "a" * 64})
    ledger = place.open()
    for number in range(chain.STEP + 5):
        add(ledger, events=0, state={"key": f"{number % 3:064x}"})
    state = place.walk()[0]
    for snapshot in (None, b"nonsense", b'{"commit":3,"digest":"00","states":{}}'):
        if snapshot is not None:
            place.working.replace(chain.SNAPSHOT, snapshot)
        for _ in range(2):
            found = chain.last_of_state(place.evidence, place.working, state, "a" * 64)
            assert found == record.Previous(record_id=first.record_id, leaf=first.leaf)
        assert chain.last_of_state(place.evidence, place.working, state, "c" * 64) is None
    add(ledger, events=0, state={"key": "a" * 64})
    found = chain.last_of_state(place.evidence, place.working, place.walk()[0], "a" * 64)
    assert found is not None
    assert found.record_id == place.whole()[-1].record_id


def test_a_writer_without_a_hint_starts_near_the_end(tmp_path: Path) -> None:
    """Void slots at the end, a lost hint, a hint beyond the end: the head is found all the same."""
    place = make(tmp_path)
    for _ in range(9):
        add(place.open(), events=0)
    for number in (9, 10, 30):
        place.evidence.create(ids.commit_key(number), b"garbage")
    for hint in (b"", b'{"commit":8,"size":18}', b'{"commit":10,"size":1}', b'{"commit":4000,"size":1}'):
        place.working.replace("head", hint)
        assert add(place.open(), events=0).commit == place.walk()[0].number
    assert len(place.whole()) == 13


def test_another_process_goes_on_from_the_hint(tmp_path: Path) -> None:
    """A second writer finds the head that the first one left, by a hint or without."""
    place = make(tmp_path)
    for _ in range(3):
        add(place.open())
    place.working.replace("head", b'{"commit":77,"size":4}')
    add(place.open())
    place.working.replace("head", b"nonsense")
    add(place.open())
    assert len(place.whole()) == 5


def test_a_hint_at_a_void_commit_is_not_followed(tmp_path: Path) -> None:
    """A hint at something that is not live leads back to genesis, not astray."""
    place = make(tmp_path)
    for _ in range(3):
        add(place.open())
    raw = read(place.evidence, ids.commit_key(2), limit=1 << 20) or b""
    place.evidence.create(ids.commit_key(3), raw.replace(b"number 2", b"number 3", 1))
    place.working.replace("head", b'{"commit":3,"size":4}')
    receipt = add(place.open())
    assert receipt.commit == 4
    assert len(place.whole()) == 4


def test_the_committer_takes_along_what_others_staged(tmp_path: Path) -> None:
    """A record that was only staged comes into the log with the next commit."""
    place = make(tmp_path)
    staged = add(place.open(log_signer=None, writer="ci"))
    assert (staged.position, staged.commit) == (None, None)
    assert place.whole() == []
    taken = add(place.open())
    assert [line.record_id for line in place.whole()] == [staged.record_id, taken.record_id]


def test_a_sequencer_commits_what_is_staged(tmp_path: Path) -> None:
    """`sequence` commits all staged records, more than one commit may hold too, and then finds nothing to do."""
    place = make(tmp_path)
    writer = place.open(log_signer=None)
    for _ in range(commit.MAX_LINES + 3):
        add(writer, events=0)
    sequencer = place.open()
    assert sequencer.sequence() == commit.MAX_LINES + 3
    assert sequencer.sequence() == 0
    _, lives, _ = place.walk()
    assert [len(one.commit.header.records) for one in lives] == [commit.MAX_LINES, 3]
    assert lives[0].commit.header.own is None


def test_only_the_log_key_sequences(tmp_path: Path) -> None:
    """Without the log's key `sequence` and `sweep` are refused."""
    ledger = make(tmp_path).open(log_signer=None)
    for action in (ledger.sequence, ledger.sweep):
        with pytest.raises(ConfigError):
            action()


def test_what_the_cursor_passed_is_swept(tmp_path: Path) -> None:
    """A record staged for longer than the window before others commit comes in by `sweep`, and only once."""
    place = make(tmp_path)
    with place.open(log_signer=None).draft("plan") as draft:
        place.clock.advance(hours=2)
        ledger = place.open()
        add(ledger)
        late = place.open(log_signer=None).append(draft, {})
    add(ledger)
    assert late.record_id not in {line.record_id for line in place.whole()}
    assert ledger.sweep() == 1
    assert ledger.sweep() == 0
    assert late.record_id in {line.record_id for line in place.whole()}


def test_facts_may_not_speak_for_the_ledger(tmp_path: Path) -> None:
    """What the ledger itself states can't be given by the run."""
    with pytest.raises(InternalError):
        add(make(tmp_path).open(), origin="elsewhere")


def test_a_statement_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """What does not fit into line 1 leaves nothing behind."""
    place = make(tmp_path)
    with pytest.raises(InputError):
        add(place.open(), long="x" * 70_000)
    assert place.staged() == []


def test_an_event_line_is_one_line(tmp_path: Path) -> None:
    """A newline inside an event would shift all that follow, so it is refused."""
    with make(tmp_path).open().draft("plan") as draft, pytest.raises(InternalError):
        draft.add(EventLine(b"{}\n{}", b""))


def test_event_ids_count_from_one(tmp_path: Path) -> None:
    """An event's id is its record's and its number."""
    with make(tmp_path).open().draft("plan") as draft:
        assert draft.next_line == 1
        assert draft.add(EVENT) == f"{draft.record_id}/1"
        assert draft.next_line == 2


def test_drafts_leave_no_named_file(tmp_path: Path) -> None:
    """A draft's files have no name, so that a crash leaves nothing of them."""
    place = make(tmp_path)
    with place.open().draft("plan") as draft:
        draft.add(EVENT)
        assert not [path for path in (tmp_path / "spool").rglob("*") if path.name != "genesis.json" and path.is_file()]


@pytest.mark.parametrize("verdict", ["lost", "late"])
@pytest.mark.parametrize("part", ["records/", "commits/"])
def test_one_failed_write_is_survived(tmp_path: Path, part: str, verdict: str) -> None:
    """A write that failed, persisted or not, leaves a whole log; the record is there once or can be sent again."""
    place = make(tmp_path)
    add(place.open())
    failures = iter([verdict])
    store = FailingStore(place.evidence, lambda key: next(failures, None) if key.startswith(part) else None)
    ledger = place.open(evidence=store)
    if part == "commits/":
        add(ledger)
        assert len(place.whole()) == 2
    else:
        with pytest.raises(SpooledError):
            add(ledger, spool=True)
        place.whole()
        assert len(ledger.drain()) == 1
        assert len(place.whole()) == 2
    add(place.open())
    assert len(place.whole()) == 3
    assert sorted(line.record_id for line in place.whole()) == sorted(place.staged())


@pytest.mark.parametrize("verdict", ["lost", "late"])
def test_failed_disclosures_stop_before_the_record(tmp_path: Path, verdict: str) -> None:
    """No record is staged whose disclosures are not durable; another try may find them there already."""
    place = make(tmp_path)
    failures = iter([verdict])
    store = FailingStore(place.working, lambda key: next(failures, None) if key.startswith("disclosures/") else None)
    ledger = place.open(working=store)
    with ledger.draft("plan") as draft:
        draft.add(EVENT)
        with pytest.raises(Failure):
            ledger.append(draft, {})
        assert place.staged() == []
        ledger.append(draft, {})
    assert len(place.whole()) == 1


@pytest.mark.parametrize("verdict", ["lost", "late"])
def test_a_commit_that_keeps_failing_gives_up(tmp_path: Path, verdict: str) -> None:
    """When commits go on failing the writer says so; what persisted all the same is found by the next drain."""
    place = make(tmp_path)
    ledger = place.open(
        evidence=FailingStore(place.evidence, lambda key: verdict if key.startswith("commits/") else None)
    )
    if verdict == "late":
        add(ledger)
    else:
        with pytest.raises(SpooledError):
            add(ledger, spool=True)
        place.whole()
        assert len(place.open().drain()) == 1
    assert len(place.whole()) == 1


@pytest.mark.parametrize("part", ["records/", "commits/"])
def test_two_creates_that_meet_are_tried_again(tmp_path: Path, part: str) -> None:
    """A store that refuses a create though nothing is there yet (409) is asked again."""
    place = make(tmp_path)
    conflicts = iter(["conflict"])
    store = FailingStore(place.evidence, lambda key: next(conflicts, None) if key.startswith(part) else None)
    add(place.open(evidence=store))
    assert len(place.whole()) == 1


def test_a_lost_hint_costs_nothing(tmp_path: Path) -> None:
    """A working store that can't keep the hint does not fail the append."""
    place = make(tmp_path)
    store = FailingStore(place.working, lambda key: "lost" if key == "replace head" else None)
    add(place.open(working=store))
    assert len(place.whole()) == 1


def test_a_commit_that_was_lost_stops_the_writer(tmp_path: Path) -> None:
    """A writer whose known head is gone does not go on behind a hole."""
    place = make(tmp_path)
    ledger = place.open()
    add(ledger)
    (place.folder / "ledger" / ids.commit_key(0)).unlink()
    with pytest.raises(LedgerError, match="gone"):
        add(ledger)


def test_a_ledger_that_is_swapped_stops_the_writer(tmp_path: Path) -> None:
    """Another genesis in the same place, or none, stops the writer."""
    place = make(tmp_path / "one")
    other = make(tmp_path / "two")
    ledger = place.open()
    path = place.folder / "ledger" / "genesis.json"
    path.unlink()
    with pytest.raises(LedgerError, match="no longer"):
        add(ledger)
    path.write_bytes((other.folder / "ledger" / "genesis.json").read_bytes())
    with pytest.raises(LedgerError, match="no longer"):
        add(ledger)


def test_another_ledgers_keys_are_refused(tmp_path: Path) -> None:
    """A record key or log key that this ledger does not know stops before anything is written."""
    place = make(tmp_path)
    stranger = create_key_file(tmp_path / "stranger.pem")
    for ledger in (place.open(signer=stranger), place.open(log_signer=stranger)):
        with pytest.raises(ConfigError):
            add(ledger)
    assert place.walk()[1] == []


def test_the_anchor_is_checked_first(tmp_path: Path) -> None:
    """A genesis other than the pinned one is refused, and a place without a ledger says so."""
    place = make(tmp_path)
    place.open(genesis_digest=place.genesis().digest)
    with pytest.raises(ConfigError, match="not sha256:00"):
        place.open(genesis_digest="sha256:00")
    with pytest.raises(LedgerError, match="no ledger"):
        make(tmp_path / "other").open(evidence=place.working, spool=tmp_path / "empty")


LEDGER_STEPS = ["disclosed", "staged", "committing", "committed", "hinted"]
# The n-th time that the evidence folder is at this point: first for the record, then for the commit.
STORE_STEPS = ["written 1", "linked 1", "written 2", "linked 2"]


@pytest.mark.parametrize("at", [*LEDGER_STEPS, *STORE_STEPS])
def test_a_kill_at_each_step_leaves_a_whole_log(tmp_path: Path, at: str) -> None:
    """Wherever a writer is killed, the log is whole, the next one goes on, and a staged record is not lost."""
    place = make(tmp_path)
    add(place.open())
    pid = os.fork()
    if pid == 0:
        _append_until(place, at)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    place.entropy = random.Random(8).randbytes
    place.clock.advance(seconds=1)
    before = len(place.whole())
    assert before == (2 if at in ("committed", "hinted", "linked 2") else 1)
    add(place.open())
    lost = at in ("disclosed", "written 1")
    assert len(place.whole()) == (2 if lost else 3) == len(place.staged())


def _append_until(place: Place, at: str) -> None:
    """Append a record and end this process at a step, without any clean-up."""
    seen: Counter[str] = Counter()

    def step(name: str) -> None:
        seen[name] += 1
        if at in (name, f"{name} {seen[name]}"):
            os._exit(9)

    evidence = FolderStore(place.folder / "ledger", entropy=place.entropy, step=step)
    add(place.open(evidence=evidence, step=step))
    os._exit(0)


def test_a_long_clock_jump_back_is_named(tmp_path: Path) -> None:
    """A record id from the future can't be committed, and the message asks for the clock."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("plan") as draft:
        place.clock.advance(hours=-1)
        with pytest.raises(LedgerError, match="clock"):
            ledger.append(draft, {})
    place.clock.advance(hours=1)
    add(ledger)
    assert len(place.whole()) == 2


def test_large_records_are_streamed(tmp_path: Path) -> None:
    """Tens of thousands of event lines arrive byte for byte."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("plan") as draft:
        for number in range(20_000):
            draft.add(EventLine(b'{"kind":"note","n":%d}' % number, b""))
        receipt = ledger.append(draft, {})
    content = (place.folder / "ledger" / receipt.key).read_bytes()
    assert content.count(b"\n") == 20_001
    assert len(place.whole()) == 1


def _append_many(place: Place, count: int) -> None:
    place.entropy = os.urandom
    ledger = Ledger.open(
        evidence=place.evidence,
        working=place.working,
        spool=place.folder / "spool",
        signer=place.signer,
        log_signer=place.log,
        writer="local",
        genesis_digest=None,
        clock=_wall_clock,
        entropy=os.urandom,
    )
    for _ in range(count):
        add(ledger, state={"key": f"{random.randrange(3):064x}"})


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@pytest.mark.slow
def test_many_processes_append_to_one_ledger(tmp_path: Path) -> None:
    """Eight processes with fifty records each: all of them are in the log, once."""
    place = make(tmp_path)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(place, 50)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(place.whole()) == 400
    assert place.walk()[2] == []


def _statement(place: Place, key: str) -> record.Record:
    content = read(place.evidence, key, limit=1 << 20) or b""
    return record.parse(content.split(b"\n")[0])


class _AwayKey:
    """A record key that can't be reached for the first so many times that it is asked for."""

    def __init__(self, real: Signer, failures: int) -> None:
        self._real = real
        self.failures = failures

    @property
    def public(self) -> PublicKey:
        """The key's public half."""
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the key can't be reached")
        return self._real.public

    def sign(self, message: bytes) -> bytes:
        """Sign as the real key does."""
        return self._real.sign(message)


def test_a_key_that_is_away_is_told_by_who_signs(tmp_path: Path) -> None:
    """Getting it ready fails in silence: an append meets the same, or doesn't any more."""
    place = make(tmp_path)
    key = _AwayKey(place.signer, failures=2)
    ledger = place.open(signer=key)
    ledger.warm()
    assert key.failures == 1
    with pytest.raises(UnavailableError, match="can't be reached"):
        add(ledger)
    assert add(ledger).commit == 0
