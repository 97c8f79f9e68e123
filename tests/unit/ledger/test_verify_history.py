"""Does verify see two histories, heads that never were, times that can't be, and what grew since the last visit?"""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from ledgerkit import Clock, Place, make
from verifykit import adopt, append, copy, forge, log_keys, run, state, two_runs

from tfaudit.ledger import checkpoint, ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.ledger.verify import Report, verify
from tfaudit.signing.signer import create_key_file

MINUTE = 60 * 1000


def check(place: Place, *, later: int = 0, **options: object) -> Report:
    """Verify the ledger in its folder."""
    now = ids.milliseconds(place.clock.now) + later
    return verify(place.evidence, place.working, now=now, **options)  # type: ignore[arg-type]


def told(report: Report) -> list[tuple[str, str]]:
    """Return code and place of the findings."""
    return [(finding.code, finding.where) for finding in report.findings]


def other_history(place: Place, folder: Path) -> Place:
    """Return a copy of the ledger that goes its own way from here."""
    shutil.copytree(place.folder, folder)
    return replace(place, folder=folder, clock=Clock(place.clock.now))


def kept(place: Place) -> bytes:
    """Return the ledger's signed head."""
    text = place.walk()[0].checkpoint
    assert text is not None
    return text.encode()


def test_a_kept_checkpoint_that_the_log_continues_is_fine(tmp_path: Path) -> None:
    """Every head that ever was is still one."""
    place = make(tmp_path)
    heads = []
    for _ in range(4):
        append(place.open(), "plan")
        heads.append(kept(place))
    assert [check(place, kept=head).findings for head in heads] == [()] * 4


def test_a_checkpoint_of_another_history_is_a_fork(tmp_path: Path) -> None:
    """Two heads of one size signed by the log's key prove that it signed two histories."""
    place = two_runs(tmp_path / "one")
    other = other_history(place, tmp_path / "other")
    append(place.open(), "plan")
    append(other.open(), "plan")
    assert told(check(place, kept=kept(other))) == [("fork", "the kept checkpoint")]
    append(place.open(), "plan")
    assert told(check(place, kept=kept(other))) == [("fork", "the kept checkpoint")]
    assert told(check(other, kept=kept(place))) == [("truncated", "the kept checkpoint")]


def test_a_size_between_two_commits_is_a_fork(tmp_path: Path) -> None:
    """The log's key signs heads that commits made, and no others."""
    place = two_runs(tmp_path)
    tree = checkpoint.Checkpoint(origin=place.genesis().origin, size=3, root=bytes(32))
    note = checkpoint.sign(tree, log_keys(place), seconds=1)
    assert told(check(place, kept=note)) == [("fork", "the kept checkpoint")]


@pytest.mark.parametrize("note", [b"", b"rubbish", b"\xff\n\n", b"a\n1\nAAAA\n\n"])
def test_a_kept_file_that_is_no_checkpoint_is_reported(tmp_path: Path, note: bytes) -> None:
    """A broken file proves nothing and is not passed over."""
    place = two_runs(tmp_path)
    assert told(check(place, kept=note)) == [("bad-checkpoint", "the kept checkpoint")]
    assert told(check(place, since=note)) == [("bad-checkpoint", "the kept checkpoint")]


def test_a_checkpoint_by_another_key_is_reported(tmp_path: Path) -> None:
    """A head that the log's key did not sign is no head of this log."""
    place = two_runs(tmp_path)
    stranger = replace(place, log=create_key_file(tmp_path / "stranger.pem"))
    tree = checkpoint.parse(kept(place)).checkpoint
    note = checkpoint.sign(tree, log_keys(stranger), seconds=1)
    assert told(check(place, kept=note)) == [("bad-checkpoint", "the kept checkpoint")]


def test_an_edited_last_commit_is_named_by_a_kept_checkpoint(tmp_path: Path) -> None:
    """A head that is gone, with something else in its slot, was edited and not cut off."""
    ledger = copy(two_runs(tmp_path))
    head = ledger.verify().checkpoint
    last = ledger.keys(ids.COMMITS)[-1]
    ledger.evidence[last] = (ledger.evidence[last] or b"").replace(b"time 2026", b"time 2027")
    assert {"edited-commit"} < ledger.codes(kept=(head or "").encode())


def test_a_record_that_saw_another_history_is_proof_of_a_fork(tmp_path: Path) -> None:
    """What one writer saw gives away a history that the log's key showed only to it."""
    place = two_runs(tmp_path / "one")
    other = other_history(place, tmp_path / "other")
    append(other.open(), "plan")
    append(place.open(), "plan")
    line = forge(place, seen=kept(other).decode())
    assert ("fork", line.key) in told(check(place))
    adopt(place, line)
    report = check(place)
    assert told(report) == [("fork", line.key)]
    assert report.findings[0].who == "the log's key"


