"""What the tests of the reading views share: a ledger with runs in it, made by the calls that a run makes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.events.lines import LineWriter
from tfaudit.export.view import View
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.keyset import AcceptedSigner, KeySet
from tfaudit.ledger.log import Ledger, create_ledger
from tfaudit.plan.outcome import Outcome
from tfaudit.plan.parse import read_plan
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import create_key_file

ORIGIN = "ledger.example/reading"
START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
ACTOR = {"principal": "github:octocat", "level": "claimed", "evidence": []}


def change(address, actions=("update",), before=None, after=None, **more):
    """Return one resource change of a plan JSON."""
    *_, kind, last = address.replace(".com", "").split(".")
    name, _, key = last.partition("[")
    members = {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": name,
        "provider_name": "example.test/p",
        "change": {
            "actions": list(actions),
            "before": before,
            "after": after,
            "after_unknown": {},
            "before_sensitive": more.pop("sensitive", {}),
            "after_sensitive": {},
        },
    }
    if key:
        members["index"] = json.loads(address.rpartition("[")[2].rstrip("]"))
    return {**members, **more}


def plan(*changes):
    """Return the bytes of a plan JSON."""
    document = {"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": list(changes)}
    return json.dumps(document).encode()


def _outcome(event_id, status):
    failed = status == "errored"
    return Outcome(
        event_id=event_id,
        address="",
        deposed=None,
        status=status,
        started="2026-03-01T10:00:00.000Z",
        elapsed_seconds=2,
        id="i-1",
        error="boom" if failed else None,
        inferred=False,
        steps=(),
        provisioner=None,
    )


@dataclass
class Place:
    """A ledger in a folder and the clock it goes by."""

    folder: Path
    now: datetime = START
    entropy: object = field(default_factory=lambda: random.Random(7).randbytes)
    ledger: Ledger = field(init=False)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self):
        """Make the ledger."""
        names = ("root", "record", "log")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keys = {name: create_key_file(self.folder / f"{name}.pem") for name in names}
        start = KeySet(
            generation=0,
            root=self.keys["root"].public,
            log=(NoteKey(name=ORIGIN, public=self.keys["log"].public),),
            signers=(AcceptedSigner(public=self.keys["record"].public, writers=("local",)),),
        )
        raw = genesis.create(origin=ORIGIN, keys=start, nonce=bytes(32), time=ids.milliseconds(self.now))
        create_ledger(self.evidence, raw)
        (self.folder / "working").mkdir()
        self.ledger = self.opened()

    @property
    def evidence(self):
        """The evidence store."""
        return FolderStore(self.folder / "ledger")

    @property
    def working(self):
        """The working store."""
        return FolderStore(self.folder / "working", mode=0o600)

    def opened(self, *, stage_only=False):
        """Open the ledger as a writer."""
        return Ledger.open(
            evidence=self.evidence,
            working=self.working,
            spool=self.folder / "spool",
            signer=self.keys["record"],
            log_signer=None if stage_only else self.keys["log"],
            writer="local",
            genesis_digest=None,
            clock=self.clock,
            entropy=self.entropy,
        )

    def clock(self):
        """Return the time, a millisecond on."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def view(self, **changes):
        """Open the view of the ledger."""
        values = {
            "evidence": self.evidence,
            "working": self.working,
            "spool": FolderStore(self.folder / "spool", mode=0o600),
            "genesis_digest": None,
            "folder": self.folder / "working",
            "time": ids.milliseconds(self.now),
            "on_problem": self.problems.append,
        }
        return View.open(**{**values, **changes})

    def write(self, kind, predicate, *, fill=lambda _draft: (), run_id=None, how="append", ledger=None):
        """Append one record (or ``keep`` it in the spool) and return its id."""
        ledger = ledger or self.ledger
        with ledger.draft(kind) as draft:
            for line in fill(draft):
                draft.add(line)
            facts = {
                "run_id": run_id or ledger.new_record_id(),
                "stack": "example.test/app",
                "workspace": "default",
                "engine": {"brand": "terraform", "version": "1.11.4"},
                "tfaudit": {"version": "0"},
                "actor": draft.disclose("/actor", commitment.json_text(ACTOR)),
                "reason": draft.disclose("/reason", commitment.json_text("because\x1b[31m")),
                "capture": "full",
                **predicate,
            }
            getattr(ledger, how)(draft, facts)
            return draft.record_id

    def planned(self, *changes, digest="a" * 64, stack="example.test/app", run_id=None, kind="intent", **more):
        """Append an intent (or plan record) of these changes and return its id."""
        predicate = {
            "stack": stack,
            "command": {"name": "apply" if kind == "intent" else "plan", "options": []},
            "decision": {"decision": "not-gated", "reasons": []},
            "plan": {"sha256": digest, "counts": {"update": len(changes)}},
        }
        if kind == "plan":
            predicate["result"] = {"status": "planned", "exit_code": 0}

        def fill(draft):
            return plan_events(read_plan(plan(*changes)), record_id=draft.record_id, entropy=self.entropy, workers=1)

        return self.write(kind, predicate, fill=fill, run_id=run_id, **more)

    def closed(self, intent, *statuses, run_id=None, recovered=False, kind="outcome", result="applied", **more):
        """Append the record that closes an intent, with one outcome line a status, and return its id."""
        predicate = {
            "command": {"name": "apply", "options": []},
            "intent": intent,
            "result": {"status": result, "exit_code": 0, "counts": {"applied": len(statuses)}},
        }
        if recovered:
            predicate["recovered"] = True

        def fill(draft):
            writer = LineWriter(draft.record_id, self.entropy)
            for number, status in enumerate(statuses, start=1):
                if status is not None:
                    yield writer.outcome(_outcome(f"{intent}/{number}", status))

        return self.write(kind, predicate, fill=fill, run_id=run_id, **more)

    def applied(self, *changes, **more):
        """Append an intent and its outcome, all applied; return the two ids."""
        run_id = self.ledger.new_record_id()
        intent = self.planned(*changes, run_id=run_id, **more)
        return intent, self.closed(intent, *["applied"] * len(changes), run_id=run_id)

    def operated(self, name, *arguments, result="succeeded", stack="example.test/app"):
        """Append the intent and the record of an operation; return the two ids."""
        run_id = self.ledger.new_record_id()
        command = {"name": name, "options": [], "arguments": list(arguments)}
        shared = {"command": command, "stack": stack, "capture": "partial"}
        intent = self.write("intent", shared, run_id=run_id)
        closing = {**shared, "intent": intent, "result": {"status": result, "exit_code": 0}}
        return intent, self.write("operation", closing, run_id=run_id)

    def record_file(self, record_id):
        """Return the path of a record's file."""
        return next((self.folder / "ledger" / "records").rglob(f"{record_id}.jsonl"))
