"""Does verify see what was done to a store that keeps versions: overwritten, deleted, unlocked objects?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from verifykit import Copy, MemoryStore, append, copy, two_runs

from tfaudit.ledger import ids
from tfaudit.ledger.store import Lock
from tfaudit.ledger.verify import Report, verify
from tfaudit.ledger.verify.versions import Version, findings

DAY = 24 * 60 * 60 * 1000
NOW = 20_600 * DAY
KEY = "records/local/2026/03/01/10/019ca8f2-a441-732f-8b12-24083fd22f89.jsonl"
LOCKED = Lock("GOVERNANCE", NOW + 365 * DAY, held=False)


class VersionedStore(MemoryStore):
    """A store in memory with a list of versions and locks to show."""

    def __init__(
        self,
        objects: dict[str, bytes | None],
        versions: list[Version] | None = None,
        *,
        promised: str | None = None,
        locks: dict[str, Lock] | None = None,
        shown: bool = True,
    ) -> None:
        super().__init__(objects)
        self.locks = promised
        self.asked: list[tuple[str, str]] = []
        self._versions = versions or []
        self._each = locks or {}
        self._shown = shown

    def versions(self, prefix: str, *, after: str = "") -> Iterator[Version]:
        """Yield the versions by key, oldest first."""
        self.asked.append((prefix, after))
        wanted = (one for one in self._versions if one.key.startswith(prefix) and one.key > after)
        yield from sorted(wanted, key=lambda one: one.key)

    def lock(self, key: str) -> Lock | None:
        """Return a lock of its own, or the usual one."""
        return (self._each.get(key, LOCKED) if self._shown else Lock(None, None, held=False)) if key else None

    def shows_locks(self, key: str) -> bool:
        """Tell what was said."""
        return self._shown


def version(key: str = KEY, *, marker: bool = False, late: int = 100) -> Version:
    """Return a version that the store got just after its record was made."""
    return Version(key, marker, ids.record_time(KEY[-42:-6]) + late)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Give a ledger that is whole."""
    return copy(two_runs(tmp_path_factory.mktemp("versions")))


def told(whole: Copy, store: VersionedStore, *, now: int = NOW) -> Report:
    """Verify the ledger at a time when its records are no longer news."""
    return verify(store, MemoryStore(whole.working), now=now, anchor=whole.anchor, processes=1)


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ([version()], []),
        ([version(), version()], [("overwritten", "error")]),
        ([version(), version(marker=True)], [("deleted", "error")]),
        ([version(), version(marker=True), version()], [("deleted", "error"), ("overwritten", "error")]),
        ([version(marker=True)], [("deleted", "error")]),
        ([version(marker=True), version()], [("deleted", "error")]),
        ([version(marker=True), version(), version()], [("deleted", "error"), ("overwritten", "error")]),
        ([version(late=-6 * 60 * 1000)], [("back-dated", "error")]),
        ([version("probe/1"), version("probe/1", marker=True)], []),
    ],
    ids=str,
)
def test_versions_show_what_was_done(versions: list[Version], found: list[tuple[str, str]]) -> None:
    """Each way to hide or replace an object has its code."""
    store = VersionedStore({}, versions)
    assert [(finding.code, finding.severity) for finding in findings(store, [("", "")])] == found


@pytest.mark.parametrize(
    ("lock", "promised", "found"),
    [
        (LOCKED, "GOVERNANCE", []),
        (LOCKED._replace(mode="COMPLIANCE"), "GOVERNANCE", []),
        (LOCKED, "COMPLIANCE", [("lock-weakened", "error")]),
        (LOCKED, None, []),
        (Lock(None, None, held=False), "GOVERNANCE", [("lock-weakened", "error")]),
        (Lock(None, None, held=False), None, [("lock-weakened", "error")]),
        (LOCKED._replace(until=NOW - 1), "GOVERNANCE", [("lock-weakened", "error")]),
        (Lock("GOVERNANCE", NOW - 1, held=True), "GOVERNANCE", []),
        (LOCKED._replace(until=NOW + 29 * DAY), "GOVERNANCE", [("expires-soon", "warning")]),
    ],
    ids=str,
)
@pytest.mark.parametrize("prefix", [ids.COMMITS, ids.RECORDS])
def test_locks_are_held_against_what_was_promised(
    whole: Copy, prefix: str, lock: Lock, promised: str | None, found: list[tuple[str, str]]
) -> None:
    """A commit or record that is not locked as the configuration says, or else as genesis is, is told of."""
    key = whole.keys(prefix)[1]
    usual = LOCKED._replace(mode=promised or "GOVERNANCE")
    locks = {ids.GENESIS_KEY: usual} | dict.fromkeys(whole.evidence, usual) | {key: lock}
    report = told(whole, VersionedStore(whole.evidence, promised=promised, locks=locks))
    assert [(finding.code, finding.severity, finding.where) for finding in report.findings] == [
        (*each, key) for each in found
    ]