@pytest.mark.parametrize("seen", ["rubbish", "ledger.example/test\n2\nAAAA\n\n— x AAAAAAAA\n"])
def test_a_head_that_is_none_is_charged_to_the_signer(tmp_path: Path, seen: str) -> None:
    """A record that says it saw what no log key signed speaks against its own key."""
    place = two_runs(tmp_path)
    line = forge(place, seen=seen)
    adopt(place, line)
    report = check(place)
    assert told(report) == [("bad-seen", line.key)]
    assert place.signer.public.keyid[:16] in (report.findings[0].who or "")


def test_a_true_head_with_a_false_signature_is_a_bad_seen(tmp_path: Path) -> None:
    """Size and root alone don't do: the record must carry what the log's key signed."""
    place = two_runs(tmp_path)
    stranger = replace(place, log=create_key_file(tmp_path / "stranger.pem"))
    note = checkpoint.sign(checkpoint.parse(kept(place)).checkpoint, log_keys(stranger), seconds=1)
    line = forge(place, seen=note.decode())
    adopt(place, line)
    assert told(check(place)) == [("bad-seen", line.key)]


def test_an_empty_log_is_seen_only_at_the_start(tmp_path: Path) -> None:
    """Two writers may both find an empty log; much later nobody does."""
    place = make(tmp_path)
    for _ in range(2):
        forge(place)
    append(place.open(), "plan")
    assert check(place).findings == ()
    place.clock.advance(hours=1)
    line = forge(place, seen=None)
    adopt(place, line)
    assert told(check(place)) == [("bad-seen", line.key)]


def test_a_spooled_record_may_have_seen_nothing(tmp_path: Path) -> None:
    """Signed while the store was away, it carries the time of that."""
    place = two_runs(tmp_path)
    place.clock.advance(hours=1)
    line = forge(place, seen=None, spooled=ids.milliseconds(place.clock.now))
    place.clock.advance(days=2)
    adopt(place, line)
    assert check(place).findings == ()


@pytest.mark.parametrize(("minutes", "codes"), [(-4, []), (-6, ["back-dated"]), (4, []), (6, ["back-dated"])], ids=str)
def test_times_must_lie_between_seen_and_commit(tmp_path: Path, minutes: int, codes: list[str]) -> None:
    """A record's time may differ by five minutes, and no more, from what the log around it allows."""
    place = two_runs(tmp_path)
    line = forge(place, time=ids.milliseconds(place.clock.now) + minutes * MINUTE)
    adopt(place, line)
    assert [code for code, _ in told(check(place))] == codes


def test_a_time_of_spooling_is_held_against_the_log_too(tmp_path: Path) -> None:
    """A spooled record can't have been put there after its commit."""
    place = two_runs(tmp_path)
    now = ids.milliseconds(place.clock.now)
    line = forge(place, time=now, spooled=now + 10 * MINUTE)
    adopt(place, line)
    assert told(check(place)) == [("back-dated", line.key)]


def test_commits_that_go_back_in_time_are_reported(tmp_path: Path) -> None:
    """A commit dated long before the one it follows is charged to its committer."""
    place = two_runs(tmp_path)
    place.clock.advance(hours=-1)
    adopt(place)
    report = check(place)
    assert told(report) == [("back-dated", ids.commit_key(place.walk()[0].number))]
    assert place.signer.public.keyid[:16] in (report.findings[0].who or "")


def test_growth_alone_is_checked_from_a_checkpoint_on(tmp_path: Path) -> None:
    """A second verify looks only at what came since, and ends with the same head as a whole one."""
    place = two_runs(tmp_path)
    heads = [kept(place)]
    for before in range(2, 9):
        run(place.open(), before, before + 1)
        heads.append(kept(place))
    whole = check(place)
    for number, head in enumerate(heads):
        report = check(place, since=head)
        assert report.findings == ()
        assert (report.size, report.root, report.checkpoint) == (whole.size, whole.root, whole.checkpoint)
        assert (report.commits, report.records, report.events) == (2 * (7 - number),) * 3


