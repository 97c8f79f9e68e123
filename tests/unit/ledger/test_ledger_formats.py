"""The stored formats have one spelling each, and anything else is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgerkit import ORIGIN, START, add, make

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.ledger import commit, genesis, ids, keyset, record
from tfaudit.ledger.checkpoint import Checkpoint
from tfaudit.ledger.commit import Header, RecordLine, Stray
from tfaudit.ledger.store import read
from tfaudit.signing import envelope, statement
from tfaudit.signing.note import NoteSignature, join
from tfaudit.signing.signer import create_key_file

times = st.integers(0, 253402300799999)
hashes = st.binary(min_size=32, max_size=32)
digests = hashes.map(bytes.hex)
writers = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
kinds = st.from_regex(r"[a-z][a-z-]{0,31}", fullmatch=True)
record_ids = st.builds(
    lambda time, random: ids.new_record_id(time, lambda _: random), times, st.binary(min_size=10, max_size=10)
)
numbers = st.integers(0, 2**63 - 1)
lines = st.builds(
    RecordLine,
    leaf=hashes,
    writer=writers,
    record_id=record_ids,
    kind=kinds,
    refers=st.none() | digests,
    state=st.none() | digests,
)


def strays(reason: str) -> st.SearchStrategy[Stray]:
    """Return strays of one reason."""
    return st.builds(Stray, reason=st.just(reason), digest=hashes, writer=writers, record_id=record_ids)


headers = st.builds(
    Header,
    number=numbers,
    previous=st.none() | st.tuples(numbers, digests),
    keys=st.none() | numbers,
    size=numbers,
    time=times,
    cursor=times,
    held=st.lists(record_ids.map(ids.pack), max_size=4).map(b"".join),
    passed=st.lists(st.builds("{} {}".format, record_ids, writers), max_size=3).map(tuple),
    records=st.lists(lines, max_size=3).map(tuple),
    envelope=st.none() | st.binary(min_size=1, max_size=50),
    strays=st.tuples(st.lists(strays("foreign"), max_size=2), st.lists(strays("duplicate"), max_size=2)).map(
        lambda both: (*both[0], *both[1])
    ),
    frontier=st.lists(hashes, max_size=3).map(tuple),
    committer=digests,
    own=st.none() | record_ids,
)


@settings(deadline=None, max_examples=50)
@given(headers, st.binary(min_size=1, max_size=80))
def test_a_commit_reads_back(header: Header, signature: bytes) -> None:
    """Any header is the same after writing and reading, and skimming finds the same records."""
    note = join(
        Checkpoint(origin=ORIGIN, size=3, root=bytes(32)).text(),
        (NoteSignature(name=ORIGIN, key_id=bytes(4), signature=b"x"),),
    )
    raw = commit.join(commit.build(header, signature), note)
    parsed = commit.parse(raw)
    assert (parsed.header, parsed.signature, parsed.checkpoint.note) == (header, signature, note)
    assert commit.peek(raw) == (header.previous, header.size)
    assert commit.skim(raw) == (header.size, header.time, header.records)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_commit_bytes_have_one_reading(data: st.DataObject) -> None:
    """A commit with bytes changed, cut or doubled is refused or reads as what it now says."""
    note = join(
        Checkpoint(origin=ORIGIN, size=3, root=bytes(32)).text(),
        (NoteSignature(name=ORIGIN, key_id=bytes(4), signature=b"x"),),
    )
    raw = commit.join(commit.build(data.draw(headers), b"signature"), note)
    at, end = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw)))
    changed = raw[:at] + data.draw(st.binary(max_size=5) | st.just(raw[at:end])) + raw[end:]
    try:
        parsed = commit.parse(changed)
    except InputError:
        return
    assert commit.join(commit.build(parsed.header, parsed.signature), parsed.checkpoint.note) == changed


@given(times, st.binary(min_size=10, max_size=10))
def test_record_ids_carry_their_time(time: int, random: bytes) -> None:
    """An id is a UUIDv7 of its time, its key lies in that hour, and ids sort by time, packed too."""
    record_id = ids.new_record_id(time, lambda _: random)
    assert ids.is_record_id(record_id)
    assert ids.record_time(record_id) == ids.packed_time(ids.pack(record_id)) == time
    assert ids.unpack(ids.pack(record_id)) == record_id
    assert ids.parse_record_key(ids.record_key("w", record_id)) == ("w", record_id)
    assert ids.first_id(time) < record_id < ids.first_id(time + 1)
    assert ids.parse_time(ids.time_text(time), what="time") == time


@pytest.mark.parametrize(
    "key",
    [
        "records/w/2026/03/01/10/019cf2a7-0000-7000-8000-000000000000.json",
        "records/w/2026/03/01/10/019cf2a7-0000-4000-8000-000000000000.jsonl",
        "records/w/2026/03/01/10/ffffffff-ffff-7000-8000-000000000000.jsonl",
        "records/W/2026/03/01/10/019cf2a7-0000-7000-8000-000000000000.jsonl",
        "records/w/2025/03/01/10/019cf2a7-0000-7000-8000-000000000000.jsonl",
        "records/w/٢٠٢٦/03/01/10/019cf2a7-0000-7000-8000-000000000000.jsonl",
        "commits/0000000000000000",
        "",
    ],
)
def test_only_the_exact_key_is_a_records(key: str) -> None:
    """Another ending, version, case, hour, digit or folder is no record's key."""
    assert ids.parse_record_key(key) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        7,
        "2026-03-01T10:30:00Z",
        "2026-03-01T10:30:00.000+00:00",
        "2026-02-30T10:30:00.000Z",
        "1969-12-31T23:59:59.000Z",
    ],
)
def test_only_the_exact_time_is_one(text: object) -> None:
    """Other precisions, offsets and dates that are none are refused."""
    with pytest.raises(InputError):
        ids.parse_time(text, what="time")


