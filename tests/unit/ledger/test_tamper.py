"""Whatever one changes in a stored ledger, verify says so, with the right code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgerkit import make
from verifykit import Copy, append, copy, run, state

from tfaudit.ledger import ids

OBJECTS = 10
"""In the small ledger: genesis, three commits, three records, three disclosure files."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Return a ledger of a plan and an apply."""
    place = make(Path(tmp_path_factory.mktemp("small")))
    ledger = place.open()
    append(ledger, "plan", state=state(None))
    run(ledger, None, 1)
    return copy(place)


def where(ledger: Copy, number: int) -> tuple[dict[str, bytes | None], str, bytes]:
    """Return the store, key and content of one of the ledger's objects."""
    keys = [(ledger.evidence, key) for key in sorted(ledger.evidence)]
    keys += [(ledger.working, key) for key in sorted(ledger.working) if key.startswith(ids.DISCLOSURES)]
    assert len(keys) == OBJECTS
    store, key = keys[number]
    return store, key, store[key] or b""


def expected(ledger: Copy, key: str, content: bytes, at: int) -> set[str]:
    """Return the codes that a change of the byte at ``at`` must lead to, and no others."""
    if key == ids.GENESIS_KEY:
        # Another key or origin in genesis makes the rest another ledger's, too.
        return {"bad-genesis"}
    if key.startswith(ids.DISCLOSURES):
        return {"altered-disclosure"}
    if key.startswith(ids.RECORDS):
        return {"altered-record" if at <= content.index(b"\n") else "altered-events"}
    return {"edited-commit"} if key != ledger.keys(ids.COMMITS)[-1] else {"void-slot", "bad-checkpoint"}


def check(ledger: Copy, number: int, places: Iterator[int]) -> None:
    """Change the byte at each of these places in turn, and fail with those that verify took for something else."""
    store, key, content = where(ledger, number)
    missed = []
    for at in places:
        # Another bit from byte to byte, so that cases and digits become others as well as rubbish.
        store[key] = content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
        report = ledger.verify()
        found = {finding.code for finding in report.findings if finding.severity == "error"}
        wanted = expected(ledger, key, content, at)
        sound = bool(found & wanted) and (found <= wanted | {"open-run"} or key == ids.GENESIS_KEY) and not report.ok
        if not sound:
            missed.append((at, found))
    store[key] = content
    assert missed == []
    assert ledger.codes() == set()


@pytest.mark.parametrize("number", range(OBJECTS))
def test_some_changed_bytes_of_each_object_are_reported(small: Copy, number: int) -> None:
    """A changed byte in any object is reported with the code that says where the damage is."""
    _, _, content = where(small.fresh(), number)
    check(small.fresh(), number, iter(range(number, len(content), 41)))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(OBJECTS))
def test_every_changed_byte_is_reported(small: Copy, number: int) -> None:
    """Every single-byte change in every evidence file and disclosure is reported."""
    _, _, content = where(small.fresh(), number)
    check(small.fresh(), number, iter(range(len(content))))


@pytest.mark.parametrize("number", range(OBJECTS))
def test_every_deleted_object_is_reported(small: Copy, number: int) -> None:
    """Each kind of object is missed in its own way; the last commit only by whoever kept a checkpoint."""
    ledger = small.fresh()
    checkpoint = ledger.verify().checkpoint
    store, key, _ = where(ledger, number)
    del store[key]
    last = key == ledger.keys(ids.COMMITS)[-1] or key == small.keys(ids.COMMITS)[-1]
    found = ledger.codes(kept=checkpoint.encode() if checkpoint else None)
    if key == ids.GENESIS_KEY:
        assert found == {"bad-genesis"}
    elif key.startswith(ids.DISCLOSURES):
        assert found == {"missing-disclosure"}
    elif key.startswith(ids.RECORDS):
        assert found - {"open-run"} == {"phantom-leaf"}
    elif last:
        assert found == {"truncated", "open-run"}
    else:
        assert found == {"gap", "truncated"} or found == {"gap", "truncated", "open-run"}


@pytest.mark.parametrize("number", range(OBJECTS))
@pytest.mark.parametrize("left", [0, 0.5, -1])
def test_every_truncated_object_is_reported(small: Copy, number: int, left: float) -> None:
    """An object cut to nothing, to its half or by one byte is as bad as an altered one."""
    ledger = small.fresh()
    store, key, content = where(ledger, number)
    end = int(len(content) * left) if left >= 0 else len(content) - 1
    store[key] = content[:end]
    found = {finding.code for finding in ledger.verify().findings if finding.severity == "error"}
    assert found & expected(ledger, key, content, end), (key, found)


