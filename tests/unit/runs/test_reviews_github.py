"""GitHub's reviews and environment approvals, as far as they are a person's last word on the planned commit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from platformfakes import TOKEN, Fault, Platform, serving

from tfaudit import canonical
from tfaudit.gate.model import Subject
from tfaudit.runs.reviews import fetch

COMMIT = "a" * 40
OTHER = "b" * 40
NOW = 1_772_366_400_000
ALICE, BOB, CAROL, MALLORY = 11, 12, 13, 66
REPO = "/repos/acme/network"
SUBJECT = Subject(
    plan_record="",
    leaf="",
    event_root="",
    plan_sha256="3" * 64,
    change_digest="4" * 64,
    key_commitment="",
    origin="ledger.example/team",
    stack="github.com/acme/network",
    state_key="6" * 64,
    lineage="0b6c1d1e-8a0f-4c58-9d5e-6d4b6b5c1f2a",
    serial=41,
    backend="s3",
    target=None,
    commit=COMMIT,
    policy="8" * 64,
)


def user(number, kind="User"):
    """Return a user as the API gives one."""
    return {"id": number, "login": f"user{number}", "type": kind, "site_admin": False}


def review(number, who, state, commit=COMMIT, *, at="2026-03-01T10:00:00Z", kind="User"):
    """Return a review of a pull request."""
    return {"id": number, "user": user(who, kind), "state": state, "commit_id": commit, "submitted_at": at, "body": ""}


def commit(who, email="dev@example.com"):
    """Return a commit of a pull request."""
    person = {"name": "Dev", "email": email, "date": "2026-03-01T09:00:00Z"}
    account = user(who) if who else None
    return {
        "sha": COMMIT,
        "commit": {"author": person, "committer": person},
        "author": account,
        "committer": {**user(19864447), "login": "web-flow"},
    }


def pull(number=7, head=COMMIT, author=MALLORY, state="open", merged=None):
    """Return a pull request as the list of a commit's pull requests gives it."""
    return {
        "number": number,
        "state": state,
        "merged_at": merged,
        "user": user(author),
        "head": {"sha": head, "repo": {"id": 500}},
        "base": {"sha": OTHER, "repo": {"id": 500}},
    }


@pytest.fixture
def github():
    """A GitHub with one pull request that nobody has reviewed, and one run that waited for nobody."""
    documents = {
        f"{REPO}/commits/{COMMIT}/pulls": [pull()],
        f"{REPO}/pulls/7/commits": [commit(MALLORY)],
        f"{REPO}/pulls/7/reviews": [],
        f"{REPO}/actions/runs/900": {
            "id": 900,
            "head_sha": COMMIT,
            "created_at": "2026-03-01T09:30:00Z",
            "run_started_at": "2026-03-01T11:30:00Z",
            "run_attempt": 2,
            "repository": {"id": 500, "full_name": "acme/network"},
        },
        f"{REPO}/actions/runs/900/approvals": [],
    }
    with serving(Platform(kind="github", prefix="/api/v3", documents=documents)) as platform:
        yield platform