def test_genesis_reads_back(tmp_path: Path) -> None:
    """Genesis holds all that it was made from, and its digest is the file's."""
    place = make(tmp_path)
    raw = (tmp_path / "ledger" / "genesis.json").read_bytes()
    found = genesis.parse(raw)
    assert (found.origin, found.keys, found.nonce) == (ORIGIN, place.keys(), bytes(range(32)))
    assert found.digest == f"sha256:{canonical.sha256_hex(raw)}"
    assert found.time == ids.milliseconds(START)


def broken(document: dict[str, object], **changes: object) -> bytes:
    """Return a JSON document with members changed, or dropped where the change is None."""
    merged = {name: value for name, value in {**document, **changes}.items() if value is not None}
    return canonical.encode(merged) + b"\n"


def test_a_broken_genesis_is_refused(tmp_path: Path) -> None:
    """A changed, missing or additional member, another version or spelling: refused."""
    make(tmp_path)
    raw = (tmp_path / "ledger" / "genesis.json").read_bytes()
    document = json.loads(raw)
    keys = document["keys"]
    variants = [
        b"",
        raw[:-1],
        raw + b"\n",
        b" " + raw,
        b"x" * (genesis.MAX_GENESIS + 1),
        broken(document, more=1),
        broken(document, nonce="AAAA"),
        broken(document, format="tfaudit-ledger/v2"),
        broken(document, origin="with space"),
        broken(document, keys={**keys, "generation": 1}),
        *(broken(document, **{name: None}) for name in document),
        *(broken(document, keys={**keys, **change}) for change in _BROKEN_KEYS),
    ]
    for variant in variants:
        with pytest.raises(InputError):
            genesis.parse(variant)


_BROKEN_KEYS: list[dict[str, object]] = [
    {"generation": True},
    {"generation": -1},
    {"root": "AAAA"},
    {"log": []},
    {"log": [7]},
    {"log": ["name+00+AA"]},
    {"signers": [{"key": "AAAA", "writers": []}]},
    {"signers": [{"writers": []}]},
    {"signers": ["AAAA"]},
    {"approvers": ["AAAA"]},
    {"approvers": [7]},
    {"more": 1},
]


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    """A key set has a bound."""
    place = make(tmp_path)
    document = place.keys().document()
    document["approvers"] = document["approvers"] + [document["root"]] * keyset.MAX_KEYS
    with pytest.raises(InputError, match="more than"):
        keyset.parse(document, what="keys")


def test_a_broken_record_line_is_refused(tmp_path: Path) -> None:
    """Each fixed member of a statement is checked for its form, and the first subject is the event root."""
    place = make(tmp_path)
    receipt = add(place.open(), state={"key": "a" * 64}, refers="b" * 64)
    line = (read(place.evidence, receipt.key, limit=1 << 20) or b"").split(b"\n")[0]
    good = record.parse(line)
    assert record.line_of(good) == place.whole()[0]
    sealed = statement.parse(good.envelope.payload)
    changes: list[dict[str, object]] = [
        {"format": "v2"},
        {"origin": 7},
        {"record_id": "x"},
        {"writer": ""},
        {"kind": "Plan"},
        {"time": "now"},
        {"events": {"count": -1, "root": "0" * 64}},
        {"events": {"count": True, "root": good.event_root.hex()}},
        {"events": {"count": 2, "root": "0" * 64}},
        {"events": None},
        {"disclosures": {"sha256": "x"}},
        {"disclosures": "x"},
        {"seen": 7},
        {"previous": {"record_id": "x", "leaf": "0" * 64}},
        {"previous": "x"},
        {"spooled": {"at": "now"}},
        {"spooled": "x"},
        {"refers": "x"},
        {"state": {}},
        {"state": {"key": "x"}},
    ]
    signer = create_key_file(tmp_path / "key")
    for change in changes:
        payload = statement.build(replace(sealed, predicate={**sealed.predicate, **change}))
        with pytest.raises(InputError):
            record.parse(envelope.seal(payload, signer))
    for other in (replace(sealed, predicate_type="urn:other"), replace(sealed, subjects=())):
        with pytest.raises(InputError):
            record.parse(envelope.seal(statement.build(other), signer))
    with pytest.raises(InputError, match="payload type"):
        record.parse(envelope.seal(good.envelope.payload, signer, payload_type="text/plain"))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes) -> None:
    """No parser does anything but refuse random bytes."""
    for parse in (commit.parse, genesis.parse, record.parse, envelope.parse, statement.parse):
        with pytest.raises(InputError):
            parse(content)
