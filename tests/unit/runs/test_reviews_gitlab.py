"""GitLab's approvals of merge requests and deployments, as far as they are of the planned commit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from platformfakes import JOB_TOKEN, TOKEN, Fault, Platform, serving
from test_reviews_github import COMMIT, NOW, OTHER, SUBJECT, words

from tfaudit.runs.reviews import fetch

ALICE, BOB, MALLORY = 21, 22, 66
REQUEST = "/projects/5/merge_requests/3"
PUSHED = "2026-03-01T10:00:00.000Z"
LATER = "2026-03-01T11:00:00.000+01:00"  # the same moment


def user(number, **more):
    """Return a user as the API's short form gives one."""
    return {"id": number, "username": f"user{number}", "name": "A Person", "state": "active", **more}


def approved(who, at="2026-03-01T12:00:00.000Z", **more):
    """Return an entry of a merge request's approvals."""
    return {"user": user(who, **more), "approved_at": at}


def version(number, head=COMMIT, at=PUSHED):
    """Return a version of a merge request."""
    return {"id": number, "head_commit_sha": head, "created_at": at, "state": "collected"}


@pytest.fixture
def gitlab():
    """A GitLab with one merge request and one deployment that nobody has approved."""
    documents = {
        REQUEST: {"iid": 3, "project_id": 5, "sha": COMMIT, "state": "opened", "author": user(MALLORY)},
        f"{REQUEST}/versions": [version(2), version(1, OTHER, "2026-03-01T08:00:00.000Z")],
        f"{REQUEST}/commits": [{"id": COMMIT, "author_email": "Dev@Example.com", "committer_email": "dev@example.com"}],
        f"{REQUEST}/reviewers": [],
        f"{REQUEST}/approvals": {"approved": False, "approved_by": []},
        f"/projects/5/repository/commits/{COMMIT}/merge_requests": [{"iid": 3, "project_id": 5}],
        "/projects/5/deployments": [
            {"id": 41, "deployable": {"id": 700}},
            {"id": 42, "deployable": {"id": 701}},
            {"id": 43, "deployable": None},
        ],
        "/projects/5/deployments/42": {"id": 42, "sha": COMMIT, "user": user(MALLORY), "approvals": []},
        **{f"/users/{number}": user(number, bot=False) for number in (ALICE, BOB, MALLORY)},
    }
    with serving(Platform(kind="gitlab", prefix="/api/v4", documents=documents)) as platform:
        yield platform


def ask(platform, source="gitlab-merge-request", subject=SUBJECT, **environ):
    """Return what is fetched in a job of that platform."""
    environ = {
        "CI_API_V4_URL": platform.address,
        "TFAUDIT_GITLAB_TOKEN": TOKEN,
        "CI_JOB_TOKEN": JOB_TOKEN,
        "CI_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "3",
        "CI_ENVIRONMENT_NAME": "production",
        "CI_JOB_ID": "701",
        **environ,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    found = fetch(environ, (source,), subject, clean=True, now=NOW, issuers=(platform.host,))
    assert TOKEN not in "".join(found.problems)
    assert JOB_TOKEN not in "".join(found.problems)
    return found


# --- merge requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iid", ["3", None])
def test_an_approval_of_the_planned_commit(gitlab, iid):
    """An approval given after the push of the commit becomes a vote, in the merge request's pipeline and outside."""
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE)]
    found = ask(gitlab, CI_MERGE_REQUEST_IID=iid)
    (vote,) = found.votes
    assert (vote.approver, vote.kind, vote.source, vote.made) == (
        "gitlab:21",
        "approval",
        "gitlab-merge-request",
        1_772_366_400_000,
    )
    assert found.authors == {"gitlab:66", "email:dev@example.com"}
    assert found.problems == ()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([approved(ALICE, LATER)], {("gitlab:21", "approval")}),
        ([approved(ALICE, "2026-03-01T09:59:59.999Z")], set()),
        ([approved(MALLORY)], set()),
        ([approved(ALICE, state="blocked")], set()),
        ([approved(ALICE, username="project_5_bot")], set()),
        ([approved(ALICE, username="group_5_bot_0f3a")], set()),
        ([approved(ALICE), approved(BOB)], {("gitlab:21", "approval"), ("gitlab:22", "approval")}),
    ],
    ids=lambda value: None,
)
def test_which_approvals_count(gitlab, entries, expected):
    """Those of active persons who didn't open the request, given since the newest push."""
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = entries
    assert words(ask(gitlab)) == expected


