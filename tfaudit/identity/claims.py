"""What does a verified token say about the actor: which person by which id, and which claims are worth keeping?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tfaudit.errors import VerificationError
from tfaudit.identity import issuers, names
from tfaudit.identity.actor import Evidence, Level

MAX_CLAIM_CHARACTERS: Final = 512
_MAX_INT: Final = 2**63

_GITHUB_SUB: Final = re.compile(
    r"repo:(?P<owner>[^/@:]+)(?:@(?P<owner_id>\d+))?/(?P<repo>[^/@:]+)(?:@(?P<repo_id>\d+))?(?::.*)?",
    re.ASCII | re.DOTALL,
)
_CIRCLECI_SUB: Final = re.compile(r"org/[^/]+/project/[^/]+/user/([0-9a-f-]{36})(?:/.*)?", re.ASCII)
_K8S_SUB: Final = re.compile(r"system:serviceaccount:([a-z0-9.-]{1,253}):([a-z0-9.-]{1,253})", re.ASCII)

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    principal: str | None
    """None where the token names a job and nobody who started it."""
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Platform:
    keep: tuple[str, ...]
    """An allow-list; ``a/b`` is member b of object a."""
    who: Callable[[Claims, str], _Names]


def evidence(issuer: str, claims: Claims, level: Level) -> Evidence:
    """Return a token's claims as evidence: those of an allow-list, and who they name.

    Raises :class:`VerificationError` for claims that contradict one another.
    """
    platform = issuers.platform_of(issuer, claims)
    known = _PLATFORMS.get(platform, _OIDC)
    who = known.who(claims, issuer)
    kept = [("iss", issuer[:MAX_CLAIM_CHARACTERS])]
    for name in ("sub", *known.keep):
        if (text := _text(_member(claims, name))) is not None:
            kept.append((name, text))
    return Evidence(
        source=f"{platform}-oidc",
        level=level,
        principal=who.principal,
        claims=tuple(kept),
        identities=names.unique(who.identities),
    )


def github_subject(subject: str) -> dict[str, str]:
    """Return owner, repo and, where the subject is the immutable kind, owner_id and repo_id; empty for another form.

    ``repo:OWNER/REPO:…``, or ``repo:OWNER@ID/REPO@ID:…`` of repositories made after July 2026.
    """
    found = _GITHUB_SUB.fullmatch(subject)
    return {} if found is None else {name: value for name, value in found.groupdict().items() if value}


def _github(claims: Claims, _issuer: str) -> _Names:
    subject = github_subject(_text(claims.get("sub")) or "")
    for said, claim in (("owner_id", "repository_owner_id"), ("repo_id", "repository_id")):
        if said in subject and subject[said] != _id(claims.get(claim)):
            raise VerificationError(f"the token does not count: its subject and its {claim} name two repositories")
    actor = names.of_id("github", _id(claims.get("actor_id")))
    login = names.of_login("github", _text(claims.get("actor")))
    return _Names(principal=next(iter(actor), None), identities=(*actor, *login))


def _gitlab(claims: Claims, _issuer: str) -> _Names:
    user = names.of_id("gitlab", _id(claims.get("user_id")))
    login = names.of_login("gitlab", _text(claims.get("user_login")))
    email = names.of_email(_text(claims.get("user_email")))
    return _Names(principal=next(iter(user), None), identities=(*user, *login, *email))


def _circleci(claims: Claims, _issuer: str) -> _Names:
    found = _CIRCLECI_SUB.fullmatch(_text(claims.get("sub")) or "")
    user = names.of_id("circleci", found[1]) if found else ()
    return _Names(principal=next(iter(user), None), identities=user)


def _env0(claims: Claims, _issuer: str) -> _Names:
    email = _text(_member(claims, "deployerEmail"))
    who = names.of_id("env0", email)
    return _Names(principal=next(iter(who), None), identities=(*who, *names.of_email(email)))


def _kubernetes(claims: Claims, _issuer: str) -> _Names:
    found = _K8S_SUB.fullmatch(_text(claims.get("sub")) or "")
    account = names.of_id("k8s", f"{found[1]}/{found[2]}") if found else ()
    uid = names.of_id("k8s-uid", _text(_member(claims, "kubernetes.io/serviceaccount/uid")))
    return _Names(principal=next(iter(account), None), identities=(*account, *uid))


def _job(kind: str) -> Callable[[Claims, str], _Names]:
    """Return a reader of tokens that name a pipeline, a workspace or a service connection, but no person."""

    def who(claims: Claims, issuer: str) -> _Names:
        subject = _text(claims.get("sub"))
        return _Names(principal=None, identities=names.of_id(kind, subject and f"{issuers.host(issuer)}#{subject}"))

    return who


def _oidc(claims: Claims, issuer: str) -> _Names:
    subject = _text(claims.get("sub"))
    found = names.of_id("oidc", subject and f"{issuers.host(issuer)}#{subject}")
    email = names.of_email(_text(claims.get("email"))) if claims.get("email_verified") is True else ()
    return _Names(principal=next(iter(found), None), identities=(*found, *email))


def _member(claims: Claims, name: str) -> object:
    """Return a claim, also by the prefix that env0 gave its claims once, and those of Kubernetes one level down."""
    if name.startswith("kubernetes.io/"):
        found: object = claims
        for part in name.split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return found
    return claims.get(name, claims.get(f"https://env0.com/{name}"))


def _text(value: object) -> str | None:
    """Return a claim's value as text; None for a type that none of the claims we keep has."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < _MAX_INT else None
    if isinstance(value, str):
        return _unicode(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return _unicode(",".join(value))
    return None


def _unicode(text: str) -> str:
    """Return a text of JSON's, which may hold half a surrogate pair, as one that can be written down."""
    return text[:MAX_CLAIM_CHARACTERS].encode("utf-8", "backslashreplace").decode()


def _id(value: object) -> str | None:
    """Return an id: digits, as text or as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value) if isinstance(value, str) or abs(value) < _MAX_INT else ""
    return text if text.isascii() and text.isdigit() and len(text) < 20 else None


_GITHUB_CLAIMS: Final = (
    "actor",
    "actor_id",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "run_id",
    "run_number",
    "run_attempt",
    "workflow",
    "workflow_ref",
    "workflow_sha",
    "job_workflow_ref",
    "job_workflow_sha",
    "environment",
    "event_name",
    "ref",
    "sha",
    "base_ref",
    "head_ref",
    "runner_environment",
    "check_run_id",
    "enterprise",
    "enterprise_id",
)
_GITLAB_CLAIMS: Final = (
    "user_id",
    "user_login",
    "user_email",
    "user_access_level",
    "namespace_id",
    "namespace_path",
    "project_id",
    "project_path",
    "job_project_id",
    "job_namespace_id",
    "pipeline_id",
    "pipeline_source",
    "job_id",
    "ref",
    "ref_type",
    "ref_protected",
    "environment",
    "environment_protected",
    "deployment_tier",
    "runner_id",
    "runner_environment",
    "sha",
    "ci_config_ref_uri",
    "ci_config_sha",
)
_ENV0_CLAIMS: Final = (
    "organizationId",
    "projectId",
    "projectName",
    "environmentId",
    "environmentName",
    "templateId",
    "templateName",
    "workspaceName",
    "deploymentLogId",
    "deploymentType",
    "deployerEmail",
    "reviewerEmail",
    "env0Tag",
)

_OIDC: Final = _Platform(keep=("email", "email_verified"), who=_oidc)
_PLATFORMS: Final[Mapping[str, _Platform]] = {
    "github-actions": _Platform(keep=_GITHUB_CLAIMS, who=_github),
    "gitlab-ci": _Platform(keep=_GITLAB_CLAIMS, who=_gitlab),
    "circleci": _Platform(
        keep=tuple(
            f"oidc.circleci.com/{name}"
            for name in (
                "org-id",
                "project-id",
                "job-id",
                "workflow-id",
                "pipeline-id",
                "pipeline-definition-id",
                "vcs-origin",
                "vcs-ref",
                "ssh-rerun",
                "context-ids",
            )
        ),
        who=_circleci,
    ),
    "buildkite": _Platform(
        keep=(
            "organization_slug",
            "organization_id",
            "pipeline_slug",
            "pipeline_id",
            "build_number",
            "build_branch",
            "build_tag",
            "build_commit",
            "step_key",
            "job_id",
            "agent_id",
        ),
        who=_job("buildkite-pipeline"),
    ),
    "bitbucket-pipelines": _Platform(
        keep=(
            "workspaceUuid",
            "repositoryUuid",
            "pipelineUuid",
            "pipelineRunUuid",
            "stepUuid",
            "deploymentEnvironmentUuid",
            "branchName",
            "accountUuid",
        ),
        who=_job("bitbucket-step"),
    ),
    "azure-devops": _Platform(
        keep=("oid", "org_id", "prj_id", "def_id", "rpo_id", "run_id"), who=_job("azure-devops-connection")
    ),
    "hcp-terraform": _Platform(
        keep=(
            "terraform_organization_id",
            "terraform_organization_name",
            "terraform_project_id",
            "terraform_project_name",
            "terraform_workspace_id",
            "terraform_workspace_name",
            "terraform_run_id",
            "terraform_run_phase",
            "terraform_full_workspace",
        ),
        who=_job("hcp-workspace"),
    ),
    "spacelift": _Platform(
        keep=("spaceId", "callerType", "callerId", "runType", "runId", "scope"), who=_job("spacelift-stack")
    ),
    "env0": _Platform(keep=_ENV0_CLAIMS, who=_env0),
    "kubernetes": _Platform(
        keep=(
            "kubernetes.io/namespace",
            "kubernetes.io/pod/name",
            "kubernetes.io/pod/uid",
            "kubernetes.io/node/name",
            "kubernetes.io/serviceaccount/name",
            "kubernetes.io/serviceaccount/uid",
        ),
        who=_kubernetes,
    ),
    "oidc": _OIDC,
}
