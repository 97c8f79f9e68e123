"""How is one event of the ledger proven to someone who has nothing but the proof?

One walk back over the commits and one over the record's event lines; memory grows by 32 bytes a leaf of the log, not
with the record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError, VerificationError
from tfaudit.export import disclosed, proofcheck
from tfaudit.export.proof import Included, Proof, parse_event_id
from tfaudit.ledger import checkpoint, commit, genesis, head, ids, live, merkle
from tfaudit.ledger.paths import Paths
from tfaudit.ledger.store import read
from tfaudit.ledger.verify import values
from tfaudit.signing import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfaudit.events.commitment import Disclosed, Disclosure
    from tfaudit.ledger.commit import Header, RecordLine
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Store

_HASH: Final = 32


def make(
    event_id: str,
    *,
    evidence: Store,
    working: Store,
    reader: Reader,
    reveal: Sequence[str] = (),
    reveal_record: Sequence[str] = (),
) -> Proof:
    """Return the proof of an event, or with the number 0 of a record's statement, in the log as ``reader`` shows it.

    ``reveal`` are the JSON pointers of the event's values to open, ``reveal_record`` those of the statement's; all
    other values stay digests. The proof has been checked. Raises :class:`InputError` for an event that the log does
    not hold or a value that can't be revealed, :class:`VerificationError` where the ledger is altered,
    :class:`LedgerError` when it can't be read.
    """
    record_id, number = parse_event_id(event_id)
    found = _walk(evidence, reader, record_id)
    statement = reader.record(found.line)
    if number > statement.event_count:
        raise InputError(
            f"record {record_id} has no event {number}", hint=f"it has {statement.event_count}; 0 is its statement"
        )
    event: Included | None = None
    event_values: tuple[Disclosed, ...] = ()
    if number:
        event = _event(reader, found.line, number)
        with disclosed.Lines(working, record_id) as lines:
            event_values = _revealed(
                reveal, proofcheck.event_document(event.entry), record_id, lines.of(number), "event"
            )
    else:
        reveal_record = (*reveal_record, *reveal)
    record_values = _revealed(
        reveal_record, statement.predicate, record_id, disclosed.statement(working, record_id), "record"
    )
    raw = read(evidence, ids.GENESIS_KEY, limit=genesis.MAX_GENESIS + 1) or b""
    proof = Proof(
        record_id=record_id,
        number=number,
        anchor=reader.genesis.digest,
        genesis=raw,
        event=event,
        event_values=event_values,
        record=Included(entry=_line_1(evidence, found.line), position=found.position, path=found.paths[found.position]),
        record_values=record_values,
        commits=tuple(
            Included(entry=entry, position=position, path=found.paths[position]) for position, entry in found.commits
        ),
        checkpoint=_checkpoint(reader, [entry for _, entry in found.commits]),
    )
    proofcheck.check(proof, log_key=None, anchor=reader.genesis.digest)
    return proof


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Where the record is in the log, and what leads from there to the root."""

    line: RecordLine
    position: int
    commits: tuple[tuple[int, bytes], ...]
    """(position, entry) in log order."""
    paths: Mapping[int, tuple[bytes, ...]]


def _walk(evidence: Store, reader: Reader, record_id: str) -> _Found:
    """Walk from the newest commit back past the record and all changes of keys, then forward over the leaves."""
    state = reader.state
    commits: list[tuple[int, bytes]] = []
    leaves: list[bytes] = []
    line: RecordLine | None = None
    position = -1
    keys: int | None = None
    start: tuple[tuple[bytes, ...], int] = ((), 0)
    mark = f"/{record_id}.jsonl ".encode()
    for number, raw in head.back_from(evidence, state.number, state.digest):
        if line is not None and keys is None:
            # Everything wanted lies behind: what came before is summed up in this commit's frontier.
            start = _tree_after(raw)
            break
        size, _, lines = commit.skim(raw)
        entry = raw.partition(b"\n\n")[0] + b"\n"
        own = next((at for at, one in enumerate(lines) if one.record_id == record_id), None) if mark in raw else None
        if own is not None:
            line, position = lines[own], size + own
        if own is not None or number == keys or number == state.number:
            header = commit.parse_entry(entry)[0]
            if number in (keys, state.number):
                keys = header.keys
            commits.append((size + len(lines), entry))
        leaves.append(b"".join((*(one.leaf for one in lines), merkle.leaf_hash(entry))))
    if line is None:
        raise InputError(f"the log holds no record {record_id}", hint="`tfaudit log` lists what it holds")
    commits.reverse()
    tree = Paths({position, *(at for at, _ in commits)}, frontier=start[0], size=start[1])
    for batch in reversed(leaves):
        for at in range(0, len(batch), _HASH):
            tree.add(batch[at : at + _HASH])
    root, paths = tree.finish()
    if (tree.size, root) != (state.size, state.root):
        raise VerificationError("the log's leaves don't lead to its root", hint="run `tfaudit verify`")
    return _Found(line=line, position=position, commits=tuple(commits), paths=paths)


