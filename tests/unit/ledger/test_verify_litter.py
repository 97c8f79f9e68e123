"""What an attacker leaves in the store is reported with the right severity, and stops nothing."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ledgerkit import Place, make
from verifykit import adopt, append, forge, log_keys, two_runs

from tfaudit.ledger import checkpoint, ids
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.ledger.verify import Report, verify
from tfaudit.signing.signer import create_key_file

HOUR = 60 * 60 * 1000


def check(place: Place, *, later: int = 0) -> Report:
    """Verify the ledger in its folder, ``later`` milliseconds after its last record."""
    now = ids.milliseconds(place.clock.now) + later
    return verify(place.evidence, place.working, now=now, anchor=place.genesis().digest)


def go_on(place: Place) -> None:
    """Append one more sound record, and commit what else is staged."""
    append(place.open(), "plan")


def told(report: Report) -> list[tuple[str, str, str]]:
    """Return code, severity and place of the findings."""
    return [(finding.code, finding.severity, finding.where) for finding in report.findings]


def test_a_sound_ledger_has_no_findings(tmp_path: Path) -> None:
    """A ledger of two runs is ok, and the report says what was checked."""
    place = two_runs(tmp_path)
    report = check(place)
    state, lives, _ = place.walk()
    assert report.findings == ()
    assert (report.ok, report.trust, report.pending) == (True, "anchor", 0)
    assert (report.commits, report.records, report.events, report.values) == (len(lives), 5, 5, 25)
    assert (report.size, report.root, report.checkpoint) == (state.size, state.root.hex(), state.checkpoint)


def test_garbage_in_the_next_slot_is_an_error_until_the_log_steps_over_it(tmp_path: Path) -> None:
    """At the end it may hide a lost commit; with a live commit after it, it is litter."""
    place = two_runs(tmp_path)
    end = place.walk()[0].number
    place.evidence.create(ids.commit_key(end + 1), os.urandom(500))
    place.evidence.create(ids.commit_key(end + 50), os.urandom(500))
    assert told(check(place)) == [
        ("void-slot", "error", ids.commit_key(end + 1)),
        ("void-slot", "error", ids.commit_key(end + 50)),
    ]
    for _ in range(52):
        go_on(place)
    report = check(place)
    assert report.ok
    assert told(report) == [
        ("void-slot", "warning", ids.commit_key(end + 1)),
        ("void-slot", "warning", ids.commit_key(end + 50)),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"frontier": (bytes(32), bytes(32), bytes(32))},
        {"cursor": 10**12},
        {"cursor": 0},
        {"size": 12},
        {"number": 7},
        {"committer": "0" * 64},
    ],
    ids=["frontier", "cursor", "no cursor", "size", "number", "committer"],
)
def test_a_false_commit_signed_by_the_logs_key_is_void(tmp_path: Path, change: dict[str, object]) -> None:
    """A holder of the log's key can waste a slot, and no more."""
    place = two_runs(tmp_path)
    end = place.walk()[0].number
    adopt(place, forge(place), **change)
    report = check(place)
    assert told(report) == [("void-slot", "error", ids.commit_key(end + 1))]
    assert report.pending == 1
    go_on(place)
    report = check(place)
    assert (report.ok, told(report)) == (True, [("void-slot", "warning", ids.commit_key(end + 1))])


def test_a_false_claim_of_an_edit_is_litter_once_the_log_goes_on(tmp_path: Path) -> None:
    """A commit that names other bytes of a sound one accuses it only while nothing live follows."""
    place = two_runs(tmp_path)
    state, _, _ = place.walk()
    adopt(place, forge(place), previous=(state.number, "0" * 64))
    assert told(check(place)) == [("edited-commit", "error", ids.commit_key(state.number))]
    go_on(place)
    assert told(check(place)) == [("void-slot", "warning", ids.commit_key(state.number + 1))]


