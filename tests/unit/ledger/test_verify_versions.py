"""Does verify see what was done to a store that keeps versions: overwritten, deleted, unlocked objects?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from verifykit import MemoryStore, copy, two_runs

from tfaudit.ledger import ids
from tfaudit.ledger.verify import verify
from tfaudit.ledger.verify.versions import Version, findings

DAY = 24 * 60 * 60 * 1000
NOW = 20_000 * DAY
KEY = "records/local/2026/03/01/10/019ca8f2-a441-732f-8b12-24083fd22f89.jsonl"


class VersionedStore(MemoryStore):
    """A store in memory with a list of versions to show."""

    def __init__(self, objects: dict[str, bytes | None], versions: list[Version], locks: str | None) -> None:
        super().__init__(objects)
        self.locks = locks
        self._versions = versions

    def versions(self, prefix: str) -> Iterator[Version]:
        """Yield the versions by key, oldest first."""
        yield from sorted((one for one in self._versions if one.key.startswith(prefix)), key=lambda one: one.key)


def version(key: str = KEY, **changes: object) -> Version:
    """Return a version that was locked for a year just after its record was made."""
    values: dict[str, object] = {
        "key": key,
        "marker": False,
        "modified": ids.record_time(KEY[-42:-6]) + 100,
        "mode": "GOVERNANCE",
        "retain_until": NOW + 365 * DAY,
        "held": False,
    }
    return Version(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ([version()], []),
        ([version(), version()], [("overwritten", "error")]),
        ([version(), version(marker=True)], [("deleted", "error")]),
        ([version(), version(marker=True), version()], [("deleted", "error"), ("overwritten", "error")]),
        ([version(marker=True)], [("deleted", "error")]),
        ([version(mode=None, retain_until=None)], [("lock-weakened", "error")]),
        ([version(retain_until=NOW - 1)], [("lock-weakened", "error")]),
        ([version(retain_until=NOW - 1, held=True)], []),
        ([version(retain_until=NOW + 29 * DAY)], [("expires-soon", "warning")]),
        ([version(modified=ids.record_time(KEY[-42:-6]) - 6 * 60 * 1000)], [("back-dated", "error")]),
        ([version("probe/1", mode=None, retain_until=None)], []),
    ],
    ids=str,
)
def test_versions_show_what_was_done(versions: list[Version], told: list[tuple[str, str]]) -> None:
    """Each way to hide, replace or unlock an object has its code."""
    store = VersionedStore({}, versions, "GOVERNANCE")
    assert [(finding.code, finding.severity) for finding in findings(store, now=NOW)] == told


def test_governance_is_weaker_than_compliance() -> None:
    """Where COMPLIANCE was promised, an object under GOVERNANCE is not locked as promised."""
    store = VersionedStore({}, [version()], "COMPLIANCE")
    assert [finding.code for finding in findings(store, now=NOW)] == ["lock-weakened"]


def test_where_no_lock_was_promised_none_is_missed() -> None:
    """A plain bucket with versions has no locks to weaken."""
    store = VersionedStore({}, [version(mode=None, retain_until=None)], None)
    assert list(findings(store, now=NOW)) == []


def test_verify_asks_a_store_that_keeps_versions(tmp_path: Path) -> None:
    """What the versions show is part of the report."""
    ledger = copy(two_runs(tmp_path))
    key = ledger.keys(ids.COMMITS)[0]
    store = VersionedStore(ledger.evidence, [version(key), version(key, marker=True)], None)
    report = verify(store, MemoryStore(ledger.working), now=ledger.now)
    assert [(finding.code, finding.where) for finding in report.findings] == [("deleted", key)]
    assert not report.ok
