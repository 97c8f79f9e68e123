"""Is this ledger whole: every byte, signature and link of it, recomputed from what is stored.

Memory does not grow with the ledger. Nothing that stands in a store makes :func:`verify` raise: it is a finding.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, cast

from tfaudit.errors import InputError, LedgerError
from tfaudit.ledger import genesis, ids, live
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.verify import anchors, pool, retained, runs, states, versions
from tfaudit.ledger.verify.commits import Walk
from tfaudit.ledger.verify.decisions import Decisions
from tfaudit.ledger.verify.findings import Finding, Findings, Severity, error
from tfaudit.ledger.verify.growth import Earlier
from tfaudit.ledger.verify.history import History
from tfaudit.ledger.verify.reading import read
from tfaudit.ledger.verify.records import Task
from tfaudit.ledger.verify.report import Report
from tfaudit.ledger.verify.scratch import Scratch, translated
from tfaudit.ledger.verify.staged import Listing
from tfaudit.ledger.verify.versions import Locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.store import Store, Working
    from tfaudit.ledger.verify.growth import Start
    from tfaudit.ledger.verify.scratch import Leaf

__all__ = ["Finding", "Report", "Severity", "verify"]


def verify(
    evidence: Store,
    working: Store | None,
    *,
    now: int,
    anchor: str | None = None,
    kept: bytes | None = None,
    since: bytes | None = None,
    processes: int | None = None,
    on_finding: Callable[[Finding], None] | None = None,
) -> Report:
    """Return what there is to say about the ledger in ``evidence``.

    ``working`` holds the disclosures; None leaves them unchecked. ``now`` is the store's time in milliseconds.
    ``anchor`` is the digest (``sha256:…``) that genesis must have; ``kept`` a checkpoint that the log must continue;
    ``since`` one up to which an earlier verify has checked the log, so that only what came after is looked at.
    ``processes`` is how many check records, by default as many as pay off. ``on_finding`` gets each finding as it is
    made; the report keeps the first thousand of each code.

    Raises :class:`UnavailableError` when there is no room for a temporary index or a process was killed.
    """
    findings = Findings(on_finding)
    first = _genesis(evidence, anchor, findings)
    if first is None:
        return _report(findings, anchor)
    with translated(), Scratch() as scratch:
        run = _Run(evidence, working, first, scratch=scratch, findings=findings, now=now)
        return run.report(anchor=anchor, kept=kept, since=since, processes=processes)


def _genesis(evidence: Store, anchor: str | None, findings: Findings) -> Genesis | None:
    try:
        raw = read(evidence, ids.GENESIS_KEY, limit=genesis.MAX_GENESIS + 1)
        if raw is None:
            findings.add(error("bad-genesis", ids.GENESIS_KEY, "there is no genesis, so there is no ledger here"))
            return None
        found = genesis.parse(raw)
    except (InputError, LedgerError) as failure:
        findings.add(error("bad-genesis", ids.GENESIS_KEY, f"genesis can't be read: {failure.message}"))
        return None
    if anchor is not None and found.digest != anchor:
        message = f"genesis is {found.digest}, and the trust anchor says {anchor}"
        findings.add(error("bad-genesis", ids.GENESIS_KEY, message))
    return found


def _report(findings: Findings, anchor: str | None) -> Report:
    """Return the report on a ledger without a genesis."""
    return Report(
        ok=False,
        origin=None,
        trust="first-use" if anchor is None else "anchor",
        size=0,
        root=None,
        commits=0,
        records=0,
        events=0,
        values=0,
        pending=0,
        findings=findings.kept,
        omitted=findings.omitted,
        checkpoint=None,
    )


class _Run:
    """One verify, in the order of the ledger's design."""

    def __init__(
        self,
        evidence: Store,
        working: Store | None,
        first: Genesis,
        *,
        scratch: Scratch,
        findings: Findings,
        now: int,
    ) -> None:
        self._evidence = evidence
        self._working = working
        self._genesis = first
        self._scratch = scratch
        self._findings = findings
        self._now = now
        self._records = self._events = self._values = 0

    def report(self, *, anchor: str | None, kept: bytes | None, since: bytes | None, processes: int | None) -> Report:
        """Check everything and return the report."""
        earlier = Earlier(self._evidence, self._genesis)
        start: Start | None = None
        if since is not None:
            with suppress(LedgerError):
                start = earlier.start(since)
        state = start.state if start else live.start(self._genesis)
        locks = self._promised()
        walk = Walk(
            self._evidence,
            state,
            state.number + 1,
            time=start.time if start else 0,
            locks=locks,
            scratch=self._scratch,
            findings=self._findings,
        )
        self._guarded(walk.run)
        history = History(
            self._scratch,
            origin=self._genesis.origin,
            keysets=walk.keysets,
            start=state.size if start else 0,
            end=walk.state,
            whole=walk.whole,
            earlier=earlier.head,
        )
        listing = Listing(self._evidence, walk.state, scratch=self._scratch, history=history, now=self._now)
        self._take(lambda: listing.run(start=start, later=walk.later))
        self._take(lambda: self._check_records(walk, history, locks, processes))
        self._take(lambda: self._check_whole(history, kept, since if start is None else None))
        self._take(lambda: self._check_decisions(walk, start))
        self._take(lambda: self._check_versions(start))
        return Report(
            ok=self._findings.errors == 0,
            origin=self._genesis.origin,
            trust="first-use" if anchor is None else "anchor",
            size=walk.state.size,
            root=walk.state.root.hex() if walk.state.size else None,
            commits=walk.commits,
            records=self._records,
            events=self._events,
            values=self._values if self._working is not None else None,
            pending=listing.pending,
            findings=self._findings.kept,
            omitted=self._findings.omitted,
            checkpoint=walk.state.checkpoint,
        )

    def _promised(self) -> Locks:
        try:
            locks, blind = versions.promised(self._evidence, now=self._now)
        except LedgerError as failure:
            locks, blind = Locks(mode=None, now=self._now), _unreadable(failure)
        if blind is not None:
            self._findings.add(blind)
            return locks
        self._take(lambda: locks.findings(self._evidence, ids.GENESIS_KEY))
        return locks

    def _check_records(self, walk: Walk, history: History, locks: Locks, processes: int | None) -> Iterator[Finding]:
        if processes is None:
            processes = pool.cores() if self._scratch.total_bytes() >= pool.WORTH_IT else 1
        for leaf, first in self._scratch.twice():
            where = ids.record_key(leaf.writer, leaf.record_id)
            message = f"the log holds this record's id twice, at {first} and at {leaf.position}: the first one counts"
            yield error("duplicate", where, message, who=leaf.writer)
        retentions = retained.retentions(self._evidence, self._scratch, walk.keysets)

        def task(leaf: Leaf) -> Task:
            prune = retentions.pruned(leaf.record_id, leaf.position) if retentions.prunes else None
            erased = self._scratch.erased(leaf.leaf)
            return Task(leaf=leaf, erased=erased, pruned=prune.record_id if prune else None)

        gone: Counter[str] = Counter()
        for outcome in pool.outcomes(
            map(task, self._scratch.leaves()),
            evidence=self._evidence,
            working=self._working,
            origin=self._genesis.origin,
            keysets=walk.keysets,
            locks=locks,
            processes=processes,
        ):
            self._records += 1
            self._events += outcome.events
            self._values += outcome.values
            yield from outcome.findings
            if outcome.pruned is not None:
                gone[outcome.pruned] += 1
            if outcome.lacking is not None:
                runs.note_lacking(self._scratch, outcome.leaf, outcome.lacking)
            if outcome.keeps:
                runs.note_kept(self._scratch, outcome.leaf)
            if outcome.claims is not None:
                yield from history.check(outcome.leaf, outcome.claims)
                states.note(self._scratch, outcome.leaf, outcome.claims)
                yield from runs.note(self._scratch, outcome.leaf, outcome.claims)

        yield from retained.findings(self._scratch, retentions, gone)

    def _check_whole(self, history: History, *kept: bytes | None) -> Iterator[Finding]:
        yield from states.findings(self._scratch)
        yield from runs.findings(self._scratch, now=self._now)
        for note in kept:
            if note is not None:
                broken = history.broken(history.place(note), "the kept checkpoint", "the kept checkpoint")
                if broken is not None:
                    yield broken
        yield from anchors.findings(self._evidence)

    def _check_decisions(self, walk: Walk, start: Start | None) -> Iterator[Finding]:
        if self._working is None:
            return
        # Records and what is disclosed of them are read, and nothing is written.
        working = cast("Working", self._working)
        reader = Reader(evidence=self._evidence, working=working, genesis=self._genesis, state=walk.state)
        yield from Decisions(reader, self._scratch, start=start.state if start else None, now=self._now).findings()

    def _check_versions(self, start: Start | None) -> Iterator[Finding]:
        if not isinstance(self._evidence, versions.Versioned):
            return
        places: Iterable[tuple[str, str]] = [("", "")]
        if start is not None:
            growth = [(ids.GENESIS_KEY, ""), (ids.COMMITS, ids.commit_key(start.state.number))]
            places = chain(growth, ((folder, "") for folder in self._scratch.folders()))
        yield from versions.findings(self._evidence, places)

    def _take(self, check: Callable[[], Iterator[Finding]]) -> None:
        self._guarded(lambda: self._findings.extend(check()))

    def _guarded(self, check: Callable[[], None]) -> None:
        """Run one check; a store that fails under it is a finding, and the next check may fare better."""
        try:
            check()
        except LedgerError as failure:
            self._findings.add(_unreadable(failure))


def _unreadable(failure: LedgerError) -> Finding:
    return error("unreadable", "the evidence store", f"the store failed: {failure.message}")
