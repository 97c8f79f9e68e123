"""What a run compares its changes by, whatever plan records and votes hold."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tfaudit import config
from tfaudit.cli.main import main
from tfaudit.engine.unbound import Inputs
from tfaudit.gate.model import ApproverKey, LedgerView, Request, Rules, Subject, Vote
from tfaudit.ledger.log import Ledger
from tfaudit.runs import gatechange, ledgers
from tfaudit.runs.run import World, no_step

KEY = "0f" * 32
SUMMARY = b"s" * 32
RULES = Rules(
    approvals=1,
    allow_self_approval=False,
    expires=timedelta(hours=24),
    bind="changes",
    agents_need_person=True,
    require_touch=False,
    approvers=(ApproverKey(principals=("alice@example.com",), key="SHA256:alice", public=""),),
    groups={},
    freezes=(),
    break_glass=None,
    identities={},
)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A new ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["setup", "--yes"], shim=None) == 0
    world = World(
        environ={}, cwd=tmp_path, clock=lambda: datetime.now(UTC), entropy=os.urandom, say=print, step=no_step
    )
    return ledgers.open_ledger(config.load(cwd=tmp_path, environ={}), world)


def plan(ledger: Ledger, text: bytes) -> tuple[str, str]:
    """Append a plan whose change key is ``text``; return its record id and what it commits to."""
    with ledger.draft("plan") as draft:
        commitment = draft.disclose(gatechange.KEY_POINTER, text)
        change = {"digest": "0" * 64, "key": commitment}
        ledger.append(draft, {"run_id": draft.record_id, "stack": "s", "change": change})
    return draft.record_id, str(commitment["digest"])


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b'"text"',
        b'{"inputs":{},"key":"%b"}' % (b"zz" * 32),
        b'{"inputs":{},"key":"%b"}' % ("\u00b2".encode() * 64),
        b'{"inputs":[],"key":"%b"}' % KEY.encode(),
        b'{"key":"%b","inputs":{}}' % KEY.encode(),
        b'{"inputs":{},"key":"00"}',
    ],
)
def test_what_is_no_key_opens_nothing(ledger: Ledger, text: bytes) -> None:
    """One plan record with such a thing for a key stops nobody."""
    assert gatechange.change_key(ledger.reader(), *plan(ledger, text)) is None


def test_a_key_opens_by_its_own_commitment_alone(ledger: Ledger) -> None:
    """What the voter signed says which key it is."""
    record_id, commitment = plan(ledger, b'{"inputs":{"a":"b"},"key":"%b"}' % KEY.encode())
    found = gatechange.change_key(ledger.reader(), record_id, commitment)
    assert found is not None
    assert (found.key.hex(), found.inputs) == (KEY, {"a": "b"})
    assert gatechange.change_key(ledger.reader(), record_id, "0" * 64) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, True),
        ({"kind": "rejection"}, False),
        ({"signed": False}, False),
        ({"key": "SHA256:stranger"}, False),
    ],
)
def test_other_inputs_are_named_where_an_approver_saw_them(
    ledger: Ledger, fields: dict[str, object], said: bool
) -> None:
    """An apply with another ephemeral value than the approved one says so; a stranger's word makes it say nothing."""
    record_id, commitment = plan(ledger, b'{"inputs":{"ephemeral":"%b"},"key":"%b"}' % (b"0" * 64, KEY.encode()))
    change = gatechange.Change(
        summary=SUMMARY, key=b"k" * 32, sources=(), inputs=Inputs(ephemeral={"pin": b"1"}, cli_args=())
    )
    subject = Subject(
        plan_record=record_id,
        leaf="",
        event_root="",
        plan_sha256="1" * 64,
        change_digest=change.under(bytes.fromhex(KEY)),
        key_commitment=commitment,
        origin="o",
        stack="s",
        state_key=None,
        lineage="l",
        serial=1,
        backend="local",
        target=None,
        commit=None,
        policy="p",
    )
    vote = Vote(
        id="sha256:" + "1" * 64,
        record=None,
        kind="approval",
        subject=subject,
        approver="alice@example.com",
        key="SHA256:alice",
        signed=True,
        touched=None,
        made=1,
        at=1,
        expires=2,
        position=1,
    )
    request = Request(
        subject=replace(subject, plan_record="", plan_sha256="2" * 64),
        under={},
        changes=True,
        first=False,
        unknown_actions=(),
        unbound=(),
        identities=frozenset(),
        agent=None,
        planned=0,
    )
    view = LedgerView(size=1, votes=(replace(vote, **fields),), uses=())  # type: ignore[arg-type]
    bound = gatechange.bound(ledger.reader(), request, view, change, RULES)
    assert bool(bound.unbound) is said
    assert bound.under == {record_id: ""}
