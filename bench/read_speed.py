"""How soon do ``log``, ``inspect``, ``history`` and ``export`` answer on a ledger of 10,000 records?

The ledger holds plans, intents and outcomes of 50 stacks, each with resources of its own; it is made by the same calls
that a run makes and kept in .cache/bench.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ledgers
from harness import CACHE, TFAUDIT, Row, environment, run, spread, table

from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.ledger.log import Ledger
from tfaudit.plan.outcome import OutcomeTracker
from tfaudit.plan.parse import read_plan
from tfaudit.plan.redact import Redactor

RUNS, STACKS, RESOURCES = 3_334, 50, 6
"""Three records a run: a plan of its own, the intent, the outcome."""
ADDRESS = "aws_instance.web7[1]"


def rows() -> Iterator[Row]:
    """Yield the rows on reading."""
    folder = _kept()
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home))
        stores = ["--ledger", str(folder / "ledger"), "--working", str(folder / "working")]
        newest = json.loads(run([TFAUDIT, *stores, "log", "--json", "-n", "1"], cwd=Path(home), env=env).stdout)
        commands = {
            "log": ["log"],
            "log --json": ["log", "--json"],
            "log -n 20": ["log", "-n", "20"],
            "inspect RUN": ["inspect", newest["run_id"]],
            "history ADDRESS": ["history", ADDRESS],
            "export --format jsonl": ["export", "--format", "jsonl", "--force", "-o", f"{home}/changes.jsonl"],
            "export --format csv": ["export", "--format", "csv", "--force", "-o", f"{home}/changes.csv"],
        }
        for name, command in commands.items():
            shutil.rmtree(folder / "working" / "index", ignore_errors=True)
            first = run([TFAUDIT, *stores, *command], cwd=Path(home), env=env)
            later = [run([TFAUDIT, *stores, *command], cwd=Path(home), env=env) for _ in range(5)]
            seconds = [one.seconds for one in later]
            target = 0.3 if name.startswith(("log", "history")) else None
            yield Row(
                what=f"`tfaudit {name}`, {3 * RUNS:,} records",
                measured=spread(seconds),
                compared=f"with no index yet: {first.seconds:.2f} s; peak {max(one.peak for one in later) >> 20} MB",
                ratio="",
                target="300 ms" if target else "",
                met=statistics.median(seconds) <= target if target else None,
            )


def _kept() -> Path:
    folder = CACHE / f"read-{RUNS}x{RESOURCES}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        # Every append is durable before the next: made in memory, where there is a file system in it.
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
            ledger = ledgers.new(Path(made) / "ledger")
            for number in range(RUNS):
                _append_run(ledger, number)
            shutil.copytree(Path(made) / "ledger", folder)
        (folder / "complete").touch()
    return folder


def _append_run(ledger: Ledger, number: int) -> None:
    stack = number % STACKS
    document = json.loads(ledgers.plan(RESOURCES, number))
    for change in document["resource_changes"]:
        change["name"] = f"web{stack}"
        change["address"] = f"aws_instance.web{stack}[{change['index']}]"
    plan = json.dumps(document).encode()
    shared = {
        "stack": f"example.test/team/stack-{stack}",
        "workspace": "default",
        "engine": {"brand": "terraform", "version": "1.11.4"},
        "tfaudit": {"version": "0"},
        "capture": "full",
        "decision": {"decision": "not-gated", "reasons": []},
    }
    digest = {"sha256": f"{number:064x}", "counts": {"update": RESOURCES}}
    _append(ledger, "plan", {**shared, "plan": digest, "result": {"status": "planned", "exit_code": 0}}, plan, "plan")
    run_id = ledger.new_record_id()
    index = ChangeIndex()
    intent = _append(ledger, "intent", {**shared, "plan": digest}, plan, "apply", run_id=run_id, index=index)
    tracker = OutcomeTracker(index, Redactor())
    outcome = tracker.finish(exit_code=0, serial_rose=True)
    closing = {
        **shared,
        "intent": intent,
        "result": {"status": "applied", "exit_code": 0, "counts": {"applied": RESOURCES}},
    }
    with ledger.draft("outcome") as draft:
        writer = LineWriter(draft.record_id, os.urandom)
        for each in outcome.outcomes:
            draft.add(writer.outcome(each))
        ledger.append(draft, _facts(draft, closing, "apply", run_id))


def _append(ledger, kind, facts, plan, command, *, run_id=None, index=None):
    with ledger.draft(kind) as draft:
        for event in plan_events(read_plan(plan), record_id=draft.record_id, workers=1):
            event_id = draft.add(event)
            if index is not None:
                index.add(event_id, event.line, event.disclosure)
        ledger.append(draft, _facts(draft, facts, command, run_id or ledger.new_record_id()))
        return draft.record_id


def _facts(draft, facts, command, run_id):
    actor = {"principal": "github:octocat", "level": "claimed", "evidence": []}
    return {
        **facts,
        "run_id": run_id,
        "command": {"name": command, "options": []},
        "actor": draft.disclose("/actor", commitment.json_text(actor)),
    }


if __name__ == "__main__":
    sys.stdout.write(table(rows()) + "\n")