def test_a_genesis_from_before_a_promise_is_no_error(whole: Copy) -> None:
    """Setup locks it in GOVERNANCE mode where COMPLIANCE is configured afterwards: a warning, unless that has ended."""
    strict = LOCKED._replace(mode="COMPLIANCE")
    for genesis, found in ((LOCKED, []), (LOCKED._replace(until=NOW - 1), [("lock-weakened", "error")])):
        locks = dict.fromkeys(whole.evidence, strict) | {ids.GENESIS_KEY: genesis}
        report = told(whole, VersionedStore(whole.evidence, promised="COMPLIANCE", locks=locks))
        assert [(one.code, one.severity) for one in report.findings] == [("lock-weakened", "warning"), *found]
        assert report.ok is not bool(found)


def test_genesis_alone_promises_nothing(whole: Copy) -> None:
    """Where the log began without locks a single warning says so; a configured retention makes each an error."""
    unlocked = {key: Lock(None, None, held=False) for key in whole.evidence} | {ids.GENESIS_KEY: LOCKED}
    report = told(whole, VersionedStore(whole.evidence, locks=unlocked))
    assert [(one.code, one.severity, one.where) for one in report.findings] == [
        ("lock-weakened", "warning", "the evidence store")
    ]
    assert report.ok
    assert not told(whole, VersionedStore(whole.evidence, locks=unlocked, promised="GOVERNANCE")).ok


def test_where_no_lock_was_promised_none_is_missed(whole: Copy) -> None:
    """A bucket whose genesis is not locked, and no configuration says it should be, has no locks to weaken."""
    unlocked = {key: Lock(None, None, held=False) for key in whole.evidence}
    assert told(whole, VersionedStore(whole.evidence, locks=unlocked)).findings == ()


def test_a_reader_who_may_not_see_locks_accuses_nobody(whole: Copy) -> None:
    """Where the store shows no locks to these credentials that is said once, and not that all locks are gone."""
    report = told(whole, VersionedStore(whole.evidence, promised="GOVERNANCE", shown=False))
    assert [(finding.code, finding.where) for finding in report.findings] == [("unreadable", "the evidence store")]
    assert "s3:GetObjectRetention" in report.findings[0].message


def test_verify_asks_a_store_that_keeps_versions(whole: Copy) -> None:
    """What the versions show is part of the report."""
    key = whole.keys(ids.COMMITS)[0]
    report = told(whole, VersionedStore(whole.evidence, [version(key), version(key, marker=True)]))
    assert [(finding.code, finding.where) for finding in report.findings] == [("deleted", key)]
    assert not report.ok


def test_the_growth_alone_has_its_versions_listed(tmp_path: Path) -> None:
    """After a kept checkpoint only new commits and the hours of new records are looked at, and genesis."""
    place = two_runs(tmp_path)
    kept = place.walk()[0].checkpoint
    number = place.walk()[0].number
    assert kept is not None
    place.clock.advance(hours=5)
    append(place.open(), "plan")
    grown = copy(place)
    newest = grown.keys(ids.RECORDS)[-1]
    store = VersionedStore(grown.evidence, [version(newest, late=DAY), version(newest, marker=True)])
    report = verify(store, MemoryStore(grown.working), now=grown.now, since=kept.encode(), processes=1)
    assert [(finding.code, finding.where) for finding in report.findings] == [("deleted", newest)]
    assert store.asked == [
        (ids.GENESIS_KEY, ""),
        (ids.COMMITS, ids.commit_key(number)),
        (newest.rpartition("/")[0] + "/", ""),
    ]
