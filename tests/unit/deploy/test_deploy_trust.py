"""Who may take the roles of deploy/aws, and who may copy: trust policies, asked token by token."""

from __future__ import annotations

import json

import iampolicy
import pytest
from deploykit import ACCOUNT, BUCKET, COMMIT, GITHUB, REPLICA, ROLE, WORKING, keys_of

TRUST = (
    # (trust of the writer, the token's claims, whether it is let in)
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:acme/infra:environment:production"},
        True,
    ),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:environment:staging"}, False),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:ref:refs/heads/main"}, False),
    ({"repository": "acme/infra", "environment": "production"}, {"sub": "repo:acme/infra:pull_request"}, False),
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:evil/infra:environment:production"},
        False,
    ),
    (
        {"repository": "acme/infra", "environment": "production"},
        {"sub": "repo:acme/infra:environment:production", "aud": "https://github.com/acme"},
        False,
    ),
    ({"repository": "acme/infra", "environment": "a:b"}, {"sub": "repo:acme/infra:environment:a%3Ab"}, True),
    ({"repository": "acme/infra", "branch": "main"}, {"sub": "repo:acme/infra:ref:refs/heads/main"}, True),
    ({"repository": "acme/infra", "branch": "main"}, {"sub": "repo:acme/infra:ref:refs/heads/main2"}, False),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme@12/infra@34:environment:production", "repository_id": "34"},
        True,
    ),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme/infra:environment:production", "repository_id": "34"},
        False,
    ),
    (
        {"repository": "acme/infra", "environment": "production", "owner_id": "12", "repository_id": "34"},
        {"sub": "repo:acme@12/infra@35:environment:production", "repository_id": "35"},
        False,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p", "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main"},
        True,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p", "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/x"},
        False,
    ),
    (
        {
            "repository": "acme/infra",
            "environment": "p",
            "job_workflow_ref": "acme/ci/.github/workflows/a.yml@refs/heads/main",
        },
        {"sub": "repo:acme/infra:environment:p"},
        False,
    ),
    (
        {"repository": "acme/infra", "subject": "repository_id:34:environment:p"},
        {"sub": "repository_id:34:environment:p"},
        True,
    ),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:branch:ref:main"}, True),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:tag:ref:main"}, False),
    ({"project": "acme/infra", "ref": "main"}, {"sub": "project_path:acme/infra:ref_type:branch:ref:main2"}, False),
    (
        {"project": "acme/infra", "ref": "v1", "ref_type": "tag"},
        {"sub": "project_path:acme/infra:ref_type:tag:ref:v1"},
        True,
    ),
    (
        {"project": "acme/infra", "project_id": "7", "ref": "main", "environment": "production"},
        {"sub": "project_path:acme/infra:project_id:7:ref_type:branch:ref:main:environment:production"},
        True,
    ),
    (
        {"project": "acme/infra", "project_id": "7", "ref": "main", "environment": "production"},
        {"sub": "project_path:acme/infra:project_id:8:ref_type:branch:ref:main:environment:production"},
        False,
    ),
)


@pytest.mark.parametrize(("trust", "claims", "allowed"), TRUST)
def test_a_token(render, trust, claims, allowed):
    """A role is given to a CI system's token whose claims are those that it trusts, and to no other."""
    kind, issuer = ("gitlab", "gitlab.com") if "project" in trust else ("github", "token.actions.githubusercontent.com")
    made = render(writers={"one": {kind: [trust]}}, sequencer=None, key_arns=keys_of("one"))
    policy = json.loads(made["trust_policies"]["writer/one"])
    context = {f"{issuer}:{name}": value for name, value in {"aud": "sts.amazonaws.com", **claims}.items()}
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    request = iampolicy.Request(provider, "sts:AssumeRoleWithWebIdentity", None, context)
    assert (iampolicy.decide([policy], request) == "allow") is allowed
    stranger = iampolicy.Request(f"{provider}.evil.test", request.action, None, context)
    assert iampolicy.decide([policy], stranger) == "none"


SSO = f"{ROLE}/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Platform_0123456789abcdef"


