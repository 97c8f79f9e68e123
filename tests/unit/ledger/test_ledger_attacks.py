"""What an attacker leaves in the store is passed by and named, and never stops the log."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from ledgerkit import ORIGIN, START, Place, add, make

from tfaudit.errors import LedgerError
from tfaudit.ledger import checkpoint, commit, extend, ids, live, merkle
from tfaudit.ledger.commit import Header
from tfaudit.ledger.live import State, Void
from tfaudit.ledger.store import read
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import create_key_file


def test_garbage_in_the_next_slots_is_stepped_over(tmp_path: Path) -> None:
    """Garbage at the next commit and at fifty further on delays nothing and voids nothing else."""
    place = make(tmp_path)
    add(place.open())
    for number in (1, 2, 52):
        place.evidence.create(ids.commit_key(number), os.urandom(500))
    for _ in range(55):
        add(place.open(), events=0)
    _, lives, voids = place.walk()
    assert len(place.whole()) == 56
    assert [void.number for void in voids] == [1, 2, 52]
    assert lives[1].commit.header.previous == (0, lives[0].state.digest)


def test_a_huge_object_in_a_slot_is_void(tmp_path: Path) -> None:
    """A sparse object of 600 MB at the next commit is read only as far as a commit may go."""
    place = make(tmp_path)
    add(place.open())
    with (tmp_path / "ledger" / ids.commit_key(1)).open("wb") as file:
        file.truncate(600 << 20)
    add(place.open())
    assert len(place.whole()) == 2
    assert len(place.walk()[2]) == 1


FORGERIES = {
    "number": {"number": 7},
    "previous number": {"previous": (5, "0" * 64)},
    "previous digest": {"previous": (0, "0" * 64)},
    "keys": {"keys": 0},
    "size": {"size": 4},
    "cursor": {"cursor": ids.milliseconds(START)},
    "cursor to the future": {"cursor": ids.milliseconds(START) + 10**9},
    "time before the cursor's": {"time": 0},
    "held": {"held": b""},
    "passed": {"passed": ("019cf2a7-0000-7000-8000-000000000000 local",)},
    "frontier": {"frontier": (bytes(32), bytes(32))},
    "envelope": {"envelope": b"{}"},
    "committer": {"committer": "0" * 64},
    "own": {"own": "019cf2a7-0000-7000-8000-000000000000"},
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_commit_that_does_not_recompute_is_void(tmp_path: Path, change: dict[str, object]) -> None:
    """A commit signed by the log's key and a record key with one false field is no part of the log."""
    place = make(tmp_path)
    add(place.open())
    staged = add(place.open(log_signer=None))
    state, lives, _ = place.walk()
    header = _next(place, state, staged.record_id)
    assert isinstance(live.judge(state, 1, _sign(place, header)), live.Live)
    forged = _sign(place, replace(header, **change))
    assert isinstance(live.judge(state, 1, forged), Void)
    place.evidence.create(ids.commit_key(1), forged)
    add(place.open())
    assert len(place.whole()) == 3
    assert len(lives) == 1


def test_a_commit_that_adopts_twice_is_void(tmp_path: Path) -> None:
    """A record that the log holds, or holds twice in one commit, can't be adopted again."""
    place = make(tmp_path)
    receipt = add(place.open())
    state, _, _ = place.walk()
    again = _next(place, state, receipt.record_id)
    assert isinstance(live.judge(state, 1, _sign(place, again)), Void)
    staged = add(place.open(log_signer=None))
    header = _next(place, state, staged.record_id)
    frontier, _ = merkle.grow(state.frontier, state.size, [header.records[0].leaf] * 2)
    twice = replace(header, records=header.records * 2, frontier=frontier)
    assert isinstance(live.judge(state, 1, _sign(place, twice)), Void)


def test_a_checkpoint_of_another_log_key_is_void(tmp_path: Path) -> None:
    """Only the log's key in force signs checkpoints, and only an accepted record key signs headers."""
    place = make(tmp_path)
    add(place.open())
    staged = add(place.open(log_signer=None))
    state, _, _ = place.walk()
    header = _next(place, state, staged.record_id)
    stranger = create_key_file(tmp_path / "stranger.pem")
    key = NoteKey(name=ORIGIN, public=stranger.public)
    assert isinstance(live.judge(state, 1, extend.sign(header, ORIGIN, place.signer, [(key, stranger)])), Void)
    own = [(NoteKey(name=ORIGIN, public=place.log.public), place.log)]
    assert isinstance(live.judge(state, 1, extend.sign(header, ORIGIN, stranger, own)), Void)


