"""Setup makes everything or nothing."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tfaudit import config
from tfaudit.errors import ConfigError, TfauditError
from tfaudit.ledger.store import read
from tfaudit.runs import keyring, ledgers, setup
from tfaudit.runs.run import World, no_step


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with a plain environment."""
    return World(
        environ={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        cwd=tmp_path,
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=lambda _line: None,
        step=no_step,
    )


def files(folder: Path) -> set[str]:
    """Return the files below ``folder``."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_ledger_can_be_written_at_once(tmp_path: Path, world: World) -> None:
    """What setup writes is read back by the configuration and opens."""
    made = setup.make(setup.propose(tmp_path, world), world)
    loaded = config.load(cwd=tmp_path, environ={})
    assert loaded.genesis == made.genesis
    assert loaded.stack is not None
    ledger = ledgers.open_ledger(loaded, world)
    with ledger.draft("plan") as draft:
        receipt = ledger.append(draft, {"run_id": draft.record_id})
    assert receipt.position == 0


def test_keys_are_private(tmp_path: Path, world: World) -> None:
    """Key files have mode 0600 in a folder of 0700."""
    setup.make(setup.propose(tmp_path, world), world)
    keys = tmp_path / ".tfaudit/keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}


def test_gitignore_gets_one_line(tmp_path: Path, world: World) -> None:
    """The private folder is ignored, once."""
    (tmp_path / ".gitignore").write_text("*.tfstate")
    setup.make(setup.propose(tmp_path, world), world)
    assert (tmp_path / ".gitignore").read_text() == "*.tfstate\n.tfaudit/\n"


def test_a_second_setup_is_refused(tmp_path: Path, world: World) -> None:
    """A configuration that is there is never overwritten."""
    setup.make(setup.propose(tmp_path, world), world)
    before = files(tmp_path)
    with pytest.raises(ConfigError, match="there already"):
        setup.make(setup.propose(tmp_path, world), world)
    assert files(tmp_path) == before


def test_a_failure_leaves_nothing(tmp_path: Path, world: World) -> None:
    """When the ledger's folder can't be made, keys and folders are gone again."""
    (tmp_path / "blocked").write_text("")
    plan = replace(setup.propose(tmp_path, world), ledger="blocked/ledger")
    with pytest.raises(TfauditError, match="blocked"):
        setup.make(plan, world)
    assert files(tmp_path) == {"blocked"}
    assert not (tmp_path / ".tfaudit").exists()


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
def test_rotated_keys_are_in_force(tmp_path: Path, world: World, algorithm: str) -> None:
    """After a rotation records are signed by the new keys, and the old file is kept aside."""
    plan = replace(setup.propose(tmp_path, world), algorithm=algorithm, post_quantum=True)  # type: ignore[arg-type]
    setup.make(plan, world)
    loaded = config.load(cwd=tmp_path, environ={})
    before = {key.keyid for key in keyring.in_force(ledgers.open_reader(loaded).state.keys)}
    root = f"file:{tmp_path}/.tfaudit/keys/root.pem"
    keyring.rotate(loaded, world, "record", root)
    keyring.rotate(loaded, world, "log", root)
    after = {key.keyid for key in keyring.in_force(ledgers.open_reader(loaded).state.keys)}
    assert len(before - after) == 2
    ledger = ledgers.open_ledger(loaded, world)
    with ledger.draft("plan") as draft:
        ledger.append(draft, {"run_id": draft.record_id})
    assert ledgers.open_reader(loaded).state.size == 6
    assert len(list((tmp_path / ".tfaudit/keys").glob("*.old"))) == 2


def test_only_the_root_key_rotates(tmp_path: Path, world: World) -> None:
    """The record key can't accept another one."""
    setup.make(setup.propose(tmp_path, world), world)
    loaded = config.load(cwd=tmp_path, environ={})
    with pytest.raises(ConfigError, match="config record"):
        keyring.rotate(loaded, world, "record", f"file:{tmp_path}/.tfaudit/keys/record.pem")
    assert read(ledgers.evidence_store(str(loaded.ledger)), "commits/0000000000000000", limit=9) is None