@pytest.mark.parametrize(
    ("role", "who", "external_id", "allowed"),
    [
        ("writer/people", SSO, None, True),
        ("writer/people", SSO.replace("Platform", "Developer"), None, False),
        ("writer/people", SSO.replace(ACCOUNT, "999999999999"), None, False),
        ("auditor", "arn:aws:iam::210987654321:role/audit", "2026", True),
        ("auditor", "arn:aws:iam::210987654321:role/audit", None, False),
        ("auditor", "arn:aws:iam::210987654321:role/audit2", "2026", False),
        ("auditor", GITHUB, "2026", False),
        ("approver", SSO.replace("Platform", "Developer"), None, True),
        ("approver", SSO, None, False),
        ("approver", SSO.replace("Platform", "Developer").replace(ACCOUNT, "999999999999"), None, False),
        ("approver", GITHUB, None, False),
    ],
)
def test_a_principal(render, role, who, external_id, allowed):
    """A role is given to the people whose ARN fits the pattern, with the external id where there is one."""
    policy = json.loads(render()["trust_policies"][role])
    context = {"sts:ExternalId": external_id} if external_id else {}
    assert (iampolicy.decide([policy], iampolicy.Request(who, "sts:AssumeRole", None, context)) == "allow") is allowed


def test_s3_alone_replicates(render):
    """The replication role is S3's, for this bucket; it may write to the replica, and deletes nothing there."""
    made = render(replica=REPLICA)
    trust = json.loads(made["trust_policies"]["replication"])
    context = {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": BUCKET}
    assert iampolicy.decide([trust], iampolicy.Request("s3.amazonaws.com", "sts:AssumeRole", None, context)) == "allow"
    context["aws:SourceArn"] = WORKING
    assert iampolicy.decide([trust], iampolicy.Request("s3.amazonaws.com", "sts:AssumeRole", None, context)) == "none"
    own = json.loads(made["role_policies"]["replication"])
    role = f"{ROLE}/tfaudit/acme-replication"
    wanted = {"s3:ReplicateObject": "allow", "s3:ReplicateDelete": "none", "s3:DeleteObject": "none"}
    for action, answer in wanted.items():
        assert iampolicy.decide([own], iampolicy.Request(role, action, f"{REPLICA['bucket_arn']}/x", {})) == answer


COPIER = f"{ROLE}/tfaudit/acme-replication"
COPY = f"{REPLICA['bucket_arn']}/{COMMIT}"


@pytest.mark.parametrize(
    ("who", "action", "answer"),
    [
        (COPIER, "s3:ReplicateObject", "allow"),
        (COPIER, "s3:ObjectOwnerOverrideToBucketOwner", "allow"),
        (COPIER, "s3:ReplicateDelete", "deny"),
        (COPIER, "s3:PutObject", "deny"),
        (COPIER, "s3:DeleteObjectVersion", "deny"),
        (COPIER, "s3:GetObject", "none"),
        (GITHUB, "s3:ReplicateObject", "deny"),
        ("arn:aws:iam::210987654321:root", "s3:PutObject", "deny"),
        ("arn:aws:iam::210987654321:root", "s3:DeleteObject", "deny"),
        ("arn:aws:iam::210987654321:role/admin", "s3:BypassGovernanceRetention", "deny"),
        ("arn:aws:iam::210987654321:role/admin", "s3:GetObject", "none"),
    ],
)
def test_a_copy_is_made_by_replication_alone(replica, who, action, answer):
    """Into the second account's bucket comes what the replication role brings, and nobody takes anything out."""
    policy = json.loads(replica["bucket_policy"])
    iampolicy.check(policy)
    context = {"aws:SecureTransport": "true"}
    assert iampolicy.decide([policy], iampolicy.Request(who, action, COPY, context)) == answer
    assert iampolicy.decide([policy], iampolicy.Request(who, action, COPY, {"aws:SecureTransport": "false"})) == "deny"


@pytest.mark.parametrize(
    ("who", "action", "answer"),
    [
        (COPIER, "kms:GenerateDataKey", "allow"),
        (COPIER, "kms:Decrypt", "none"),
        (GITHUB, "kms:GenerateDataKey", "none"),
        ("arn:aws:iam::210987654321:role/auditor", "kms:Decrypt", "allow"),
    ],
)
def test_a_copy_is_read_in_its_own_account(replica, who, action, answer):
    """The copy's key encrypts for the replication role, and decrypts for its own account alone."""
    policy = json.loads(replica["key_policy"])
    iampolicy.check(policy)
    assert iampolicy.decide([policy], iampolicy.Request(who, action, REPLICA["kms_key_arn"], {})) == answer
