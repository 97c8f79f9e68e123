"""The platform is asked who started the job, with the job's token, which goes nowhere else."""

from __future__ import annotations

import pytest
from oidckit import raw, reply

from tfaudit.errors import UnavailableError
from tfaudit.identity import platformapi

RUN = {
    "id": 9,
    "run_attempt": 2,
    "actor": {"id": 583231, "login": "octocat"},
    "triggering_actor": {"id": 7, "login": "Hubot"},
}
JOB = {"id": 385, "name": "apply", "user": {"id": 7, "username": "Ann"}, "pipeline": {"id": 12}}


def serve(issuer, document):
    """Let the server answer as GitHub's and GitLab's APIs do, to whoever brings what they ask for."""

    def answer(handler):
        given = {name.lower(): value for name, value in handler.headers.items()}
        if handler.path == "/api/v3/repos/acme/infra/actions/runs/9/attempts/2":
            good = given["authorization"] == "Bearer job-token" and given["x-github-api-version"] == "2022-11-28"
        else:
            good = handler.path == "/api/v4/job" and given["job-token"] == "job-token"
        if good:
            reply(handler, document)
        else:
            raw(handler, b'{"message":"401 Unauthorized"}', 401)
        return True

    issuer.answer = answer


def github(issuer, **more):
    """Return a job's environment."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_TOKEN": "job-token",
        "GITHUB_API_URL": f"{issuer.url}/api/v3",
        "GITHUB_REPOSITORY": "acme/infra",
        "GITHUB_RUN_ID": "9",
        "GITHUB_RUN_ATTEMPT": "2",
    } | more


def gitlab(issuer, **more):
    """Return a job's environment."""
    return {"GITLAB_CI": "true", "CI_JOB_TOKEN": "job-token", "CI_API_V4_URL": f"{issuer.url}/api/v4"} | more


def test_who_started_a_run_again_by_id(issuer):
    """Names change hands, and [identities] may list ids alone."""
    serve(issuer, RUN)
    found = platformapi.job(github(issuer), [issuer.url])
    assert (found.level, found.principal) == ("platform-api", None)
    assert found.identities == ("github:7", "github:hubot", "github:583231", "github:octocat")
    assert dict(found.claims) == {
        "run_id": "9",
        "run_attempt": "2",
        "triggering_actor_id": "7",
        "triggering_actor": "hubot",
        "actor_id": "583231",
        "actor": "octocat",
    }


def test_gitlab_knows_the_job_by_its_token(issuer):
    """So its user is the principal."""
    serve(issuer, JOB)
    found = platformapi.job(gitlab(issuer), [issuer.url])
    assert (found.level, found.principal) == ("platform-api", "gitlab:7")
    assert found.identities == ("gitlab:7", "gitlab:ann")
    assert dict(found.claims) == {"job_id": "385", "pipeline_id": "12", "user_id": "7", "user_login": "ann"}


@pytest.mark.parametrize("environ", [github, gitlab])
def test_a_token_goes_only_to_servers_that_are_believed(issuer, environ):
    """Not to whatever the environment calls the API."""
    for believed in ([], ["https://gitlab.com"], ["https://evil.example"]):
        assert platformapi.job(environ(issuer), believed) is None
    assert issuer.asked == []


def test_without_a_token_nobody_is_asked(issuer):
    """Nor outside of a job."""
    assert platformapi.job(github(issuer, GITHUB_TOKEN=""), [issuer.url]) is None
    assert platformapi.job(gitlab(issuer, CI_JOB_TOKEN=""), [issuer.url]) is None
    assert platformapi.job({}, []) is None


def test_a_token_that_is_not_accepted(issuer):
    """It is not in the reason."""
    serve(issuer, RUN)
    with pytest.raises(UnavailableError, match="status 401") as caught:
        platformapi.job(github(issuer, GITHUB_TOKEN="wrong-secret"), [issuer.url])
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"])
@pytest.mark.parametrize("value", ["", "../x", "9?x", "1/2/3"])
def test_names_that_are_none(issuer, name, value):
    """They become no part of an address."""
    with pytest.raises(UnavailableError, match="does not name it"):
        platformapi.job(github(issuer, **{name: value}), [issuer.url])
    assert issuer.asked == []


@pytest.mark.parametrize(
    "document",
    [[], {}, {"user": None}, {"user": {}}, {"user": {"id": "7"}}, {"user": {"id": True}}, {"user": {"id": 0}}],
)
def test_answers_that_name_nobody(issuer, document):
    """Each is one clear error."""
    serve(issuer, document)
    with pytest.raises(UnavailableError):
        platformapi.job(gitlab(issuer), [issuer.url])


def test_a_login_of_an_odd_type_is_left_out(issuer):
    """The id is enough."""
    serve(issuer, JOB | {"user": {"id": 7, "username": ["x"]}})
    assert platformapi.job(gitlab(issuer), [issuer.url]).identities == ("gitlab:7",)


@pytest.mark.parametrize(
    ("api", "issuers", "believed"),
    [
        ("https://api.github.com", [], True),
        ("https://api.github.com", ["https://token.actions.githubusercontent.com"], True),
        ("https://api.github.com", ["https://gitlab.example"], False),
        ("https://gitlab.com/api/v4", [], True),
        ("https://api.octocorp.ghe.com", ["https://token.actions.octocorp.ghe.com"], True),
        ("https://ghe.example/api/v3", ["https://ghe.example/_services/token"], True),
        ("https://ghe.example/api/v3", [], False),
        ("https://api.github.com.evil.example", [], False),
        ("https://gitlab.com@evil.example/api/v4", [], False),
    ],
)
def test_which_servers_are_believed(api, issuers, believed):
    """By whose tokens are."""
    assert platformapi._believed(api, issuers) is believed