def test_a_commit_that_the_logs_key_did_not_sign_has_a_bad_checkpoint(tmp_path: Path) -> None:
    """A commit in order but for its checkpoint's key is told apart from rubbish."""
    place = two_runs(tmp_path)
    stranger = replace(place, log=create_key_file(tmp_path / "stranger.pem"))
    adopt(stranger, forge(place))
    assert [code for code, _, _ in told(check(place))] == ["bad-checkpoint"]


def test_a_record_by_an_unknown_signer_is_foreign(tmp_path: Path) -> None:
    """Nobody's record is a warning about the store, before and after the log named it."""
    place = two_runs(tmp_path)
    stranger = create_key_file(tmp_path / "stranger.pem")
    line = forge(place, signer=stranger)
    assert told(check(place)) == [("foreign", "warning", line.key)]
    go_on(place)
    report = check(place, later=2 * HOUR)
    assert (report.ok, told(report)) == (True, [("foreign", "warning", line.key)])


def test_a_record_that_only_the_committer_accepted_has_an_unknown_signer(tmp_path: Path) -> None:
    """A holder of the log's key that adopts a stranger's record is found out."""
    place = two_runs(tmp_path)
    line = forge(place, signer=create_key_file(tmp_path / "stranger.pem"))
    adopt(place, line)
    assert told(check(place)) == [("unknown-signer", "error", line.key)]


def test_a_record_whose_signature_fails_is_reported(tmp_path: Path) -> None:
    """A record adopted with a signature that does not verify is charged to its key."""
    place = two_runs(tmp_path)
    other = forge(place, "plan", facts={"stack": "one"})
    signature = _signature(place, other.key)
    line = forge(place, edit=lambda line: line[: line.index(b'"sig":"')] + b'"sig":"' + signature + b'"}]}')
    adopt(place, other, line)
    assert told(check(place)) == [("bad-signature", "error", line.key)]


@pytest.mark.parametrize("change", [{"kind": "intent"}, {"refers": "0" * 64}, {"state": "0" * 64}], ids=str)
def test_a_commit_that_misdescribes_a_record_is_reported(tmp_path: Path, change: dict[str, str]) -> None:
    """What the commit says of a record must be what the record says."""
    place = two_runs(tmp_path)
    line = forge(place)
    adopt(place, replace(line, **change))
    assert told(check(place)) == [("altered-record", "error", line.key)]


def test_what_is_no_record_in_the_log_is_reported(tmp_path: Path) -> None:
    """A committer that adopts rubbish by its hash is found out."""
    place = two_runs(tmp_path)
    line = forge(place, edit=lambda line: b'{"payload":"rubbish"}')
    adopt(place, line)
    assert told(check(place)) == [("altered-record", "error", line.key)]


def test_a_record_of_another_ledger_is_reported(tmp_path: Path) -> None:
    """A record signed by an accepted key for another origin is none of this ledger's."""
    place = two_runs(tmp_path)
    line = forge(place, origin="elsewhere.example/ledger")
    assert told(check(place)) == [("foreign", "warning", line.key)]
    adopt(place, line)
    assert told(check(place)) == [("altered-record", "error", line.key)]


def test_a_record_adopted_twice_is_a_duplicate(tmp_path: Path) -> None:
    """Outside the window the live rule can't see it; verify can."""
    place = two_runs(tmp_path)
    line = place.walk()[1][0].commit.header.records[0]
    place.clock.advance(minutes=30)
    go_on(place)
    adopt(place, line)
    assert told(check(place)) == [("duplicate", "error", line.key)]


def test_an_id_from_the_future_is_a_warning(tmp_path: Path) -> None:
    """A record whose time has not come waits for it, whoever staged it."""
    place = two_runs(tmp_path)
    place.clock.advance(minutes=10)
    line = forge(place)
    place.clock.advance(minutes=-10)
    go_on(place)
    report = check(place)
    assert (report.ok, told(report), report.pending) == (True, [("unsequenced", "warning", line.key)], 0)


