"""``tfaudit whoami`` shows who acts, by which evidence, and what could not be checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tfaudit import schema

TFAUDIT = Path(sys.executable).with_name("tfaudit")


@pytest.fixture
def run(tmp_path):
    """Run tfaudit in an empty folder, in an environment that holds what is given and no more."""
    folder = tmp_path / "here"
    folder.mkdir()

    def call(*arguments, code=0, **environ):
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **environ}
        result = subprocess.run(
            [TFAUDIT, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert result.returncode == code, result.stderr
        return result

    call.folder = folder
    return call


def test_a_laptop(run):
    """Outside CI it is the operating system's user, which is claimed."""
    shown = run("whoami").stdout
    assert "level       claimed\n" in shown
    assert "operating-system (claimed): os:" in shown
    assert "not checked" not in shown


def test_json_is_of_the_format(run):
    """Every kind of evidence stands in schemas/whoami.v1."""
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "CLAUDECODE": "1", "TFAUDIT_ON_BEHALF_OF": "a@x"}
    document = json.loads(run("whoami", "--json", **environ).stdout)
    schema.validate("whoami.v1", document)
    assert document["principal"] == "github:octocat"
    assert document["agent"] == {"name": "claude-code", "on_behalf_of": "email:a@x", "recognised": "CLAUDECODE"}
    assert "id-token: write" in document["problems"][0]


def test_what_could_not_be_checked_is_shown(run):
    """With what to do about it."""
    shown = run("whoami", GITHUB_ACTIONS="true", GITHUB_ACTOR="octocat").stdout
    assert "not checked\n  GitHub gives this job no token" in shown


def test_names_cannot_steer_the_terminal(run):
    """Whatever somebody calls themselves."""
    shown = run("whoami", GITHUB_ACTIONS="true", GITHUB_ACTOR="\x1b[31mroot\nlevel       verified").stdout
    assert "\x1b" not in shown
    assert "\nlevel       verified" not in shown


def test_a_token_is_never_printed(run):
    """Nor any part of one that does not count."""
    token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2dpdGxhYi5jb20ifQ.c2VjcmV0"
    result = run("whoami", TFAUDIT_ID_TOKEN=token)
    assert "algorithm none is not allowed" in result.stdout
    for part in token.split("."):
        assert part not in result.stdout + result.stderr


def test_a_person_signs_that_an_agent_acts_for_them(run):
    """The agent shows the file, and [identities] says whose the key is."""
    key = run.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    fingerprint = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout.split()[
        1
    ]
    (run.folder / "tfaudit.toml").write_text(f'[identities]\nann = ["email:ann@x", "ssh:{fingerprint}"]\n')
    run("whoami", "--delegate", "claude-code", "--as", "ann@x", "--key", "key", "--out", "d.json")
    document = json.loads(run("whoami", "--json", TFAUDIT_DELEGATION="d.json").stdout)
    schema.validate("whoami.v1", document)
    assert document["problems"] == []
    assert document["agent"]["recognised"] == "delegation"
    assert "person:ann" in document["persons"]
    assert (run.folder / "d.json").read_text().count("\n") == 1
    again = run("whoami", "--delegate", "claude-code", "--as", "ann@x", "--key", "key", "--out", "d.json", code=65)
    assert "d.json" in again.stderr


def test_the_approvers_file_says_whose_key_it_is(run):
    """Then --as may be left out, in signing as in reading."""
    key = run.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (run.folder / "approvers").write_text(f"ann@x {key.with_suffix('.pub').read_text()}")
    (run.folder / "tfaudit.toml").write_text('[gate]\napprovers = "approvers"\n')
    told = run("whoami", "--delegate", "claude-code", "--key", "key", "--out", "d.json").stderr
    assert "claude-code acts for ann@x until" in told
    document = json.loads(run("whoami", "--json", TFAUDIT_DELEGATION="d.json").stdout)
    assert document["agent"]["on_behalf_of"] == "email:ann@x"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--delegate", "x"), 64, "--out FILE"),
        (("--key", "k"), 64, "go with --delegate"),
        (("--delegate", "x", "--out", "o"), 78, "no key to sign with"),
        (("--delegate", "x", "--out", "o", "--expires", "soon"), 78, "no duration"),
    ],
)
def test_what_is_missing_is_told(run, arguments, code, told):
    """In one line."""
    assert told in run("whoami", *arguments, code=code).stderr
