"""What does a verified token say about the actor: which person by which id, and which claims are worth keeping?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tfaudit.errors import VerificationError
from tfaudit.identity import issuers, names
from tfaudit.identity.actor import Evidence, Level
from tfaudit.identity.kept import KEPT

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


def evidence(issuer: str, claims: Claims, level: Level) -> Evidence:
    """Return a token's claims as evidence: those of an allow-list, and who they name.

    Raises :class:`VerificationError` for claims that contradict one another.
    """
    platform = issuers.platform_of(issuer, claims)
    who = _WHO.get(platform, _oidc)(claims, issuer)
    kept = [("iss", issuer[:MAX_CLAIM_CHARACTERS])]
    for name in ("sub", *KEPT[platform]):
        if (text := _text(_member(claims, name))) is not None:
            kept.append((name, text))
    return Evidence(
        source=f"{platform}-oidc",
        level=level,
        principal=who.principal,
        claims=tuple(kept),
        identities=names.unique(who.identities),
    )


def unlike(actor: object, issuer: str | None, claims: Claims) -> str | None:
    """Return in what a recorded actor says more than the token that was kept for it; None where it says the same.

    ``actor`` is what :meth:`Actor.to_json` gave, ``issuer`` and ``claims`` are the verified token's; an issuer of None
    stands for no token: then nothing may be called verified. A later version may keep fewer or more claims, so those
    that are recorded are held against the token, not the other way round.
    """
    said = actor.get("evidence") if isinstance(actor, dict) else None
    if not isinstance(actor, dict) or not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        return "the actor is out of form"
    verified = [one for one in said if one.get("level") == "verified"]
    if issuer is None:
        return "the actor is called verified without a token" if verified or actor.get("level") == "verified" else None
    try:
        whole = evidence(issuer, claims, "verified")
    except VerificationError as error:
        return error.message
    known = {"iss": issuer[:MAX_CLAIM_CHARACTERS]}
    for one in verified:
        kept = one.get("claims")
        if one.get("principal") != whole.principal:
            return "the token names somebody else"
        if not isinstance(kept, dict) or any(
            value != known.get(name, _text(_member(claims, name))) for name, value in kept.items()
        ):
            return "the token claims something else"
        listed = one.get("identities", [])
        if not isinstance(listed, list) or any(name not in whole.identities for name in listed):
            return "the token knows them by fewer names"
    if actor.get("level") == "verified" and (not verified or actor.get("principal") != whole.principal):
        return "the actor is another one than the token names"
    return None


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


_WHO: Final[Mapping[str, Callable[[Claims, str], _Names]]] = {
    "github-actions": _github,
    "gitlab-ci": _gitlab,
    "circleci": _circleci,
    "buildkite": _job("buildkite-pipeline"),
    "bitbucket-pipelines": _job("bitbucket-step"),
    "azure-devops": _job("azure-devops-connection"),
    "hcp-terraform": _job("hcp-workspace"),
    "spacelift": _job("spacelift-stack"),
    "env0": _env0,
    "kubernetes": _kubernetes,
}
