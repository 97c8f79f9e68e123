"""Who acts under a gate: a job by its token, bound to run and change; oneself under another name; a software agent."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import gatekit
import pytest
from oidckit import OTHER_RSA, RSA, claims, serve, sign

from tfaudit import schema

pytestmark = pytest.mark.engine


@pytest.fixture
def issuer():
    """What gives the jobs' tokens: Dora's, whose id on GitHub is 583231."""
    with serve() as running:
        running.token = lambda audience: token(running, audience)
        yield running


def token(issuer, audience, **more):
    """Return a job's token."""
    named = {"actor": "dora", "actor_id": "583231", "repository_id": "74", "run_id": "9"} | more
    return sign(claims(issuer, audience, now=datetime.now(UTC), **named), more.pop("key", RSA))


def job(project, issuer, *more, identity=""):
    """Return the gated project as a job sees it whose platform gives tokens."""
    path = project.folder / "tfaudit.toml"
    path.write_text(path.read_text() + f'\n[identity]\nissuers = ["{issuer.url}"]\n{identity}\n' + "".join(more))
    service = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/github?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
    }
    return replace(project, environment={**project.environment, **service})


def actor_of(project, kind):
    """Return the actor of the newest record of a kind."""
    return next(record["actor"] for record in reversed(gatekit.records(project)) if record["kind"] == kind)


def test_a_job_is_known_by_its_token(project, alice, issuer):
    """The actor is verified, the token kept with the record, and verify checks it again."""
    here = job(gatekit.set_up(project, alice), issuer)
    here.tfaudit("plan", "-input=false", "-out=p")
    gatekit.approve(here, alice, "p")
    here.tfaudit("apply", "-input=false", "p")
    actor = actor_of(here, "intent")
    assert (actor["principal"], actor["level"]) == ("github:583231", "verified")
    assert {"github:583231", "github:dora"} <= set(actor["evidence"][0]["identities"])
    assert gatekit.findings(here) == []


def test_every_record_has_a_token_of_its_own(project, alice, issuer):
    """One that is bound to the plan's run would prove nothing about the apply's."""
    here = job(gatekit.set_up(project, alice), issuer)
    here.tfaudit("plan", "-input=false", "-out=p")
    gatekit.approve(here, alice, "p")
    here.tfaudit("apply", "-input=false", "p")
    asked = [path for path in issuer.asked if path.startswith("/github")]
    assert len(asked) == len(set(asked)) == 2


def test_a_token_of_another_run_is_not_believed(project, alice, issuer):
    """It is said, and the record claims what it can't prove."""
    here = job(gatekit.set_up(project, alice), issuer)
    replayed = token(issuer, f"tfaudit:{'x' * 10}:{'0' * 64}")
    here = replace(here, environment={**here.environment, "TFAUDIT_ID_TOKEN": replayed})
    done = here.tfaudit("plan", "-input=false", "-out=p")
    assert "not proven: the token does not count: it is for another audience" in done.stderr
    assert replayed not in done.stderr
    assert actor_of(here, "plan")["level"] == "claimed"


def test_an_issuer_that_hangs_or_lies_stops_nothing(project, alice, issuer):
    """A key of nobody's: the gate still decides, on what is claimed."""
    issuer.keys = [OTHER_RSA]
    here = job(gatekit.set_up(project, alice), issuer)
    done = here.tfaudit("plan", "-input=false", "-out=p")
    assert "has no key of that name" in done.stderr
    assert actor_of(here, "plan")["principal"] == "github:dora"


def test_approving_oneself_under_another_name(project, tmp_path, issuer):
    """Dora's key is called dora@example.com; her token says 583231; [identities] says that they are one."""
    dora = gatekit.person(tmp_path / "keys", "dora")
    here = job(
        gatekit.set_up(project, dora),
        issuer,
        '\n[identities]\ndora = ["email:dora@example.com", "github:583231"]\n',
    )
    here.tfaudit("plan", "-input=false", "-out=p")
    gatekit.approve(here, dora, "p")
    assert "self-approval" in gatekit.codes(here.tfaudit("apply", "-input=false", "p", code=77))


def test_approving_with_a_key_of_the_committers(project, alice):
    """Who wrote the change has a part in it, by the address in the commit."""
    here = gatekit.set_up(project, alice)
    author = ("-c", "user.name=A", "-c", "user.email=ALICE@example.com")
    for arguments in (("init", "-q"), ("add", "main.tf"), (*author, "commit", "-qm", "x")):
        subprocess.run(
            ["git", *arguments], cwd=here.folder, env=dict(here.environment), check=True, capture_output=True
        )
    here.tfaudit("plan", "-input=false", "-out=p")
    gatekit.approve(here, alice, "p")
    assert "self-approval" in gatekit.codes(here.tfaudit("apply", "-input=false", "p", code=77))


def test_an_agent_and_whom_it_acts_for(project, tmp_path, alice):
    """Both stand in the record; the person can't approve alone what their agent does, another one can."""
    bob = gatekit.person(tmp_path / "keys", "bob")
    here = gatekit.set_up(project, alice, bob)
    here.tfaudit("whoami", "--delegate", "claude-code", "--key", str(alice.key), "--out", "delegation.json")
    here = replace(here, environment={**here.environment, "TFAUDIT_DELEGATION": "delegation.json"})
    here.tfaudit("plan", "-input=false", "-out=p")
    actor = actor_of(here, "plan")
    assert actor["agent"] == {
        "name": "claude-code",
        "on_behalf_of": "email:alice@example.com",
        "recognised": "delegation",
    }
    gatekit.approve(here, alice, "p")
    assert "self-approval" in gatekit.codes(here.tfaudit("apply", "-input=false", "p", code=77))
    gatekit.approve(here, bob, "p")
    here.tfaudit("apply", "-input=false", "p")
    assert actor_of(here, "intent")["agent"]["name"] == "claude-code"
    assert "by agent claude-code for email:alice@example.com" in here.tfaudit("log").stdout
    rows = list(csv.DictReader(here.tfaudit("export", "--format", "csv", "-o", "-").stdout.splitlines()))
    assert {(row["agent"], row["on_behalf_of"]) for row in rows} == {("claude-code", "email:alice@example.com")}


def test_whoami_in_a_gated_project(project, alice, issuer):
    """It shows what a run will find, the person's name from [identities] with it."""
    here = job(gatekit.set_up(project, alice), issuer, '\n[identities]\ndora = ["github:583231"]\n')
    document = json.loads(here.tfaudit("whoami", "--json").stdout)
    schema.validate("whoami.v1", document)
    assert (document["principal"], document["level"]) == ("github:583231", "verified")
    assert document["bound"]["issuer"] == issuer.url
    assert "person:dora" in document["persons"]
