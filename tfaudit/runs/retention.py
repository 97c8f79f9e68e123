"""How long does evidence stay: locks are extended, runs held, events let go, and each time a record says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, LedgerError
from tfaudit.ledger import ids, retention
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.store import Located, Locking, read
from tfaudit.runs import facts, several
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.config import Config
    from tfaudit.export.entries import Row
    from tfaudit.export.view import View
    from tfaudit.ledger.log import Ledger, Receipt
    from tfaudit.ledger.store import Store, Working
    from tfaudit.runs.run import World

DAY: Final = 24 * 60 * 60 * 1000
LEFT: Final = "pruning/"
"""Where the working store keeps the first line of a record while a bucket's object is exchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one of these."""

    receipt: Receipt
    objects: int
    """How many objects were changed; records for a hold or release."""


def hold(config: Config, world: World, view: View, name: str, *, release: bool) -> Done:
    """Hold the records of a run, or release them, and return what was done.

    In a bucket each gets or loses its legal hold; in a folder the record alone says it, and prune heeds it. Raises
    :class:`InputError` for no or more than one run, :class:`ConfigError` and :class:`LedgerError` as an append does.
    """
    rows = view.run(name).records
    missing = [row.record_id for row in rows if row.place != "log"]
    if missing:
        raise InputError(f"record {missing[0]} is in no commit yet", hint="tfaudit recover sends what waits")
    said = retention.Retention(action="release" if release else "hold", records=tuple(row.record_id for row in rows))
    ledger, evidence = _opened(config, world)
    # A crash after either: repeating both is harmless. A hold is set before it is recorded, a release after.
    if not release:
        _set_hold(evidence, rows, on=True)
    receipt = _append(ledger, world, said)
    if release:
        _set_hold(evidence, rows, on=False)
    return Done(receipt=receipt, objects=len(rows))


