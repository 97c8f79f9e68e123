"""Whatever a platform answers, asking it raises nothing, and what is made of it can be written down."""

from __future__ import annotations

import copy

import pytest
import test_reviews_env0 as env0
import test_reviews_github as github
import test_reviews_gitlab as gitlab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platformfakes import Platform
from test_reviews_env0 import env0 as env0_platform  # noqa: F401 - fixtures
from test_reviews_github import github as github_platform  # noqa: F401
from test_reviews_gitlab import gitlab as gitlab_platform  # noqa: F401

from tfaudit import canonical

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["approved", "2026-03-01", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "user", "state"]), inner),
    max_leaves=5,
)
ASK = {
    "github-review": lambda platform: github.ask(platform),
    "github-environment": lambda platform: github.ask(platform, "github-environment"),
    "gitlab-merge-request": lambda platform: gitlab.ask(platform),
    "gitlab-deployment": lambda platform: gitlab.ask(platform, "gitlab-deployment"),
    "env0": lambda platform: env0.ask(platform),
}


def places(value, path=()):
    """Yield the path of everything in a JSON value, itself included."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*path, name))


def replaced(value, path, new):
    """Return a copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    made = copy.deepcopy(value)
    at = made
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = new
    return made


def approve(platform):
    """Let the platform hold an approval of each kind."""
    documents = platform.documents
    for path, entry in (
        (f"{github.REPO}/pulls/7/reviews", github.review(1, github.ALICE, "APPROVED")),
        (f"{github.REPO}/actions/runs/900/approvals", github.approval(github.ALICE)),
    ):
        if path in documents:
            documents[path].append(entry)
    if f"{gitlab.REQUEST}/approvals" in documents:
        documents[f"{gitlab.REQUEST}/approvals"]["approved_by"].append(gitlab.approved(gitlab.ALICE))
        documents["/projects/5/deployments/42"]["approvals"].append(gitlab.deployed(gitlab.ALICE))
    if env0.DEPLOYMENT in documents:
        documents[env0.DEPLOYMENT]["reviewersUsers"].append({"user": env0.user("alice"), "action": "approved"})


@pytest.mark.parametrize("source", list(ASK))
def test_any_member_may_be_anything(source, request):
    """One member of one answer replaced by anything: a problem or a vote, and never an exception."""
    platform: Platform = request.getfixturevalue(f"{source.partition('-')[0]}_platform")
    approve(platform)
    whole = platform.documents
    assert ASK[source](platform).votes
    known = {path: list(places(document)) for path, document in sorted(whole.items())}
    paths = st.sampled_from(list(known))

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(where=paths.flatmap(lambda path: st.tuples(st.just(path), st.sampled_from(known[path]))), new=JSON)
    def holds(where, new):
        path, place = where
        platform.documents = {**whole, path: replaced(whole[path], place, new)}
        found = ASK[source](platform)
        assert len(found.votes) == len(found.documents)
        for vote, document in zip(found.votes, found.documents, strict=True):
            assert vote.id == f"sha256:{canonical.sha256_hex(document)}"
            assert vote.approver.isprintable()

    holds()
