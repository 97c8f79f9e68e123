"""Ledgers to measure on, made by the same calls that a run makes; kept in .cache/bench for the next run."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from harness import CACHE

from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.keyset import AcceptedSigner, KeySet
from tfaudit.ledger.log import Ledger, create_ledger
from tfaudit.plan.parse import read_plan
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import FileSigner, create_key_file

ORIGIN = "bench.example.test/ledger"


def now() -> datetime:
    """Return the time, as a ledger wants its clock."""
    return datetime.now(UTC)


def new(folder: Path) -> Ledger:
    """Return a new, empty ledger in ``folder``, with an Ed25519 key each for root, records and log."""
    folder.mkdir(parents=True)
    keys = {name: create_key_file(folder / f"{name}.pem") for name in ("root", "record", "log")}
    evidence = FolderStore(folder / "ledger")
    start = KeySet(
        generation=0,
        root=keys["root"].public,
        log=(NoteKey(name=ORIGIN, public=keys["log"].public),),
        signers=(AcceptedSigner(public=keys["record"].public, writers=("bench",)),),
    )
    raw = genesis.create(origin=ORIGIN, keys=start, nonce=os.urandom(32), time=ids.milliseconds(now()))
    create_ledger(evidence, raw)
    return opened(folder, evidence, keys)


def opened(folder: Path, evidence: FolderStore, keys: dict[str, FileSigner], *, stage_only: bool = False) -> Ledger:
    """Return the ledger, ready to append to; with ``stage_only`` it leaves committing to a sequencer."""
    return Ledger.open(
        evidence=evidence,
        working=FolderStore(folder / "working"),
        spool=folder / "spool",
        signer=keys["record"],
        log_signer=None if stage_only else keys["log"],
        writer="bench",
        genesis_digest=None,
        clock=now,
        entropy=os.urandom,
    )


def append(ledger: Ledger, plan: bytes, number: int) -> None:
    """Append one plan record with an event line for every change of ``plan``, as a run does."""
    with ledger.draft("plan") as draft:
        for event in plan_events(read_plan(plan), record_id=draft.record_id, workers=1):
            draft.add(event)
        actor = {"principal": "github:octocat", "level": "claimed", "evidence": []}
        ledger.append(
            draft,
            {
                "run_id": ledger.new_record_id(),
                "stack": f"example.test/team/stack-{number % 50}",
                "workspace": "default",
                "command": {"name": "plan", "options": []},
                "engine": {"brand": "terraform", "version": "1.11.4"},
                "tfaudit": {"version": "0"},
                "actor": draft.disclose("/actor", commitment.json_text(actor)),
                "decision": {"decision": "not-gated", "reasons": []},
                "result": {"status": "planned", "exit_code": 0},
                "capture": "full",
            },
        )


def plan(resources: int, number: int = 0) -> bytes:
    """Return a plan JSON that updates three attributes of each of ``resources``: six value digests an event."""
    old = {"name": "web", "size": 20, "zone": "eu-central-1a", "monitoring": True}
    new = {**old, "name": f"web-{number}", "size": 50, "zone": "eu-central-1b"}
    change = {
        "actions": ["update"],
        "before": old,
        "after": new,
        "after_unknown": {},
        "before_sensitive": {},
        "after_sensitive": {},
    }
    changes = [
        {
            "address": f"aws_instance.web[{index}]",
            "mode": "managed",
            "type": "aws_instance",
            "name": "web",
            "index": index,
            "provider_name": "example.test/hashicorp/aws",
            "change": change,
        }
        for index in range(resources)
    ]
    return json.dumps({"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes}).encode()


def kept(records: int, events: int) -> Path:
    """Return the folder of a ledger with so many records of so many events each, made now if it isn't there."""
    folder = CACHE / f"ledger-{records}x{events}"
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    ledger = new(folder)
    for number in range(records):
        append(ledger, plan(events, number), number)
    (folder / "complete").touch()
    return folder
