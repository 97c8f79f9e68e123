"""What a token says leads to the right person, by ids, whatever its claims look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import canonical
from tfaudit.errors import VerificationError
from tfaudit.identity import claims, issuers
from tfaudit.identity.actor import Evidence, combine

GITHUB = "https://token.actions.githubusercontent.com"
ORG = "https://oidc.circleci.com/org/8d4f1a2b-0c3d-4e5f-8a9b-0c1d2e3f4a5b"
USER = "11111111-2222-4333-8444-555555555555"


def github(**more):
    """Return a job's claims as GitHub documents them."""
    base = {
        "sub": "repo:octo-org/octo-repo:environment:prod",
        "repository": "octo-org/octo-repo",
        "repository_id": "74",
        "repository_owner_id": "65",
        "actor": "octocat",
        "actor_id": "583231",
        "run_id": "9",
        "run_attempt": "2",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "environment": "prod",
    }
    return base | more


def read(issuer, said):
    """Return the evidence of a token's claims."""
    return claims.evidence(issuer, said, "attested-by-runner")


def test_github_is_keyed_on_ids():
    """Whoever takes over a login is not its former owner."""
    found = read(GITHUB, github())
    assert found.source == "github-actions-oidc"
    assert found.principal == "github:583231"
    assert found.identities == ("github:583231", "github:octocat")
    assert ("run_attempt", "2") in found.claims


def test_a_login_of_digits_is_no_id():
    """Somebody who calls themselves 583231 is not user 583231."""
    found = read(GITHUB, github(actor="583231", actor_id="7"))
    assert found.identities == ("github:7",)


@pytest.mark.parametrize(
    ("subject", "parts"),
    [
        ("repo:octo-org/octo-repo:ref:refs/heads/main", {"owner": "octo-org", "repo": "octo-repo"}),
        (
            "repo:octo-org@65/octo-repo@74:environment:prod",
            {"owner": "octo-org", "owner_id": "65", "repo": "octo-repo", "repo_id": "74"},
        ),
        (
            "repo:octo-org@65/octo-repo@74",
            {"owner": "octo-org", "owner_id": "65", "repo": "octo-repo", "repo_id": "74"},
        ),
        ("job_workflow_ref:octo-org/x", {}),
        ("repo:a/b/c:ref", {}),
        ("", {}),
    ],
)
def test_both_forms_of_githubs_subject(subject, parts):
    """The old one and the immutable one with ids, and what an organisation made of it."""
    assert claims.github_subject(subject) == parts


def test_a_subject_and_claims_of_two_repositories():
    """Ids in the subject are those of the claims, or nobody knows which repository it was."""
    found = read(GITHUB, github(sub="repo:octo-org@65/octo-repo@74:environment:prod"))
    assert found.principal == "github:583231"
    with pytest.raises(VerificationError, match="two repositories"):
        read(GITHUB, github(sub="repo:octo-org@65/octo-repo@75:environment:prod"))
    with pytest.raises(VerificationError, match="two repositories"):
        read(GITHUB, github(sub="repo:octo-org@66/octo-repo@74:ref:x"))


def test_gitlab_is_keyed_on_the_users_id():
    """Login and address are further names."""
    said = {
        "sub": "project_path:a/b:ref_type:branch:ref:main",
        "user_id": "7",
        "user_login": "Ann",
        "user_email": "A@X",
    }
    found = read("https://gitlab.com", said)
    assert (found.principal, found.identities) == ("gitlab:7", ("gitlab:7", "gitlab:ann", "email:a@x"))


def test_circleci_names_the_user_in_the_subject():
    """The user's UUID, not the project."""
    assert read(ORG, {"sub": f"org/o/project/p/user/{USER}"}).principal == f"circleci:{USER}"
    assert read(ORG, {"sub": f"org/o/project/p/user/{USER}/vcs-origin/x/vcs-ref/y"}).principal == f"circleci:{USER}"
    assert read(ORG, {"sub": "org/o/project/p"}).principal is None


def test_env0_names_who_deploys():
    """Also by the prefix that its claims had before."""
    issuer = "https://login.app.env0.com/"
    for name in ("deployerEmail", "https://env0.com/deployerEmail"):
        found = read(issuer, {"sub": "x", name: "Ann@Example.com", "deploymentLogId": "d"})
        assert found.identities == ("env0:ann@example.com", "email:ann@example.com")


def test_kubernetes_names_the_service_account():
    """With pod and uids among the claims."""
    said = {
        "sub": "system:serviceaccount:ci:deployer",
        "kubernetes.io": {
            "namespace": "ci",
            "pod": {"name": "apply-1", "uid": "p-1"},
            "serviceaccount": {"name": "deployer", "uid": "s-1"},
        },
    }
    found = read("https://kubernetes.default.svc", said)
    assert (found.source, found.principal) == ("kubernetes-oidc", "k8s:ci/deployer")
    assert found.identities == ("k8s:ci/deployer", "k8s-uid:s-1")
    assert ("kubernetes.io/pod/name", "apply-1") in found.claims