@pytest.mark.parametrize("account", [{"bot": True}, {}, None])
def test_a_bot_is_no_person(gitlab, account):
    """An account that GitLab calls a bot doesn't count, nor one of which it says nothing."""
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE)]
    if account is None:
        gitlab.faults[f"/users/{ALICE}"] = Fault(404)
    else:
        gitlab.documents[f"/users/{ALICE}"] = {**user(ALICE), **account}
    assert ask(gitlab).votes == ()


def test_a_request_for_changes_is_a_rejection(gitlab):
    """A reviewer who requests changes rejects, even with an approval left standing."""
    gitlab.documents[f"{REQUEST}/reviewers"] = [
        {"user": user(ALICE), "state": "requested_changes", "created_at": PUSHED},
        {"user": user(BOB), "state": "reviewed", "created_at": PUSHED},
    ]
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE), approved(BOB)]
    assert words(ask(gitlab)) == {("gitlab:21", "rejection"), ("gitlab:22", "approval")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha": OTHER}, "no merge request has the planned commit"),
        ({"state": "closed"}, "no merge request has the planned commit"),
    ],
)
def test_another_head(gitlab, change, message):
    """A request that was pushed to since, or closed, has no word on the planned commit."""
    gitlab.documents[REQUEST] = {**gitlab.documents[REQUEST], **change}
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE)]
    found = ask(gitlab)
    assert found.votes == ()
    assert message in found.problems[0]


def test_a_rejection_outlives_its_request(gitlab):
    """Of a closed request the refusal stays, where another of the same commit took its place."""
    second = "/projects/5/merge_requests/4"
    for part in ("versions", "commits", "reviewers", "approvals"):
        gitlab.documents[f"{second}/{part}"] = gitlab.documents[f"{REQUEST}/{part}"]
    gitlab.documents[second] = {**gitlab.documents[REQUEST], "iid": 4}
    gitlab.documents[REQUEST] = {**gitlab.documents[REQUEST], "state": "closed"}
    gitlab.documents[f"/projects/5/repository/commits/{COMMIT}/merge_requests"] = [
        {"iid": 3, "project_id": 5},
        {"iid": 4, "project_id": 5},
    ]
    refusal = {"user": user(ALICE), "state": "requested_changes", "created_at": PUSHED}
    gitlab.documents[f"{REQUEST}/reviewers"] = [refusal]
    gitlab.documents[f"{REQUEST}/approvals"] = {"approved_by": [approved(BOB)]}
    gitlab.documents[f"{second}/approvals"] = {"approved_by": []}
    assert words(ask(gitlab, CI_MERGE_REQUEST_IID=None)) == {("gitlab:21", "rejection")}


def test_a_push_back_to_an_earlier_commit(gitlab):
    """A commit that is head for the second time needs approvals since then, not since the first."""
    gitlab.documents[f"{REQUEST}/versions"] = [
        version(1),
        version(3, at="2026-03-01T13:00:00.000Z"),
        version(2, OTHER),
    ]
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE, "2026-03-01T12:00:00.000Z")]
    assert ask(gitlab).votes == ()


def test_a_push_in_between(gitlab):
    """A version that is newer than what was read of the request stops the count."""
    gitlab.documents[f"{REQUEST}/versions"] = [version(2), version(3, OTHER)]
    assert "pushed to meanwhile" in ask(gitlab).problems[0]


def test_a_gitlab_without_times(gitlab):
    """Where GitLab doesn't say when, nothing is taken on trust."""
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [{"user": user(ALICE)}]
    found = ask(gitlab)
    assert found.votes == ()
    assert "doesn't say when" in found.problems[0]