def test_growth_is_found_past_litter_and_changes_of_keys(tmp_path: Path) -> None:
    """Void slots and new keys before the checkpoint don't keep verify from starting after it."""
    place = make(tmp_path)
    append(place.open(), "plan")
    place.evidence.create(ids.commit_key(1), b"litter")
    new = create_key_file(tmp_path / "new.pem")
    place.open().change_keys(
        place.keys(generation=1, signers=(AcceptedSigner(public=new.public, writers=("local",)),)), place.root, {}
    )
    place.evidence.create(ids.commit_key(3), b"litter")
    append(place.open(signer=new), "plan")
    head = kept(place)
    append(place.open(signer=new), "plan")
    report = check(place, since=head)
    assert (report.ok, report.commits, report.records) == (True, 1, 1)
    assert told(check(place)) == [("void-slot", ids.commit_key(1)), ("void-slot", ids.commit_key(3))]


def test_growth_on_another_history_is_a_fork(tmp_path: Path) -> None:
    """A log that does not continue what was kept is checked as a whole, and told so."""
    place = two_runs(tmp_path / "one")
    other = other_history(place, tmp_path / "other")
    append(place.open(), "plan")
    append(other.open(), "plan")
    report = check(place, since=kept(other))
    assert told(report) == [("fork", "the kept checkpoint")]
    assert report.records == 6


def test_growth_is_checked_as_strictly_as_all(tmp_path: Path) -> None:
    """An altered record after the checkpoint is found; one before it is left to a whole verify."""
    place = two_runs(tmp_path)
    head = kept(place)
    append(place.open(), "plan")
    ledger = copy(place)
    first, last = ledger.keys(ids.RECORDS)[0], ledger.keys(ids.RECORDS)[-1]
    for key, codes in ((first, set()), (last, {"altered-record"})):
        spoilt = ledger.fresh()
        spoilt.evidence[key] = (spoilt.evidence[key] or b"").replace(b'{"payload', b'{"Payload')
        assert spoilt.codes(since=head) == codes
        assert spoilt.codes() == {"altered-record"}


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff" * 300_000])
def test_a_missing_or_broken_genesis_still_gives_a_report(tmp_path: Path, content: bytes | None) -> None:
    """Without genesis nothing can be said of the log, and that is what the report says."""
    ledger = copy(two_runs(tmp_path))
    if content is None:
        del ledger.evidence[ids.GENESIS_KEY]
    else:
        ledger.evidence[ids.GENESIS_KEY] = content
    report = ledger.verify()
    assert [finding.code for finding in report.findings] == ["bad-genesis"]
    assert (report.ok, report.origin, report.root, report.checkpoint) == (False, None, None, None)


def test_a_missing_folder_still_gives_a_report(tmp_path: Path) -> None:
    """A ledger that is not there is a finding."""
    report = verify(FolderStore(tmp_path / "nothing"), None, now=0)
    assert told(report) == [("bad-genesis", ids.GENESIS_KEY)]


def test_another_genesis_than_the_anchor_is_an_error(tmp_path: Path) -> None:
    """A ledger made anew, sound in itself, is not the one that was trusted."""
    place = two_runs(tmp_path)
    report = check(place, anchor="sha256:" + "0" * 64)
    assert (report.ok, told(report)) == (False, [("bad-genesis", ids.GENESIS_KEY)])
    assert check(place).trust == "first-use"


def test_an_empty_log_is_ok(tmp_path: Path) -> None:
    """A ledger that was only set up has no head."""
    place = make(tmp_path)
    report = check(place)
    assert (report.ok, report.size, report.root, report.checkpoint) == (True, 0, None, None)


def test_all_cores_say_the_same(tmp_path: Path) -> None:
    """Checking in two processes gives the same report as in one."""
    place = two_runs(tmp_path)
    path = place.evidence.root / place.walk()[1][2].commit.header.records[0].key
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"{}\n")
    assert check(place, processes=2) == check(place, processes=1)
    assert not check(place, processes=2).ok


def test_the_chain_of_a_state_has_no_missing_link(tmp_path: Path) -> None:
    """A record that does not name the last one of its state that it could see is reported."""
    place = two_runs(tmp_path)
    line = forge(place, facts={"state": state(2)})
    adopt(place, line)
    assert told(check(place)) == [("unrecorded-change", line.key)]


def test_a_ledger_that_is_being_written_is_whole_at_any_time(tmp_path: Path) -> None:
    """Verify beside a writer may find records pending, and nothing else."""
    place = two_runs(tmp_path)
    done = threading.Event()

    def write() -> None:
        for before in range(2, 22):
            run(place.open(), before, before + 1)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    while not done.is_set():
        report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now))
        found.extend(finding.code for finding in report.findings if finding.code != "open-run")
    writer.join()
    assert found == []
    assert check(place).records == 45
