"""Everything that is known of who acts, put together, in the environments that platforms give their jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from oidckit import NOW, OTHER_RSA, RSA, claims, serve, sign

from tfaudit.config.gating import IdentitySettings
from tfaudit.identity import oidc
from tfaudit.identity.gather import gather

PATH = "/usr/local/bin:/usr/bin:/bin"
DIGEST = "cd" * 32
AUDIENCE = oidc.bound_audience("ledger.example", "run-1", DIGEST)
GITHUB = {"actor": "octocat", "actor_id": "583231", "repository_id": "74", "run_id": "9"}


def ask(environ, issuer, tmp_path, *, deep=False, identities=None, token=True, early=None, cache=None, **settings):
    """Gather in an empty folder, the issuer configured."""
    configured = IdentitySettings(issuers=(issuer.url,) if issuer else (), **settings)
    return gather(
        {"PATH": PATH, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent), **environ},
        tmp_path,
        configured,
        identities or {},
        origin="ledger.example",
        run_id="run-1",
        change_digest=DIGEST,
        cache=cache,
        clock=lambda: NOW,
        deep=deep,
        token=token,
        early=early,
    )


def github(issuer, **more):
    """Return the environment of a job on GitHub, whose tokens the issuer gives."""
    issuer.token = lambda audience: sign(claims(issuer, audience, **GITHUB))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "octocat",
        "GITHUB_TRIGGERING_ACTOR": "hubot",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/github?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
    } | more


def script(folder, name, text):
    """Put a program of a platform's on the PATH and return that."""
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)
    return f"{program.parent}:{PATH}"


def test_github_binds_the_token_to_the_run(issuer, tmp_path):
    """It is verified, kept with the keys, and verified again from what was kept."""
    found = ask(github(issuer), issuer, tmp_path)
    assert (found.actor.principal, found.actor.level) == ("github:583231", "verified")
    assert found.problems == ()
    assert found.kept is not None
    assert found.kept.audience == AUDIENCE
    kept = json.loads(json.dumps(found.kept.to_json()))
    assert oidc.verify_kept(kept["token"], kept["jwks"].encode(), NOW, audience=AUDIENCE)["actor_id"] == "583231"


def test_who_started_it_again_has_a_part_in_it(issuer, tmp_path):
    """Neither the first nor the second may approve."""
    names = ask(github(issuer), issuer, tmp_path).actor.identities
    assert {"github:583231", "github:octocat", "github:hubot"} <= names


def test_no_token_shows_anywhere(issuer, tmp_path):
    """A bound token is kept on purpose and shown nowhere else."""
    found = ask(github(issuer), issuer, tmp_path)
    assert found.kept is not None
    for part in found.kept.token.split("."):
        assert part not in repr(found)
        assert part not in json.dumps(found.actor.to_json())


