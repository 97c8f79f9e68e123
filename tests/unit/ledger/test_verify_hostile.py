"""Nothing that stands in a store makes verify fail: whatever it reads, it reports."""

from __future__ import annotations

import errno
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgerkit import FailingStore
from verifykit import Copy, MemoryStore, copy, two_runs

from tfaudit import schema
from tfaudit.errors import UnavailableError
from tfaudit.ledger import ids
from tfaudit.ledger.verify import Report, verify
from tfaudit.ledger.verify.findings import error, shown
from tfaudit.ledger.verify.scratch import Scratch, translated


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Return a sound ledger."""
    return copy(two_runs(Path(tmp_path_factory.mktemp("ledger"))))


def check(report: Report) -> None:
    """Hold a report against its schema and what a terminal may be sent."""
    schema.validate("verify-report.v1", report.to_json())
    for finding in report.findings:
        assert f"{finding.where}{finding.who}{finding.message}".isprintable()


@settings(max_examples=150)
@given(data=st.data())
def test_any_bytes_anywhere_give_a_report(ledger: Copy, data: st.DataObject) -> None:
    """Objects replaced by, cut at, or spliced with anything, and new ones at any key, never stop verify."""
    spoilt = ledger.fresh()
    for _ in range(data.draw(st.integers(1, 4))):
        store = data.draw(st.sampled_from([spoilt.evidence, spoilt.working]))
        key = data.draw(st.sampled_from(sorted(store)) | st.text(max_size=40) | st.sampled_from(_KEYS))
        old = store.get(key) or b""
        at = data.draw(st.integers(0, len(old)))
        new = data.draw(st.binary(max_size=60) | st.sampled_from(sorted(set(ledger.evidence.values()) - {None})))
        store[key] = data.draw(st.sampled_from([None, new, old[:at] + new, old[:at] + new + old[at:], new + old]))
    check(spoilt.verify())
    check(spoilt.verify(since=(ledger.verify().checkpoint or "").encode()))


_KEYS = [
    ids.commit_key(5),
    ids.commit_key(7),
    ids.commit_key(2**63 - 1),
    ids.commit_key(2**63),
    ids.record_key("local", "019ca8f2-ffff-7fff-bfff-ffffffffffff"),
    "records/\n/2026/03/01/10/019ca8f2-a441-732f-8b12-24083fd22f89.jsonl",
    "disclosures/019ca8f2-ffff-7fff-bfff-ffffffffffff.jsonl",
]


def test_random_bits_give_a_report(ledger: Copy) -> None:
    """Many bits flipped at once, in any objects, are no worse than one."""
    chance = random.Random(3)
    for _ in range(40):
        spoilt = ledger.fresh()
        for key in chance.sample(sorted(spoilt.evidence), 4):
            content = bytearray(spoilt.evidence[key] or b"")
            for _ in range(3):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            spoilt.evidence[key] = bytes(content)
        report = spoilt.verify()
        check(report)
        assert not report.ok


@pytest.mark.parametrize(
    "fails",
    [
        lambda what: what.startswith("list"),
        lambda what: what == f"open {ids.GENESIS_KEY}",
        lambda what: what.startswith("open commits/"),
        lambda what: what == f"open {ids.commit_key(3)}",
        lambda what: what.startswith("open records/"),
    ],
    ids=["listing", "genesis", "commits", "a commit", "records"],
)
def test_a_store_that_fails_is_a_finding(tmp_path: Path, fails: Callable[[str], bool]) -> None:
    """A store that can't be listed or read makes the ledger not ok, and the report is whole all the same."""
    place = two_runs(tmp_path)
    store = FailingStore(place.evidence, lambda what: "unreadable" if fails(what) else None)
    report = verify(store, place.working, now=ids.milliseconds(place.clock.now))
    check(report)
    assert not report.ok
    assert {finding.code for finding in report.findings} <= {"unreadable", "bad-genesis"}


def test_a_commit_that_can_t_be_read_leaves_the_rest_unjudged(tmp_path: Path) -> None:
    """What follows may be live or not: the report ends where the log can be followed."""
    place = two_runs(tmp_path)
    unreadable = f"open {ids.commit_key(3)}"
    store = FailingStore(place.evidence, lambda what: "x" if what == unreadable else None)
    report = verify(store, place.working, now=ids.milliseconds(place.clock.now))
    assert (report.commits, report.size, report.pending) == (3, 6, 2)
    assert [(finding.code, finding.where) for finding in report.findings] == [("unreadable", ids.commit_key(3))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain \u00fc", "plain \u00fc"),
        ("a\nb\x1b[0m\x7f", "a\\nb\\x1b[0m\\x7f"),
        ("\u202edesrever\u200b", "\\u202edesrever\\u200b"),
        ("\udcff", "\\udcff"),
        ("x" * 500, "x" * 199 + "\u2026"),
    ],
)
def test_what_others_wrote_is_shown_harmless(text: str, told: str) -> None:
    """Control characters, directions and lone surrogates are spelled out, and long texts cut."""
    assert shown(text) == told
    assert error("foreign", text, "x").where == told


def test_no_room_for_the_index_is_told() -> None:
    """A full disk under the temporary index ends verify with one line, not with a trace."""
    with Scratch() as scratch:
        scratch.database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(UnavailableError, match="temporary index"):
            _fill(scratch)


def _fill(scratch: Scratch) -> None:
    with translated():
        scratch.add_lost(str(number) for number in range(10_000))


class _BrokenDisk(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


class _Failing(MemoryStore):
    """A store in memory that opens everything and can read nothing of one prefix."""

    def __init__(self, objects: dict[str, bytes | None], prefix: str) -> None:
        super().__init__(objects)
        self._prefix = prefix

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object, on a broken disk where it is of that prefix."""
        stream = super().open(key)
        return _BrokenDisk() if stream is not None and key.startswith(self._prefix) else stream


@pytest.mark.parametrize("prefix", ["genesis", "commits/", "records/", "disclosures/"])
def test_a_disk_that_fails_while_reading_is_a_finding(ledger: Copy, prefix: str) -> None:
    """An I/O error in the middle of an object ends that object's check, not verify."""
    evidence, working = _Failing(ledger.evidence, prefix), _Failing(ledger.working, prefix)
    report = verify(evidence, working, now=ledger.now, anchor=ledger.anchor)
    check(report)
    assert not report.ok
    assert {finding.code for finding in report.findings} <= {"unreadable", "bad-genesis"}