def extend(config: Config, world: World, *, days: int) -> Done:
    """Lock every object of the bucket until at least ``days`` from now, and return how many were extended.

    Raises :class:`ConfigError` for a ledger in a folder, which locks nothing, and :class:`LedgerError` when the store
    refuses: then some may be extended, and the next try does the rest.
    """
    ledger, evidence = _opened(config, world)
    if not isinstance(evidence, Locking):
        raise ConfigError(f"{evidence} is a folder, which locks nothing", hint="only a bucket's locks can be extended")
    until = (ids.milliseconds(world.clock()) // 1000 + days * DAY // 1000) * 1000
    keys = (entry.key for entry in evidence.list("") if not entry.key.startswith("probe/"))
    count = sum(several.each(lambda store, key: store.extend(key, until), keys, evidence))
    return Done(receipt=_append(ledger, world, retention.Retention(action="extend", time=until)), objects=count)


def prunable(view: View, *, before: int) -> Iterator[Row]:
    """Yield the records whose events and disclosures ``prune`` would let go: older, closed, and not held."""
    held = view.reader.retentions.held
    closings = view.index.closings()
    for row in view.index.rows("time < ?", (before,)):
        open_run = row.kind == "intent" and row.record_id not in closings
        older = row.place == "log" and ids.record_time(row.record_id) < before
        if older and not open_run and row.record_id not in held and row.kind not in ("config", retention.KIND):
            yield row


def check_date(config: Config, *, now: int, before: int) -> None:
    """Raise :class:`ConfigError` where ``before`` lies in the future or within the configured retention."""
    kept = config.retention.days * DAY if config.retention is not None else 0
    if before > now - kept:
        raise ConfigError(
            f"{ids.time_text(before)} is within the {config.retention.days} days that [retention] keeps"
            if config.retention is not None
            else f"{ids.time_text(before)} is yet to come",
            hint="name an earlier date",
        )


def prune(config: Config, world: World, view: View, *, before: int) -> Done:
    """Let go of the events and disclosures of what :func:`prunable` names; each record's line 1 and all commits stay.

    Raises :class:`ConfigError` as :func:`check_date` does, and :class:`LedgerError` when a store refuses: then some are
    gone, as the record says they may be, and the next try does the rest.
    """
    now = ids.milliseconds(world.clock())
    check_date(config, now=now, before=before)
    rows = tuple(prunable(view, before=before))
    ledger, evidence = _opened(config, world)
    from tfaudit.export.indexfile import forget
    from tfaudit.runs.ledgers import index_folder, working_of

    working = working_of(config)
    receipt = _append(ledger, world, retention.Retention(action="prune", time=before))
    # A crash here: the record lets go of what is still there, which harms nobody; the next prune removes it.
    count = 0
    said = ledger.reader().retentions
    for row in rows:
        # Only what the log now lets go: someone may have held it since it was looked at.
        if said.pruned(row.record_id, row.position) is None or _is_locked(evidence, row, now):
            continue
        count += _shorten(evidence, working, row)
        working.remove(ids.disclosure_key(row.record_id))
    # The index of what was read holds actors: it is made anew from what is still disclosed.
    if (folder := index_folder(config, world.environ)) is not None:
        forget(folder)
    return Done(receipt=receipt, objects=count)


def _opened(config: Config, world: World) -> tuple[Ledger, Store]:
    from tfaudit.runs.ledgers import evidence_of, open_ledger

    return open_ledger(config, world), evidence_of(config)


def _append(ledger: Ledger, world: World, said: retention.Retention) -> Receipt:
    """Append the record of kind ``retention``, with whoever runs this as its actor."""
    from tfaudit.events import commitment
    from tfaudit.identity import environment, machine
    from tfaudit.identity.actor import combine

    evidence = (environment.recognise(world.environ), machine.operating_system_user())
    actor = combine(each for each in evidence if each is not None)
    with ledger.draft(retention.KIND) as draft:
        predicate = {
            "retention": said.document(),
            "tfaudit": facts.tool(),
            "actor": draft.disclose("/actor", commitment.json_text(actor.to_json())),
        }
        return ledger.append(draft, predicate)


def _set_hold(evidence: Store, rows: tuple[Row, ...], *, on: bool) -> None:
    if isinstance(evidence, Locking):
        for row in rows:
            evidence.hold(row.line.key, on=on)


def _is_locked(evidence: Store, row: Row, now: int) -> bool:
    """Tell whether the record's lock is still on."""
    if not isinstance(evidence, Located):
        return False
    (location,) = evidence.locate([row.line.key])
    return location.retain_until is not None and location.retain_until > now


def _shorten(evidence: Store, working: Working, row: Row) -> bool:
    """Leave nothing but line 1 of a record; False where that is so already."""
    key = row.line.key
    stream = evidence.open(key)
    if stream is None:
        raise LedgerError(f"record {row.record_id} is missing from the ledger", hint="run `tfaudit verify`")
    with stream:
        line = stream.readline(MAX_ENVELOPE + 2)
        if not line.endswith(b"\n") or not stream.read(1):
            return False
    if isinstance(evidence, FolderStore):
        evidence.replace(key, line, durable=True)
        return True
    if not isinstance(evidence, Locking):
        raise LedgerError(f"nothing can be let go in {evidence}")
    # The object must be gone before its first line can take its place: a crash between finds the line here.
    working.replace(LEFT + row.record_id, key.encode() + b"\n" + line, durable=True)
    evidence.prune(key)
    evidence.create(key, line)
    working.remove(LEFT + row.record_id)
    return True


def resume(config: Config) -> None:
    """Put back the first lines that an earlier prune took away when it was cut off; to be done before anything else."""
    from tfaudit.runs.ledgers import evidence_of, working_of

    evidence, working = evidence_of(config), working_of(config)
    for entry in working.list(LEFT):
        key, _, line = (read(working, entry.key, limit=2 * MAX_ENVELOPE) or b"").partition(b"\n")
        if line:
            evidence.create(key.decode(), line)
        working.remove(entry.key)
