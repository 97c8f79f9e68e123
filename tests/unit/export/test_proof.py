"""Proofs of one event: what they show, that they show no more, and that nothing in them can be changed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "ledger"))

import ledgerkit

from tfaudit import canonical, schema
from tfaudit.errors import InputError, VerificationError
from tfaudit.events import commitment
from tfaudit.events.model import EventLine
from tfaudit.export import proof, proofcheck, proofmaking
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.ledger.reader import Reader
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import create_key_file

SECRET = b'"wallaby"'


def event(record_id, address, *texts):
    """Return an event line with an attribute for each text, and its disclosure."""
    members, attributes = [], []
    for at, text in enumerate(texts):
        opening = commitment.commit(record_id, address, None, f"/{at}", text, bytes([at]) * 16, "after")
        attributes.append({"after": opening.digest, "path": f"/{at}"})
        members.append(opening.member)
    line = {"action": "create", "address": address, "attributes": attributes, "kind": "resource-change"}
    return EventLine(canonical.encode(line), commitment.encode_values(members))


def add(place, ledger, *, events=3):
    """Append a record of some events, with an actor, and return its id."""
    with ledger.draft("intent") as draft:
        for number in range(1, events + 1):
            draft.add(event(draft.record_id, f"a.b{number}", b"%d" % number, SECRET))
        actor = draft.disclose("/actor", b'"octocat"')
        return ledger.append(draft, {"actor": actor, "stack": "x/y"}).record_id


def make(place, event_id, **options):
    """Return the bytes of an event's proof."""
    reader = Reader.open(evidence=place.evidence, working=place.working, genesis_digest=None)
    made = proofmaking.make(event_id, evidence=place.evidence, working=place.working, reader=reader, **options)
    return proof.encode(made)


def check(raw, *, log_key=None, anchor=None):
    """Return what the bytes prove."""
    return proofcheck.check_bytes(raw, log_key=log_key, anchor=anchor)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A ledger of five records, in the midst of which the keys change twice."""
    place = ledgerkit.make(tmp_path_factory.mktemp("place"))
    ledger = place.open()
    place.ids = [add(place, ledger)]
    for generation, name in ((1, "second"), (2, "third")):
        keys = ledger.keys()
        new = create_key_file(place.folder / f"{name}.pem")
        log = create_key_file(place.folder / f"{name}-log.pem", algorithm="ecdsa-p256")
        changed = replace(
            keys,
            generation=generation,
            signers=(AcceptedSigner(public=new.public, writers=("local",)),),
            log=(NoteKey(name=ledgerkit.ORIGIN, public=log.public),),
        )
        ledger.change_keys(changed, place.root, {})
        place.signer, place.log = new, log
        ledger = place.open()
        place.ids += [add(place, ledger), add(place, ledger, events=1)]
    return place


@pytest.fixture(scope="module")
def proven(place):
    """A proof with a revealed value of the event and one of the record."""
    return make(place, f"{place.ids[1]}/2", reveal=("/0",), reveal_record=("/actor",))


@pytest.mark.parametrize("record", range(5))
@pytest.mark.parametrize("number", [0, 1])
def test_every_event_has_a_proof(place, record, number):
    """Before, between and after changes of keys, events and statements prove under the anchor and the log's key."""
    raw = make(place, f"{place.ids[record]}/{number}")
    shown = check(raw, anchor=place.genesis().digest, log_key=NoteKey(name=ledgerkit.ORIGIN, public=place.log.public))
    assert shown.event_id == f"{place.ids[record]}/{number}"
    assert shown.record.record_id == place.ids[record]
    assert shown.tree.root == place.walk()[0].root
    assert (shown.event or {}).get("address") == ("a.b1" if number else None)
    schema.validate("proof.v1", json.loads(raw))


def test_a_config_record_has_a_proof(place):
    """The record that changed the keys is proven like any other, by the keys before it."""
    config = next(line for line in place.whole() if line.kind == "config")
    assert check(make(place, f"{config.record_id}/0")).record.kind == "config"


def test_only_what_was_asked_for_is_revealed(place, proven):
    """The proof holds the values that were named, and neither text nor salt of any other."""
    shown = check(proven)
    assert [(value.pointer, value.side, value.text) for value in shown.event_values] == [("/0", "after", b"2")]
    assert [(value.pointer, value.text) for value in shown.record_values] == [("/actor", b'"octocat"')]
    assert b"wallaby" not in proven
    assert b"AQEBAQEBAQEBAQEBAQEBAQ==" not in proven
    assert b"octocat" not in make(place, f"{place.ids[1]}/2")


