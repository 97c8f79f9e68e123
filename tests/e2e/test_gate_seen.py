"""Approvers are lied to: a plan job shows them harmless events over the digest of a harmful plan."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import gatekit
import pytest
import support

from tfaudit import config
from tfaudit.events.build import plan_events
from tfaudit.ledger import disclosed, record
from tfaudit.plan.parse import read_plan
from tfaudit.runs import ledgers
from tfaudit.runs.run import World, no_step

pytestmark = pytest.mark.engine


@pytest.fixture
def gated(project: support.Project, alice: gatekit.Person) -> support.Project:
    """A project with one apply behind it, and a change planned."""
    ready = gatekit.set_up(project, alice)
    ready.tfaudit("plan", "-out=first.plan")
    gatekit.approve(ready, alice, "first.plan")
    ready.tfaudit("apply", "first.plan")
    ready.write(gatekit.SMALL.replace('"small"', '"harmful"'))
    ready.tfaudit("plan", "-out=change.plan")
    return ready


def lie(project: support.Project, **said: str) -> str:
    """Record the newest plan once more, as somebody with the record key can: with texts replaced in what it shows."""
    shown = project.run_engine("show", "-json", "change.plan").stdout
    for old, new in said.items():
        shown = shown.replace(old, new)
    environ = {"TFAUDIT_STACK": "example.test/team/project"}
    world = World(
        environ=environ,
        cwd=project.folder,
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=print,
        step=no_step,
    )
    settings = config.load(cwd=project.folder, environ=environ)
    ledger, working = ledgers.open_ledger(settings, world), ledgers.working_of(settings)
    reader = ledger.reader()
    plan = next(entry.line for entry in reader.newest_first() if entry.line.kind == "plan")
    honest = reader.record(plan)
    predicate = {name: value for name, value in honest.predicate.items() if name not in record.FIXED}
    with ledger.draft("plan") as draft:
        for line in plan_events(read_plan(shown.encode()), record_id=draft.record_id, entropy=os.urandom, workers=1):
            draft.add(line)
        for pointer in ("/actor", "/change/key", "/decision/basis"):
            text = disclosed.value(working, honest, pointer)
            assert text is not None
            *above, name = pointer.split("/")[1:]
            place = predicate
            for token in above:
                place[token] = dict(place[token])
                place = place[token]
            place[name] = draft.disclose(pointer, text)
        ledger.append(draft, predicate, subjects=[("plan", honest.predicate["plan"]["sha256"])])
        return draft.record_id


def test_the_truth_told_twice_is_no_lie(gated: support.Project, alice: gatekit.Person) -> None:
    """A record that shows what the plan does is as good as the first one."""
    gatekit.approve(gated, alice, lie(gated))
    gated.tfaudit("apply", "change.plan")
    assert gatekit.deployed(gated) == "harmful"


def test_what_was_not_shown_is_not_applied(gated: support.Project, alice: gatekit.Person) -> None:
    """The digest is right, the text was not: the run stops after its intent, and nothing is changed."""
    shown = gatekit.approve(gated, alice, lie(gated, harmful="harmless")).stderr
    assert '"small" -> "harmless"' in shown
    done = gated.tfaudit("apply", "-auto-approve", code=77)
    assert gatekit.codes(done) == {"no-approval", "other-plan"}
    assert gatekit.deployed(gated) == "small"
    assert json.loads(gated.tfaudit("verify", "--json", code=None).stdout)["ok"] is True


def test_another_resource_than_shown_is_not_changed(gated: support.Project, alice: gatekit.Person) -> None:
    """Nor is it enough to show the right values of another resource."""
    gatekit.approve(gated, alice, lie(gated, **{"terraform_data.web": "terraform_data.toy"}))
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert "of terraform_data." in done.stderr
    assert "something else was shown than is to be done" in done.stderr
    assert gatekit.deployed(gated) == "small"


def test_a_second_plan_of_the_same_change_is_what_was_shown(gated: support.Project, alice: gatekit.Person) -> None:
    """Approved once, planned again: the salts are others."""
    gatekit.approve(gated, alice, "change.plan")
    gated.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(gated) == "harmful"


def test_who_was_lied_to_holds_nobody_back(gated: support.Project, alice: gatekit.Person, bob: gatekit.Person) -> None:
    """One approver saw a false record, another the right one, and one is enough; the keys of both plans are erased."""
    gatekit.write_gate(gated, alice, bob)
    gatekit.approve(gated, bob, lie(gated, harmful="harmless"))
    gatekit.approve(gated, alice, "change.plan")
    gated.tfaudit("apply", "change.plan")
    assert gatekit.deployed(gated) == "harmful"
    report = json.loads(gated.tfaudit("verify", "--json").stdout)
    assert (report["ok"], report["findings"]) == (True, [])
    kept = [path for path in (gated.folder / ".tfaudit/working/disclosures").glob("*.jsonl") if has_change_key(path)]
    assert kept == []


def test_votes_on_several_plans_of_a_change_erase_the_keys_of_all(
    gated: support.Project, alice: gatekit.Person, bob: gatekit.Person
) -> None:
    """Each of two approvers looked at a plan of their own; the intent says so, and the outcome lets both keys go."""
    gatekit.write_gate(gated, alice, bob, gate="approvals = 2")
    gatekit.approve(gated, alice, "change.plan")
    # Made in the same second, the files would be the same plan.
    while int(time.time()) == int((gated.folder / "change.plan").stat().st_mtime):
        time.sleep(0.05)
    gated.tfaudit("plan", "-out=again.plan")
    gatekit.approve(gated, bob, "again.plan")
    gated.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(gated) == "harmful"
    kept = [path for path in (gated.folder / ".tfaudit/working/disclosures").glob("*.jsonl") if has_change_key(path)]
    assert kept == []
    assert gatekit.findings(gated) == []


def has_change_key(path: Path) -> bool:
    """Tell whether a disclosure file has a change key that was not erased."""
    own = [json.loads(line) for line in path.read_text().splitlines() if line.startswith('{"line":0,')]
    return any(pointer == "/change/key" and salt is not None for one in own for pointer, _, salt, _ in one["values"])