def ask(platform, source="github-review", subject=SUBJECT, *, clean=True, issuers=None, **environ):
    """Return what is fetched in a job of that platform."""
    environ = {
        "GITHUB_API_URL": platform.address,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": "acme/network",
        "GITHUB_RUN_ID": "900",
        "TFAUDIT_GITHUB_ENVIRONMENT": "production",
        **environ,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    known = (platform.host,) if issuers is None else issuers
    found = fetch(environ, (source,), subject, clean=clean, now=NOW, issuers=known)
    assert TOKEN not in "".join(found.problems)
    assert not any("\n" in problem for problem in found.problems)
    return found


def words(found):
    """Return who said what."""
    return {(vote.approver, vote.kind) for vote in found.votes}


def test_an_approval_of_the_planned_commit(github):
    """An approving review becomes a vote: who by id, when, for which commit, named after its facts."""
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    found = ask(github)
    (vote,) = found.votes
    assert (vote.approver, vote.kind, vote.source) == ("github:11", "approval", "github-review")
    assert (vote.key, vote.signed, vote.record, vote.position) == ("", True, None, None)
    assert (vote.made, vote.at) == (1_772_359_200_000, NOW)
    assert vote.subject == SUBJECT
    (document,) = found.documents
    assert vote.id == f"sha256:{canonical.sha256_hex(document)}"
    assert json.loads(document) == {
        "commit": COMMIT,
        "pull": 7,
        "repository": 500,
        "review": 1,
        "source": "github-review",
        "submitted": "2026-03-01T10:00:00Z",
        "user": 11,
        "word": "approval",
    }
    assert found.problems == ()
    assert ask(github).votes[0].id == vote.id


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([review(1, ALICE, "APPROVED", OTHER)], set()),
        ([review(1, ALICE, "APPROVED"), review(2, ALICE, "COMMENTED")], {("github:11", "approval")}),
        ([review(1, ALICE, "APPROVED"), review(2, ALICE, "PENDING")], {("github:11", "approval")}),
        ([review(1, ALICE, "APPROVED"), review(2, ALICE, "CHANGES_REQUESTED")], {("github:11", "rejection")}),
        ([review(1, ALICE, "CHANGES_REQUESTED"), review(2, ALICE, "APPROVED")], {("github:11", "approval")}),
        ([review(1, ALICE, "APPROVED"), review(2, ALICE, "DISMISSED")], set()),
        ([review(1, ALICE, "DISMISSED")], set()),
        ([review(1, ALICE, "CHANGES_REQUESTED", OTHER)], {("github:11", "rejection")}),
        ([review(1, ALICE, "APPROVED"), review(2, ALICE, "APPROVED", OTHER)], set()),
        (
            [review(1, ALICE, "APPROVED"), review(2, BOB, "APPROVED")],
            {("github:11", "approval"), ("github:12", "approval")},
        ),
        ([review(1, ALICE, "APPROVED", kind="Bot")], set()),
        ([review(1, ALICE, "CHANGES_REQUESTED", kind="Bot")], set()),
        ([{**review(1, ALICE, "APPROVED"), "user": None}], set()),
        ([review(1, MALLORY, "APPROVED")], set()),
        ([review(1, ALICE, "SOMETHING_NEW")], set()),
    ],
    ids=lambda value: None,
)
def test_the_last_word_of_a_person_counts(github, given, expected):
    """The last deciding review of each person, not of a bot or the author, and an approval only of this commit."""
    github.documents[f"{REPO}/pulls/7/reviews"] = given
    assert words(ask(github)) == expected


def test_the_order_is_that_of_time(github):
    """A later review wins wherever it stands in the list."""
    github.documents[f"{REPO}/pulls/7/reviews"] = [
        review(2, ALICE, "CHANGES_REQUESTED", at="2026-03-01T12:00:00Z"),
        review(9, ALICE, "APPROVED", at="2026-03-01T11:00:00Z"),
    ]
    assert words(ask(github)) == {("github:11", "rejection")}


def test_who_wrote_a_part_does_not_approve_it(github):
    """A reviewer who pushed to the pull request is one of its authors; their rejection still counts."""
    github.documents[f"{REPO}/pulls/7/commits"] = [commit(MALLORY), commit(ALICE, "Alice@Example.com"), commit(None)]
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED"), review(2, BOB, "APPROVED")]
    found = ask(github)
    assert words(found) == {("github:12", "approval")}
    assert found.authors == {"github:66", "github:11", "email:dev@example.com", "email:alice@example.com"}
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "CHANGES_REQUESTED")]
    assert words(ask(github)) == {("github:11", "rejection")}


def test_an_author_known_by_address_alone(github):
    """GitHub's own address of an account names the account, where the commit's author is not linked to it."""
    github.documents[f"{REPO}/pulls/7/commits"] = [commit(None, "11+user11@users.noreply.github.com")]
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    assert words(ask(github)) == set()


