"""What does the platform itself say of this job, asked with the job's own token?

GitLab knows the job by its token (docs.gitlab.com/api/jobs, "Get job token's job"). GitHub tells who started a run and
who started it again (docs.github.com/rest, "Get a workflow run attempt"), by ids, which the environment does not have;
that this job is that run, only its identity token says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from tfaudit.errors import UnavailableError
from tfaudit.identity import names
from tfaudit.identity.actor import Evidence
from tfaudit.identity.fetching import fetch
from tfaudit.identity.issuers import is_believed

MAX_ANSWER: Final = 1 << 20
_REPOSITORY: Final = re.compile(r"(?!\.)[\w.-]+/(?!\.\.?$)[\w.-]+", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_ISSUERS: Final[Mapping[str, str]] = {
    "api.github.com": "https://token.actions.githubusercontent.com",
    "gitlab.com": "https://gitlab.com",
}
"""Who issues the tokens of the jobs whose platform has its API there."""


def job(environ: Mapping[str, str], issuers: Collection[str]) -> Evidence | None:
    """Return what the platform's API says of this job; None where there is no platform to ask, or no token to ask with.

    ``issuers`` are those of ``[identity]``: they say which self-managed servers are believed. Level: platform-api.
    Raises :class:`UnavailableError` where the platform can't be asked, or answers what it should not.
    """
    if environ.get("GITHUB_ACTIONS") == "true":
        token = environ.get("TFAUDIT_GITHUB_TOKEN") or environ.get("GITHUB_TOKEN")
        return _github(environ, token, issuers) if token else None
    if environ.get("GITLAB_CI"):
        token = environ.get("CI_JOB_TOKEN")
        return _gitlab(environ, token, issuers) if token else None
    return None


def _github(environ: Mapping[str, str], token: str, issuers: Collection[str]) -> Evidence | None:
    api = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    repository, run, attempt = (
        environ.get(name, "") for name in ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT")
    )
    if not _believed(api, issuers):
        return None
    if not _REPOSITORY.fullmatch(repository) or not _NUMBER.fullmatch(run) or not _NUMBER.fullmatch(attempt):
        raise UnavailableError("GitHub can't be asked about this run: the environment does not name it")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    said = _ask(environ, f"{api}/repos/{repository}/actions/runs/{run}/attempts/{attempt}", headers)
    claims = [("run_id", run), ("run_attempt", attempt)]
    identities: list[str] = []
    for role in ("triggering_actor", "actor"):
        user = _user("github", said.get(role), "login")
        claims += zip((f"{role}_id", role), (name.partition(":")[2] for name in user), strict=False)
        identities += user
    return Evidence(
        source="github-api",
        level="platform-api",
        # Which run this job belongs to, the environment says: so much is only claimed here.
        principal=None,
        claims=tuple(claims),
        identities=names.unique(identities),
    )


def _gitlab(environ: Mapping[str, str], token: str, issuers: Collection[str]) -> Evidence | None:
    api = environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4").rstrip("/")
    if not _believed(api, issuers):
        return None
    said = _ask(environ, f"{api}/job", {"JOB-TOKEN": token})
    user = _user("gitlab", said.get("user"), "username")
    pipeline = said.get("pipeline")
    numbers = {"job_id": said.get("id"), "pipeline_id": pipeline.get("id") if isinstance(pipeline, dict) else None}
    claims = [(name, str(number)) for name, number in numbers.items() if isinstance(number, int)]
    claims += zip(("user_id", "user_login"), (name.partition(":")[2] for name in user), strict=False)
    return Evidence(source="gitlab-api", level="platform-api", principal=user[0], claims=tuple(claims), identities=user)


def _ask(environ: Mapping[str, str], url: str, headers: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        said = json.loads(fetch(url, environ=environ, most=MAX_ANSWER, headers=headers))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UnavailableError(f"{urlsplit(url).netloc} answers with no JSON object")
    return said


def _user(kind: str, user: object, login: str) -> tuple[str, ...]:
    """Return a user's names, the id first; :class:`UnavailableError` for one without an id."""
    number = user.get("id") if isinstance(user, dict) else None
    if not isinstance(user, dict) or isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise UnavailableError("the platform's API names no user")
    name = user.get(login)
    return (*names.of_id(kind, str(number)), *names.of_login(kind, name if isinstance(name, str) else None))


def _believed(api: str, issuers: Collection[str]) -> bool:
    """Tell whether the API's server is one whose tokens are believed: tokens go to no other."""
    parts = urlsplit(api)
    if parts.netloc in _ISSUERS:
        return is_believed(_ISSUERS[parts.netloc], issuers)
    known = {urlsplit(issuer).netloc for issuer in issuers}
    tenant = parts.netloc.removeprefix("api.")
    return bool(known & {parts.netloc, tenant, f"token.actions.{tenant}"})