def _tree_after(raw: bytes) -> tuple[tuple[bytes, ...], int]:
    """Return the frontier and the size of the log's tree after a live commit."""
    parsed = commit.parse(raw)
    size = parsed.header.size + len(parsed.header.records)
    return merkle.grow(parsed.header.frontier, size, (parsed.leaf,))


def _checkpoint(reader: Reader, entries: Sequence[bytes]) -> bytes:
    """Return the log's newest checkpoint with the signatures of the log's keys alone."""
    keys = reader.genesis.keys
    for entry in entries[:-1]:
        header: Header = commit.parse_entry(entry)[0]
        if header.envelope is not None:
            keys = live.config_keys(replace(live.start(reader.genesis), keys=keys), header)
    signed = checkpoint.parse((reader.state.checkpoint or "").encode())
    known = tuple(line for line in signed.signatures if any(line.claims(key) for key in keys.log))
    return note.join(signed.checkpoint.text(), known)


def _event(reader: Reader, line: RecordLine, number: int) -> Included:
    """Return an event line with its path to the record's event root, from one pass over all of them."""
    tree = Paths((number - 1,))
    entry = b""
    for at, event in reader.events(line):
        tree.add(merkle.leaf_hash(event))
        if at == number:
            entry = event
    if not tree.size:
        raise InputError(
            f"the events of record {line.record_id} were pruned", hint=f"{line.record_id}/0 proves its statement"
        )
    return Included(entry=entry, position=number - 1, path=tree.finish()[1][number - 1])


def _line_1(evidence: Store, line: RecordLine) -> bytes:
    stream = evidence.open(line.key)
    if stream is None:
        raise VerificationError(f"record {line.record_id} is missing from the ledger", hint="run `tfaudit verify`")
    with stream:
        return stream.readline()[:-1]


def _revealed(
    pointers: Sequence[str], document: Mapping[str, Any], record_id: str, found: Disclosure | None, what: str
) -> tuple[Disclosed, ...]:
    """Return the values at these pointers, each of which opens what ``document`` commits to."""
    chosen: list[Disclosed] = []
    for pointer in dict.fromkeys(pointers):
        these = [value for value in (found.values if found else ()) if value.pointer == pointer and value.salt]
        if not these:
            raise _nothing_at(pointer, document, what)
        chosen += these
    address = document.get("address") if what == "event" else ""
    opened = values.check(document, record_id, chosen, erased=True, address=str(address or ""))
    if opened.unopened is not None:
        raise VerificationError(f"the disclosure of {opened.unopened}", hint="run `tfaudit verify`")
    return tuple(chosen)


def _nothing_at(pointer: str, document: Mapping[str, Any], what: str) -> InputError:
    committed = dict.fromkeys(place for (place, _), _ in values.commitments(document))
    if pointer in committed:
        return InputError(
            f"the value at {pointer} can't be revealed: it is erased, or its disclosure is not in the working store"
        )
    for attribute in document.get("attributes") or ():
        if isinstance(attribute, dict) and attribute.get("path") == pointer:
            return InputError(f"no value was recorded at {pointer}: it is sensitive, or not known before the apply")
    known = ", ".join([*committed][:20]) or "none at all"
    return InputError(f"the {what} commits to no value at {pointer!r}", hint=f"it does at: {known}")
