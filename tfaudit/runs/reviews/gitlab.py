"""Who approved the planned commit on GitLab: its merge request, or this job's deployment?

https://docs.gitlab.com/api: merge_requests, merge_request_approvals, deployments, commits, users. GitLab keeps no
commit with an approval: one counts that was given after the commit was pushed and while it was the newest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tfaudit.runs.reviews.client import Client
from tfaudit.runs.reviews.model import Answer, Review, Unanswered, Word, milliseconds
from tfaudit.runs.reviews.reading import emails, is_number, items, member, number, text

API: Final = "https://gitlab.com/api/v4"
_BOT: Final = re.compile(r"(project|group)_\d+_bot(_[0-9a-f]+)?|service_account_.*")
"""Names that GitLab gives to tokens and service accounts."""


def address(environ: Mapping[str, str]) -> str:
    """Return the API's address, a self-managed instance's too."""
    return environ.get("CI_API_V4_URL", API).rstrip("/")


def merge_request(environ: Mapping[str, str], commit: str) -> Answer:
    """Return the approvals, and requests for changes, of the merge requests with that head.

    Of one that was closed unmerged only the latter: opening another in its place doesn't take them back.
    """
    client, project = _client(environ, "TFAUDIT_GITLAB_TOKEN"), _project(environ)
    found: list[Review] = []
    authors: set[str] = set()
    known = [each for each in _merge_requests(client, project, environ, commit) if member(each, "sha") == commit]
    if not any(map(_is_live, known)):
        raise Unanswered(f"no merge request has the planned commit {commit[:12]} as its head")
    for request in known:
        path = f"/projects/{project}/merge_requests/{number(request, 'iid')}"
        author = number(request, "author", "id")
        authors |= {f"gitlab:{author}", *_emails(client.pages(f"{path}/commits"))}
        facts: dict[str, str | int] = {
            "merge_request": number(request, "iid"),
            "project": number(request, "project_id"),
        }
        for user, word, made in _words(client, path, commit):
            if word == "rejection" or (_is_live(request) and user != author):
                found.append(_review("gitlab-merge-request", word, user, commit, made, {**facts, "made": made}))
    return Answer(reviews=tuple(found), authors=frozenset(authors))


def deployment(environ: Mapping[str, str], commit: str) -> Answer:
    """Return who approved or rejected the deployment that this job is, where its environment is protected."""
    client, project = _client(environ, "TFAUDIT_GITLAB_TOKEN", "CI_JOB_TOKEN"), _project(environ)
    name, job = environ.get("CI_ENVIRONMENT_NAME"), environ.get("CI_JOB_ID", "")
    if not name or not is_number(job):
        raise Unanswered("this job has no environment")
    path = f"/projects/{project}/deployments"
    newest = client.get(path, environment=name, order_by="id", sort="desc", per_page=100)
    mine = [each for each in items(newest) if member(each, "deployable", "id") == int(job)]
    if len(mine) != 1:
        raise Unanswered(f"no deployment of the environment {name} is this job's")
    found = client.get(f"{path}/{number(mine[0], 'id')}")
    if text(found, "sha") != commit:
        raise Unanswered(f"the deployment is of commit {text(found, 'sha')[:12]}, the plan of {commit[:12]}")
    facts: dict[str, str | int] = {"deployment": number(found, "id"), "environment": name, "project": int(project)}
    words: dict[int, tuple[Word, int]] = {}
    for entry in _approvals(found):
        status, user = text(entry, "status"), number(entry, "user", "id")
        if status in ("approved", "rejected") and _is_person(member(entry, "user")):
            word: Word = "approval" if status == "approved" else "rejection"
            made = milliseconds(text(entry, "created_at"))
            if user not in words or (made, word) > (words[user][1], words[user][0]):
                words[user] = word, made
    starter = member(found, "user", "id")
    return Answer(
        reviews=tuple(
            _review("gitlab-deployment", word, user, commit, made, {**facts, "made": made})
            for user, (word, made) in words.items()
            if word == "rejection" or user != starter
        ),
        authors=frozenset({f"gitlab:{starter}"} if isinstance(starter, int) else ()),
    )


def _client(environ: Mapping[str, str], *variables: str) -> Client:
    """Return a client with the first token that there is; a job's own can read deployments, not merge requests."""
    for variable in variables:
        if environ.get(variable):
            header = "JOB-TOKEN" if variable == "CI_JOB_TOKEN" else "PRIVATE-TOKEN"
            return Client(base=address(environ), headers={header: environ[variable]}, environ=environ)
    raise Unanswered(f"{variables[0]} is not set")


