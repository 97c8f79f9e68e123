"""The gate is pinned by a record of the root key, found again from any place in the log, and never guessed at."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tfaudit import config, schema
from tfaudit.errors import ConfigError, LedgerError, VerificationError
from tfaudit.gate import bundle as bundles
from tfaudit.ledger import ids, pinned
from tfaudit.ledger.verify import verify
from tfaudit.runs import gate_doctor, keyring, ledgers, pinning, setup
from tfaudit.runs.run import World, no_step
from tfaudit.signing import sshkeys
from tfaudit.signing.signer import create_key_file, open_signer

ROOT = "file:.tfaudit/keys/root.pem"
GATE = '\n[gate]\napprovals = 1\napprovers = "approvers"\n'


@pytest.fixture
def world(tmp_path):
    """A world with a plain environment, in a folder that is a stack."""
    return World(
        environ={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "TFAUDIT_STACK": "a"},
        cwd=tmp_path,
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=lambda _line: None,
        step=no_step,
    )


@pytest.fixture
def people(tmp_path):
    """Two people's key files, and the approvers file that names them."""
    found = {name: create_key_file(tmp_path / f"{name}.pem").public for name in ("alice", "bob")}
    write_approvers(tmp_path, found)
    return found


def write_approvers(folder, people):
    """Write an approvers file."""
    lines = [f"{name}@example.com {sshkeys.of_public(key).text}\n" for name, key in people.items()]
    (folder / "approvers").write_text("".join(lines))


@pytest.fixture
def loaded(tmp_path, world, people):
    """The configuration of a new ledger with a gate that is not pinned yet."""
    setup.make(setup.propose(tmp_path, world), world)
    return configured(tmp_path, world, GATE)


def configured(folder, world, text=""):
    """Add to the configuration and load it."""
    with (folder / "tfaudit.toml").open("a") as file:
        file.write(text)
    return config.load(cwd=folder, environ=world.environ, machine_file=folder / "no such file")


def push(loaded, world, root=ROOT):
    """Pin the configuration without asking."""
    receipt = pinning.push(loaded, world, root, agree=lambda _: True)
    assert receipt is not None
    return receipt


def append(loaded, world):
    """Append a small record."""
    ledger = ledgers.open_ledger(loaded, world)
    with ledger.draft("plan") as draft:
        return ledger.append(draft, {"run_id": draft.record_id, "stack": "a"})


def verified(loaded, world):
    """Return the report on the whole ledger."""
    return verify(ledgers.evidence_of(loaded), ledgers.working_of(loaded), now=ids.milliseconds(world.clock()))


def test_nothing_is_pinned_at_first(loaded, world):
    """A ledger without a config record pins nothing; nor does one whose config records only change keys."""
    assert pinned.in_force(ledgers.open_reader(loaded)) is None
    keyring.rotate(loaded, world, "record", ROOT)
    assert pinned.in_force(ledgers.open_reader(loaded)) is None


def test_what_is_pushed_is_in_force(loaded, world, people):
    """The bundle is found at the log's end, with its approvers' keys among those that the ledger accepts."""
    append(loaded, world)
    receipt = push(loaded, world)
    reader = ledgers.open_reader(loaded)
    found = pinned.in_force(reader)
    assert found is not None
    assert (found.record_id, found.position) == (receipt.record_id, receipt.position)
    assert found.bundle == pinning.bundle_of(loaded, origin=reader.origin)
    assert set(reader.state.keys.approvers) == set(people.values())
    assert verified(loaded, world).findings == ()


def test_the_record_says_who_pinned_it(loaded, world):
    """Who changed the gate or the keys is disclosed as in every other record."""
    push(loaded, world)
    keyring.rotate(loaded, world, "record", ROOT)
    reader = ledgers.open_reader(loaded)
    records = [reader.record(entry.line) for entry in reader.in_order()]
    assert [b'"principal":"os:' in (text or b"") for text in reader.values(records, "/actor")] == [True, True]
    for record in records:
        schema.validate("record-statement.v1", {"_type": "https://in-toto.io/Statement/v1", **statement(record)})


def statement(record):
    """Return the members of a record's statement that its schema describes."""
    return {
        "subject": [{"name": "events", "digest": {"sha256": record.event_root.hex()}}],
        "predicateType": "urn:tfaudit:record:v1",
        "predicate": record.predicate,
    }


def test_a_bundle_stays_in_force_when_keys_change(loaded, world, tmp_path):
    """Later config records name the bundle's own, whatever they change, so that it is found from the last one."""
    receipt = push(loaded, world)
    keyring.add(loaded, world, create_key_file(tmp_path / "x.pem").public, writers=[], stacks=[], root_key=ROOT)
    append(loaded, world)
    keyring.rotate(loaded, world, "record", ROOT)
    keyring.rotate(loaded, world, "log", ROOT)
    append(loaded, world)
    found = pinned.in_force(ledgers.open_reader(loaded))
    assert found is not None
    assert (found.record_id, found.position) == (receipt.record_id, receipt.position)
    assert verified(loaded, world).findings == ()


