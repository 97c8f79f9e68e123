"""Software agents are told, with whom they act for; a person's signed word outweighs what the environment says."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import canonical, schema
from tfaudit.config.gating import IdentitySettings
from tfaudit.errors import InputError, VerificationError
from tfaudit.gate import allowed_signers
from tfaudit.identity import agents, delegation
from tfaudit.identity.delegation import Delegation
from tfaudit.identity.gather import gather
from tfaudit.identity.people import People
from tfaudit.runs.delegations import StackChecker, sign
from tfaudit.signing.person import open_person

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WORD = Delegation(
    agent="claude-code",
    person="alice@example.com",
    stacks=("acme/*",),
    made=NOW,
    expires=NOW + timedelta(hours=8),
    nonce="0" * 32,
)


@pytest.mark.parametrize("variable", [name for name in agents.MARKS if name != agents.NAMED_BY_VALUE])
def test_the_marks_of_known_agents(variable):
    """Each tells the agent that sets it, and itself as how it was told."""
    found = agents.recognise({variable: "1"}, None, None)
    assert (found.name, found.on_behalf_of, found.recognised) == (agents.MARKS[variable], None, variable)


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_a_mark_that_is_off(value):
    """A variable that says no marks nothing."""
    assert agents.recognise({"CLAUDECODE": value}, None, None) is None


def test_an_agent_that_names_itself():
    """In letters that are safe to print."""
    assert agents.recognise({"AI_AGENT": "Goose@1.2"}, None, None).name == "goose@1.2"
    assert agents.recognise({"AI_AGENT": "\x1b[2J evil\n"}, None, None).name == "2j-evil"
    assert agents.recognise({"AI_AGENT": "\x1b"}, None, None).name == "unnamed"


def test_no_agent():
    """A person at a terminal, an editor's terminal, or a plain CI job."""
    assert agents.recognise({"HOME": "/", "CURSOR_TRACE_ID": "x", "GITHUB_ACTIONS": "true"}, None, None) is None


def test_the_list_can_be_replaced():
    """[identity] agents names the variables; none means that nothing is recognised."""
    assert agents.recognise({"OUR_BOT": "secret-value"}, ("OUR_BOT",), None).name == "our_bot"
    assert agents.recognise({"CLAUDECODE": "1"}, ("OUR_BOT",), None) is None
    assert agents.recognise({"CLAUDECODE": "1"}, (), None) is None


def test_declared_agents_and_their_persons():
    """What is declared comes before marks; the person's name is canonical."""
    environ = {"TFAUDIT_AGENT": "Deploy Bot", "TFAUDIT_ON_BEHALF_OF": "Alice@Example.com", "CLAUDECODE": "1"}
    found = agents.recognise(environ, None, None)
    assert (found.name, found.on_behalf_of, found.recognised) == (
        "deploy-bot",
        "email:alice@example.com",
        "TFAUDIT_AGENT",
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alice@example.com", "email:alice@example.com"),
        ("github:583231", "github:583231"),
        ("ssh:SHA256:abC", "ssh:SHA256:abC"),
        ("alice", "principal:alice"),
    ],
)
def test_persons_as_people_write_them(text, name):
    """An address, a name of a kind, or a principal."""
    assert agents.person_name(text) == name


def test_who_acts_for_somebody_is_an_agent():
    """Though it has no name, and though its delegation does not hold."""
    assert agents.recognise({"TFAUDIT_ON_BEHALF_OF": "a@x"}, None, None).name == "unnamed"
    assert agents.recognise({"TFAUDIT_DELEGATION": "/none"}, None, None).recognised == "TFAUDIT_DELEGATION"


def test_the_person_has_a_part_in_the_run():
    """So that approving what one's own agent does is approving oneself."""
    found = agents.recognise({"CLAUDECODE": "1", "TFAUDIT_ON_BEHALF_OF": "a@x"}, None, None)
    evidence = agents.evidence(found, None)
    assert evidence.level == "claimed"
    assert evidence.identities == ("agent:claude-code", "email:a@x")


@pytest.fixture
def key(tmp_path):
    """An SSH key of a person's: its path, and its public half."""
    path = tmp_path / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path, path.with_suffix(".pub").read_text()


def checker(*lines, stack="acme/network"):
    """Return a checker that knows these lines of the approvers file."""
    approvers = allowed_signers.parse("".join(lines), what="approvers")
    return StackChecker(approvers=approvers, stack=stack, now=int(NOW.timestamp() * 1000))


def signed(tmp_path, path, **fields):
    """Write a delegation signed by a key."""
    word = replace(WORD, **fields)
    file = tmp_path / "delegation.json"
    file.write_bytes(sign(delegation.build(word), open_person(str(path), base=tmp_path)) + b"\n")
    return file


def read(file, known, people=None, now=NOW):
    """Read a delegation as a run would."""
    return delegation.read(file, known, people or People({}), agents.person_name, now=now)


def test_a_delegation_by_the_persons_own_key(tmp_path, key):
    """The approvers file says that it is theirs."""
    path, public = key
    found = read(signed(tmp_path, path), checker(f"alice@example.com {public}"))
    assert (found.agent, found.person) == ("claude-code", "email:alice@example.com")
    assert any(name.startswith("ssh:SHA256:") for name in found.identities)


