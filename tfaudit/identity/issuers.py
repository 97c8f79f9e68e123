"""Whose tokens are believed, which platform's are they, and which audience may they have?"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

AUDIENCE: Final = "tfaudit"
"""What a token's audience should be where the run can't choose it."""

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A platform that gives its jobs tokens under a well-known name."""

    platform: str
    pattern: re.Pattern[str]
    """Matches the whole of the token's ``iss``."""
    audiences: tuple[str, ...] = ()
    """What else the platform puts there where nobody chooses; ``{1}`` stands for the pattern's first group."""


def _issuer(platform: str, pattern: str, *audiences: str) -> Issuer:
    return Issuer(platform=platform, pattern=re.compile(pattern, re.ASCII), audiences=audiences)


WELL_KNOWN: Final = (
    _issuer("github-actions", r"https://token\.actions\.githubusercontent\.com(?:/[A-Za-z0-9-]{1,64})?"),
    _issuer("gitlab-ci", r"https://gitlab\.com"),
    _issuer("circleci", rf"https://oidc\.circleci\.com/org/({_UUID})", "{1}"),
    _issuer("buildkite", r"https://agent\.buildkite\.com"),
    _issuer(
        "bitbucket-pipelines",
        r"https://api\.bitbucket\.org/2\.0/workspaces/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}/pipelines-config/identity/oidc",
    ),
    _issuer("azure-devops", rf"https://vstoken\.dev\.azure\.com/{_UUID}", "api://AzureADTokenExchange"),
    _issuer("hcp-terraform", r"https://app\.(?:eu\.)?terraform\.io"),
    _issuer("spacelift", r"https://([a-z0-9-]{1,63}\.app\.(?:us\.)?spacelift\.io)", "{1}"),
    _issuer("env0", r"https://login\.app\.env0\.com/?", "https://prod.env0.com", "https://app.env0.com"),
)

_EXPECTED: Final = (
    ("GITHUB_ACTIONS", "https://token.actions.githubusercontent.com"),
    ("BUILDKITE", "https://agent.buildkite.com"),
    ("TFC_RUN_ID", "https://app.terraform.io"),
)
"""Whose token a job will show, by a variable that its platform sets."""

_SHAPES: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("kubernetes", frozenset({"kubernetes.io"})),
    ("github-actions", frozenset({"actor_id", "repository_id", "run_id"})),
    ("gitlab-ci", frozenset({"user_id", "project_id", "pipeline_id"})),
    ("hcp-terraform", frozenset({"terraform_run_id", "terraform_workspace_id"})),
    ("env0", frozenset({"deploymentLogId", "environmentId"})),
    ("circleci", frozenset({"oidc.circleci.com/project-id"})),
)
"""By which claims a platform is told that runs under a name of its own, such as GitLab in somebody's own network."""


def is_believed(issuer: str, configured: Collection[str]) -> bool:
    """Tell whether tokens of this issuer count: by ``[identity] issuers``, or where that is empty as a well-known."""
    if configured:
        return issuer in configured
    return well_known(issuer) is not None


def well_known(issuer: str) -> Issuer | None:
    """Return the platform that has this very name, None for none."""
    return next((each for each in WELL_KNOWN if each.pattern.fullmatch(issuer)), None)


def expected(environ: Mapping[str, str], configured: Collection[str]) -> str | None:
    """Return the issuer whose keys will be needed, as far as that can be told before there is a token."""
    if configured:
        return next(iter(configured)) if len(configured) == 1 else None
    return next((issuer for mark, issuer in _EXPECTED if environ.get(mark) not in (None, "", "false")), None)


def platform_of(issuer: str, claims: Mapping[str, object]) -> str:
    """Return the platform that a believed issuer is, ``oidc`` for one that can't be told."""
    if found := well_known(issuer):
        return found.platform
    told = next((platform for platform, shape in _SHAPES if shape <= claims.keys()), "oidc")
    # GitHub's own servers issue at these places; nobody else's claims name its users.
    return "oidc" if told == "github-actions" and not _is_githubs(issuer) else told


def _is_githubs(issuer: str) -> bool:
    parts = urlsplit(issuer)
    return parts.path == "/_services/token" or (parts.hostname or "").startswith("token.actions.")


def audiences(issuer: str, configured: str | None) -> tuple[str, ...]:
    """Return which audiences a token may have that is not bound to the run: the configured one alone, where it is."""
    if configured is not None:
        return (configured,)
    found = well_known(issuer)
    match = found.pattern.fullmatch(issuer) if found else None
    if found is None or match is None:
        return (AUDIENCE,)
    groups = match.groups()
    return (AUDIENCE, *(each.replace("{1}", groups[0]) if groups else each for each in found.audiences))


def host(issuer: str) -> str:
    """Return the issuer's server and path, for names that must not be taken for another issuer's."""
    parts = urlsplit(issuer)
    return f"{parts.netloc}{parts.path}".rstrip("/")
