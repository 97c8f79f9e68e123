"""``tfaudit retain`` on the command line, on a ledger in a folder."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from tfaudit import config, schema
from tfaudit.cli.main import main
from tfaudit.runs import ledgers
from tfaudit.runs.run import World, no_step


@pytest.fixture
def run_id(tmp_path, monkeypatch, capfd):
    """A new ledger to be in, with one closed run of 2020; its id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["setup", "--yes"], shim=None) == 0
    world = World(
        environ={},
        cwd=tmp_path,
        clock=lambda: datetime(2020, 1, 1, tzinfo=UTC),
        entropy=os.urandom,
        say=print,
        step=no_step,
    )
    ledger = ledgers.open_ledger(config.load(cwd=tmp_path, environ={}), world)
    with ledger.draft("plan") as draft:
        ledger.append(draft, {"run_id": draft.record_id, "stack": "s", "reason": draft.disclose("/reason", b'"why"')})
    capfd.readouterr()
    return draft.record_id


@pytest.fixture
def retain(capfd):
    """Run a retain command; return (exit code, stdout, stderr)."""

    def run(*args):
        code = main(["retain", *args], shim=None)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run


def test_a_run_is_held_and_released(run_id, retain, capfd):
    """Both leave a record that the log shows."""
    code, out, _ = retain("hold", run_id)
    assert (code, out.startswith("1 record is held, as record ")) == (0, True)
    code, out, _ = retain("release", run_id[:20], "--json")
    schema.validate("retain.v1", json.loads(out))
    assert (code, json.loads(out)["objects"]) == (0, 1)
    main(["log", "--json"], shim=None)
    summaries = [json.loads(line)["summary"] for line in capfd.readouterr().out.splitlines()]
    assert summaries[:2] == ["release 1 records", "hold 1 records"]


def test_prune_says_first_what_would_go(run_id, retain, tmp_path, capfd):
    """Without --yes nothing goes; with it the values do, and the ledger verifies."""
    disclosures = tmp_path / ".tfaudit/working/disclosures" / f"{run_id}.jsonl"
    code, _, err = retain("prune", "--before", "2021-01-01")
    assert (code, "1 record would go" in err, disclosures.exists()) == (64, True, True)
    code, _, _ = retain("prune", "--before", "2021-01-01", "--yes")
    assert (code, disclosures.exists()) == (0, False)
    assert main(["verify"], shim=None) == 0
    assert main(["export", "--format", "jsonl", "-o", "-"], shim=None) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prune", "--before", "2999-01-01", "--yes"], 78, "yet to come"),
        (["prune", "--before", "2999-01-01"], 78, "yet to come"),
        (["prune", "--before", "soon", "--yes"], 64, "is no date"),
        (["hold", "0000"], 65, "no run or record"),
        (["extend", "--days", "7"], 78, "locks nothing"),
    ],
)
def test_what_can_not_be_is_told_in_one_line(run_id, retain, arguments, code, message):
    """A date, run or store that won't do ends in one line and its exit code."""
    found, out, err = retain(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_where_no_outcome_states_an_erasure_nothing_is_erased(run_id, retain):
    """Erasing carries out what outcomes say, and no more."""
    assert retain("erase") == (0, "0 change keys erased\n", "")
    code, out, _ = retain("erase", "--since", "2019-01-01", "--json")
    schema.validate("retain.v1", json.loads(out))
    assert (code, json.loads(out)) == (0, {"objects": 0})
