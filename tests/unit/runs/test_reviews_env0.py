"""env0's reviewers of a deployment: those that its API names, not those of the environment."""

from __future__ import annotations

import pytest
from platformfakes import TOKEN, Fault, Platform, serving
from test_reviews_github import COMMIT, NOW, OTHER, SUBJECT, words

from tfaudit.runs.reviews import fetch

DEPLOYMENT = "/environments/deployments/d-1"


def user(name):
    """Return a user as the deployment log gives one."""
    return {"email": f"{name}@example.com", "user_id": f"auth0|{name}", "name": name}


@pytest.fixture
def env0():
    """An env0 with a deployment that nobody has reviewed."""
    documents = {
        DEPLOYMENT: {
            "id": "d-1",
            "environmentId": "e-1",
            "type": "deploy",
            "startedAt": "2026-03-01T10:00:00.000Z",
            "startedByUser": user("mallory"),
            "gitMetadata": {"commit": COMMIT, "branch": "main"},
            "reviewersUsers": [],
            "output": {"secret": {"value": "canary"}},
        }
    }
    with serving(Platform(kind="env0", prefix="", documents=documents)) as platform:
        yield platform


def ask(platform, **environ):
    """Return what is fetched in a deployment of that platform."""
    environ = {
        "ENV0_API_ENDPOINT": platform.address,
        "ENV0_API_KEY": "key",
        "ENV0_API_SECRET": TOKEN,
        "ENV0_DEPLOYMENT_LOG_ID": "d-1",
        "ENV0_ENVIRONMENT_ID": "e-1",
        "ENV0_REVIEWER_EMAIL": "claimed@example.com",
        **environ,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    found = fetch(environ, ("env0",), SUBJECT, clean=True, now=NOW, issuers=(platform.host,))
    assert TOKEN not in "".join(found.problems)
    assert b"canary" not in b"".join(found.documents)
    return found


def test_who_approved(env0):
    """A reviewer becomes a vote by email, made when the deployment began; who started it doesn't."""
    env0.documents[DEPLOYMENT]["reviewersUsers"] = [
        {"user": user("Alice"), "action": "approved"},
        {"user": user("mallory"), "action": "approved"},
        {"user": user("bob"), "action": "cancelled"},
        {"user": {"user_id": "auth0|carol"}, "action": "approved"},
        {"user": None, "action": "approved"},
    ]
    found = ask(env0)
    assert words(found) == {
        ("email:alice@example.com", "approval"),
        ("email:bob@example.com", "rejection"),
        ("env0:auth0|carol", "approval"),
    }
    assert {vote.made for vote in found.votes} == {1_772_359_200_000}
    assert found.authors == {"email:mallory@example.com"}


def test_who_cancelled_has_not_approved(env0):
    """Both words of one person are a rejection, in whichever order they stand."""
    both = [{"user": user("alice"), "action": action} for action in ("cancelled", "approved")]
    for entries in (both, both[::-1]):
        env0.documents[DEPLOYMENT]["reviewersUsers"] = entries
        assert words(ask(env0)) == {("email:alice@example.com", "rejection")}


def test_a_claim_is_no_vote(env0):
    """ENV0_REVIEWER_EMAIL alone counts for nothing."""
    assert ask(env0).votes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"environmentId": "e-2"}, "of another environment"),
        ({"gitMetadata": {"commit": OTHER}}, "of commit bbbbbbbbbbbb"),
        ({"gitMetadata": None}, "no gitMetadata.commit"),
        ({"reviewersUsers": None}, "no list reviewersUsers"),
        ({"startedAt": "soon"}, "a time that is none"),
    ],
)
def test_a_deployment_that_does_not_count(env0, change, message):
    """Another environment, another commit, or a log that says too little."""
    env0.documents[DEPLOYMENT] = {**env0.documents[DEPLOYMENT], **change}
    found = ask(env0)
    assert found.votes == ()
    assert message in found.problems[0]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ENV0_API_SECRET": None}, "are not set"),
        ({"ENV0_API_SECRET": "other"}, "not accepted"),
        ({"ENV0_DEPLOYMENT_LOG_ID": "../x"}, "names no deployment"),
        ({"ENV0_DEPLOYMENT_LOG_ID": "d-2"}, "is not there"),
    ],
)
def test_a_run_that_can_not_ask(env0, environ, message):
    """What is missing or wrong in the run's environment is said."""
    assert message in ask(env0, **environ).problems[0]


def test_too_many_requests(env0):
    """env0's limit is a problem like any other."""
    env0.faults[DEPLOYMENT] = Fault(429, {"Retry-After": "120"})
    assert "too many requests" in ask(env0).problems[0]
