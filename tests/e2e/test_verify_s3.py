"""Does verify see all that can be done to a ledger in buckets, and say plainly what it may not or can't look at?"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import s3ledger
from s3ledger import Keys, S3Ledger
from s3proxy import proxy

from tfaudit import schema
from tfaudit.config import Retention
from tfaudit.ledger import ids
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.verify import verify

pytestmark = pytest.mark.xdist_group("aws")
Findings = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Give keys for all ledgers of this module."""
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def ledger(aws_endpoint: str, tmp_path: Path, keys: Keys) -> S3Ledger:
    """A ledger of a plan and two applies: five records, each with a commit of its own."""
    found = S3Ledger(aws_endpoint, tmp_path, keys)
    fill(found)
    return found


def fill(ledger: S3Ledger) -> None:
    """Append a plan and two applies."""
    writer = ledger.open()
    ledger.append(writer)
    ledger.run(writer, 0)
    ledger.run(writer, 1)


def records(ledger: S3Ledger) -> list[str]:
    """Return the records' keys in log order."""
    reader = Reader.open(evidence=ledger.evidence(), working=ledger.working(), genesis_digest=ledger.anchor)
    return [entry.line.key for entry in reader.in_order()]


def commit(number: int) -> str:
    """Return a commit's key."""
    return ids.commit_key(number)


# --- what readers are protected from, and verify tells of ------------------------------------------------------------


def overwrite_a_record(ledger: S3Ledger, each: list[str]) -> Findings:
    """Other events on top of a locked record."""
    ledger.put(each[1], ledger.get(each[1]).replace(b"create", b"delete"))
    return [("overwritten", "error", each[1])]


def put_the_same_again(ledger: S3Ledger, each: list[str]) -> Findings:
    """A new version of the same bytes, whose lock is another."""
    ledger.put(each[1], ledger.get(each[1]))
    return [("overwritten", "error", each[1])]


def overwrite_a_commit(ledger: S3Ledger, each: list[str]) -> Findings:
    """Another commit's bytes on top of one."""
    ledger.put(commit(2), ledger.get(commit(1)))
    return [("overwritten", "error", commit(2))]


def overwrite_genesis(ledger: S3Ledger, each: list[str]) -> Findings:
    """Other keys for the ledger."""
    ledger.put(ids.GENESIS_KEY, ledger.get(ids.GENESIS_KEY).replace(b"ledger.example/s3", b"ledger.example/s4"))
    return [("overwritten", "error", ids.GENESIS_KEY)]


def delete_everything(ledger: S3Ledger, each: list[str]) -> Findings:
    """A marker over each object, so that a listing of the bucket shows nothing."""
    found = sorted([ids.GENESIS_KEY, *ledger.keys_under(ids.COMMITS), *each])
    for key in found:
        ledger.mark_deleted(key)
    return [("deleted", "error", key) for key in found]


def delete_and_put_again(ledger: S3Ledger, each: list[str]) -> Findings:
    """A marker, then a conditional create that succeeds since the object seems to be gone."""
    ledger.mark_deleted(each[2])
    ledger.put(each[2], b"forged\n", IfNoneMatch="*")
    return [("deleted", "error", each[2]), ("overwritten", "error", each[2])]


def let_locks_end(ledger: S3Ledger, each: list[str]) -> Findings:
    """The locks of a record, a commit and genesis are shortened until they have ended."""
    for key in (each[0], commit(1), ids.GENESIS_KEY):
        ledger.lock(key, days=-1)
    return [("lock-weakened", "error", key) for key in (commit(1), ids.GENESIS_KEY, each[0])]


def let_locks_end_soon(ledger: S3Ledger, each: list[str]) -> Findings:
    """A record and a commit are locked for ten more days: a warning."""
    for key in (each[0], commit(1)):
        ledger.lock(key, days=10)
    return [("expires-soon", "warning", key) for key in (commit(1), each[0])]


def litter(ledger: S3Ledger, each: list[str]) -> Findings:
    """Objects that are none of the ledger's, one with a record's key."""
    key = each[0][:-10] + "00000.jsonl"
    ledger.put(key, b"{}\n")
    ledger.put("notes.txt", b"hello")
    return [("foreign", "warning", "notes.txt"), ("foreign", "warning", key)]