@pytest.mark.parametrize(
    ("issuer", "kind"),
    [
        ("https://agent.buildkite.com", "buildkite-pipeline"),
        ("https://vstoken.dev.azure.com/8d4f1a2b-0c3d-4e5f-8a9b-0c1d2e3f4a5b", "azure-devops-connection"),
        ("https://app.terraform.io", "hcp-workspace"),
        ("https://acme.app.spacelift.io", "spacelift-stack"),
        ("https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "bitbucket-step"),
    ],
)
def test_tokens_that_name_no_person(issuer, kind):
    """A pipeline or a service connection is told, and is nobody's name."""
    found = read(issuer, {"sub": "x", "actor_id": "583231"})
    assert found.principal is None
    assert all(name.startswith(f"{kind}:") for name in found.identities)


def test_two_accounts_of_one_platform_are_two():
    """A stack in somebody else's account does not have ours for a name."""
    first, second = (read(f"https://{name}.app.spacelift.io", {"sub": "space:s"}) for name in ("acme", "evil"))
    assert not set(first.identities) & set(second.identities)


def test_a_platform_under_its_own_name_is_told_by_its_claims():
    """GitLab in one's own network, GitHub Enterprise Server."""
    assert (
        issuers.platform_of("https://git.example", {"user_id": "1", "project_id": "2", "pipeline_id": "3"})
        == "gitlab-ci"
    )
    assert issuers.platform_of("https://ghe.example/_services/token", github()) == "github-actions"
    assert issuers.platform_of("https://idp.example", {"sub": "x"}) == "oidc"
    assert issuers.platform_of("https://jenkins.example/oidc", github()) == "oidc"


def test_an_unknown_issuer_names_by_issuer_and_subject():
    """An address counts only if the issuer says that it looked."""
    said = {"sub": "x", "email": "a@x"}
    assert read("https://idp.example", said).identities == ("oidc:idp.example#x",)
    assert read("https://idp.example", said | {"email_verified": True}).identities == (
        "oidc:idp.example#x",
        "email:a@x",
    )
    assert len(read("https://idp.example", said | {"email_verified": "true"}).identities) == 1


def test_half_a_surrogate_pair_is_spelled_out():
    """JSON can say what no text can be."""
    assert canonical.encode(combine([read(GITHUB, github(actor="a\ud800b"))]).to_json())


def test_only_claims_of_the_list_are_kept():
    """A token may say more than is anybody's business."""
    kept = dict(read(GITHUB, github(secret="hunter2", jti="x")).claims)
    assert "secret" not in kept
    assert "jti" not in kept


@pytest.mark.parametrize("value", [None, True, 1.5, -1, 2**70, "", "x", "1 2", "٣", ["7"], {"id": 7}, "7" * 30])
def test_an_id_of_an_odd_type_names_nobody(value):
    """What is no id is not made one."""
    found = read(GITHUB, github(actor_id=value, actor=None))
    assert found.principal is None
    assert found.identities == ()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
_NAMES = st.sampled_from(
    ["sub", "actor", "actor_id", "user_id", "user_login", "user_email", "kubernetes.io", "email", "deployerEmail"]
)


@given(
    st.sampled_from(
        [
            GITHUB,
            "https://gitlab.com",
            ORG,
            "https://login.app.env0.com/",
            "https://k8s.example",
            "https://app.terraform.io",
        ]
    ),
    st.dictionaries(_NAMES, _VALUES),
)
def test_claims_of_any_type_can_be_recorded(issuer, said):
    """Whatever an issuer says, there is an actor that can be written down, in canonical JSON."""
    actor = combine([read(issuer, said)])
    assert canonical.encode(actor.to_json())
    assert all(isinstance(name, str) for name in actor.identities)


def _recorded(**more):
    """Return an actor as it is recorded, by a bound token and the environment."""
    said = github()
    claimed = Evidence(source="github-actions", level="claimed", principal="github:octocat", claims=())
    return combine([claims.evidence(GITHUB, said, "verified"), claimed]).to_json() | more


def _evidence(**more):
    first, *rest = _recorded()["evidence"]
    return _recorded(evidence=[first | more, *rest])


def test_an_actor_says_what_its_token_said():
    """An auditor compares them."""
    assert claims.unlike(_recorded(), GITHUB, github()) is None
    fewer = dict(list(_recorded()["evidence"][0]["claims"].items())[:3])
    assert claims.unlike(_evidence(claims=fewer), GITHUB, github()) is None


@pytest.mark.parametrize(
    ("actor", "reason"),
    [
        (_evidence(principal="github:7"), "somebody else"),
        (_evidence(claims={"environment": "production"}), "something else"),
        (_evidence(claims={"invented": "x"}), "something else"),
        (_evidence(claims=None), "something else"),
        (_evidence(identities=["github:7"]), "fewer names"),
        (_evidence(identities=[{}]), "fewer names"),
        (_evidence(identities=7), "fewer names"),
        (_recorded(principal={}), "another one"),
        (_recorded(principal="github:7"), "another one"),
        (_recorded(evidence=[]), "another one"),
        (_recorded(evidence=None), "out of form"),
        (None, "out of form"),
        ([], "out of form"),
    ],
)
def test_an_actor_that_says_more_than_its_token(actor, reason):
    """The record was made by somebody who could write what they liked; the token was not."""
    assert reason in claims.unlike(actor, GITHUB, github())


def test_verified_needs_a_token():
    """Without one the word is only a word."""
    assert "without a token" in claims.unlike(_recorded(), None, {})
    claimed = combine([claims.evidence(GITHUB, github(), "attested-by-runner")]).to_json()
    assert claims.unlike(claimed, None, {}) is None


@given(
    st.dictionaries(st.sampled_from(["principal", "level", "evidence"]), _VALUES),
    st.dictionaries(st.sampled_from(["principal", "level", "claims", "identities"]), _VALUES | st.just("verified")),
)
def test_an_actor_of_any_form_is_judged(actor, member):
    """Whoever made the record wrote what they liked."""
    for document in (actor, actor | {"evidence": [member]}, actor | {"evidence": [member | {"level": "verified"}]}):
        for issuer in (GITHUB, None):
            found = claims.unlike(document, issuer, github())
            assert found is None or isinstance(found, str)
