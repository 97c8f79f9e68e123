"""What the tests of verify share: a ledger of two runs, copied into memory so that it can be tampered with."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ledgerkit import Place, make

from tfaudit import canonical
from tfaudit.events import commitment
from tfaudit.events.model import EventLine
from tfaudit.ledger import extend, ids, merkle
from tfaudit.ledger.commit import Header, RecordLine
from tfaudit.ledger.log import Ledger, Receipt
from tfaudit.ledger.store import Entry
from tfaudit.ledger.verify import Report, verify
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import Signer

STATE = "5a" * 32
LINEAGE = "6f1f5bd2-8b9e-4b4c-a1de-0c7f2d3f9a55"


class MemoryStore:
    """A store in a dictionary; a value of None is something that is there and is no object."""

    def __init__(self, objects: dict[str, bytes | None]) -> None:
        self.objects = objects

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create an object."""
        if key in self.objects:
            return False
        self.objects[key] = head + (tail.read() if tail else b"")
        return True

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open an object."""
        content = self.objects.get(key)
        return None if content is None else io.BytesIO(content)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List objects."""
        folder = ""
        for key in sorted(self.objects, key=lambda key: key.encode("utf-8", "surrogateescape")):
            if not key.startswith(prefix) or key <= after or (folder and key.startswith(folder)):
                continue
            name, slash, _ = key[len(prefix) :].partition("/")
            if shallow and slash:
                folder = f"{prefix}{name}/"
                yield Entry(folder, None)
            else:
                content = self.objects[key]
                yield Entry(key, None if content is None else len(content))


@dataclass
class Copy:
    """A copy of a ledger in memory, and what verify needs to know about it."""

    evidence: dict[str, bytes | None]
    working: dict[str, bytes | None]
    anchor: str
    now: int

    def verify(self, **options: object) -> Report:
        """Verify the copy as it is now."""
        values: dict[str, object] = {"now": self.now, "anchor": self.anchor, "processes": 1, **options}
        return verify(MemoryStore(self.evidence), MemoryStore(self.working), **values)  # type: ignore[arg-type]

    def codes(self, **options: object) -> set[str]:
        """Return the codes of the findings."""
        return {finding.code for finding in self.verify(**options).findings}

    def fresh(self) -> Copy:
        """Return another copy, to spoil."""
        return Copy(dict(self.evidence), dict(self.working), self.anchor, self.now)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys under a prefix, ascending."""
        return sorted(key for key in self.evidence if key.startswith(prefix))


def copy(place: Place) -> Copy:
    """Return the ledger as it lies in its folder now."""
    stores = []
    for store in (place.evidence, place.working):
        objects: dict[str, bytes | None] = {}
        for entry in store.list(""):
            stream = store.open(entry.key)
            assert stream is not None
            with stream:
                objects[entry.key] = stream.read()
        stores.append(objects)
    return Copy(stores[0], stores[1], place.genesis().digest, ids.milliseconds(place.clock.now))


def append(ledger: Ledger, kind: str, *, events: int = 1, spool: bool = False, **facts: object) -> Receipt:
    """Append a record with disclosed values in its lines and in its statement."""
    with ledger.draft(kind) as draft:
        for number in range(events):
            draft.add(event(draft.record_id, number))
        actor = draft.disclose("/actor", b'"octocat"')
        return ledger.append(draft, {"actor": actor, **facts}, spool=spool)


def event(record_id: str, number: int) -> EventLine:
    """Return a line with a changed attribute, an error message and a pseudonymous address, all disclosed."""
    hidden = commitment.commit(record_id, "", None, "/address", b'"a.b[\\"joe@example.test\\"]"', bytes(16))
    address = f'a.b["~{hidden.digest[:16]}"]'
    before = commitment.commit(record_id, address, None, "/size", b"%d" % number, bytes(16), "before")
    after = commitment.commit(record_id, address, None, "/size", b'{"a":[1.50]}', bytes(range(16)), "after")
    error = commitment.commit(record_id, address, None, "/error", b'"no"', bytes(16))
    line = {
        "kind": "resource-change",
        "address": address,
        "action": "update",
        "attributes": [{"path": "/size", "before": before.digest, "after": after.digest}],
        "error": {"digest": error.digest},
    }
    members = (before.member, after.member, hidden.member, error.member)
    return EventLine(canonical.encode(line), commitment.encode_values(members))


def state(
    before: int | None, after: int | None = None, *, lineage: str = LINEAGE, key: str = STATE
) -> dict[str, object]:
    """Return a record's ``state``; ``before`` None is no state yet."""
    told: dict[str, object] = {"key": key}
    told["before"] = {"lineage": "", "serial": 0} if before is None else {"lineage": lineage, "serial": before}
    if after is not None:
        told["after"] = {"lineage": lineage, "serial": after}
    return told