def test_the_statement_reveals_by_the_plain_pointer(place):
    """Where the statement itself is proven, pointers lead into it."""
    shown = check(make(place, f"{place.ids[1]}/0", reveal=("/actor",)))
    assert [value.text for value in shown.record_values] == [b'"octocat"']


def test_trust_is_said(place, proven):
    """Without a key or digest from elsewhere it is trust on first use."""
    key = NoteKey(name=ledgerkit.ORIGIN, public=place.log.public)
    assert check(proven).trust == "first-use"
    assert check(proven, anchor=place.genesis().digest).trust == "anchor"
    assert check(proven, log_key=key).trust == "log-key"


def test_another_anchor_is_refused(proven):
    """A proof of another ledger than the one whose digest is given proves nothing."""
    with pytest.raises(VerificationError, match="digest you gave"):
        check(proven, anchor=f"sha256:{'0' * 64}")


def test_another_log_key_is_refused(tmp_path, place, proven):
    """Neither a stranger's key nor a retired one of the log's vouches for the checkpoint."""
    stranger = create_key_file(tmp_path / "stranger.pem")
    for public in (stranger.public, place.genesis().keys.log[0].public):
        with pytest.raises(VerificationError, match="log key that you gave"):
            check(proven, log_key=NoteKey(name=ledgerkit.ORIGIN, public=public))


def test_every_byte_counts(proven):
    """A proof in which any one byte is another proves nothing."""
    for at in range(len(proven)):
        for flip in (0x01, 0x20, 0x80):
            with pytest.raises(VerificationError):
                check(proven[:at] + bytes([proven[at] ^ flip]) + proven[at + 1 :])


@given(cut=st.data())
def test_every_cut_and_addition_counts(proven, cut):
    """A proof that lost bytes, or has some more, proves nothing."""
    at = cut.draw(st.integers(0, len(proven) - 1))
    length = cut.draw(st.integers(1, 50))
    with pytest.raises(VerificationError):
        check(proven[:at] + proven[at + length :])
    with pytest.raises(VerificationError):
        check(proven[:at] + cut.draw(st.binary(min_size=1, max_size=50)) + proven[at:] + b"\n")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_check(raw):
    """Whatever the file holds, the answer is that it proves nothing."""
    with pytest.raises(VerificationError):
        check(raw)


def altered(raw, change):
    """Return the proof with its document changed."""
    document = json.loads(raw)
    change(document)
    return canonical.encode(document) + b"\n"


PARTS = [
    ("event",),
    ("record",),
    ("commits",),
    ("checkpoint",),
    ("event", "line"),
    ("event", "path"),
    ("event", "values"),
    ("record", "line"),
    ("record", "position"),
    ("record", "path"),
    ("record", "values"),
]


@pytest.mark.parametrize("part", PARTS, ids="/".join)
def test_parts_of_another_proof_are_refused(place, proven, part):
    """No part of a proof can stand in for the same part of another event's proof."""
    *way, last = part
    refused = 0
    for record, number in ((1, 3), (0, 2), (4, 1)):
        source = json.loads(make(place, f"{place.ids[record]}/{number}", reveal=("/0",), reveal_record=("/actor",)))
        document = target = json.loads(proven)
        for step in way:
            source, target = source[step], target[step]
        if source[last] != target[last]:
            target[last] = source[last]
            refused += 1
            with pytest.raises(VerificationError):
                check(canonical.encode(document) + b"\n")
    assert refused or part == ("checkpoint",)


def test_another_ledgers_checkpoint_is_refused(tmp_path, proven):
    """A checkpoint of a second ledger of the same name does not fit the proof."""
    other = ledgerkit.make(tmp_path / "other")
    add(other, other.open())
    checkpoint = other.walk()[0].checkpoint
    with pytest.raises(VerificationError):
        check(altered(proven, lambda document: document.update(checkpoint=checkpoint)))


def test_a_change_of_keys_can_not_be_left_out(proven):
    """A proof without one of the commits that changed keys proves nothing, nor one with a commit too many."""
    commits = json.loads(proven)["commits"]
    assert len(commits) == 4
    for at in range(4):
        with pytest.raises(VerificationError):
            check(altered(proven, lambda document, at=at: document["commits"].pop(at)))
    with pytest.raises(VerificationError):
        check(altered(proven, lambda document: document["commits"].insert(0, document["commits"][0])))


def test_a_commit_without_a_part_is_refused(place, proven):
    """A true commit of the log that the proof does not need has no place in it."""
    other = json.loads(make(place, f"{place.ids[0]}/1"))["commits"][0]
    with pytest.raises(VerificationError, match="no part in the proof"):
        check(altered(proven, lambda document: document["commits"].insert(0, other)))