@pytest.mark.parametrize("part", ["versions", "commits", "reviewers", "approvals"])
@pytest.mark.parametrize("status", [401, 403, 404, 429, 502])
def test_a_part_that_is_not_answered(gitlab, part, status):
    """If any part can't be read there are no votes: the missing part might hold a rejection."""
    gitlab.documents[f"{REQUEST}/approvals"]["approved_by"] = [approved(ALICE)]
    gitlab.faults[f"{REQUEST}/{part}"] = Fault(status)
    found = ask(gitlab)
    assert (found.votes, len(found.problems)) == ((), 1)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TFAUDIT_GITLAB_TOKEN": None}, "TFAUDIT_GITLAB_TOKEN is not set"),
        ({"TFAUDIT_GITLAB_TOKEN": "other"}, "not accepted"),
        ({"CI_PROJECT_ID": "5/../6"}, "names no project"),
        ({"CI_PROJECT_ID": "\u0665"}, "names no project"),
        ({"CI_API_V4_URL": "https://gitlab.com/api/v4"}, "none of those"),
    ],
)
def test_a_job_that_can_not_ask(gitlab, environ, message):
    """A job's own token can't read merge requests; what is missing is said."""
    assert message in ask(gitlab, **environ).problems[0]


# --- deployments -----------------------------------------------------------------------------------------------------


def deployed(who, status="approved", at="2026-03-01T12:00:00.000Z", **more):
    """Return an approval of a deployment."""
    return {"user": user(who, **more), "status": status, "created_at": at, "comment": None}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([deployed(ALICE)], {("gitlab:21", "approval")}),
        ([deployed(ALICE, "rejected")], {("gitlab:21", "rejection")}),
        ([deployed(ALICE, "pending")], set()),
        ([deployed(MALLORY)], set()),
        ([deployed(MALLORY, "rejected")], {("gitlab:66", "rejection")}),
        ([deployed(ALICE, username="project_6_bot")], set()),
        (
            [deployed(ALICE), deployed(ALICE, "rejected", "2026-03-01T13:00:00.000Z")],
            {("gitlab:21", "rejection")},
        ),
        (
            [deployed(ALICE, "rejected"), deployed(ALICE, at="2026-03-01T13:00:00.000Z")],
            {("gitlab:21", "approval")},
        ),
        ([deployed(ALICE), deployed(ALICE, "rejected")], {("gitlab:21", "rejection")}),
    ],
    ids=lambda value: None,
)
@pytest.mark.parametrize("rules", [False, True], ids=["one setting", "several rules"])
def test_which_deployment_approvals_count(gitlab, entries, expected, rules):
    """Each person's last word on this job's deployment, by either of GitLab's ways to ask for it."""
    document = gitlab.documents["/projects/5/deployments/42"]
    if rules:
        halves = [{"deployment_approvals": entries[:1]}, {"deployment_approvals": entries[1:]}]
        document["approval_summary"] = {"rules": halves}
    else:
        document["approvals"] = entries
    assert words(ask(gitlab, "gitlab-deployment")) == expected


def test_the_jobs_own_token_reads_deployments(gitlab):
    """Without another token the job's own is enough for deployments."""
    gitlab.documents["/projects/5/deployments/42"]["approvals"] = [deployed(ALICE)]
    assert words(ask(gitlab, "gitlab-deployment", TFAUDIT_GITLAB_TOKEN=None)) == {("gitlab:21", "approval")}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CI_ENVIRONMENT_NAME": None}, "this job has no environment"),
        ({"CI_JOB_ID": None}, "this job has no environment"),
        ({"CI_JOB_ID": "999"}, "is this job's"),
        ({"TFAUDIT_GITLAB_TOKEN": None, "CI_JOB_TOKEN": None}, "is not set"),
    ],
)
def test_a_job_without_a_deployment(gitlab, environ, message):
    """A job that deploys to no environment has nothing that could be approved."""
    assert message in ask(gitlab, "gitlab-deployment", **environ).problems[0]


def test_a_deployment_of_another_commit(gitlab):
    """The deployment's commit must be the planned one."""
    gitlab.documents["/projects/5/deployments/42"]["approvals"] = [deployed(ALICE)]
    found = ask(gitlab, "gitlab-deployment", replace(SUBJECT, commit=OTHER))
    assert found.votes == ()
    assert "the plan of bbbbbbbbbbbb" in found.problems[0]
