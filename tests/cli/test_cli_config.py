"""``tfaudit config``: push, show and diff on the command line."""

from __future__ import annotations

import json

import pytest

from tfaudit import schema
from tfaudit.cli.main import main
from tfaudit.signing import sshkeys
from tfaudit.signing.signer import create_key_file

GATE = '\n[gate]\napprovals = 1\napprovers = "approvers"\n[[gate.stack]]\npattern = "prod/*"\napprovals = 2\n'


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a new ledger, a gate and one approver, to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("TFAUDIT_STACK", "a")
    assert main(["setup", "--yes"], shim=None) == 0
    add(tmp_path, GATE)
    approver(tmp_path, "alice")
    return tmp_path


def add(folder, text):
    """Add to tfaudit.toml."""
    with (folder / "tfaudit.toml").open("a") as file:
        file.write(text)


def approver(folder, name):
    """Add somebody to the approvers file."""
    key = sshkeys.of_public(create_key_file(folder / f"{name}.pem").public).text
    with (folder / "approvers").open("a") as file:
        file.write(f"{name}@example.com {key}\n")


@pytest.fixture
def config(here, capfd):
    """Run a config command; return (exit code, stdout, stderr)."""
    capfd.readouterr()

    def run(*args):
        code = main(["config", *args], shim=None)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run


def test_nothing_is_pinned_at_first(config):
    """show and diff say so, and neither is an error."""
    code, out, _ = config("show")
    assert (code, out) == (0, "nothing is pinned: a repository's own gate is all there is\n")
    code, out, _ = config("show", "--json")
    assert json.loads(out) == {"record_id": None, "position": None, "digest": None, "bundle": None}
    schema.validate("config-show.v1", json.loads(out))
    code, out, _ = config("diff", "--json", "--exit-code")
    assert (code, json.loads(out)) == (0, {"record_id": None, "stack": "a", "loosens": False, "changes": []})


def test_push_asks_and_pins(config):
    """Without a terminal --yes is needed; what was pinned is shown."""
    code, out, err = config("push")
    assert (code, "nothing is pinned yet" in out, "--yes pins it" in err) == (64, True, True)
    code, out, _ = config("push", "--dry-run")
    assert (code, "pinned, as record" in out) == (0, False)
    assert json.loads(config("show", "--json")[1])["record_id"] is None
    code, out, _ = config("push", "--yes")
    assert (code, "pinned, as record" in out) == (0, True)
    document = json.loads(config("show", "--json")[1])
    schema.validate("config-show.v1", document)
    assert (document["bundle"]["gate"]["approvals"], document["position"]) == (1, 0)
    out = config("show")[1]
    assert document["record_id"] in out
    assert "gate          other stacks: 1 approval, valid 24h, for the same changes\n" in out
    assert "gate          prod/*: 2 approvals, valid 24h, for the same changes\n" in out
    assert "approver      alice@example.com  ssh-ed25519 SHA256:" in out


def test_all_of_a_bundle_is_shown(here, config):
    """Groups, rules, freezes, break-glass, names and limits of keys are told in words."""
    add(
        here,
        'expires = "1h"\nbind = "planfile"\nrequire_touch = true\nevidence = ["env0"]\n'
        '[[gate.stack.rule]]\nname = "r"\nwhen = "true"\napprovals = 2\ngroups = ["dba"]\n'
        '[[gate.stack.freeze]]\nname = "f"\nfrom = 2026-12-19T00:00:00Z\nto = 2027-01-04T00:00:00Z\n'
        '[gate.stack.break_glass]\ngroups = ["dba"]\nreview_within = "48h"\n'
        '[gate.groups]\ndba = ["alice@example.com"]\n[identities]\nalice = ["github:1"]\n'
        '[identity]\nissuers = ["https://issuer.example"]\n',
    )
    code, out, err = config("push", "--dry-run")
    assert (code, err) == (0, "")
    for line in (
        "gate          prod/*: 2 approvals, valid 1h, for the very plan file, by touched FIDO2 keys only, or by env0",
        '  rule        "r": 2 approvals of dba if true',
        '  freeze      "f": 2026-12-19 00:00 to 2027-01-04 00:00 UTC',
        "  break-glass dba; reviewed by another within 48h",
        "group         dba: alice@example.com",
        "identity      alice: github:1",
        "issuers       https://issuer.example",
    ):
        assert f"{line}\n" in out


def test_the_log_names_the_record(config, capfd):
    """A reader of the log sees where the gate was pinned."""
    config("push", "--yes")
    assert main(["log"], shim=None) == 0
    assert "gate pinned; keys of generation 1" in capfd.readouterr().out


def test_the_same_is_not_pinned_twice(config):
    """A push of what is in force makes no record."""
    config("push", "--yes")
    code, out, _ = config("push", "--yes")
    assert (code, out) == (0, "the bundle in force is this very one: there is nothing to pin\n")
    document = json.loads(config("push", "--yes", "--json")[1])
    schema.validate("config-changes.v1", document)
    assert (document["record_id"], document["changes"]) == (None, [])


def test_a_loosening_is_marked(here, config):
    """Push tells what it loosens before it asks, and diff tells it with an exit code."""
    config("push", "--yes")
    assert config("diff", "--exit-code")[:2][0] == 0
    approver(here, "mallory")
    (here / "tfaudit.toml").write_text((here / "tfaudit.toml").read_text().replace("approvals = 1", "approvals = 0"))
    code, out, err = config("diff", "--exit-code")
    assert (code, "LOOSENS  gate.approvals: 1 → 0" in out, "gate-changed" in err) == (78, True, True)
    assert "LOOSENS  gate.approvers: nothing → mallory@example.com" in out
    assert config("diff")[0] == 0
    # For a stack that a pattern gives more, the repository asks for enough.
    assert "gate.approvals" not in config("diff", "--stack", "prod/a")[1]
    document = json.loads(config("diff", "--json")[1])
    schema.validate("config-changes.v1", document)
    assert [change["key"] for change in document["changes"] if change["loosens"]] == [
        "gate.approvals",
        "gate.approvers",
    ]
    document = json.loads(config("push", "--dry-run", "--json")[1])
    schema.validate("config-changes.v1", document)
    assert (document["record_id"], document["loosens"]) == (None, True)


def test_a_tightening_is_not_marked(here, config):
    """What a repository asks for beyond the bundle is listed without a mark."""
    config("push", "--yes")
    (here / "tfaudit.toml").write_text((here / "tfaudit.toml").read_text().replace("approvals = 1", "approvals = 3"))
    code, out, err = config("diff", "--exit-code")
    assert (code, out.strip(), err) == (0, "gate.approvals: 1 → 3", "")