def test_a_foreign_signature_line_is_refused(proven):
    """A checkpoint with a line that nobody can check has no place in a proof."""
    line = "— someone.else AAAAAAAAAAAAAA==\n"
    with pytest.raises(VerificationError, match="not the log's"):
        check(altered(proven, lambda document: document.update(checkpoint=document["checkpoint"] + line)))


@pytest.mark.parametrize(
    ("event_id", "options", "message"),
    [
        ("{0}/4", {}, "has no event 4"),
        ("{0}/01", {}, "not an event's id"),
        ("{0}", {}, "not an event's id"),
        ("019ca8d7-0000-7000-8000-000000000000/1", {}, "holds no record"),
        ("{0}/1", {"reveal": ("/nope",)}, r"commits to no value at '/nope' \(it does at: /0, /1\)"),
        ("{0}/1", {"reveal_record": ("/0",)}, "the record commits to no value"),
    ],
)
def test_what_is_not_there_is_not_proven(place, event_id, options, message):
    """An event or value that the log does not hold is told in one line."""
    with pytest.raises(InputError) as caught:
        make(place, event_id.format(place.ids[0]), **options)
    caught.match(message)


def test_an_erased_value_can_not_be_revealed(tmp_path):
    """Without its disclosure an event is proven, and its value is not."""
    place = ledgerkit.make(tmp_path / "place")
    record_id = add(place, place.open())
    place.working.remove(f"disclosures/{record_id}.jsonl")
    assert check(make(place, f"{record_id}/1")).event["address"] == "a.b1"
    with pytest.raises(InputError, match="erased, or its disclosure is not in the working store"):
        make(place, f"{record_id}/1", reveal=("/0",))


def test_a_false_disclosure_is_not_revealed(tmp_path):
    """A disclosure that does not open the digest ends in no proof."""
    place = ledgerkit.make(tmp_path / "place")
    record_id = add(place, place.open())
    path = place.folder / "working" / "disclosures" / f"{record_id}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'",2]', b'",9]'))
    with pytest.raises(VerificationError, match="does not open"):
        make(place, f"{record_id}/2", reveal=("/0",))


def test_altered_events_are_not_proven(tmp_path):
    """Where the record's event lines are not those it signs, no event of it is proven."""
    place = ledgerkit.make(tmp_path / "place")
    record_id = add(place, place.open())
    path = next((place.folder / "ledger" / "records").rglob(f"{record_id}.jsonl"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"a.b3", b"a.b4"))
    with pytest.raises(VerificationError, match="not those that it signs"):
        make(place, f"{record_id}/1")


def test_a_pruned_event_is_told(tmp_path):
    """Where a record let the events go, the statement is proven and its events are not."""
    place = ledgerkit.make(tmp_path / "place")
    ledger = place.open()
    record_id = add(place, ledger)
    place.clock.advance(days=1)
    with ledger.draft("retention") as draft:
        ledger.append(draft, {"retention": {"action": "prune", "before": "2026-03-02T00:00:00.000Z"}})
    path = next((place.folder / "ledger" / "records").rglob(f"{record_id}.jsonl"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n")
    with pytest.raises(InputError, match="were pruned"):
        make(place, f"{record_id}/1")
    assert check(make(place, f"{record_id}/0", reveal=("/actor",))).record.kind == "intent"


def test_the_proof_reads_back(proven):
    """Parsing and encoding a proof gives the same bytes."""
    assert proof.encode(proof.parse(proven)) == proven


def test_a_post_quantum_signature_is_wanted_too(tmp_path):
    """Where the log has an ML-DSA-44 key as well, a proof without either signature proves nothing."""
    second = create_key_file(tmp_path / "second.pem", algorithm="ml-dsa-44")
    place = ledgerkit.make(tmp_path / "place")
    both = (place.log.public, second.public)
    log = tuple(NoteKey(name=ledgerkit.ORIGIN, public=public) for public in both)
    place.open().change_keys(place.keys(generation=1, log=log), place.root, {})
    raw = make(place, f"{add(place, place.open(second_log_signer=second))}/1")
    assert check(raw, log_key=log[1]).trust == "log-key"
    lines = json.loads(raw)["checkpoint"].splitlines(keepends=True)
    assert len(lines) == 6
    for at in (4, 5):
        text = "".join(lines[:at] + lines[at + 1 :])
        with pytest.raises(VerificationError, match="lacks a"):
            check(altered(raw, lambda document, text=text: document.update(checkpoint=text)))