def test_another_push_replaces_it(loaded, world, tmp_path, people):
    """The latest bundle holds, and who is no longer in it may sign no more approvals."""
    push(loaded, world)
    write_approvers(tmp_path, {"bob": people["bob"]})
    second = push(loaded, world)
    reader = ledgers.open_reader(loaded)
    found = pinned.in_force(reader)
    assert found is not None
    assert (found.record_id, reader.state.keys.approvers) == (second.record_id, (people["bob"],))


def test_each_place_in_the_log_has_its_bundle(loaded, world, tmp_path, people):
    """A record is judged by the bundle of the last config record before it, the config records themselves included."""
    before = append(loaded, world)
    first = push(loaded, world)
    between = append(loaded, world)
    write_approvers(tmp_path, {"bob": people["bob"]})
    second = push(loaded, world)
    after = append(loaded, world)
    reader = ledgers.open_reader(loaded)

    def holds_at(position):
        found = pinned.at(reader, position)
        return None if found is None else found.record_id

    assert [holds_at(one.position) for one in (before, first, between, second, after)] == [
        None,
        None,
        first.record_id,
        first.record_id,
        second.record_id,
    ]
    assert holds_at(reader.state.size) == second.record_id


@pytest.mark.parametrize("which", ["gone", "erased", "altered"])
def test_without_its_content_nothing_is_in_force(loaded, world, which):
    """A disclosure that is gone, erased or altered is an error, not the absence of a gate."""
    receipt = push(loaded, world)
    path = next(file for file in (loaded.root / ".tfaudit/working").rglob(f"{receipt.record_id}*") if file.is_file())
    path.chmod(0o600)
    if which == "gone":
        path.unlink()
    elif which == "erased":
        path.write_text('{"line":0,"values":[["/bundle","value",null,null]]}\n')
    else:
        path.write_text(path.read_text().replace('"approvals":1', '"approvals":0'))
    with pytest.raises(LedgerError, match=f"what the config record {receipt.record_id} pins is gone"):
        pinned.in_force(ledgers.open_reader(loaded))
    # Keys can be changed all the same, and the bundle stays the one that it was.
    keyring.rotate(loaded, world, "record", ROOT)
    with pytest.raises(LedgerError, match=receipt.record_id):
        pinned.in_force(ledgers.open_reader(loaded))
    proposals = []
    again = pinning.push(loaded, world, ROOT, agree=lambda one: bool(proposals.append(one)) or True)
    assert again is not None
    assert (proposals[0].before, proposals[0].loosens) == (None, True)
    found = pinned.in_force(ledgers.open_reader(loaded))
    assert found is not None
    assert found.record_id == again.record_id


def test_only_the_root_key_pins(loaded, world):
    """The record key can pin nothing."""
    with pytest.raises(ConfigError):
        push(loaded, world, "file:.tfaudit/keys/record.pem")
    assert pinned.in_force(ledgers.open_reader(loaded)) is None


def test_a_bundle_of_another_ledger_does_not_hold(loaded, world):
    """A bundle names its ledger; in another one it is refused, by whoever signed it there."""
    ledger = ledgers.open_ledger(loaded, world)
    keys = ledger.keys()
    other = pinning.bundle_of(loaded, origin="other/ledger")
    root = open_signer(ROOT, base=world.cwd)
    facts = {"tfaudit": {"version": "0"}, "config": {"action": "push"}}
    ledger.change_keys(replace(keys, generation=keys.generation + 1), root, facts, bundle=bundles.build(other))
    with pytest.raises(ConfigError, match="gate-changed: the bundle in force is for the ledger other/ledger"):
        pinned.in_force(ledgers.open_reader(loaded))


def test_a_false_reference_is_refused(loaded, world):
    """A config record that names another record as the bundle's leads to no bundle at all."""
    push(loaded, world)
    ledger = ledgers.open_ledger(loaded, world)
    keys = ledger.keys()
    root = open_signer(ROOT, base=world.cwd)
    named = {"record_id": ledger.new_record_id(), "commit": 0, "leaf": "0" * 64}
    with ledger.draft("config") as draft:
        document = replace(keys, generation=keys.generation + 1).document()
        ledger.append(draft, {"keys": document, "bundle_record": named}, signer=root)
    with pytest.raises(VerificationError, match="does not hold the bundle's record"):
        pinned.in_force(ledgers.open_reader(loaded))


def test_the_root_key_is_replaced(loaded, world, tmp_path):
    """The old root key signs the record that names the new one; from there on only the new one changes anything."""
    receipt = push(loaded, world)
    old = (tmp_path / ".tfaudit/keys/root.pem").read_bytes()
    keyring.rotate(loaded, world, "root", ROOT)
    (tmp_path / "old.pem").write_bytes(old)
    (tmp_path / "old.pem").chmod(0o600)
    for attempt in (
        lambda: push(loaded, world, "file:old.pem"),
        lambda: keyring.rotate(loaded, world, "log", "file:old.pem"),
    ):
        with pytest.raises(ConfigError):
            attempt()
    keyring.rotate(loaded, world, "log", ROOT)
    create_key_file(tmp_path / "new.pem")
    keyring.rotate(loaded, world, "root", ROOT, to="file:new.pem")
    found = pinned.in_force(ledgers.open_reader(loaded))
    assert found is not None
    assert found.record_id == receipt.record_id
    second = push(loaded, world, "file:new.pem")
    reader = ledgers.open_reader(loaded)
    assert (pinned.in_force(reader) or found).record_id == second.record_id
    assert (pinned.at(reader, second.position or 0) or found).record_id == receipt.record_id
    assert verified(loaded, world).findings == ()


