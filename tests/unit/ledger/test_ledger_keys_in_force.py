"""Keys change by records that the root key signs, in force from their place in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgerkit import ORIGIN, Place, add, make

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import ids
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.ledger.store import read
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import FileSigner, create_key_file


def test_a_new_signer_is_accepted_from_then_on(tmp_path: Path) -> None:
    """A key that the root accepts may write, the one it dropped may not, and old records stand."""
    place = make(tmp_path)
    add(place.open())
    new = create_key_file(tmp_path / "new.pem", algorithm="ecdsa-p256")
    with pytest.raises(ConfigError):
        add(place.open(signer=new))
    place.open().change_keys(
        place.keys(generation=1, signers=(AcceptedSigner(public=new.public, writers=("local",)),)), place.root, {}
    )
    with pytest.raises(ConfigError):
        add(place.open())
    add(place.open(signer=new))
    assert [line.kind for line in place.whole()] == ["plan", "config", "plan"]
    assert place.walk()[0].keys_from == 1


def test_a_spooled_record_of_a_removed_key_stays_out(tmp_path: Path) -> None:
    """What waited in the spool while its key was removed is not committed by another key."""
    place = make(tmp_path)
    with place.open().draft("outcome") as draft:
        place.open().keep(draft, {})
    new = create_key_file(tmp_path / "new.pem")
    place.open().change_keys(
        place.keys(generation=1, signers=(AcceptedSigner(public=new.public, writers=("local",)),)), place.root, {}
    )
    ledger = place.open(signer=new)
    with pytest.raises(ConfigError, match="no longer accepted"):
        ledger.drain()
    assert len(ledger.spool.waiting()) == 1
    assert [line.kind for line in place.whole()] == ["config"]


def test_a_key_change_takes_along_what_was_staged(tmp_path: Path) -> None:
    """A record whose key is removed just after it was staged comes in with the change, while the key is in force."""
    place = make(tmp_path)
    new = create_key_file(tmp_path / "new.pem")
    keys = place.keys(
        generation=1,
        signers=(
            AcceptedSigner(public=new.public, writers=("local",)),
            AcceptedSigner(public=place.signer.public, writers=("local",)),
        ),
    )
    place.open().change_keys(keys, place.root, {})

    def step(name: str) -> None:
        if name == "staged":
            place.open(signer=new).change_keys(place.keys(generation=2, signers=keys.signers[:1]), place.root, {})

    assert add(place.open(step=step)).commit == 1
    assert [line.kind for line in place.whole()] == ["config", "plan", "config"]


def test_the_log_key_rotates(tmp_path: Path) -> None:
    """After the change the new log key alone signs; the old key's commit is void."""
    place = make(tmp_path)
    add(place.open())
    new = create_key_file(tmp_path / "newlog.pem")
    place.open().change_keys(_with_log(place, 1, new), place.root, {})
    with pytest.raises(ConfigError):
        add(place.open())
    add(place.open(log_signer=new))
    add(place.open(log_signer=new))
    assert len(place.whole()) == 4


def test_a_second_process_learns_the_keys_without_replaying(tmp_path: Path) -> None:
    """Starting from the hint gives the same keys as walking from genesis, through two changes."""
    place = make(tmp_path)
    second, third = create_key_file(tmp_path / "2.pem"), create_key_file(tmp_path / "3.pem")
    place.open().change_keys(_with_log(place, 1, second), place.root, {})
    add(place.open(log_signer=second))
    place.open(log_signer=second).change_keys(_with_log(place, 2, third), place.root, {})
    for _ in range(3):
        add(place.open(log_signer=third))
    assert place.open(log_signer=third).keys() == place.walk()[0].keys
    assert place.walk()[0].keys.generation == 2


def test_only_the_root_key_changes_keys(tmp_path: Path) -> None:
    """A signer's own config record is refused, and one that is staged all the same stays foreign."""
    place = make(tmp_path)
    ledger = place.open()
    with pytest.raises(ConfigError):
        ledger.change_keys(place.keys(generation=1), place.signer, {})
    with ledger.draft("config") as draft:
        ledger.keep(draft, {"keys": place.keys(generation=1).document()})
        key = ids.record_key("local", draft.record_id)
        place.evidence.create(key, next((tmp_path / "spool" / "records").iterdir()).read_bytes())
    add(ledger)
    state, lives, _ = place.walk()
    assert [stray.reason for stray in lives[0].commit.header.strays] == ["foreign"]
    assert state.keys.generation == 0


@pytest.mark.parametrize("generation", [0, 2])
def test_generations_follow_each_other(tmp_path: Path, generation: int) -> None:
    """A change that does not follow the keys in force is refused, so an old one can't be played again."""
    place = make(tmp_path)
    with pytest.raises(ConfigError, match="generation"):
        place.open().change_keys(place.keys(generation=generation), place.root, {})


def test_a_replayed_config_record_changes_nothing(tmp_path: Path) -> None:
    """The root's own old record under another id or again is no change."""
    place = make(tmp_path)
    receipt = place.open().change_keys(place.keys(generation=1), place.root, {})
    content = read(place.evidence, receipt.key, limit=1 << 20) or b""
    place.evidence.create(ids.record_key("ci", receipt.record_id), content)
    add(place.open())
    assert place.walk()[0].keys.generation == 1
    assert len(place.whole()) == 2


def test_a_config_record_is_the_last_of_its_commit(tmp_path: Path) -> None:
    """Records beside a key change are judged by the keys before it."""
    place = make(tmp_path)
    add(place.open(log_signer=None))
    place.open(log_signer=None).change_keys(place.keys(generation=1), place.root, {})
    add(place.open(log_signer=None))
    add(place.open())
    header = place.walk()[1][0].commit.header
    assert [line.kind for line in header.records] == ["plan", "plan", "plan", "config"]
    assert header.envelope is not None
    assert len(place.whole()) == 4


def test_approvers_may_approve_and_nothing_else(tmp_path: Path) -> None:
    """A key of the approver list stages approvals, but no other record and no commit."""
    approver = create_key_file(tmp_path / "approver.pem")
    place = make(tmp_path / "ledger", approvers=(approver.public,))
    people = place.open(signer=approver, log_signer=None, writer="people")
    with pytest.raises(ConfigError):
        add(people, "plan")
    staged = add(people, "approval", refers="d" * 64)
    add(place.open())
    line = next(line for line in place.whole() if line.record_id == staged.record_id)
    assert (line.kind, line.refers) == ("approval", "d" * 64)
    with pytest.raises(ConfigError):
        add(place.open(signer=approver, writer="people"), "approval")


def test_a_second_signature_is_demanded_where_switched_on(tmp_path: Path) -> None:
    """With an ML-DSA-44 key among the log's keys each checkpoint carries both signatures, and one alone is refused."""
    second = create_key_file(tmp_path / "pq.pem", algorithm="ml-dsa-44")
    place = make(tmp_path / "ledger")
    first = NoteKey(name=ORIGIN, public=place.log.public)
    place.open().change_keys(
        place.keys(generation=1, log=(first, NoteKey(name=ORIGIN, public=second.public))), place.root, {}
    )
    with pytest.raises(LedgerError, match="post-quantum"):
        add(place.open())
    receipt = add(place.open(second_log_signer=second))
    assert (receipt.checkpoint or "").count("— ") == 2
    assert place.walk()[0].size == 4 + 1


def _with_log(place: Place, generation: int, log: FileSigner) -> object:
    return place.keys(generation=generation, log=(NoteKey(name=ORIGIN, public=log.public),))
