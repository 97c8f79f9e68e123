"""Which bytes are the next commit of the log: built so that :mod:`tfaudit.ledger.live` judges them live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.ledger import checkpoint, commit, live, merkle
from tfaudit.ledger.commit import Header
from tfaudit.signing.envelope import pae

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.ledger.commit import RecordLine, Stray
    from tfaudit.ledger.live import State
    from tfaudit.signing.note import NoteKey
    from tfaudit.signing.signer import Signer


def next_header(
    state: State,
    *,
    number: int,
    time: int,
    records: Sequence[RecordLine],
    envelope: bytes | None,
    strays: Sequence[Stray],
    committer: str,
    own: str | None,
) -> Header:
    """Return the header that follows ``state``; ``envelope`` is line 1 of the last record if that is a ``config``."""
    cursor, held, passed = live.window(
        state,
        time=time,
        adopted=[line.record_id for line in records],
        passed=[stray.name for stray in strays],
    )
    return Header(
        number=number,
        previous=(state.number, state.digest) if state.digest else None,
        keys=state.keys_from,
        size=state.size,
        time=time,
        cursor=cursor,
        held=b"".join(held),
        passed=passed,
        records=tuple(records),
        envelope=envelope,
        strays=tuple(sorted(strays, key=lambda stray: stray.reason, reverse=True)),
        frontier=merkle.grow(state.frontier, state.size, (line.leaf for line in records))[0],
        committer=committer,
        own=own,
    )


def sign(header: Header, origin: str, signer: Signer, log: Sequence[tuple[NoteKey, Signer]]) -> bytes:
    """Return the whole commit of ``header``, signed by the committer's record key and by the log's keys."""
    entry = commit.build(header, signer.sign(pae(commit.PAYLOAD_TYPE, header.text())))
    size = header.size + len(header.records)
    frontier, size = merkle.grow(header.frontier, size, (merkle.leaf_hash(entry),))
    tree = checkpoint.Checkpoint(origin=origin, size=size, root=merkle.root(frontier))
    return commit.join(entry, checkpoint.sign(tree, log, seconds=header.time // 1000))