def test_every_single_byte_of_a_commit_counts(tmp_path: Path) -> None:
    """Changing any one byte of a commit, or dropping or doubling it, makes it void."""
    place = make(tmp_path)
    add(place.open())
    add(place.open())
    state = live.start(place.genesis())
    first = read(place.evidence, ids.commit_key(0), limit=1 << 20) or b""
    judged = live.judge(state, 0, first)
    assert isinstance(judged, live.Live)
    raw = read(place.evidence, ids.commit_key(1), limit=1 << 20) or b""
    for at in range(len(raw)):
        for changed in (
            raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :],
            raw[:at] + raw[at + 1 :],
            raw[: at + 1] + raw[at:],
            raw[:at],
        ):
            if changed == raw:
                continue
            if commit.version(changed) == f"{commit.FORMAT}1":
                # It reads as a later version of the format: the writer stops.
                with pytest.raises(LedgerError):
                    live.judge(judged.state, 1, changed)
            else:
                assert isinstance(live.judge(judged.state, 1, changed), Void), at


def test_a_newer_format_signed_by_the_log_stops_the_writer(tmp_path: Path) -> None:
    """A format that this code does not know is never void when the log's key signed a larger tree with it."""
    place = make(tmp_path)
    add(place.open())
    state, _, _ = place.walk()
    tree = checkpoint.Checkpoint(origin=ORIGIN, size=state.size + 2, root=bytes(32))
    note = checkpoint.sign(tree, [(NoteKey(name=ORIGIN, public=place.log.public), place.log)], seconds=1)
    place.evidence.create(ids.commit_key(1), b"tfaudit-commit/v2\nwhatever\n\n" + note)
    with pytest.raises(LedgerError, match="upgrade"):
        add(place.open())


def test_an_old_checkpoint_under_a_newer_format_is_void(tmp_path: Path) -> None:
    """Whoever copies a public checkpoint under another header can't stop the log."""
    place = make(tmp_path)
    add(place.open())
    note = (read(place.evidence, ids.commit_key(0), limit=1 << 20) or b"").partition(b"\n\n")[2]
    place.evidence.create(ids.commit_key(1), b"tfaudit-commit/v2\nwhatever\n\n" + note)
    add(place.open())
    assert len(place.whole()) == 2


def test_foreign_objects_are_named_once_and_not_adopted(tmp_path: Path) -> None:
    """Garbage, a stranger's record, a copy under another prefix: named by digest in one commit, then left alone."""
    place = make(tmp_path)
    ledger = place.open()
    good = add(place.open(log_signer=None))
    content = read(place.evidence, good.key, limit=1 << 20) or b""
    place.evidence.create(ids.record_key("mallory", good.record_id), content)
    place.evidence.create(ids.record_key("local", ledger.new_record_id()), b"x" * 100_000)
    place.evidence.create(ids.record_key("local", ledger.new_record_id()), b"")
    stranger = create_key_file(tmp_path / "stranger.pem")
    other = make(tmp_path / "other", signers=())
    foreign = _record_of(other, place, stranger)
    place.evidence.create(foreign[0], foreign[1])
    add(ledger)
    add(ledger)
    _, lives, _ = place.walk()
    strays = [stray.reason for one in lives for stray in one.commit.header.strays]
    assert strays == ["foreign"] * 4
    assert len(lives) == 2
    assert len(place.whole()) == 3


def test_the_second_record_of_an_id_is_a_duplicate(tmp_path: Path) -> None:
    """Two writers sign records of one id: the first is adopted, the second named as a duplicate."""
    place = make(tmp_path)
    record_id = place.open().new_record_id()
    for writer in ("ci", "local"):
        ledger = place.open(log_signer=None, writer=writer)
        with ledger.draft("plan", record_id=record_id) as draft:
            ledger.append(draft, {"by": writer})
        if writer == "ci":
            place.working.remove(ids.disclosure_key(record_id))
    add(place.open())
    add(place.open())
    _, lives, _ = place.walk()
    strays = [stray for one in lives for stray in one.commit.header.strays]
    assert [(stray.reason, stray.name) for stray in strays] == [("duplicate", f"{record_id} local")]
    assert len(place.whole()) == 3


