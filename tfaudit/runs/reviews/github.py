"""Who approved the planned commit on GitHub: in a pull request, or for the environment that this run waits in?

https://docs.github.com/rest: "List pull requests associated with a commit", "List reviews for a pull request", "List
commits on a pull request", "Get a workflow run", "Get the review history for a workflow run"; API version 2022-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tfaudit.runs.reviews.client import Client
from tfaudit.runs.reviews.model import Answer, Review, Unanswered, milliseconds
from tfaudit.runs.reviews.reading import emails, is_number, items, member, number, text

API: Final = "https://api.github.com"
MAX_COMMITS: Final = 250
"""GitHub lists no more of a pull request: with so many nobody knows who else wrote one."""
WEB_FLOW: Final = 19864447
"""The committer of whatever is done on the web site."""
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_DECIDING: Final = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
"""States that are a word on the whole; comments and drafts leave an earlier one standing."""


def address(environ: Mapping[str, str]) -> str:
    """Return the API's address, GitHub Enterprise Server's too."""
    return environ.get("GITHUB_API_URL", API).rstrip("/")


def reviews(environ: Mapping[str, str], commit: str) -> Answer:
    """Return the reviews of all pull requests whose head is the planned commit.

    Of one that was closed unmerged only the rejections: opening another in its place doesn't take them back.
    """
    client, repository = _client(environ), _repository(environ)
    pulls = client.pages(f"/repos/{repository}/commits/{commit}/pulls")
    pulls = [pull for pull in pulls if member(pull, "head", "sha") == commit]
    if not any(map(_is_live, pulls)):
        raise Unanswered(f"no pull request has the planned commit {commit[:12]} as its head")
    found: list[Review] = []
    authors: set[str] = set()
    for pull in pulls:
        path = f"/repos/{repository}/pulls/{number(pull, 'number')}"
        writers = set(_authors(pull, client.pages(f"{path}/commits")))
        authors |= writers
        found += [
            review
            for review in _last_words(client.pages(f"{path}/reviews"), pull, commit)
            if review.word == "rejection" or (_is_live(pull) and review.approver not in writers)
        ]
    return Answer(reviews=tuple(found), authors=frozenset(authors))


def environment(environ: Mapping[str, str], commit: str) -> Answer:
    """Return who approved or rejected that this workflow run goes on into ``TFAUDIT_GITHUB_ENVIRONMENT``."""
    client, repository = _client(environ), _repository(environ)
    name, run_id = environ.get("TFAUDIT_GITHUB_ENVIRONMENT"), environ.get("GITHUB_RUN_ID")
    if not name:
        raise Unanswered("TFAUDIT_GITHUB_ENVIRONMENT doesn't name the job's environment")
    if not is_number(run_id):
        raise Unanswered("GITHUB_RUN_ID names no workflow run")
    run = client.get(f"/repos/{repository}/actions/runs/{run_id}")
    if text(run, "head_sha") != commit:
        raise Unanswered(f"this workflow run is of commit {text(run, 'head_sha')[:12]}, the plan of {commit[:12]}")
    facts: dict[str, str | int] = {
        "environment": name,
        "repository": number(run, "repository", "id"),
        "run": number(run, "id"),
    }
    # The history has no times: no approval of a run is older than the run, of whichever attempt it is.
    made = milliseconds(text(run, "created_at"))
    words: dict[int, str] = {}
    for entry in items(client.get(f"/repos/{repository}/actions/runs/{run_id}/approvals")):
        named = [member(each, "name") for each in items(entry, "environments")]
        state = text(entry, "state")
        if name in named and state in ("approved", "rejected") and _is_person(member(entry, "user")):
            user = number(entry, "user", "id")
            # Nor has it an order to go by: who ever rejected has not approved.
            words[user] = "rejected" if "rejected" in (state, words.get(user)) else "approved"
    found = tuple(
        Review(
            source="github-environment",
            word="approval" if state == "approved" else "rejection",
            approver=f"github:{user}",
            commit=commit,
            made=made,
            facts={**facts, "user": user},
        )
        for user, state in words.items()
    )
    return Answer(reviews=found)


def _client(environ: Mapping[str, str]) -> Client:
    # The GitHub provider of a configuration takes GITHUB_TOKEN too, and may need another one.
    token = environ.get("TFAUDIT_GITHUB_TOKEN") or environ.get("GITHUB_TOKEN")
    if not token:
        raise Unanswered("neither TFAUDIT_GITHUB_TOKEN nor GITHUB_TOKEN is set")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return Client(base=address(environ), headers=headers, environ=environ)


def _repository(environ: Mapping[str, str]) -> str:
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise Unanswered("GITHUB_REPOSITORY names no repository")
    return repository


def _is_live(pull: object) -> bool:
    """Whether the pull request is open or was merged."""
    return member(pull, "state") == "open" or member(pull, "merged_at") is not None


def _is_person(user: object) -> bool:
    return bool(member(user, "type") == "User")


def _authors(pull: object, commits: list[object]) -> Iterator[str]:
    """Yield who opened the pull request and who wrote or committed any part of it."""
    if len(commits) >= MAX_COMMITS:
        raise Unanswered(f"pull request {number(pull, 'number')} has too many commits to know all who wrote them")
    yield f"github:{number(pull, 'user', 'id')}"
    for commit in commits:
        for role in ("author", "committer"):
            user = member(commit, role, "id")
            if user == WEB_FLOW:
                continue
            if user is not None:
                yield f"github:{number(commit, role, 'id')}"
            yield from emails(commit, "commit", role, "email")


def _last_words(entries: list[object], pull: object, commit: str) -> Iterator[Review]:
    """Yield each person's last word: an approval of the planned commit, or a request for changes of any."""
    last: dict[int, object] = {}
    decided = [entry for entry in entries if member(entry, "state") in _DECIDING and _is_person(member(entry, "user"))]
    for entry in sorted(decided, key=lambda entry: (milliseconds(text(entry, "submitted_at")), number(entry, "id"))):
        last[number(entry, "user", "id")] = entry
    for user, entry in last.items():
        state, reviewed = text(entry, "state"), member(entry, "commit_id")
        if state == "DISMISSED" or (state == "APPROVED" and reviewed != commit):
            continue
        yield Review(
            source="github-review",
            word="approval" if state == "APPROVED" else "rejection",
            approver=f"github:{user}",
            # Changes that were requested of an earlier commit are still wanted.
            commit=commit,
            made=milliseconds(text(entry, "submitted_at")),
            facts={
                "pull": number(pull, "number"),
                "repository": number(pull, "base", "repo", "id"),
                "review": number(entry, "id"),
                "submitted": text(entry, "submitted_at"),
                "user": user,
            },
        )
