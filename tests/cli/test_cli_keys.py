"""``tfaudit keys``: list, add, remove and rotate on the command line."""

from __future__ import annotations

import json
import re

import pytest

from tfaudit import schema
from tfaudit.cli.main import main
from tfaudit.signing.signer import create_key_file


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a new ledger, to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["setup", "--yes"], shim=None) == 0
    return tmp_path


@pytest.fixture
def keys(here, capfd):
    """Run a keys command; return (exit code, stdout, stderr)."""
    capfd.readouterr()

    def run(*args):
        code = main(["keys", *args], shim=None)
        told = capfd.readouterr()
        return code, told.out, told.err

    return run


def test_a_key_comes_and_goes(here, keys):
    """An added key is listed with its writers and stacks, and a removed one is not."""
    create_key_file(here / "ci.pem")
    code, out, _ = keys("add", "file:ci.pem", "--writers", "ci,people", "--stacks", "acme/*", "--json")
    added = json.loads(out)
    assert (code, added["size"]) == (0, 2)
    schema.validate("keys-change.v1", added)
    listed = [json.loads(line) for line in keys("list", "--json")[1].splitlines()]
    (one,) = (key for key in listed if key["keyid"] == added["keyid"])
    assert (one["role"], one["writers"], one["stacks"]) == ("record", ["ci", "people"], ["acme/*"])
    assert "ci, people, acme/*" in keys("list")[1]
    code, out, _ = keys("remove", added["keyid"][:10].upper(), "--json")
    assert code == 0
    schema.validate("keys-change.v1", json.loads(out))
    assert json.loads(out)["keyid"] == added["keyid"]
    assert added["keyid"] not in keys("list")[1]


def test_a_key_is_replaced_by_a_named_one(here, keys):
    """rotate --to says what the configuration must name from then on."""
    create_key_file(here / "new.pem")
    code, out, err = keys("rotate", "log", "--to", "file:new.pem")
    assert (code, "the log key is replaced" in out) == (0, True)
    assert 'set log = "file:new.pem"' in err


def test_a_rotation_that_was_cut_off_says_what_finishes_it(here, keys):
    """Killed after the ledger took the key and before the files were swapped: the same command again."""
    folder = here / ".tfaudit/keys"
    assert keys("rotate", "log")[0] == 0
    (old,) = folder.glob("log.pem.*.old")
    (folder / "log.pem").rename(folder / "log.pem.next")
    old.rename(folder / "log.pem")
    create_key_file(here / "ci.pem")
    code, _, err = keys("add", "file:ci.pem")
    assert (code, "run `tfaudit keys rotate log` again" in err) == (78, True)
    assert re.search(r"the log key [^+ ]+\+[0-9a-f]{8} is not this ledger's", err)
    assert "an earlier rotation has been finished" in keys("rotate", "log")[2]
    assert keys("add", "file:ci.pem")[0] == 0


def test_the_root_key_is_replaced(here, keys):
    """rotate root needs the present one, and from there on the new one alone changes anything."""
    before = json.loads(keys("list", "--json")[1].splitlines()[0])
    assert keys("rotate", "root")[0] == 0
    after = json.loads(keys("list", "--json")[1].splitlines()[0])
    assert (before["role"], after["role"], before["keyid"] == after["keyid"]) == ("root", "root", False)
    create_key_file(here / "new.pem")
    assert "--root-key is file:new.pem" in keys("rotate", "root", "--to", "file:new.pem")[2]
    assert keys("rotate", "log")[0] == 78
    assert keys("rotate", "log", "--root-key", "file:new.pem")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "nonsense"], 78, "is no public key"),
        (["add", "missing.pub"], 78, "missing.pub is no public key and no file"),
        (["add", "file:.tfaudit/keys/record.pem"], 78, "accepted already"),
        (["remove", "12345678"], 78, "not the start of one"),
        (["rotate", "record", "--to", "gpg:me"], 78, "no signer is known"),
        (["rotate", "second"], 64, "second"),
        (["rotate", "root", "--root-key", "file:.tfaudit/keys/record.pem"], 78, "does not accept the root key"),
    ],
)
def test_what_can_not_be_is_told_in_one_line(keys, arguments, code, message):
    """A key that is none, is known or is not known ends in one line and its exit code."""
    found, out, err = keys(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_key_for_sealed_plans_is_made(here, keys):
    """keys seal prints the public half alone on stdout and leaves the private one to its owner; once."""
    code, out, err = keys("seal")
    path = here / ".tfaudit/keys/seal.key"
    assert (code, out.startswith("age1"), str(path) in err) == (0, True, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert out.strip() in path.read_text()
    assert keys("seal")[0] == 78
    made = json.loads(keys("seal", "--out", "other.key", "--json")[1])
    schema.validate("keys-seal.v1", made)
    assert (made["file"], made["recipient"][:4]) == (str(here / "other.key"), "age1")