@pytest.mark.parametrize("number", range(OBJECTS))
def test_bytes_after_the_end_are_reported(small: Copy, number: int) -> None:
    """A line added to an object is an alteration."""
    ledger = small.fresh()
    store, key, content = where(ledger, number)
    store[key] = content + b'{"kind":"note"}\n'
    found = {finding.code for finding in ledger.verify().findings if finding.severity == "error"}
    assert found & expected(ledger, key, content, len(content)), (key, found)


@pytest.mark.parametrize(
    ("prefix", "code"), [(ids.RECORDS, "altered-record"), (ids.COMMITS, "edited-commit")], ids=["records", "commits"]
)
@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 2)])
def test_swapped_objects_are_reported(small: Copy, prefix: str, code: str, pair: tuple[int, int]) -> None:
    """Two objects that changed places are each not what the log holds there."""
    ledger = small.fresh()
    one, other = (ledger.keys(prefix)[at] for at in pair)
    ledger.evidence[one], ledger.evidence[other] = ledger.evidence[other], ledger.evidence[one]
    assert code in ledger.codes()
    assert not ledger.verify().ok


def test_swapped_disclosures_are_reported(small: Copy) -> None:
    """The disclosures of another record open nothing."""
    ledger = small.fresh()
    one, other = [key for key in sorted(ledger.working) if key.startswith(ids.DISCLOSURES)][:2]
    ledger.working[one], ledger.working[other] = ledger.working[other], ledger.working[one]
    found = ledger.verify().findings
    assert [finding.code for finding in found] == ["altered-disclosure", "altered-disclosure"]


def test_a_copied_record_is_a_duplicate(small: Copy) -> None:
    """A record under another writer's prefix, or under another id, is a duplicate of the one in the log: a warning."""
    ledger = small.fresh()
    key = ledger.keys(ids.RECORDS)[0]
    ledger.evidence[key.replace("/local/", "/ci/")] = ledger.evidence[key]
    ledger.evidence[key.replace(key[-10:], "0000.jsonl")] = ledger.evidence[key]
    report = ledger.verify()
    assert [(finding.code, finding.severity) for finding in report.findings] == [("duplicate", "warning")] * 2
    assert report.ok


def test_a_copied_commit_is_void(small: Copy) -> None:
    """The last commit once more, at the next key, follows nothing."""
    ledger = small.fresh()
    last = ledger.keys(ids.COMMITS)[-1]
    ledger.evidence[ids.commit_key(3)] = ledger.evidence[last]
    assert [(finding.code, finding.where) for finding in ledger.verify().findings] == [("void-slot", ids.commit_key(3))]


def test_copied_disclosures_are_no_matter(small: Copy) -> None:
    """The working store is no evidence: what lies there for no record is nothing to the ledger."""
    ledger = small.fresh()
    key = next(key for key in ledger.working if key.startswith(ids.DISCLOSURES))
    ledger.working[key.replace(key[-10:], "0000.jsonl")] = ledger.working[key]
    assert ledger.verify().findings == ()


def test_a_tail_cut_off_with_its_records_shows_only_to_a_kept_checkpoint(small: Copy) -> None:
    """Nothing inside the folder tells that the last commit and its record ever were."""
    ledger = small.fresh()
    kept = ledger.verify().checkpoint
    assert kept is not None
    for prefix in (ids.COMMITS, ids.RECORDS):
        del ledger.evidence[ledger.keys(prefix)[-1]]
    report = ledger.verify()
    assert (report.ok, {finding.code for finding in report.findings}) == (True, {"open-run"})
    assert "truncated" in ledger.codes(kept=kept.encode())
    assert "truncated" in ledger.codes(since=kept.encode())


def test_a_record_that_saw_the_lost_head_gives_the_truncation_away(small: Copy) -> None:
    """A staged record whose writer had read a head that is gone shows what was cut off."""
    ledger = small.fresh()
    for key in ledger.keys(ids.COMMITS)[1:]:
        del ledger.evidence[key]
    del ledger.evidence[ledger.keys(ids.RECORDS)[1]]
    assert ledger.codes() == {"truncated"}