def test_a_staged_record_is_pending_for_an_hour(tmp_path: Path) -> None:
    """A record that no commit holds is nothing to worry about at first, and then an error."""
    place = two_runs(tmp_path)
    line = forge(place)
    report = check(place, later=HOUR // 2)
    assert (report.ok, report.findings, report.pending) == (True, (), 1)
    report = check(place, later=2 * HOUR)
    assert (report.ok, told(report), report.pending) == (False, [("unsequenced", "error", line.key)], 0)


def test_a_passed_over_record_of_a_known_key_is_unsequenced(tmp_path: Path) -> None:
    """A committer that calls a sound record foreign does not make it so."""
    place = two_runs(tmp_path)
    line = forge(place)
    adopt(place, passed=(f"{line.record_id} {line.writer}",))
    assert [code for code, _, _ in told(check(place, later=2 * HOUR))] == ["void-slot", "unsequenced"]


def test_strange_keys_are_foreign(tmp_path: Path) -> None:
    """Keys with a newline, a wrong hour or no meaning are warnings, printed without their control characters."""
    place = two_runs(tmp_path)
    good = place.walk()[1][0].commit.header.records[0].key
    for key in (f"{good}\n", good.replace("/10/", "/11/"), "records/x", "note", "commits/1", f"records/\x1b[31m{good}"):
        place.evidence.create(key, b"{}\n")
    report = check(place)
    assert report.ok
    assert {code for code, _, _ in told(report)} == {"foreign"}
    assert len(report.findings) == 6
    text = "".join(f"{finding.where}{finding.who}{finding.message}" for finding in report.findings)
    assert text.isprintable()
    assert "\\n" in text
    assert "\\x1b[31m" in text


def test_what_is_no_file_is_reported_and_not_opened(tmp_path: Path) -> None:
    """A symlink, a fifo and a folder at records' and commits' keys neither hang verify nor lead it elsewhere."""
    place = two_runs(tmp_path)
    root = place.evidence.root
    end = place.walk()[0].number
    hour = (root / place.walk()[1][0].commit.header.records[0].key).parent
    new = place.open().new_record_id
    os.mkfifo(hour / f"{new()}.jsonl")
    (hour / f"{new()}.jsonl").symlink_to("/etc/passwd")
    (hour / f"{new()}.jsonl" / "x").mkdir(parents=True)
    os.mkfifo(root / ids.commit_key(end + 1))
    (root / ids.commit_key(end + 2)).symlink_to("/dev/zero")
    (root / ids.commit_key(end + 3)).mkdir()
    os.mkfifo(root / ids.commit_key(end + 4))
    report = check(place)
    assert [(code, severity) for code, severity, _ in told(report)] == [
        *[("void-slot", "error")] * 4,
        *[("foreign", "warning")] * 2,
    ]


@pytest.mark.parametrize("what", ["fifo", "link", "folder"])
def test_a_record_in_the_log_that_became_no_file_is_unreadable(tmp_path: Path, what: str) -> None:
    """Something else in a record's place is an error of its own."""
    place = two_runs(tmp_path)
    line = place.walk()[1][0].commit.header.records[0]
    path = place.evidence.root / line.key
    path.rename(tmp_path / "kept")
    {"fifo": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(tmp_path / "kept"), "folder": path.mkdir}[what]()
    assert told(check(place)) == [("unreadable", "error", line.key)]


def test_huge_objects_are_read_no_further_than_needed(tmp_path: Path) -> None:
    """Sparse objects of 600 MB at a slot, at a new record's key and behind a record's first line cost no time."""
    place = two_runs(tmp_path)
    end = place.walk()[0].number
    line = place.walk()[1][0].commit.header.records[0]
    stray = ids.record_key("local", place.open().new_record_id())
    for key in (ids.commit_key(end + 1), stray):
        with (place.evidence.root / key).open("wb") as file:
            file.truncate(600 << 20)
    path = place.evidence.root / line.key
    path.chmod(0o644)
    os.truncate(path, 600 << 20)
    began = time.process_time()
    assert told(check(place)) == [
        ("void-slot", "error", ids.commit_key(end + 1)),
        ("foreign", "warning", stray),
        ("altered-events", "error", line.key),
    ]
    assert time.process_time() - began < 20


def test_litter_beyond_the_cap_is_counted(tmp_path: Path) -> None:
    """A report keeps a thousand findings of a code; whoever asks gets every one."""
    place = two_runs(tmp_path)
    folder = place.evidence.root / "litter"
    folder.mkdir()
    for number in range(1_010):
        (folder / str(number)).touch()
    every: list[str] = []
    report = verify(
        place.evidence,
        place.working,
        now=ids.milliseconds(place.clock.now),
        on_finding=lambda finding: every.append(finding.code),
    )
    assert (len(report.findings), report.omitted, len(every)) == (1_000, 10, 1_010)
    assert (report.ok, report.trust) == (True, "first-use")


def test_a_newer_format_ends_the_walk(tmp_path: Path) -> None:
    """What a later version of tfaudit wrote can't be judged by this one, and it says so."""
    place = two_runs(tmp_path)
    state, _, _ = place.walk()
    tree = checkpoint.Checkpoint(origin=state.origin, size=state.size + 2, root=bytes(32))
    note = checkpoint.sign(tree, log_keys(place), seconds=1)
    place.evidence.create(ids.commit_key(state.number + 1), b"tfaudit-commit/v2\nwhatever\n\n" + note)
    assert told(check(place)) == [("unreadable", "error", ids.commit_key(state.number + 1))]


def test_an_approver_may_only_approve(tmp_path: Path) -> None:
    """A key of the approver list signs approvals, and nothing else in its name is a record."""
    person = create_key_file(tmp_path / "person.pem")
    place = make(tmp_path / "ledger", approvers=(person.public,))
    go_on(place)
    approval = forge(place, "approval", signer=person, writer="people")
    plan = forge(place, "plan", signer=person, writer="people")
    go_on(place)
    report = check(place)
    assert (report.ok, told(report), report.records) == (True, [("foreign", "warning", plan.key)], 3)
    assert place.walk()[1][1].commit.header.records[0].record_id == approval.record_id


def test_keys_count_from_their_place_in_the_log(tmp_path: Path) -> None:
    """Records before and after a change of keys are each judged by the keys of their place."""
    place = make(tmp_path / "ledger")
    go_on(place)
    new = create_key_file(tmp_path / "new.pem")
    signers = (AcceptedSigner(public=new.public, writers=("local",)),)
    place.open().change_keys(place.keys(generation=1, signers=signers), place.root, {})
    append(place.open(signer=new), "plan")
    old = forge(place)
    report = check(place)
    assert (report.records, told(report)) == (3, [("foreign", "warning", old.key)])


def _signature(place: Place, key: str) -> bytes:
    line = (place.evidence.root / key).read_bytes().partition(b"\n")[0]
    return line[line.index(b'"sig":"') + 7 : -4]


def test_a_false_claim_of_an_edit_hides_no_record(tmp_path: Path) -> None:
    """A record that only such a commit names is still missed in the log."""
    place = two_runs(tmp_path)
    line = forge(place)
    adopt(place, line, previous=(place.walk()[0].number, "0" * 64))
    assert "unsequenced" in {code for code, _, _ in told(check(place, later=2 * HOUR))}


def test_an_edited_commit_stays_an_error_when_the_log_goes_on(tmp_path: Path) -> None:
    """Writers step over what an edit made void; verify does not forget what was there."""
    place = two_runs(tmp_path)
    path = place.evidence.root / ids.commit_key(2)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"outcome", b"outdone"))
    for _ in range(2):
        go_on(place)
    report = check(place)
    assert not report.ok
    assert ("edited-commit", "error", ids.commit_key(2)) in told(report)
