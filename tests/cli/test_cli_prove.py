"""``tfaudit prove`` and ``tfaudit verify-proof``."""

from __future__ import annotations

import json

import pytest
from reading import run, tfaudit

from tfaudit import schema


@pytest.fixture
def event_id(place, capfd):
    """The id of the change of aws_x.web."""
    _, out, _ = tfaudit(place, capfd, "history", "aws_x.web", "--json")
    return next(json.loads(line)["event_id"] for line in out.splitlines() if '"update"' in line)


@pytest.fixture
def proof(place, capfd, event_id, tmp_path):
    """The proof of it, with one value revealed and the actor."""
    path = tmp_path / "proof.json"
    reveal = ["--reveal", "/size", "--reveal", "record:/actor"]
    code, out, err = tfaudit(place, capfd, "prove", event_id, "-o", str(path), *reveal)
    assert (code, out) == (0, "")
    assert f"proves {event_id} in {place.ledger.origin}, size 16 root " in err
    return path


def vkey(place):
    """Return the log's verifier key."""
    return place.ledger.keys().log[0].vkey


def test_a_proof_is_of_its_format(proof):
    """What prove writes is a document of the published schema."""
    schema.validate("proof.v1", json.loads(proof.read_bytes()))


def test_a_proof_verifies_without_the_ledger(place, capfd, proof, event_id):
    """verify-proof needs the file alone, and says that the keys are the proof's own."""
    place.folder.rename(place.folder.with_name("gone"))
    code, out, _ = tfaudit(place, capfd, "verify-proof", str(proof))
    assert code == 0
    assert event_id in out
    assert "update resource-change aws_x.web" in out
    assert "revealed  /size before: 1" in out
    assert 'revealed  record:/actor: {"evidence":[],' in out
    assert "trust on first use" in out


def test_a_known_key_or_anchor_is_trusted(place, capfd, proof):
    """With the log's key or genesis' digest there is no talk of first use."""
    for option in (["--log-key", vkey(place)], ["--genesis", place.ledger.genesis.digest]):
        code, out, _ = tfaudit(place, capfd, "verify-proof", str(proof), *option)
        assert code == 0
        assert "first use" not in out


def test_the_result_as_json(place, capfd, proof, event_id):
    """--json gives the event, the record, what is revealed and the place in the log."""
    code, out, _ = tfaudit(place, capfd, "verify-proof", str(proof), "--json", "--log-key", vkey(place))
    result = json.loads(out)
    schema.validate("proof-check.v1", result)
    assert (code, result["ok"], result["trust"], result["event_id"]) == (0, True, "log-key", event_id)
    assert result["event"]["address"] == "aws_x.web"
    assert result["revealed"][0] == {"pointer": "/size", "side": "before", "json": "1"}
    assert result["log"]["size"] == 16


def test_a_proof_that_does_not_hold_is_76(place, capfd, proof):
    """An altered proof ends in one line and exit code 76, or with --json in an object."""
    proof.write_bytes(proof.read_bytes().replace(b"aws_x.web", b"aws_x.wax"))
    code, out, err = tfaudit(place, capfd, "verify-proof", str(proof))
    assert (code, out) == (76, "")
    assert err.count("\n") == 1
    assert "proves nothing" in err
    code, out, _ = tfaudit(place, capfd, "verify-proof", str(proof), "--json")
    assert code == 76
    schema.validate("proof-check.v1", json.loads(out))
    assert json.loads(out)["ok"] is False


def test_another_log_key_is_76(place, capfd, proof, tmp_path):
    """A proof that the given key did not sign does not hold."""
    from tfaudit.signing.note import NoteKey
    from tfaudit.signing.signer import create_key_file

    stranger = NoteKey(name=place.ledger.origin, public=create_key_file(tmp_path / "stranger.pem").public)
    code, _, err = tfaudit(place, capfd, "verify-proof", str(proof), "--log-key", stranger.vkey)
    assert code == 76
    assert "not signed by the log key that you gave" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["verify-proof", "missing.json"], 65, "can't be read"),
        (["verify-proof", "pyproject.toml", "--log-key", "nonsense"], 65, "verifier key"),
        (["prove", "nonsense", "-o", "x.json"], 65, "not an event's id"),
        (["prove", "019ca8d7-0000-7000-8000-000000000000/1", "-o", "x.json"], 65, "holds no record"),
    ],
)
def test_bad_arguments_are_told_in_one_line(place, capfd, arguments, code, message):
    """What can't be read or is not there ends in one line and its exit code."""
    found, _, err = tfaudit(place, capfd, *arguments)
    assert found == code
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_is_there_stays(place, capfd, event_id, tmp_path):
    """prove takes no file's place, but with --force."""
    path = tmp_path / "proof.json"
    path.write_text("mine")
    code, _, err = tfaudit(place, capfd, "prove", event_id, "-o", str(path))
    assert (code, path.read_text()) == (65, "mine")
    assert "there already" in err
    assert tfaudit(place, capfd, "prove", event_id, "-o", str(path), "--force")[0] == 0


def test_a_hostile_address_steers_no_terminal(place, capfd, tmp_path):
    """Control characters of a revealed value are shown escaped."""
    _, out, _ = tfaudit(place, capfd, "history", "aws_x.web", "--json")
    event_id = next(json.loads(line)["event_id"] for line in out.splitlines() if "owned" in line)
    path = tmp_path / "proof.json"
    assert tfaudit(place, capfd, "prove", event_id, "-o", str(path), "--reveal", "/name")[0] == 0
    _, out, _ = tfaudit(place, capfd, "verify-proof", str(path))
    assert "owned" in out
    assert not {"\x1b", "\u202e"} & {*out}


def test_the_check_runs_in_an_empty_folder(proof, tmp_path):
    """verify-proof as a process of its own, with no configuration around."""
    result = run(None, "verify-proof", str(proof), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