def test_so_many_commits_that_no_one_knows_who_wrote_them(github):
    """GitHub lists 250 commits of a pull request; with as many, who else wrote one is not known: nobody counts."""
    github.documents[f"{REPO}/pulls/7/commits"] = [commit(MALLORY)] * 250
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    found = ask(github)
    assert found.votes == ()
    assert "too many commits" in found.problems[0]


@pytest.mark.parametrize(
    ("known", "counts"),
    [
        (pull(state="open"), True),
        (pull(state="closed", merged="2026-03-01T11:00:00Z"), True),
        (pull(state="closed"), False),
        (pull(head=OTHER), False),
    ],
)
def test_which_pull_requests_count(github, known, counts):
    """One whose head is the planned commit, open or merged; not one that was closed, or that only contains it."""
    github.documents[f"{REPO}/commits/{COMMIT}/pulls"] = [known]
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    found = ask(github)
    assert bool(found.votes) is counts
    assert bool(found.problems) is not counts


def test_a_rejection_in_another_pull_request_of_the_commit(github):
    """All pull requests with that head are heard: a request for changes in one stands beside an approval in another."""
    github.documents[f"{REPO}/commits/{COMMIT}/pulls"] = [pull(), pull(8)]
    github.documents[f"{REPO}/pulls/8/commits"] = [commit(MALLORY)]
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    github.documents[f"{REPO}/pulls/8/reviews"] = [review(2, ALICE, "CHANGES_REQUESTED")]
    assert words(ask(github)) == {("github:11", "approval"), ("github:11", "rejection")}


def test_a_rejection_outlives_its_pull_request(github):
    """Closing a pull request that was refused and opening another of the same commit doesn't take the refusal back."""
    github.documents[f"{REPO}/commits/{COMMIT}/pulls"] = [pull(7, state="closed"), pull(8)]
    github.documents[f"{REPO}/pulls/8/commits"] = [commit(MALLORY)]
    github.documents[f"{REPO}/pulls/7/reviews"] = [
        review(1, ALICE, "CHANGES_REQUESTED"),
        review(2, CAROL, "APPROVED"),
    ]
    github.documents[f"{REPO}/pulls/8/reviews"] = [review(3, BOB, "APPROVED")]
    assert words(ask(github)) == {("github:11", "rejection"), ("github:12", "approval")}


def test_every_page_is_read(github):
    """The last word may stand on the third page."""
    many = [review(number, 1000 + number, "COMMENTED") for number in range(230)]
    github.documents[f"{REPO}/pulls/7/reviews"] = [
        review(500, ALICE, "APPROVED"),
        *many,
        review(501, ALICE, "CHANGES_REQUESTED", at="2026-03-02T10:00:00Z"),
    ]
    assert words(ask(github)) == {("github:11", "rejection")}
    assert github.asked.count(f"{REPO}/pulls/7/reviews") == 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(401), "the token is not accepted"),
        (Fault(403), "may not read it"),
        (Fault(404), "is not there"),
        (Fault(500), "status 500"),
        (Fault(429), "too many requests"),
        (Fault(403, {"X-RateLimit-Remaining": "0"}), "too many requests"),
        (Fault(403, body=b'{"message":"You have exceeded a secondary rate limit."}'), "too many requests"),
        (Fault(403, {"Retry-After": "3600"}), "too many requests"),
        (Fault(200, body=b"<html>"), "no JSON"),
        (Fault(200, body=b"[" * 100_000), "no JSON"),
        (Fault(200, body=b'{"message":"ok"}'), "gives no list"),
        (Fault(200, body=b" " * (9 << 20)), "larger than 8 MiB"),
        (Fault(302, {"Location": "http://127.0.0.1:9/evil"}), "another host"),
        (Fault(302, {"Location": "https://evil.example/"}), "another host"),
        (Fault(200, {"Link": '<https://evil.example/?page=2>; rel="next"'}, b"[]"), "another host"),
        (Fault(302), "status 302"),
    ],
    ids=lambda value: None,
)
def test_what_is_no_answer_is_a_problem(github, fault, message):
    """Whatever the API says in place of reviews is one line, and no votes."""
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    github.faults[f"{REPO}/pulls/7/reviews"] = fault
    found = ask(github)
    assert found.votes == ()
    assert message in found.problems[0]
    assert found.problems[0].startswith("github-review: ")


