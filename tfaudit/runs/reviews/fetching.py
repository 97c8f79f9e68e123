"""Which approvals count that were given on a platform, for the plan of one commit?

They bind to the commit, not to the change digest: with a clean work tree of that commit the plan can differ from what
was looked at by variables, state and whatever the world became meanwhile. The gate takes them only where ``[gate]
evidence`` names the platform, and from persons whom its approvers file knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from tfaudit.gate.model import Subject
from tfaudit.runs.reviews.model import Answer, Fetched, Unanswered

_Ask = Callable[[Mapping[str, str], str], Answer]
_Address = Callable[[Mapping[str, str]], str]
_ISSUER_OF: Final = {
    "api.github.com": "token.actions.githubusercontent.com",
    "gitlab.com": "gitlab.com",
    "api.env0.com": "login.app.env0.com",
}
"""The platforms' own hosts, and who issues their jobs' tokens."""


def fetch(
    environ: Mapping[str, str],
    evidence: tuple[str, ...],
    subject: Subject,
    *,
    clean: bool,
    now: int,
    issuers: tuple[str, ...] = (),
) -> Fetched:
    """Return the votes that the platforms in ``evidence`` know of for ``subject``'s commit; never raises.

    ``clean``: the work tree holds that commit and nothing else. ``now``: milliseconds since the epoch. ``issuers`` are
    those of ``[identity]``: they say which self-managed instances are believed, and where there are any, that no
    others are. A platform that can't be asked is a problem, and so are its votes then: none.
    """
    if not evidence:
        return Fetched()
    commit = subject.commit
    if commit is None or not clean:
        why = "the plan is of no commit" if commit is None else "the work tree differs from its commit"
        return Fetched(problems=(f"{', '.join(evidence)}: {why}, so no review of a commit can count",))
    fetched = Fetched()
    for source in evidence:
        try:
            answer = _ask(source, environ, commit, issuers)
        except Unanswered as problem:
            fetched = Fetched(
                votes=fetched.votes,
                problems=(*fetched.problems, f"{source}: {problem}"),
                authors=fetched.authors,
                documents=fetched.documents,
            )
            continue
        fetched = Fetched(
            votes=(*fetched.votes, *(review.vote(subject, now=now) for review in answer.reviews)),
            problems=fetched.problems,
            authors=fetched.authors | answer.authors,
            documents=(*fetched.documents, *(review.document for review in answer.reviews)),
        )
    return fetched


def _ask(source: str, environ: Mapping[str, str], commit: str, issuers: tuple[str, ...]) -> Answer:
    address, ask = _platform(source)
    host = _host(address(environ))
    if not host or not _is_believed(host, tuple(filter(None, map(_host, issuers)))):
        raise Unanswered(f"the API at {host or 'no host'} is none of those that [identity] issuers lets count")
    return ask(environ, commit)


def _platform(source: str) -> tuple[_Address, _Ask]:
    """Return where the platform is asked, and what asks it: loaded for a gate that takes its word, and for no other."""
    from tfaudit.runs.reviews import env0, github, gitlab

    match source:
        case "github-review":
            return github.address, github.reviews
        case "github-environment":
            return github.address, github.environment
        case "gitlab-merge-request":
            return gitlab.address, gitlab.merge_request
        case "gitlab-deployment":
            return gitlab.address, gitlab.deployment
        case "env0":
            return env0.address, env0.deployment
    raise Unanswered("there is no such platform")


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _is_believed(host: str, issuers: tuple[str, ...]) -> bool:
    """Whether the API at ``host`` belongs to one who issues tokens that are believed."""
    if not issuers:
        return host in _ISSUER_OF
    for issuer in issuers:
        if issuer in (host, _ISSUER_OF.get(host), host.removeprefix("api.")):
            return True
        # A tenant of GitHub Enterprise Cloud: api.octocorp.ghe.com and token.actions.octocorp.ghe.com.
        tenant = host.removeprefix("api.")
        if tenant.endswith(".ghe.com") and issuer.endswith(f".{tenant}"):
            return True
    return False
