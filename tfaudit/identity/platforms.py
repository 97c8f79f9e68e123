"""Which CI systems are known, and what of their environment may be recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A CI system: how it is told, and what of its environment is recorded."""

    name: str
    mark: str
    """The variable whose presence tells the platform."""
    writer: str
    principal: tuple[str, ...]
    """Variables that name a person, the first one set counts."""
    prefix: str
    """What the principal's name is preceded by."""
    claims: tuple[str, ...]
    """An allow-list: an environment holds secrets, so nothing else of it is recorded."""
    ids: tuple[str, ...] = ()
    """Variables that hold an id of somebody with a part in the run."""
    logins: tuple[str, ...] = ()
    """The same, a name that they chose themselves."""
    emails: tuple[str, ...] = ()


# Order matters: a platform that runs inside another (Atlantis on Kubernetes, env0 on its own runners) comes first.
PLATFORMS: Final = (
    Platform(
        name="atlantis",
        mark="ATLANTIS_TERRAFORM_VERSION",
        writer="ci-atlantis",
        principal=("USER_NAME", "PULL_AUTHOR"),
        prefix="atlantis:",
        claims=(
            "USER_NAME",
            "PULL_AUTHOR",
            "PULL_NUM",
            "PULL_URL",
            "BASE_REPO_OWNER",
            "BASE_REPO_NAME",
            "BASE_BRANCH_NAME",
            "HEAD_BRANCH_NAME",
            "HEAD_COMMIT",
            "PROJECT_NAME",
            "REPO_REL_DIR",
            "WORKSPACE",
        ),
        logins=("USER_NAME", "PULL_AUTHOR"),
    ),
    Platform(
        name="env0",
        mark="ENV0_DEPLOYMENT_LOG_ID",
        writer="ci-env0",
        principal=("ENV0_DEPLOYER_EMAIL", "ENV0_DEPLOYER_NAME"),
        prefix="env0:",
        claims=(
            "ENV0_ORGANIZATION_ID",
            "ENV0_PROJECT_ID",
            "ENV0_ENVIRONMENT_ID",
            "ENV0_ENVIRONMENT_NAME",
            "ENV0_DEPLOYMENT_LOG_ID",
            "ENV0_DEPLOYMENT_TYPE",
            "ENV0_DEPLOYMENT_REVISION",
            "ENV0_COMMIT_HASH",
            "ENV0_DEPLOYER_NAME",
            "ENV0_DEPLOYER_EMAIL",
            "ENV0_REVIEWER_NAME",
            "ENV0_REVIEWER_EMAIL",
            "ENV0_PR_NUMBER",
            "ENV0_PR_AUTHOR",
        ),
        logins=("ENV0_DEPLOYER_NAME",),
        emails=("ENV0_DEPLOYER_EMAIL",),
    ),
    Platform(
        name="spacelift",
        mark="TF_VAR_spacelift_run_id",
        writer="ci-spacelift",
        principal=(),
        prefix="spacelift:",
        claims=(
            "TF_VAR_spacelift_account_name",
            "TF_VAR_spacelift_stack_id",
            "TF_VAR_spacelift_run_id",
            "TF_VAR_spacelift_run_type",
            "TF_VAR_spacelift_run_trigger",
            "TF_VAR_spacelift_commit_sha",
            "TF_VAR_spacelift_commit_branch",
        ),
    ),
    Platform(
        name="hcp-terraform",
        mark="TFC_RUN_ID",
        writer="ci-hcp",
        principal=(),
        prefix="hcp:",
        claims=(
            "TFC_RUN_ID",
            "TFC_WORKSPACE_NAME",
            "TFC_WORKSPACE_SLUG",
            "TFC_CONFIGURATION_VERSION_GIT_BRANCH",
            "TFC_CONFIGURATION_VERSION_GIT_COMMIT_SHA",
        ),
    ),
    Platform(
        name="github-actions",
        mark="GITHUB_ACTIONS",
        writer="ci-github",
        # The re-runner acts, whoever started the first attempt.
        principal=("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
        prefix="github:",
        claims=(
            "GITHUB_ACTOR",
            "GITHUB_ACTOR_ID",
            "GITHUB_TRIGGERING_ACTOR",
            "GITHUB_REPOSITORY",
            "GITHUB_REPOSITORY_ID",
            "GITHUB_RUN_ID",
            "GITHUB_RUN_ATTEMPT",
            "GITHUB_RUN_NUMBER",
            "GITHUB_WORKFLOW",
            "GITHUB_WORKFLOW_REF",
            "GITHUB_JOB",
            "GITHUB_EVENT_NAME",
            "GITHUB_REF",
            "GITHUB_SHA",
            "GITHUB_SERVER_URL",
            "RUNNER_ENVIRONMENT",
        ),
        ids=("GITHUB_ACTOR_ID",),
        logins=("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
    ),
    Platform(
        name="gitlab-ci",
        mark="GITLAB_CI",
        writer="ci-gitlab",
        principal=("GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL"),
        prefix="gitlab:",
        claims=(
            "GITLAB_USER_ID",
            "GITLAB_USER_LOGIN",
            "GITLAB_USER_EMAIL",
            "CI_PROJECT_ID",
            "CI_PROJECT_PATH",
            "CI_PIPELINE_ID",
            "CI_PIPELINE_SOURCE",
            "CI_JOB_ID",
            "CI_JOB_NAME",
            "CI_COMMIT_SHA",
            "CI_COMMIT_REF_NAME",
            "CI_COMMIT_REF_PROTECTED",
            "CI_ENVIRONMENT_NAME",
            "CI_SERVER_HOST",
        ),
        ids=("GITLAB_USER_ID",),
        logins=("GITLAB_USER_LOGIN",),
        emails=("GITLAB_USER_EMAIL",),
    ),
    Platform(
        name="circleci",
        mark="CIRCLECI",
        writer="ci-circleci",
        principal=("CIRCLE_USERNAME", "CIRCLE_PR_USERNAME"),
        prefix="circleci:",
        claims=(
            "CIRCLE_USERNAME",
            "CIRCLE_PR_USERNAME",
            "CIRCLE_PROJECT_USERNAME",
            "CIRCLE_PROJECT_REPONAME",
            "CIRCLE_WORKFLOW_ID",
            "CIRCLE_PIPELINE_ID",
            "CIRCLE_BUILD_NUM",
            "CIRCLE_JOB",
            "CIRCLE_SHA1",
            "CIRCLE_BRANCH",
        ),
        logins=("CIRCLE_USERNAME", "CIRCLE_PR_USERNAME"),
    ),
    Platform(
        name="buildkite",
        mark="BUILDKITE",
        writer="ci-buildkite",
        principal=("BUILDKITE_UNBLOCKER_EMAIL", "BUILDKITE_BUILD_CREATOR_EMAIL", "BUILDKITE_BUILD_CREATOR"),
        prefix="buildkite:",
        claims=(
            "BUILDKITE_ORGANIZATION_SLUG",
            "BUILDKITE_PIPELINE_SLUG",
            "BUILDKITE_BUILD_ID",
            "BUILDKITE_BUILD_NUMBER",
            "BUILDKITE_JOB_ID",
            "BUILDKITE_BUILD_CREATOR",
            "BUILDKITE_BUILD_CREATOR_EMAIL",
            "BUILDKITE_UNBLOCKER",
            "BUILDKITE_UNBLOCKER_EMAIL",
            "BUILDKITE_COMMIT",
            "BUILDKITE_BRANCH",
        ),
        logins=("BUILDKITE_BUILD_CREATOR", "BUILDKITE_UNBLOCKER"),
        emails=("BUILDKITE_UNBLOCKER_EMAIL", "BUILDKITE_BUILD_CREATOR_EMAIL"),
    ),
    Platform(
        name="bitbucket-pipelines",
        mark="BITBUCKET_BUILD_NUMBER",
        writer="ci-bitbucket",
        principal=("BITBUCKET_STEP_TRIGGERER_UUID",),
        prefix="bitbucket:",
        claims=(
            "BITBUCKET_STEP_TRIGGERER_UUID",
            "BITBUCKET_WORKSPACE",
            "BITBUCKET_REPO_FULL_NAME",
            "BITBUCKET_PIPELINE_UUID",
            "BITBUCKET_BUILD_NUMBER",
            "BITBUCKET_COMMIT",
            "BITBUCKET_BRANCH",
            "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
        ),
        ids=("BITBUCKET_STEP_TRIGGERER_UUID",),
    ),
    Platform(
        name="azure-devops",
        mark="TF_BUILD",
        writer="ci-azure",
        principal=("BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR"),
        prefix="azure-devops:",
        claims=(
            "BUILD_REQUESTEDFOR",
            "BUILD_REQUESTEDFORID",
            "BUILD_REQUESTEDFOREMAIL",
            "BUILD_QUEUEDBY",
            "BUILD_REASON",
            "BUILD_BUILDID",
            "BUILD_SOURCEVERSION",
            "BUILD_SOURCEBRANCH",
            "BUILD_REPOSITORY_NAME",
            "SYSTEM_TEAMPROJECT",
            "SYSTEM_COLLECTIONURI",
        ),
        ids=("BUILD_REQUESTEDFORID",),
        logins=("BUILD_REQUESTEDFOR", "BUILD_QUEUEDBY"),
        emails=("BUILD_REQUESTEDFOREMAIL",),
    ),
    Platform(
        name="jenkins",
        mark="JENKINS_URL",
        writer="ci-jenkins",
        principal=("BUILD_USER_ID", "CHANGE_AUTHOR"),
        prefix="jenkins:",
        claims=(
            "JENKINS_URL",
            "JOB_NAME",
            "BUILD_NUMBER",
            "BUILD_URL",
            "BUILD_USER_ID",
            "BUILD_USER_EMAIL",
            "GIT_COMMIT",
            "GIT_BRANCH",
            "CHANGE_AUTHOR",
            "CHANGE_AUTHOR_EMAIL",
        ),
        logins=("BUILD_USER_ID", "CHANGE_AUTHOR"),
        emails=("BUILD_USER_EMAIL", "CHANGE_AUTHOR_EMAIL"),
    ),
    Platform(
        name="aws-codebuild",
        mark="CODEBUILD_BUILD_ARN",
        writer="ci-codebuild",
        principal=("CODEBUILD_INITIATOR",),
        prefix="codebuild:",
        claims=(
            "CODEBUILD_BUILD_ARN",
            "CODEBUILD_INITIATOR",
            "CODEBUILD_RESOLVED_SOURCE_VERSION",
            "CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID",
        ),
        logins=("CODEBUILD_INITIATOR",),
    ),
    Platform(
        name="teamcity",
        mark="TEAMCITY_VERSION",
        writer="ci-teamcity",
        principal=(),
        prefix="teamcity:",
        claims=("TEAMCITY_PROJECT_NAME", "TEAMCITY_BUILDCONF_NAME", "BUILD_NUMBER"),
    ),
    Platform(name="ci", mark="CI", writer="ci", principal=(), prefix="ci:", claims=()),
)