def test_the_token_may_be_tfaudits_own(github):
    """A token of tfaudit's own goes before the one that a provider may need."""
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    assert ask(github, GITHUB_TOKEN="the provider's", TFAUDIT_GITHUB_TOKEN=TOKEN).votes


@pytest.mark.parametrize("status", [403, 429])
def test_a_short_limit_is_waited_for(github, status):
    """A rate limit that says to come back at once is come back to."""
    github.documents[f"{REPO}/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    github.faults[f"{REPO}/pulls/7/reviews"] = Fault(status, {"Retry-After": "0"}, times=2)
    assert words(ask(github)) == {("github:11", "approval")}


def test_a_renamed_repository_is_followed(github):
    """A redirect on the same host leads on."""
    github.documents["/repositories/500/pulls/7/reviews"] = [review(1, ALICE, "APPROVED")]
    moved = f"{github.address}/repositories/500/pulls/7/reviews"
    github.faults[f"{REPO}/pulls/7/reviews"] = Fault(301, {"Location": moved})
    assert words(ask(github)) == {("github:11", "approval")}


def test_redirects_in_a_circle_end(github):
    """A redirect to itself is given up."""
    here = f"{github.address}{REPO}/pulls/7/reviews"
    github.faults[f"{REPO}/pulls/7/reviews"] = Fault(301, {"Location": here})
    assert "status 301" in ask(github).problems[0]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GITHUB_TOKEN": None}, "nor GITHUB_TOKEN is set"),
        ({"TFAUDIT_GITHUB_TOKEN": "other"}, "not accepted"),
        ({"GITHUB_TOKEN": "other"}, "not accepted"),
        ({"GITHUB_TOKEN": "x\r\nX-Evil: 1"}, "no answer"),
        ({"GITHUB_REPOSITORY": "acme/../../x"}, "names no repository"),
        ({"GITHUB_REPOSITORY": None}, "names no repository"),
        ({"GITHUB_API_URL": "http://evil.example"}, "none of those"),
        ({"GITHUB_API_URL": "https://[bad"}, "none of those"),
    ],
)
def test_a_job_that_can_not_ask(github, environ, message):
    """What is missing or wrong in the job's environment is said."""
    found = ask(github, **environ)
    assert found.votes == ()
    assert message in found.problems[0]


@pytest.mark.parametrize(
    ("address", "issuers", "believed"),
    [
        ("https://api.github.com", (), True),
        ("https://api.github.com", ("https://token.actions.githubusercontent.com",), True),
        ("https://api.github.com", ("https://github.acme.example/_services/token",), False),
        ("https://github.acme.example/api/v3", ("https://github.acme.example/_services/token",), True),
        ("https://api.octocorp.ghe.com", ("https://token.actions.octocorp.ghe.com",), True),
        ("https://api.evil.ghe.com", ("https://token.actions.octocorp.ghe.com",), False),
        ("https://github.acme.example/api/v3", (), False),
        ("https://api.github.com.evil.example", (), False),
    ],
)
def test_which_hosts_are_believed(address, issuers, believed):
    """The platforms' own, or those whose tokens [identity] lets count: whoever sets the address is not the judge."""
    environ = {"GITHUB_API_URL": address}
    (problem,) = fetch(environ, ("github-review",), SUBJECT, clean=True, now=NOW, issuers=issuers).problems
    assert problem.endswith("nor GITHUB_TOKEN is set") if believed else "none of those" in problem