def test_a_delegation_by_a_key_that_identities_names(tmp_path, key):
    """Without an approvers file [identities] says whose it is."""
    path, _ = key
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True
    ).stdout.split()[1]
    people = People({"alice": ("email:alice@example.com", f"ssh:{fingerprint}")})
    assert read(signed(tmp_path, path), checker(), people).person == "email:alice@example.com"


@pytest.mark.parametrize(
    ("fields", "now", "reason"),
    [
        ({"person": "bob@example.com"}, NOW, "of the person it names"),
        ({}, NOW + timedelta(hours=8), "it is for 2026-11-25T12:00:00Z to 2026-11-25T20:00:00Z"),
        ({}, NOW - timedelta(minutes=6), "it is for"),
        ({"stacks": ("other/*", "acme")}, NOW, "other stacks"),
    ],
)
def test_a_delegation_that_does_not_count(tmp_path, key, fields, now, reason):
    """By another's key, out of time, for other stacks."""
    path, public = key
    with pytest.raises(VerificationError, match=reason):
        read(signed(tmp_path, path, **fields), checker(f"alice@example.com {public}"), now=now)


def test_a_delegation_by_nobodys_key(tmp_path, key):
    """A key of which nothing is known vouches for nobody."""
    with pytest.raises(VerificationError, match="nothing says"):
        read(signed(tmp_path, key[0]), checker())


def test_a_forged_delegation(tmp_path, key):
    """What was signed is what holds."""
    path, public = key
    file = signed(tmp_path, path)
    known = checker(f"alice@example.com {public}")
    whole = file.read_text()
    for broken in (whole[:-10], "{}", "", whole.replace('"payload":"e', '"payload":"f'), whole * 2):
        file.write_text(broken)
        with pytest.raises(InputError):
            read(file, known)


def test_a_signature_for_another_purpose(tmp_path, key):
    """An approval's signature is none for a delegation."""
    path, public = key
    person = open_person(str(path), base=tmp_path)

    class Elsewhere:
        key = person.key

        def sign(self, message, _namespace):
            return person.sign(message, "tfaudit-approval")

    file = tmp_path / "d.json"
    file.write_bytes(sign(delegation.build(WORD), Elsewhere()))
    with pytest.raises(InputError, match="not by SHA256"):
        read(file, checker(f"alice@example.com {public}"))


def test_the_document_is_of_the_format():
    """schemas/delegation.v1 describes it."""
    document = json.loads(delegation.build(WORD))
    schema.validate("delegation.v1", document)
    assert delegation.parse(delegation.build(WORD)) == WORD


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(sorted(json.loads(delegation.build(WORD)))), _JSON))
def test_any_document_is_refused_in_one_way(document):
    """Whatever it holds."""
    payload = document if isinstance(document, bytes) else canonical.encode({"format": delegation.FORMAT} | document)
    with pytest.raises(InputError):
        delegation.parse(payload)


@pytest.mark.parametrize("name", ["agent", "person", "stacks", "made", "expires", "nonce"])
@given(value=_JSON)
def test_a_member_of_any_type(name, value):
    """Either it is read back as it stands, or it is refused."""
    payload = canonical.encode(json.loads(delegation.build(WORD)) | {name: value})
    with contextlib.suppress(InputError):
        assert delegation.build(delegation.parse(payload)) == payload


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "Claude"},
        {"agent": ""},
        {"person": ""},
        {"nonce": "x"},
        {"expires": NOW},
        {"expires": NOW + timedelta(days=400)},
        {"stacks": ("",)},
        {"stacks": ("x",) * 101},
    ],
)
def test_words_out_of_form(fields):
    """Nobody can sign what could not be read."""
    with pytest.raises(InputError):
        delegation.build(replace(WORD, **fields))


def test_a_run_of_a_delegated_agent(tmp_path, key):
    """The actor names the agent and the person, at the strength of the signature."""
    path, public = key
    found = gather(
        {"TFAUDIT_DELEGATION": str(signed(tmp_path, path)), "CLAUDECODE": "1", "PATH": "/usr/bin:/bin"},
        tmp_path,
        IdentitySettings(),
        {},
        origin="o",
        run_id="r",
        change_digest=None,
        cache=None,
        clock=lambda: NOW,
        deep=False,
        delegations=checker(f"alice@example.com {public}"),
    )
    assert found.actor.agent.on_behalf_of == "email:alice@example.com"
    assert found.actor.claim("software-agent", "recognised") == "delegation"
    assert found.actor.evidence[0].level == "signed-delegation"
    assert found.actor.to_json()["agent"] == {
        "name": "claude-code",
        "on_behalf_of": "email:alice@example.com",
        "recognised": "delegation",
    }


def test_a_delegation_that_fails_is_told(tmp_path):
    """The run is an agent's all the same."""
    found = gather(
        {"TFAUDIT_DELEGATION": str(tmp_path / "none"), "PATH": "/usr/bin:/bin"},
        tmp_path,
        IdentitySettings(),
        {},
        origin="o",
        run_id="r",
        change_digest=None,
        cache=None,
        clock=lambda: NOW,
        deep=False,
        delegations=checker(),
    )
    assert "can't be read" in found.problems[0]
    assert found.actor.agent.name == "unnamed"