HARMLESS = [
    overwrite_a_record,
    put_the_same_again,
    overwrite_a_commit,
    overwrite_genesis,
    delete_everything,
    delete_and_put_again,
    let_locks_end,
    let_locks_end_soon,
    litter,
]


@pytest.mark.parametrize("attack", HARMLESS, ids=lambda attack: attack.__name__)
def test_readers_see_the_first_version_and_verify_tells(
    ledger: S3Ledger, attack: Callable[[S3Ledger, list[str]], Findings]
) -> None:
    """Whatever is put on top, all is verified and read as it was written; the attack has its code and place."""
    before = records(ledger)
    expected = attack(ledger, before)
    found = ledger.verify()
    schema.validate("verify-report.v1", found.report)
    assert found.findings == sorted(expected)
    assert found.code == (76 if any(severity == "error" for _, severity, _ in expected) else 0)
    report = found.report
    assert (report["records"], report["commits"], report["events"], report["values"]) == (5, 5, 5, 5)
    assert records(ledger) == before


def test_compliance_is_not_governance(aws_endpoint: str, tmp_path: Path, keys: Keys) -> None:
    """Where genesis is locked in COMPLIANCE mode, an object whose mode was lowered is told of."""
    ledger = S3Ledger(aws_endpoint, tmp_path, keys, rule=Retention(mode="COMPLIANCE", days=400))
    fill(ledger)
    assert ledger.verify().findings == []
    # The emulator allows what AWS refuses.
    ledger.lock(commit(3), days=300)
    assert ledger.verify().findings == [("lock-weakened", "error", commit(3))]


# --- what breaks the ledger ------------------------------------------------------------------------------------------