def _project(environ: Mapping[str, str]) -> str:
    project = environ.get("CI_PROJECT_ID", "")
    if not is_number(project):
        raise Unanswered("CI_PROJECT_ID names no project")
    return project


def _merge_requests(client: Client, project: str, environ: Mapping[str, str], commit: str) -> Iterator[object]:
    """Yield the pipeline's own merge request and all that know the commit, each with all that is known of it."""
    listed = client.pages(f"/projects/{project}/repository/commits/{commit}/merge_requests")
    iids = {number(each, "iid") for each in listed if member(each, "project_id") == int(project)}
    own = environ.get("CI_MERGE_REQUEST_IID", "")
    # GitLab doesn't list every request of a commit, but a pipeline knows its own.
    for iid in sorted(iids | ({int(own)} if is_number(own) else set())):
        yield client.get(f"/projects/{project}/merge_requests/{iid}")


def _is_live(request: object) -> bool:
    """Whether the merge request is open or was merged."""
    return member(request, "state") in ("opened", "merged", "locked")


def _words(client: Client, path: str, commit: str) -> Iterator[tuple[int, Word, int]]:
    """Yield each person's word on the newest version of a merge request, which is of the planned commit."""
    versions = client.pages(f"{path}/versions")
    newest = max(versions, key=lambda version: number(version, "id"), default=None)
    if member(newest, "head_commit_sha") != commit:
        raise Unanswered("the merge request was pushed to meanwhile")
    pushed = milliseconds(text(newest, "created_at"))
    refused = set()
    for entry in client.pages(f"{path}/reviewers"):
        if member(entry, "state") == "requested_changes":
            refused.add(number(entry, "user", "id"))
            yield number(entry, "user", "id"), "rejection", pushed
    for entry in items(client.get(f"{path}/approvals"), "approved_by"):
        user = number(entry, "user", "id")
        if user in refused or not _is_person(member(entry, "user")) or _is_bot(client, user):
            continue
        if member(entry, "approved_at") is None:
            raise Unanswered("this GitLab doesn't say when a merge request was approved; a newer version does")
        made = milliseconds(text(entry, "approved_at"))
        if made >= pushed:
            yield user, "approval", made


def _is_person(user: object) -> bool:
    return member(user, "state") == "active" and not _BOT.fullmatch(text(user, "username"))


def _is_bot(client: Client, user: int) -> bool:
    return member(client.get(f"/users/{user}"), "bot") is not False


def _emails(commits: list[object]) -> Iterator[str]:
    for commit in commits:
        for key in ("author_email", "committer_email"):
            yield from emails(commit, key)


def _approvals(found: object) -> Iterator[object]:
    """Yield a deployment's approvals, by one setting for all or by several rules."""
    if member(found, "approvals") is not None:
        yield from items(found, "approvals")
    if member(found, "approval_summary") is not None:
        for rule in items(found, "approval_summary", "rules"):
            yield from items(rule, "deployment_approvals")


def _review(source: str, word: Word, user: int, commit: str, made: int, facts: Mapping[str, str | int]) -> Review:
    return Review(
        source=source,
        word=word,
        approver=f"gitlab:{user}",
        commit=commit,
        made=made,
        facts={**facts, "user": user},
    )