def run(ledger: Ledger, before: int | None, after: int | None, **changes: object) -> tuple[Receipt, Receipt]:
    """Append the intent and the outcome of an apply."""
    facts: dict[str, object] = {"decision": {"decision": "not-gated", "reasons": []}, **changes}
    intent = append(ledger, "intent", state=state(before), **facts)
    outcome = append(
        ledger, "outcome", intent=intent.record_id, state=state(before, after), result={"status": "applied"}
    )
    return intent, outcome


def two_runs(folder: Path) -> Place:
    """Return a ledger with a plan and two applies."""
    place = make(folder)
    ledger = place.open()
    append(ledger, "plan", state=state(None))
    run(ledger, None, 1)
    run(ledger, 1, 2)
    return place


def forge(
    place: Place,
    kind: str = "plan",
    *,
    facts: dict[str, object] | None = None,
    signer: Signer | None = None,
    writer: str = "local",
    record_id: str | None = None,
    edit: Callable[[bytes], bytes] = lambda line: line,
    **fields: object,
) -> RecordLine:
    """Stage a record that says what a test wants, and return the line by which a commit would adopt it.

    ``fields`` are those that a ledger sets itself; ``edit`` changes line 1 after it was signed.
    """
    state, _, _ = place.walk()
    values: dict[str, object] = {
        "origin": place.genesis().origin,
        "writer": writer,
        "time": ids.milliseconds(place.clock()),
        "seen": state.checkpoint,
        "previous": None,
        "spooled": None,
        **fields,
    }
    with place.open().draft(kind, record_id=record_id) as draft:
        sealed = draft.seal(facts or {}, subjects=(), signer=signer or place.signer, **values)  # type: ignore[arg-type]
        line = edit(sealed.line)
        place.evidence.create(ids.record_key(writer, draft.record_id), line + b"\n", sealed.events)
        return replace(sealed.record, writer=writer, leaf=merkle.leaf_hash(line))


def adopt(place: Place, *records: RecordLine, slot: int | None = None, **changes: object) -> bytes:
    """Put a commit that adopts these records into the next slot, or another; ``changes`` make it say otherwise."""
    state, lives, voids = place.walk()
    number = len(lives) + len(voids) if slot is None else slot
    header = extend.next_header(
        state,
        number=number,
        time=ids.milliseconds(place.clock()),
        records=records,
        envelope=None,
        strays=[],
        committer=place.signer.public.keyid,
        own=None,
    )
    raw = sign(place, replace(header, **changes))  # type: ignore[arg-type]
    place.evidence.create(ids.commit_key(number), raw)
    return raw


def sign(place: Place, header: Header) -> bytes:
    """Return the commit of a header, signed as the ledger's own."""
    return extend.sign(header, place.genesis().origin, place.signer, log_keys(place))


def log_keys(place: Place) -> list[tuple[NoteKey, Signer]]:
    """Return the log's key as a note signer."""
    return [(NoteKey(name=place.genesis().origin, public=place.log.public), place.log)]