def lose_genesis(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 2."""
    ledger.destroy(ids.GENESIS_KEY)
    return [("bad-genesis", "error", ids.GENESIS_KEY)]


def lose_a_commit(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 2: what its successors hold is told of as a part of the gap; it held the end of a run."""
    ledger.destroy(commit(2))
    return [("gap", "error", commit(2)), ("open-run", "warning", each[1])]


def exchange_a_commit(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 2: past its lock, by one who owns the bucket."""
    raw = ledger.get(commit(2))
    ledger.destroy(commit(2))
    ledger.put(commit(2), raw.replace(b"\n", b"\n\n", 1))
    ledger.lock(commit(2), days=400)
    return [("edited-commit", "error", commit(2)), ("open-run", "warning", each[1])]


def lose_a_record(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 3."""
    ledger.destroy(each[0])
    return [("phantom-leaf", "error", each[0])]


def exchange_a_records_events(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 3, and the lock of what was put there is missed too (check 1)."""
    raw = ledger.get(each[0])
    ledger.destroy(each[0])
    ledger.put(each[0], raw.replace(b'"create"', b'"delete"'))
    return [("altered-events", "error", each[0]), ("lock-weakened", "error", each[0])]


def exchange_a_records_statement(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 3."""
    raw = ledger.get(each[0])
    ledger.destroy(each[0])
    ledger.put(each[0], raw.replace(b'"payload":"', b'"payload":"A', 1))
    ledger.lock(each[0], days=400)
    return [("altered-record", "error", each[0])]


def leave_a_record_staged(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 5: staged two hours ago by one that holds no log key, and never committed."""
    evidence, clock = ledger.evidence(), s3ledger.now
    receipt = ledger.append(ledger.open(evidence=evidence, clock=lambda: clock() - timedelta(hours=2), log_signer=None))
    return [("unsequenced", "error", receipt.key)]


def change_the_state_past_tfaudit(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 6: the next run finds serial 5 where the last one left 2."""
    intent, _ = ledger.run(ledger.open(), 5)
    return [("unrecorded-change", "error", intent.key)]


def apply_without_leave(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 7: an intent that a gate denied, and that nobody closed."""
    intent = ledger.append(ledger.open(), "intent", decision={"decision": "deny", "reasons": []})
    return [("open-run", "warning", intent.key), ("unapproved-change", "error", intent.key)]


def lose_disclosures(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 9."""
    key = f"disclosures/{each[0][-42:-6]}.jsonl"
    ledger.working().remove(key)
    return [("missing-disclosure", "error", key)]


def alter_disclosures(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 9."""
    key = f"disclosures/{each[0][-42:-6]}.jsonl"
    working = ledger.working()
    stream = working.open(key)
    assert stream is not None
    with stream:
        working.replace(key, stream.read().replace(b"octocat", b"octodog"))
    return [("altered-disclosure", "error", key)]


def date_a_record_forward(ledger: S3Ledger, each: list[str]) -> Findings:
    """Check 10: by the store's own time a record came twenty minutes before it says it was made."""
    clock = s3ledger.now
    receipt = ledger.append(ledger.open(clock=lambda: clock() + timedelta(minutes=20)))
    return [("back-dated", "error", receipt.key)]


BROKEN = [
    lose_genesis,
    lose_a_commit,
    exchange_a_commit,
    lose_a_record,
    exchange_a_records_events,
    exchange_a_records_statement,
    leave_a_record_staged,
    change_the_state_past_tfaudit,
    apply_without_leave,
    lose_disclosures,
    alter_disclosures,
    date_a_record_forward,
]


@pytest.mark.parametrize("attack", BROKEN, ids=lambda attack: attack.__name__)
def test_each_check_works_on_buckets(ledger: S3Ledger, attack: Callable[[S3Ledger, list[str]], Findings]) -> None:
    """What no version can mend has the code that it has in a folder, and no other."""
    expected = attack(ledger, records(ledger))
    found = ledger.verify()
    schema.validate("verify-report.v1", found.report)
    assert found.findings == sorted(expected)
    assert found.code == 76
    assert found.report["ok"] is False


def test_a_kept_checkpoint_shows_a_lost_tail_and_another_history(ledger: S3Ledger, keys: Keys) -> None:
    """Checks 4 and 8: commits removed from the end, or a ledger of the same name and keys with another history."""
    kept = ledger.folder / "kept.txt"
    kept.write_text(ledger.verify().report["checkpoint"])
    other = S3Ledger(ledger.address, ledger.folder, keys)
    fill(other)
    assert [code for code, _, _ in other.verify("--checkpoint", str(kept)).findings] == ["fork"]
    newest = records(ledger)[-1]
    ledger.destroy(commit(4))
    ledger.destroy(newest)
    found = ledger.verify("--checkpoint", str(kept))
    assert {code for code, _, _ in found.findings} == {"truncated", "open-run"}
    assert found.code == 76


# --- what verify may not or can't look at ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "message"),
    [
        ("cut", "can't be reached"),
        ("403 AccessDenied", "AccessDenied"),
        ("400 ExpiredToken", "ExpiredToken"),
        ("404 NoSuchBucket", "there is no bucket"),
        ("301 PermanentRedirect", "is somewhere else"),
        ("503 SlowDown", "SlowDown"),
    ],
)
def test_a_store_that_answers_nothing_is_a_finding(ledger: S3Ledger, verdict: str, message: str) -> None:
    """The report is printed all the same, with one finding that says why, and the exit code is 76."""
    with proxy(ledger.address, lambda _method, _path: verdict) as between:
        found = ledger.verify(address=between.address)
    assert found.findings == [("bad-genesis", "error", ids.GENESIS_KEY)]
    assert message in found.report["findings"][0]["message"]
    schema.validate("verify-report.v1", found.report)
    assert found.code == 76
    assert found.stderr == ""


def test_an_endpoint_that_is_down_is_a_finding(ledger: S3Ledger) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    found = ledger.verify(address=address)
    assert found.findings == [("bad-genesis", "error", ids.GENESIS_KEY)]
    assert "can't be reached" in found.report["findings"][0]["message"]
    assert (found.code, found.stderr) == (76, "")


def test_a_missing_bucket_is_a_finding(ledger: S3Ledger) -> None:
    """The name is another's."""
    found = ledger.verify(TFAUDIT_LEDGER="s3://no-such-bucket-of-anybody/a")
    assert "there is no bucket no-such-bucket-of-anybody" in found.report["findings"][0]["message"]
    assert (found.code, found.stderr) == (76, "")


def test_missing_credentials_are_a_finding(ledger: S3Ledger) -> None:
    """No keys anywhere, nor a machine that has some."""
    found = ledger.verify(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true")
    assert "there are no AWS credentials" in found.report["findings"][0]["message"]
    assert (found.code, found.stderr) == (76, "")


def refused(*parts: str) -> Callable[[str, str], str | None]:
    """Refuse requests in whose method and path all of these stand."""

    def judge(method: str, path: str) -> str | None:
        return "403 AccessDenied" if all(part in f"{method} {path}" for part in parts) else None

    return judge


def test_what_may_not_be_read_is_told_of_each(ledger: S3Ledger) -> None:
    """Without leave to read records the log is verified, and each record is unreadable."""
    each = records(ledger)
    with proxy(ledger.address, refused("GET", "/a/records/")) as between:
        found = ledger.verify(address=between.address)
    assert found.findings == [("unreadable", "error", key) for key in sorted(each)]
    assert all("AccessDenied" in one["message"] for one in found.report["findings"])
    assert (found.report["commits"], found.report["events"], found.code) == (5, 0, 76)


def test_disclosures_that_may_not_be_read_can_be_left_out(ledger: S3Ledger) -> None:
    """An auditor who may not see values is told of each file, or says that values are not to be checked."""
    with proxy(ledger.address, refused("/a/disclosures/")) as between:
        found = ledger.verify(address=between.address)
        without = ledger.verify("--without-disclosures", address=between.address)
    assert {(code, severity) for code, severity, _ in found.findings} == {("unreadable", "error")}
    assert (len(found.findings), found.code) == (5, 76)
    assert (without.findings, without.code) == ([], 0)
    assert (without.report["events"], without.report["values"]) == (5, None)
    schema.validate("verify-report.v1", without.report)


# --- the growth alone ------------------------------------------------------------------------------------------------


def test_since_a_checkpoint_only_the_growth_is_read(ledger: S3Ledger) -> None:
    """Requests grow with what is new, not with the ledger; a marker on what is new is seen."""
    kept = ledger.folder / "kept.txt"
    kept.write_text(ledger.verify().report["checkpoint"])
    writer = ledger.open("people")
    new = [ledger.append(writer) for _ in range(3)]
    with proxy(ledger.address, lambda _method, _path: None) as between:
        found = ledger.verify("--since", str(kept), address=between.address)
    assert (found.code, found.findings) == (0, [])
    assert (found.report["records"], found.report["commits"], found.report["size"]) == (3, 3, 16)
    gets = [path for method, path, _ in between.seen if method == "GET" and "/records/" in path.partition("?")[0]]
    assert sorted(path.partition("?")[0].rpartition("/")[2][:36] for path in gets) == sorted(
        one.record_id for one in new
    )
    ledger.mark_deleted(new[1].key)
    ledger.put(commit(6), b"x")
    again = ledger.verify("--since", str(kept))
    assert again.findings == [("deleted", "error", new[1].key), ("overwritten", "error", commit(6))]


def test_since_a_checkpoint_of_another_history_all_is_checked(ledger: S3Ledger, keys: Keys) -> None:
    """There is no consistency proof from it: that is the finding."""
    other = S3Ledger(ledger.address, ledger.folder, keys)
    fill(other)
    kept = ledger.folder / "kept.txt"
    kept.write_text(other.verify().report["checkpoint"])
    found = ledger.verify("--since", str(kept))
    assert [code for code, _, _ in found.findings] == ["fork"]
    assert (found.report["records"], found.code) == (5, 76)


# --- many processes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_have_connections_of_their_own(ledger: S3Ledger, processes: int) -> None:
    """The same report whoever checks: a store goes to other processes by fork or in a pickle."""
    stores: list[Any] = [ledger.evidence(), ledger.working()]
    for evidence, working in (stores, pickle.loads(pickle.dumps(stores))):
        now = ids.milliseconds(s3ledger.now())
        report = verify(evidence, working, now=now, anchor=ledger.anchor, processes=processes)
        assert (report.ok, report.findings, report.records, report.values) == (True, (), 5, 5)