def test_plain_http_is_for_this_machine_alone():
    """An API elsewhere without TLS is not asked, whoever lists it."""
    environ = {"GITHUB_API_URL": "http://github.acme.example", "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "a/b"}
    issuers = ("http://github.acme.example",)
    (problem,) = fetch(environ, ("github-review",), SUBJECT, clean=True, now=NOW, issuers=issuers).problems
    assert "not https" in problem


def test_nobody_answers():
    """A closed port is a problem, quickly."""
    environ = {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "a/b"}
    issuers = ("http://127.0.0.1:9",)
    found = fetch(environ, ("github-review",), SUBJECT, clean=True, now=NOW, issuers=issuers)
    assert "no answer" in found.problems[0]


@pytest.mark.parametrize(("subject", "clean"), [(SUBJECT, False), (replace(SUBJECT, commit=None), True)])
def test_a_changed_work_tree_has_no_reviews(github, subject, clean):
    """Reviews are of a commit: a plan of anything else has none, and the platform isn't asked."""
    found = ask(github, subject=subject, clean=clean)
    assert (found.votes, len(found.problems), github.asked) == ((), 1, [])


def test_no_evidence_is_no_question(github):
    """Where no platform counts, none is asked."""
    assert fetch({}, (), SUBJECT, clean=False, now=NOW).problems == ()


def test_an_unknown_platform_is_a_problem():
    """A platform that this version doesn't know never lets anything through."""
    assert fetch({}, ("gitea",), SUBJECT, clean=True, now=NOW).problems == ("gitea: there is no such platform",)


# --- environments ----------------------------------------------------------------------------------------------------


def approval(who, state="approved", environments=("production",), kind="User"):
    """Return an entry of a run's review history."""
    return {
        "state": state,
        "comment": "",
        "environments": [{"id": 1, "name": name} for name in environments],
        "user": user(who, kind),
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([approval(ALICE)], {("github:11", "approval")}),
        ([approval(ALICE, environments=("staging", "production"))], {("github:11", "approval")}),
        ([approval(ALICE, environments=("staging",))], set()),
        ([approval(ALICE, "rejected")], {("github:11", "rejection")}),
        ([approval(ALICE, "pending")], set()),
        ([approval(ALICE), approval(ALICE, "rejected")], {("github:11", "rejection")}),
        ([approval(ALICE, "rejected"), approval(ALICE)], {("github:11", "rejection")}),
        ([approval(ALICE, kind="Bot")], set()),
        ([approval(ALICE), approval(BOB)], {("github:11", "approval"), ("github:12", "approval")}),
    ],
    ids=lambda value: None,
)
def test_an_environments_approval(github, given, expected):
    """Who let the run into the job's environment, as a person; whoever ever rejected it has not approved it."""
    github.documents[f"{REPO}/actions/runs/900/approvals"] = given
    assert words(ask(github, "github-environment")) == expected


def test_an_environments_approval_is_as_old_as_its_run(github):
    """The history has no times, so an approval is taken to be as old as it may be; a second attempt makes none anew."""
    github.documents[f"{REPO}/actions/runs/900/approvals"] = [approval(ALICE)]
    (first,) = ask(github, "github-environment").votes
    github.documents[f"{REPO}/actions/runs/900"]["run_attempt"] = 3
    (second,) = ask(github, "github-environment").votes
    assert first == second
    assert first.made == 1_772_357_400_000


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TFAUDIT_GITHUB_ENVIRONMENT": None}, "doesn't name the job's environment"),
        ({"GITHUB_RUN_ID": None}, "names no workflow run"),
        ({"GITHUB_RUN_ID": "1/../2"}, "names no workflow run"),
        ({"GITHUB_RUN_ID": "901"}, "is not there"),
    ],
)
def test_an_environment_that_can_not_be_asked(github, environ, message):
    """What the job doesn't name can't be asked for."""
    assert message in ask(github, "github-environment", **environ).problems[0]


def test_a_run_of_another_commit(github):
    """The run's commit must be the planned one: on a pull request its head, not the merge that was checked out."""
    github.documents[f"{REPO}/actions/runs/900"]["head_sha"] = OTHER
    github.documents[f"{REPO}/actions/runs/900/approvals"] = [approval(ALICE)]
    found = ask(github, "github-environment")
    assert found.votes == ()
    assert f"of commit {OTHER[:12]}, the plan of {COMMIT[:12]}" in found.problems[0]