def test_litter_without_the_exact_key_is_ignored(tmp_path: Path) -> None:
    """Keys with a newline, a wrong hour, upper case or a folder for a file are not even looked at."""
    place = make(tmp_path)
    receipt = add(place.open(log_signer=None))
    hour, record_id = receipt.key.rsplit("/", 1)
    for key in (
        f"{hour}/{record_id}\n",
        f"records/local/2020/01/01/00/{record_id}",
        f"{hour}/{record_id.upper()}",
        f"{hour}/x{record_id}",
        "records/local/stray",
        f"records/UPPER/2026/03/01/10/{record_id}",
    ):
        place.evidence.create(key, b"{}\n")
    (tmp_path / "ledger" / hour / "link.jsonl").symlink_to("/etc/passwd")
    (tmp_path / "ledger" / hour / "019cf2a7-0000-7000-8000-000000000000.jsonl").mkdir()
    add(place.open())
    _, lives, _ = place.walk()
    assert len(place.whole()) == 2
    assert lives[0].commit.header.strays == ()


def test_an_id_from_the_future_waits(tmp_path: Path) -> None:
    """An id more than five minutes ahead is neither adopted nor moves the cursor; in its time it comes in."""
    place = make(tmp_path)
    place.clock.advance(minutes=10)
    early = add(place.open(log_signer=None))
    place.clock.advance(minutes=-10)
    add(place.open())
    assert early.record_id not in {line.record_id for line in place.whole()}
    place.clock.advance(minutes=10)
    add(place.open())
    assert early.record_id in {line.record_id for line in place.whole()}


def test_a_flood_leaves_half_the_places_to_known_prefixes(tmp_path: Path) -> None:
    """Two hundred objects under a stranger's prefix don't keep sixty-four staged records out of the next commit."""
    place = make(tmp_path)
    ledger = place.open()
    for _ in range(200):
        place.evidence.create(ids.record_key("aaa", ledger.new_record_id()), b"{}\n")
    writer = place.open(log_signer=None)
    for _ in range(100):
        add(writer, events=0)
    add(ledger, events=0)
    header = place.walk()[1][0].commit.header
    assert len(header.records) == 1 + 64
    assert len(header.strays) == 63


def test_a_false_frontier_under_a_hint_is_not_followed(tmp_path: Path) -> None:
    """A hint whose commits can't be live costs a walk from genesis, nothing else."""
    place = make(tmp_path)
    add(place.open())
    add(place.open())
    raw = read(place.evidence, ids.commit_key(1), limit=1 << 20) or b""
    cut = b"".join(line for line in raw.splitlines(keepends=True) if not line.startswith(b"frontier"))
    place.evidence.create(ids.commit_key(2), cut)
    digest = hashlib.sha256(cut).hexdigest().encode()
    named = raw.replace(b"number 1", b"number 3").replace(raw.splitlines()[2], b"previous 2 " + digest)
    place.evidence.create(ids.commit_key(3), named)
    place.working.replace("head", b'{"commit":3,"size":4}')
    add(place.open())
    assert len(place.whole()) == 3


def test_a_crowded_window_moves_the_cursor_up(tmp_path: Path) -> None:
    """The window holds a bounded number of ids, and a commit that pretends otherwise is void."""
    place = make(tmp_path)
    state = live.start(place.genesis())
    now = ids.milliseconds(START)
    many = [ids.new_record_id(now + n, place.entropy) for n in range(live.MAX_WINDOW + 10)]
    cursor, held, passed = live.window(state, time=now, adopted=many, passed=[])
    assert (cursor, len(held), passed) == (now + 10, live.MAX_WINDOW, ())


def _next(place: Place, state: State, record_id: str) -> Header:
    entry = next(one for one in place.evidence.list("records/") if record_id in one.key)
    line = (read(place.evidence, entry.key, limit=1 << 20) or b"").split(b"\n")[0]
    return extend.next_header(
        state,
        number=1,
        time=ids.milliseconds(START) + 1000,
        records=[
            commit.RecordLine(
                leaf=merkle.leaf_hash(line),
                writer="local",
                record_id=record_id,
                kind="plan",
                refers=None,
                state=None,
            )
        ],
        envelope=None,
        strays=[],
        committer=place.signer.public.keyid,
        own=record_id,
    )


def _sign(place: Place, header: Header) -> bytes:
    return extend.sign(header, ORIGIN, place.signer, [(NoteKey(name=ORIGIN, public=place.log.public), place.log)])


def _record_of(other: Place, place: Place, signer: object) -> tuple[str, bytes]:
    """Return a record in form for ``place``'s origin that a key signed which it does not accept."""
    ledger = other.open(spool=other.folder / "elsewhere", signer=signer, clock=place.clock)
    with ledger.draft("plan") as draft:
        ledger.keep(draft, {})
        path = next((other.folder / "elsewhere" / "records").iterdir())
        return ids.record_key("local", draft.record_id), path.read_bytes()
