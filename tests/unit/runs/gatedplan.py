"""What the tests of voting share: a ledger in a folder, with plans in it as a gated run records them, and approvers."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "gate"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "export"))

from opensshkit import public_text
from readkit import change, plan
from votekit import SUBJECT

from tfaudit import canonical, config
from tfaudit.cli.main import main
from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.export.view import View
from tfaudit.gate import allowed_signers, basis
from tfaudit.gate.model import Decision, Reason, Request, Rules
from tfaudit.ledger import ids
from tfaudit.plan.parse import read_plan
from tfaudit.policy.model import Evaluation, Finding
from tfaudit.runs import ledgers
from tfaudit.runs.run import World, no_step

STACK = "example.test/team/network"
CHANGES = (
    change("aws_x.web", before={"size": 1}, after={"size": 2}),
    change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "14"}),
)
FINDING = Finding(rule="no-loss", severity="warn", message="data would be lost", address="aws_x.db")
REQUEST = Request(
    subject=SUBJECT,
    under={},
    changes=True,
    first=False,
    unknown_actions=(),
    unbound=(),
    identities=frozenset({"github:dora", "email:dora@example.com"}),
    agent=None,
    planned=0,
)
NO_APPROVAL = Reason(code="no-approval", message="nobody approved")


def rules(approvers=None, **more):
    """Return rules with these approvers, the text of an allowed_signers file."""
    keys = None if approvers is None else allowed_signers.parse(approvers, what="approvers")
    values = {
        "approvals": 1,
        "allow_self_approval": False,
        "expires": timedelta(hours=24),
        "bind": "changes",
        "agents_need_person": True,
        "require_touch": False,
        "approvers": keys,
        "groups": {},
        "freezes": (),
        "break_glass": None,
        "identities": {},
    }
    return Rules(**{**values, **more})


@dataclass
class Place:
    """A folder with a ledger, one in which somebody plans and others approve."""

    folder: Path
    file: Path = field(init=False)
    """The plan file that :meth:`planned` wrote last."""

    def __post_init__(self):
        """Make the ledger, as ``tfaudit setup`` does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chdir(self.folder)
        assert main(["setup", "--yes"], shim=None) == 0
        self.file = self.folder / "change.plan"

    @property
    def world(self):
        """The world around it."""
        return World(
            environ={"HOME": str(self.folder), "PATH": os.environ["PATH"]},
            cwd=self.folder,
            clock=lambda: datetime.now(UTC),
            entropy=os.urandom,
            say=print,
            step=no_step,
        )

    @property
    def config(self):
        """The configuration."""
        return config.load(cwd=self.folder, environ={})

    def gate(self, *approvers, text="approvals = 1"):
        """Write the gate; approvers are (principal, key) or whole lines."""
        lines = [one if isinstance(one, str) else f"{one[0]} {public_text(one[1])}" for one in approvers]
        (self.folder / "approvers").write_text("".join(f"{line}\n" for line in lines))
        path = self.folder / "tfaudit.toml"
        kept = path.read_text().partition("\n# gate\n")[0]
        path.write_text(f'{kept}\n# gate\n[gate]\napprovers = "approvers"\n{text}\n')

    def view(self):
        """Open the view of the ledger."""
        found = self.config
        return View.open(
            evidence=ledgers.evidence_of(found),
            working=ledgers.working_of(found),
            genesis_digest=found.genesis,
            folder=Path(found.working),
            time=ids.milliseconds(datetime.now(UTC)),
            on_problem=print,
        )

    def reader(self):
        """Open a reader of the ledger."""
        return ledgers.open_reader(self.config)

    def planned(
        self,
        *changes,
        kind="plan",
        gated=True,
        request=REQUEST,
        recorded=None,
        said=None,
        key=b"k" * 32,
        disclosed=True,
        broken=True,
        votes=(),
        reasons=(NO_APPROVAL,),
        again=False,
        drift=(),
        ledger=None,
        **subject,
    ):
        """Append a plan's record (or an intent's) and return its id; it is one of a run of its own.

        ``subject`` changes what the gate was told, ``said`` what the record itself says; ``again`` is of the same file.
        """
        ledger = ledger or ledgers.open_ledger(self.config, self.world)
        if not again:
            self.file.write_bytes(os.urandom(64))
        sha256 = hashlib.sha256(self.file.read_bytes()).hexdigest()
        digest = "c" * 64
        found = replace(
            request.subject,
            **{
                "plan_record": "",
                "leaf": "",
                "event_root": "",
                "key_commitment": "",
                "origin": ledger.origin,
                "stack": STACK,
                "plan_sha256": sha256,
                "change_digest": digest,
                **subject,
            },
        )
        with ledger.draft(kind) as draft:
            shown = json.loads(plan(*(changes or CHANGES))) | {"resource_drift": list(drift)}
            parsed = read_plan(json.dumps(shown).encode())
            for line in plan_events(parsed, record_id=draft.record_id, entropy=os.urandom, workers=1):
                draft.add(line)
            predicate = {
                "run_id": ledger.new_record_id(),
                "stack": STACK,
                "workspace": "default",
                "command": {"name": "plan", "options": ["-out"]},
                "engine": {"brand": "terraform", "version": "1.11.4"},
                "tfaudit": {"version": "0"},
                "actor": _disclose(draft, "/actor", {"principal": "github:dora", "level": "claimed", "evidence": []}),
                "reason": _disclose(draft, "/reason", "the disk is full\x1b[2J"),
                "ticket": _disclose(draft, "/ticket", "OPS-7"),
                "source": {"commit": SUBJECT.commit, "path": "net", "repository": "github.com/acme/infra"},
                "state": {"key": SUBJECT.state_key, "before": {"lineage": SUBJECT.lineage, "serial": SUBJECT.serial}},
                "plan": {"sha256": sha256, "counts": {"update": 1, "replace": 1}},
                "refers": sha256,
                "capture": "full",
                "decision": {"decision": "not-gated", "reasons": []},
                **({"result": {"status": "planned", "exit_code": 0}} if kind == "plan" else {}),
            }
            if gated:
                predicate |= self._decided(
                    draft, kind, replace(request, subject=found), recorded, digest, key, disclosed, votes, reasons
                )
                if kind == "intent" and broken:
                    predicate["decision"] |= {"break_glass": True}
            ledger.append(draft, {**predicate, **(said or {})}, subjects=[("plan", sha256)])
            return draft.record_id

    def _decided(self, draft, kind, request, recorded, digest, key, disclosed, votes, reasons):
        text = basis.encode(
            decided=0,
            request=request,
            rules=recorded,
            evaluations=[Evaluation(engine="cel", version="1", digest="0" * 64, rules=1, findings=(FINDING,))],
            votes=votes,
            decision=Decision(allowed=False, reasons=tuple(reasons), required=1),
        )
        found = {
            "decision": {
                "decision": "deny" if kind == "plan" else "allow",
                "reasons": ["no-approval"] if kind == "plan" else [],
                "required": 1,
                "approvals": [vote.id for vote in votes],
                "basis": draft.disclose("/decision/basis", text) if disclosed else {"digest": "0" * 64},
            }
        }
        if kind == "intent":
            return found | {"change_digest": digest}
        secret = canonical.encode({"inputs": {}, "key": (key or b"").hex()})
        committed = draft.disclose("/change/key", secret) if key else {"digest": "0" * 64}
        return found | {"change": {"digest": digest, "key": committed}}

    def records(self, kind):
        """Return the log's records of a kind, oldest first, each with what is disclosed at /vote."""
        reader = self.reader()
        lines = [entry.line for entry in reader.in_order() if entry.line.kind == kind]
        found = list(reader.records(lines))
        return list(zip(found, reader.values(found, "/vote"), strict=True))


def _disclose(draft, pointer, value):
    return draft.disclose(pointer, commitment.json_text(value))


def run(capfd, *args):
    """Run a verb in this process; return (exit code, stdout, stderr)."""
    code = main(list(args), shim=None)
    sys.stdout.flush()
    told = capfd.readouterr()
    return code, told.out, told.err


def as_json(capfd, *args):
    """Run a verb with ``--json`` and return (exit code, object)."""
    code, out, err = run(capfd, *args, "--json")
    return code, json.loads(out) if out else err
