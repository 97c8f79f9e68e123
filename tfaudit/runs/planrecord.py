"""Which plan's record does a file or a run name, and what does an approval of it bind?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from tfaudit.errors import InputError, VerificationError
from tfaudit.gate import basis
from tfaudit.ledger import disclosed
from tfaudit.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.export.changes import Source
    from tfaudit.export.entries import Row
    from tfaudit.export.view import View
    from tfaudit.gate.basis import Basis
    from tfaudit.gate.model import Request, Subject
    from tfaudit.ledger.record import Record

BASIS: Final = "/decision/basis"
_CHUNK: Final = 1 << 20
_ID: Final = re.compile(r"[0-9a-f-]{1,36}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan record (for a review: an intent) that was made under a gate."""

    row: Row
    source: Source
    record: Record
    basis: Basis
    request: Request
    """The basis' own."""
    subject: Subject
    """What an approval of it binds: the request's, with what only the record knows."""


def find(view: View, name: str, kind: Literal["plan", "intent"], *, cwd: Path) -> Planned:
    """Return the record of a plan file, or the last of its kind of a run, or a record, of this id or the start of one.

    Raises :class:`InputError` where the ledger has no such record or it was made without a gate, and
    :class:`VerificationError` where it is altered or contradicts itself.
    """
    row = _row(view, name, kind, cwd)
    if row.place == "spool":
        raise InputError(f"record {row.record_id} is on this machine only", hint="tfaudit recover sends it")
    source = view.source(row)
    record = source.record()
    _check_signed(view, row, record)
    found = _basis(source, record)
    request = found.request
    if request is None:
        raise InputError(f"record {row.record_id} does not say what was asked of the gate", hint="plan again")
    subject = _subject(record, request.subject)
    _check_facts(record, subject)
    return Planned(row=row, source=source, record=record, basis=found, request=request, subject=subject)


def _row(view: View, name: str, kind: str, cwd: Path) -> Row:
    path = cwd / name
    if path.is_file():
        if kind == "intent":
            raise InputError(f"{name} is a file", hint="name the break-glass run by its id: tfaudit log lists them")
        return _of_file(view, path)
    if not _ID.fullmatch(name.lower()):
        raise InputError(
            f"there is no plan file {path}, and {name!r} is no run's id", hint="tfaudit log lists the runs"
        )
    run = view.run(name)
    exact = [row for row in run.records if row.record_id == name.lower()]
    rows = [row for row in exact or run.records if row.kind == kind]
    if not rows:
        raise InputError(
            f"run {run.run_id or name} has no {kind} record", hint="tfaudit inspect shows what was recorded of it"
        )
    return rows[-1]


def _of_file(view: View, path: Path) -> Row:
    """Return the record of the run that planned this very file, else the first plan record of it.

    The first of several: a file is recorded as soon as it is made, and whoever records it once more, to show something
    else of it, comes later.
    """
    found = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    except OSError as error:
        raise InputError(f"the plan file {path} can't be read: {error.strerror}") from error
    rows = list(view.index.rows("plan_digest = ? AND kind = 'plan'", (found.hexdigest(),), newest_first=False))
    # An apply that was denied records the plan once more: who planned it, and why, stands in the plan's own record.
    row = next((row for row in rows if msgspec.json.decode(row.entry)["command"] == "plan"), rows[0] if rows else None)
    if row is None:
        raise InputError(
            f"the ledger has no record of the plan file {path}",
            hint="was it made by `tfaudit plan -out`, with this ledger? an encrypted one is named by its run",
        )
    return row


def _check_signed(view: View, row: Row, record: Record) -> None:
    """A commit adopts only what an accepted key signed; what no commit holds yet nobody has looked at."""
    signed = record.signed_under(view.reader.state.keys)
    if signed is False or (signed is None and row.place != "log") or record.origin != view.reader.origin:
        raise VerificationError(
            f"record {record.record_id} is not signed by a key that this ledger accepts", hint="run `tfaudit verify`"
        )


def _basis(source: Source, record: Record) -> Basis:
    if not isinstance(record.predicate.get("decision"), dict) or disclosed.committed(record.predicate, BASIS) is None:
        raise InputError(
            f"record {record.record_id} was made without a gate, so there is nothing to approve",
            hint="a [gate] in tfaudit.toml, or a pinned one, makes plans that can be approved",
        )
    text = disclosed.value(source.working, record, BASIS)
    if text is None:
        raise InputError(
            f"what the gate knew of record {record.record_id} is not disclosed here",
            hint="the working store must be the one that the plan was made with",
        )
    return basis.decode(text)


def _subject(record: Record, planned: Subject) -> Subject:
    """Return what is bound: what the plan said when it was made, and the record that says it."""
    key = planned.key_commitment
    match record.predicate.get("change"):
        case {"digest": str(digest), "key": {"digest": str(key)}}:
            pass
        case _:
            digest = record.predicate.get("change_digest", "")
    if record.kind == "plan" and not key:
        raise InputError(f"plan {record.record_id} has no change digest to approve", hint="plan again under the gate")
    return replace(
        planned,
        plan_record=record.record_id,
        leaf=record.leaf.hex(),
        event_root=record.event_root.hex(),
        change_digest=str(digest) or planned.change_digest,
        key_commitment=key,
    )


def _check_facts(record: Record, subject: Subject) -> None:
    """Raise :class:`VerificationError` where what is disclosed is not what the record itself says."""
    predicate = record.predicate
    state = _table(predicate, "state")
    before = _table(state, "before")
    said = {
        "origin": (record.origin, subject.origin),
        "stack": (predicate.get("stack"), subject.stack),
        "state": (record.state, subject.state_key),
        "lineage": (before.get("lineage", subject.lineage), subject.lineage),
        "serial": (before.get("serial", subject.serial), subject.serial),
        "plan file": (_table(predicate, "plan").get("sha256"), subject.plan_sha256),
        "commit": (_table(predicate, "source").get("commit"), subject.commit),
    }
    for name, (one, other) in said.items():
        if one != other:
            raise VerificationError(
                f"record {record.record_id} contradicts itself about its {name}", hint="don't approve it; plan again"
            )


def _table(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}