def test_looking_it_up_does_not_grow_with_the_ledger(loaded, world, tmp_path):
    """However many records follow, the same few objects are read."""
    push(loaded, world)
    keyring.add(loaded, world, create_key_file(tmp_path / "x.pem").public, writers=[], stacks=[], root_key=ROOT)

    def reads():
        reader = ledgers.open_reader(loaded)
        opened = []
        for name in ("_evidence", "_working"):
            setattr(reader, name, Counting(getattr(reader, name), opened))
        assert pinned.in_force(reader) is not None
        return len(opened)

    few = reads()
    for _ in range(10):
        append(loaded, world)
    assert reads() == few <= 3


class Counting:
    """A store that notes what is opened."""

    def __init__(self, store, opened):
        self._store = store
        self._opened = opened

    def open(self, key, **options):
        """Open and note the key."""
        self._opened.append(key)
        return self._store.open(key, **options)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_what_would_change_is_told_first(loaded, world, tmp_path, people):
    """The proposal names each change against the bundle in force, and which of them loosen; a no pins nothing."""
    push(loaded, world)
    mallory = create_key_file(tmp_path / "m.pem").public
    write_approvers(tmp_path, {**people, "mallory": mallory})
    changed = configured(tmp_path, world, 'expires = "1h"\nallow_self_approval = true\n')
    proposals = []
    assert pinning.push(changed, world, ROOT, agree=lambda one: bool(proposals.append(one))) is None
    (proposal,) = proposals
    assert {change.key: change.loosens for change in proposal.changes} == {
        "gate.expires": False,
        "gate.allow_self_approval": True,
        "gate.approvers": True,
    }
    assert (proposal.loosens, proposal.same) == (True, False)
    assert ledgers.open_reader(loaded).state.size == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[identity]\njwks = "keys.json"\n', "which the repository's authors can change"),
        ('[gate.groups]\ndba = ["carol@example.com"]\n', "not in the approvers file"),
        ('[[gate.rule]]\nname = "r"\nwhen = "true"\napprovals = 1\ngroups = ["dba"]\n', "there is no group 'dba'"),
    ],
)
def test_what_does_not_fit_is_not_pinned(tmp_path, world, loaded, text, message):
    """A configuration whose parts don't fit together is refused before anything is signed."""
    with pytest.raises(ConfigError, match=message):
        push(configured(tmp_path, world, text), world)


def test_without_a_gate_there_is_nothing_to_pin(tmp_path, world):
    """A configuration without [gate] is not taken for one that asks for nothing."""
    setup.make(setup.propose(tmp_path, world), world)
    with pytest.raises(ConfigError, match=r"there is no \[gate\]"):
        push(configured(tmp_path, world), world)


def test_keys_that_sign_no_records_are_left_to_a_carrier(tmp_path, world, loaded, people):
    """An RSA key is an approver's as any other, but none that the ledger takes records from."""
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "rsa"], check=True)
    with (tmp_path / "approvers").open("a") as file:
        file.write("carol@example.com " + (tmp_path / "rsa.pub").read_text())
    push(loaded, world)
    reader = ledgers.open_reader(loaded)
    found = pinned.in_force(reader)
    assert found is not None
    assert (len(found.bundle.keys() or ()), len(reader.state.keys.approvers)) == (3, 2)
    checks = {check.name: check.message for check in gate_doctor.examine(loaded, world)}
    assert "pinned by record" in checks["gate"]
    assert checks["approvers"].startswith("3 keys of 3 approvers; the words of 1 of them")


def test_doctor_says_who_can_change_the_gate(tmp_path, world, loaded):
    """A gate in the repository alone is a warning, and so is a break-glass that holds nowhere."""
    checks = list(gate_doctor.examine(loaded, world))
    assert [(check.name, check.result) for check in checks] == [("gate", "warning"), ("approvers", "ok")]
    assert "a pull request can change it" in checks[0].message
    glass = configured(
        tmp_path,
        world,
        '[gate.groups]\nx = ["bob@example.com"]\n[gate.break_glass]\ngroups = ["x"]\nreview_within = "1h"\n',
    )
    assert "passed over" in list(gate_doctor.examine(glass, world))[-1].message
    (tmp_path / "tfaudit.toml").write_text((tmp_path / "tfaudit.toml").read_text().partition("[gate]")[0])
    (check,) = gate_doctor.examine(configured(tmp_path, world), world)
    assert (check.result, "not held back" in check.message) == ("ok", True)
    (check, nobody) = gate_doctor.examine(configured(tmp_path, world, "[gate]\n"), world)
    assert (nobody.result, "nobody can approve" in nobody.message) == ("warning", True)