def test_without_the_permission_the_reason_is_told(issuer, tmp_path):
    """The job goes on with what its environment claims."""
    found = ask({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat"}, issuer, tmp_path)
    assert (found.actor.principal, found.actor.level, found.kept) == ("github:octocat", "claimed", None)
    assert "id-token: write" in found.problems[0]


def test_the_service_that_refuses(issuer, tmp_path):
    """No part of the request is in the reason."""
    found = ask(github(issuer, ACTIONS_ID_TOKEN_REQUEST_TOKEN="wrong-secret"), issuer, tmp_path)
    assert found.actor.level == "claimed"
    assert "status 404" in found.problems[0]
    assert "wrong-secret" not in found.problems[0]
    assert "audience" not in found.problems[0]


@pytest.mark.parametrize("answer", ["", "x", "a.b.c", "é" * 100])
def test_a_service_that_gives_no_token(issuer, tmp_path, answer):
    """A problem, and no more."""
    environ = github(issuer)
    issuer.token = lambda _audience: answer
    found = ask(environ, issuer, tmp_path)
    assert len(found.problems) == 1
    assert found.actor.level == "claimed"


def test_replay_is_never_verified(issuer, tmp_path):
    """A token that was bound to another run, or to none, does not become this run's."""
    others = oidc.bound_audience("ledger.example", "run-0", DIGEST)
    found = ask({"TFAUDIT_ID_TOKEN": sign(claims(issuer, others, **GITHUB))}, issuer, tmp_path)
    assert found.actor.level == "claimed"
    assert "another audience" in found.problems[0]
    found = ask({"TFAUDIT_ID_TOKEN": sign(claims(issuer, "tfaudit", **GITHUB))}, issuer, tmp_path)
    assert (found.actor.level, found.kept) == ("attested-by-runner", None)


def test_a_given_token_comes_before_the_platforms(issuer, tmp_path):
    """As do the files that a pod mounts."""
    token = sign(claims(issuer, AUDIENCE, **(GITHUB | {"actor_id": "7"})))
    found = ask(github(issuer, TFAUDIT_ID_TOKEN=token), issuer, tmp_path)
    assert found.actor.principal == "github:7"
    (tmp_path / "token").write_text(token + "\n")
    found = ask(github(issuer, TFAUDIT_ID_TOKEN_FILE=str(tmp_path / "token")), issuer, tmp_path)
    assert found.actor.principal == "github:7"
    found = ask({"TFAUDIT_ID_TOKEN_FILE": str(tmp_path / "none")}, issuer, tmp_path)
    assert "can't be read" in found.problems[0]


@pytest.mark.parametrize(
    ("variable", "said", "source"),
    [
        ("ENV0_OIDC_TOKEN", {"deployerEmail": "ann@x", "environmentId": "e", "deploymentLogId": "d"}, "env0-oidc"),
        (
            "TFC_WORKLOAD_IDENTITY_TOKEN",
            {"terraform_run_id": "run-x", "terraform_workspace_id": "ws-x"},
            "hcp-terraform-oidc",
        ),
        ("SPACELIFT_OIDC_TOKEN", {}, "oidc-oidc"),
        ("BITBUCKET_STEP_OIDC_TOKEN", {}, "oidc-oidc"),
        ("TFAUDIT_ID_TOKEN", {"user_id": "7", "project_id": "1", "pipeline_id": "2"}, "gitlab-ci-oidc"),
    ],
)
def test_platforms_that_hand_a_token_over(issuer, tmp_path, variable, said, source):
    """Their audience is fixed elsewhere: attested, not bound."""
    found = ask({variable: sign(claims(issuer, "ours", **said))}, issuer, tmp_path, audience="ours")
    assert found.actor.evidence[0].source == source
    assert found.actor.evidence[0].level == "attested-by-runner"
    assert found.kept is None


def test_buildkite_binds_by_its_agent(issuer, tmp_path):
    """buildkite-agent is asked for a token with the run's audience."""
    token = sign(claims(issuer, AUDIENCE))
    path = script(
        tmp_path,
        "buildkite-agent",
        f"import sys; assert sys.argv[1:] == ['oidc', 'request-token', '--audience', {AUDIENCE!r}]; print({token!r})",
    )
    found = ask({"BUILDKITE": "true", "PATH": path}, issuer, tmp_path)
    assert found.actor.evidence[0].level == "verified"
    found = ask({"BUILDKITE": "true", "PATH": "/nowhere"}, issuer, tmp_path)
    assert "buildkite-agent" in found.problems[0]


def test_circleci_binds_by_its_program_or_takes_the_variable(issuer, tmp_path):
    """The variable's audience is the organisation."""
    bound, plain = (sign(claims(issuer, audience)) for audience in (AUDIENCE, "tfaudit"))
    wanted = ["run", "oidc", "get", "--claims", json.dumps({"aud": AUDIENCE})]
    path = script(tmp_path, "circleci", f"import sys; assert sys.argv[1:] == {wanted!r}; print({bound!r})")
    environ = {"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": plain}
    assert ask(environ | {"PATH": path}, issuer, tmp_path).actor.evidence[0].level == "verified"
    assert ask(environ, issuer, tmp_path).actor.evidence[0].level == "attested-by-runner"
    script(tmp_path, "circleci", "raise SystemExit(1)")
    assert ask(environ | {"PATH": path}, issuer, tmp_path).actor.evidence[0].level == "attested-by-runner"


def test_azure_devops_names_a_connection_and_no_person(issuer, tmp_path):
    """The token is fetched, its subject recorded; who asked for the run is claimed."""
    issuer.token = lambda audience: sign(claims(issuer, audience, sub="sc://acme/infra/prod"))
    environ = {
        "TF_BUILD": "True",
        "BUILD_REQUESTEDFOREMAIL": "Ann@example.com",
        "SYSTEM_OIDCREQUESTURI": f"{issuer.url}/azure",
        "SYSTEM_ACCESSTOKEN": "access-token",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection-1",
    }
    found = ask(environ, issuer, tmp_path, audience="api://AzureADTokenExchange")
    assert found.problems == ()
    assert found.actor.evidence[0].level == "attested-by-runner"
    assert "email:ann@example.com" in found.actor.identities
    found = ask({"TF_BUILD": "True"}, issuer, tmp_path)
    assert "SYSTEM_ACCESSTOKEN" in found.problems[0]


def test_nothing_is_fetched_that_nobody_asked_for(issuer, tmp_path):
    """Without [identity] and without a gate there is no network at all, and nothing heavy is loaded."""
    environ = github(issuer)
    code = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from tfaudit.config.gating import IdentitySettings
from tfaudit.identity.gather import gather
found = gather({environ!r}, Path({str(tmp_path)!r}), IdentitySettings(), {{}}, origin="o", run_id="r",
    change_digest=None, cache=None, clock=lambda: datetime.now(UTC), deep=False)
assert found.actor.principal == "github:hubot", found.actor
print([name for name in ("joserfc", "urllib3", "boto3", "cryptography") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert issuer.asked == []


def test_a_deep_look_asks_without_configuration(issuer, tmp_path):
    """Under a gate the platform's token is asked for; this issuer is none of the well-known."""
    found = ask(github(issuer), None, tmp_path, deep=True)
    assert issuer.asks_for("/github") == 1
    assert "none that is believed" in found.problems[0]


def test_two_issuers_are_not_confused(tmp_path):
    """A token that says one issuer and is signed by another believed one does not count."""
    with serve() as good, serve() as evil:
        good.keys, evil.keys = [RSA], [OTHER_RSA]
        token = sign(claims(good, AUDIENCE, **GITHUB), OTHER_RSA, kid="rsa-1")
        settings = IdentitySettings(issuers=(good.url, evil.url))
        found = gather(
            {"TFAUDIT_ID_TOKEN": token, "PATH": PATH},
            tmp_path,
            settings,
            {},
            origin="ledger.example",
            run_id="run-1",
            change_digest=DIGEST,
            cache=tmp_path / "cache",
            clock=lambda: NOW,
            deep=False,
        )
        assert "not by the key" in found.problems[0]
        assert replace(found).kept is None


def test_the_persons_behind_the_names(issuer, tmp_path):
    """[identities] joins them."""
    found = ask(github(issuer), issuer, tmp_path, identities={"ann": ("github:583231", "github:hubot")})
    assert "person:ann" in found.persons
    assert "github:583231" not in found.persons


def test_claims_that_contradict_one_another_name_nobody(issuer, tmp_path):
    """A problem in place of the evidence."""
    token = sign(claims(issuer, AUDIENCE, sub="repo:a@1/b@2:ref:x", repository_owner_id="1", **GITHUB))
    found = ask({"TFAUDIT_ID_TOKEN": token}, issuer, tmp_path)
    assert "two repositories" in found.problems[0]
    assert found.kept is None


def test_all_but_the_token_can_be_asked_before(issuer, tmp_path):
    """While the plan is made; then only the token is fetched, bound to the change, and nothing is asked twice."""
    environ = github(issuer, TFAUDIT_DELEGATION="/none")
    early = ask(environ, issuer, tmp_path, deep=True, token=False)
    assert issuer.asked == []
    assert early.actor.level == "claimed"
    found = ask(environ, issuer, tmp_path, deep=True, early=early)
    assert found.actor.level == "verified"
    assert found.actor.evidence[1:] == early.actor.evidence
    assert found.problems == early.problems
    assert found == ask(environ, issuer, tmp_path, deep=True)


def test_the_keys_are_fetched_before_they_are_needed(issuer, tmp_path):
    """After the plan only the token itself is waited for."""
    environ = github(issuer)
    early = ask(environ, issuer, tmp_path, deep=True, token=False, cache=tmp_path / "cache")
    assert issuer.asks_for("/keys") == 1
    issuer.asked.clear()
    assert ask(environ, issuer, tmp_path, deep=True, early=early, cache=tmp_path / "cache").actor.level == "verified"
    assert [path.partition("?")[0] for path in issuer.asked] == ["/github"]


def test_keys_that_cannot_be_fetched_before_are_no_problem_yet(issuer, tmp_path):
    """The token says so when it is checked."""
    issuer.answer = lambda handler: handler.send_error(500) is None
    early = ask(github(issuer), issuer, tmp_path, deep=True, token=False, cache=tmp_path / "cache")
    assert early.problems == ()
