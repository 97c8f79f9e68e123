"""``tfaudit verify-proof``: does a proof of one event hold? Offline, with nothing but the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfaudit.cli.output import printable, style, write_json
from tfaudit.cli.verify import anchor_digest
from tfaudit.errors import InputError, VerificationError

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosed
    from tfaudit.export.proofcheck import Proven


@click.command("verify-proof")
@click.argument("file", metavar="FILE")
@click.option("--log-key", metavar="VKEY", help="The log's verifier key as you know it: name+id+key.")
@click.option("--genesis", metavar="DIGEST", help="The trust anchor as you know it, sha256:…")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(file: str, log_key: str | None, genesis: str | None, as_json: bool) -> int:
    """Check a proof that tfaudit prove wrote. Exit code 76 if it does not hold.

    Needs no ledger, no network and no configuration. Without --log-key or --genesis the keys are those that the proof
    itself brings: trust on first use.
    """
    from tfaudit.export import proofcheck
    from tfaudit.signing import note

    key = note.parse_vkey(log_key) if log_key is not None else None
    try:
        proven = proofcheck.check_bytes(_content(file), log_key=key, anchor=anchor_digest(genesis))
    except VerificationError as error:
        if as_json:
            write_json({"ok": False, "error": error.message})
            return error.exit_code
        raise VerificationError(f"{file} proves nothing: {error.message}", hint=error.hint) from error
    if as_json:
        write_json(_document(proven))
    else:
        click.echo("\n".join(_lines(proven)))
    sys.stdout.flush()
    return 0


def _content(file: str) -> bytes:
    from tfaudit.export.proof import MAX_PROOF

    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_PROOF + 1)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error


def _document(proven: Proven) -> Mapping[str, Any]:
    from tfaudit.ledger.ids import time_text

    found = proven.record
    return {
        "ok": True,
        "trust": proven.trust,
        "genesis": proven.genesis,
        "event_id": proven.event_id,
        "event": proven.event,
        "revealed": [_revealed(value) for value in proven.event_values],
        "record": {
            "record_id": found.record_id,
            "kind": found.kind,
            "writer": found.writer,
            "keyid": found.envelope.keyid,
            "time": time_text(found.time),
            "statement": found.predicate,
            "revealed": [_revealed(value) for value in proven.record_values],
        },
        "log": {
            "origin": proven.tree.origin,
            "size": proven.tree.size,
            "root": proven.tree.root.hex(),
            "position": proven.position,
            "commit": proven.commit,
            "time": time_text(proven.committed),
        },
    }


def _revealed(value: Disclosed) -> dict[str, str]:
    """Return a revealed value; its JSON text stays a text, so that no digit is lost."""
    return {"pointer": value.pointer, "side": value.side, "json": (value.text or b"").decode()}


def _lines(proven: Proven) -> Iterator[str]:
    from tfaudit.ledger.ids import time_text

    event, found, tree = proven.event, proven.record, proven.tree
    if event is None:
        yield f"{style('ok', 'green')}: the statement of a record of kind {found.kind}"
    else:
        what = " ".join(str(event[name]) for name in ("action", "kind", "address") if event.get(name))
        yield f"{style('ok', 'green')}: {printable(what)}"
    yield f"  event     {proven.event_id}"
    yield from _values("", proven.event_values)
    yield f"  record    {found.kind} by {found.writer}, signed {time_text(found.time)} by {found.envelope.keyid}"
    if isinstance(stack := found.predicate.get("stack"), str):
        yield f"  stack     {printable(stack)}"
    yield from _values("record:", proven.record_values)
    yield f"  in log    {tree.origin}, since {time_text(proven.committed)}, position {proven.position}"
    yield f"  log tree  size {tree.size} root {tree.root.hex()}"
    if proven.trust == "first-use":
        yield f"  genesis   {proven.genesis}"
        yield "trust on first use: the keys come with the proof; --log-key or --genesis checks that they are the log's"


def _values(prefix: str, values: tuple[Disclosed, ...]) -> Iterator[str]:
    for value in values:
        side = "" if value.side == "value" else f" {value.side}"
        text = (value.text or b"").decode("utf-8", "replace")
        yield f"  revealed  {printable(prefix + value.pointer)}{side}: {printable(text)}"
