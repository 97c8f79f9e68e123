"""Approvals that were given on GitHub, on a real engine: of the planned commit, by somebody known, once."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import gatekit
import pytest
import support
from platformfakes import JOB_TOKEN, TOKEN, Platform, serving

pytestmark = pytest.mark.engine
ALICE, MALLORY, DORA = 11, 66, 77
REPO = "/repos/acme/network"


def user(number: int) -> dict[str, object]:
    """Return a user as the API gives one."""
    return {"id": number, "login": f"user{number}", "type": "User"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder`` as nobody in particular."""
    person = ("-c", "user.name=Dora", "-c", "user.email=dora@example.com")
    done = subprocess.run(["git", *person, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def github():
    """A GitHub that knows of nothing yet."""
    with serving(Platform(kind="github", prefix="/api/v3")) as platform:
        yield platform


@pytest.fixture
def gated(project: support.Project, tmp_path: Path, github: Platform) -> support.Project:
    """A project in a repository, whose applies need the review of one known person."""
    gate = (
        'approvals = 1\nevidence = ["github-review"]\n'
        f'[identities]\nalice = ["email:alice@example.com", "github:{ALICE}"]\n'
        f'[identity]\nissuers = ["{github.host}"]\n'
    )
    made = gatekit.set_up(project, gatekit.person(tmp_path / "keys", "alice"), gate=gate)
    git(made.folder, "init", "-q")
    (made.folder / ".gitignore").write_text(".tfaudit/\n.terraform/\n*.tfstate*\n*.plan\n")
    commit(made.folder)
    job = {"GITHUB_API_URL": github.address, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "acme/network"}
    return replace(made, environment={**made.environment, **job})


def commit(folder: Path) -> str:
    """Commit all that is there and return the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Change")
    return git(folder, "rev-parse", "HEAD")


def head(project: support.Project) -> str:
    """Return the commit that is checked out."""
    return git(project.folder, "rev-parse", "HEAD")


def review(github: Platform, sha: str, who: int, state: str = "APPROVED", *, number: int = 1) -> None:
    """Let ``who`` review the pull request that has the commit as its head."""
    pull = {
        "number": 7,
        "state": "open",
        "merged_at": None,
        "user": user(MALLORY),
        "head": {"sha": sha},
        "base": {"repo": {"id": 500}},
    }
    known = {
        "id": number,
        "user": user(who),
        "state": state,
        "commit_id": sha,
        "submitted_at": datetime.now(UTC).isoformat(),
    }
    author = {"author": {"email": "mallory@example.com"}, "committer": {"email": "mallory@example.com"}}
    github.documents[f"{REPO}/commits/{sha}/pulls"] = [pull]
    github.documents[f"{REPO}/pulls/7/commits"] = [{"commit": author, "author": user(MALLORY), "committer": None}]
    github.documents.setdefault(f"{REPO}/pulls/7/reviews", []).append(known)


def test_a_review_of_the_planned_commit_counts(gated: support.Project, github: Platform) -> None:
    """Denied without it, applied with it, and verify recomputes the decision from what was recorded."""
    github.documents[f"{REPO}/commits/{head(gated)}/pulls"] = []
    gated.tfaudit("plan", "-out=change.plan")
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert gatekit.codes(done) == {"no-approval"}
    assert "no pull request has the planned commit" in done.stderr
    gated.tfaudit("gate", "change.plan", code=77)
    review(github, head(gated), ALICE)
    gated.tfaudit("gate", "change.plan")
    assert "approved by 1" in gated.tfaudit("apply", "change.plan").stderr
    assert gatekit.deployed(gated) == "small"
    assert gatekit.findings(gated) == []
    written = b"".join(path.read_bytes() for path in gated.folder.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    # What GitHub said is kept, so that it can be compared with GitHub later.
    assert b'"review":1,"source":"github-review"' in written


def test_a_review_is_used_once(gated: support.Project, github: Platform) -> None:
    """The same review doesn't carry a second apply of the stack; a new one does."""
    review(github, head(gated), ALICE)
    gated.tfaudit("plan", "-out=change.plan")
    gated.tfaudit("apply", "change.plan")
    again = {"TF_VAR_size": "large"}
    second = replace(gated, environment={**gated.environment, **again})
    assert "already-used" in gatekit.codes(second.tfaudit("apply", "-auto-approve", code=77))
    review(github, head(gated), ALICE, number=2)
    second.tfaudit("apply", "-auto-approve")
    assert gatekit.deployed(second) == "large"
    assert gatekit.findings(second) == []


@pytest.mark.parametrize("who", [MALLORY, DORA])
def test_whose_review_does_not_count(gated: support.Project, github: Platform, who: int) -> None:
    """Neither the author of the pull request nor a person whom nobody made an approver lets it through."""
    review(github, head(gated), who)
    gated.tfaudit("plan", "-out=change.plan")
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert gatekit.codes(done) <= {"no-approval", "unknown-approver"}
    assert gatekit.deployed(gated) is None


def test_another_commit_was_reviewed(gated: support.Project, github: Platform) -> None:
    """A push after the review takes it back."""
    review(github, head(gated), ALICE)
    gated.write(gatekit.SMALL.replace('"small"', '"large"'))
    commit(gated.folder)
    gated.tfaudit("plan", "-out=change.plan")
    assert gatekit.codes(gated.tfaudit("apply", "change.plan", code=77)) == {"no-approval"}


def test_configuration_beside_the_commit(gated: support.Project, github: Platform) -> None:
    """A file that only this machine has makes the plan one that nobody reviewed, ignored by git or not."""
    review(github, head(gated), ALICE)
    (gated.folder / ".git/info/exclude").write_text("local.tf\n")
    gated.write('output "more" { value = 1 }', "local.tf")
    gated.tfaudit("plan", "-out=change.plan")
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert "differs from its commit" in done.stderr


def test_changes_requested_reject(gated: support.Project, github: Platform) -> None:
    """An approver's request for changes stops an apply that another approval would have let through."""
    gated.tfaudit("plan", "-out=change.plan")
    review(github, head(gated), ALICE, "CHANGES_REQUESTED")
    done = gated.tfaudit("apply", "change.plan", code=77)
    assert "rejected" in gatekit.codes(done)


def test_github_that_does_not_answer(gated: support.Project, github: Platform) -> None:
    """Without an answer there is no approval, and the run says so."""
    review(github, head(gated), ALICE)
    gated.tfaudit("plan", "-out=change.plan")
    alone = replace(gated, environment={**gated.environment, "GITHUB_TOKEN": "wrong-token"})
    done = alone.tfaudit("apply", "change.plan", code=77)
    assert "the token is not accepted" in done.stderr
    assert "wrong-token" not in done.stderr


# --- the other platforms ---------------------------------------------------------------------------------------------


def job(project: support.Project, source: str, approver: str, host: str, environ: dict[str, str]) -> support.Project:
    """Let a project's gate take one platform's word, and give it that platform's job."""
    path = project.folder / "tfaudit.toml"
    text = path.read_text().replace('["github-review"]', f'["{source}"]')
    text = re.sub(r"\[identities\].*", "", text, flags=re.DOTALL)
    names = f'["email:alice@example.com", "{approver}"]'
    path.write_text(f'{text}[identities]\nalice = {names}\n[identity]\nissuers = ["{host}"]\n')
    commit(project.folder)
    return replace(project, environment={**project.environment, **environ})


def holds(
    project: support.Project, platform: Platform, unapproved: dict[str, object], approved: tuple[str, object]
) -> None:
    """Check that the plan is denied with the one answer of the platform and applied with the other."""
    platform.documents.update(unapproved)
    project.tfaudit("plan", "-out=change.plan")
    assert gatekit.codes(project.tfaudit("apply", "change.plan", code=77)) == {"no-approval"}
    path, document = approved
    platform.documents[path] = document
    assert "approved by 1" in project.tfaudit("apply", "change.plan").stderr
    assert gatekit.findings(project) == []


def test_githubs_environment(gated: support.Project, github: Platform) -> None:
    """Who let the run into its environment has approved what it applies."""
    environ = {"GITHUB_RUN_ID": "900", "TFAUDIT_GITHUB_ENVIRONMENT": "production"}
    project = job(gated, "github-environment", f"github:{ALICE}", github.host, environ)
    now = datetime.now(UTC).isoformat()
    run = {"id": 900, "head_sha": head(project), "created_at": now, "repository": {"id": 500}}
    history = {"state": "approved", "environments": [{"name": "production"}], "user": user(ALICE)}
    path = f"{REPO}/actions/runs/900"
    holds(project, github, {path: run, f"{path}/approvals": []}, (f"{path}/approvals", [history]))


def test_gitlabs_deployment(gated: support.Project) -> None:
    """Who approved the deployment has approved what its job applies; the job's own token asks."""
    with serving(Platform(kind="gitlab", prefix="/api/v4")) as gitlab:
        environ = {
            "CI_API_V4_URL": gitlab.address,
            "CI_JOB_TOKEN": JOB_TOKEN,
            "CI_PROJECT_ID": "5",
            "CI_ENVIRONMENT_NAME": "production",
            "CI_JOB_ID": "701",
        }
        project = job(gated, "gitlab-deployment", "gitlab:21", gitlab.host, environ)
        known = {"id": 42, "sha": head(project), "user": {"id": 66}, "approvals": []}
        person = {"id": 21, "username": "alice", "state": "active"}
        approval = {"user": person, "status": "approved", "created_at": datetime.now(UTC).isoformat()}
        path = "/projects/5/deployments"
        unapproved = {path: [{"id": 42, "deployable": {"id": 701}}], f"{path}/42": known}
        holds(project, gitlab, unapproved, (f"{path}/42", {**known, "approvals": [approval]}))


def test_env0s_reviewer(gated: support.Project) -> None:
    """Who approved the deployment at env0 has approved what it applies, by env0's API and not by its variables."""
    with serving(Platform(kind="env0", prefix="")) as env0:
        environ = {
            "ENV0_API_ENDPOINT": env0.address,
            "ENV0_API_KEY": "key",
            "ENV0_API_SECRET": TOKEN,
            "ENV0_DEPLOYMENT_LOG_ID": "d-1",
            "ENV0_ENVIRONMENT_ID": "e-1",
            "ENV0_REVIEWER_EMAIL": "alice@example.com",
        }
        project = job(gated, "env0", "env0:alice", env0.host, environ)
        known = {
            "environmentId": "e-1",
            "startedAt": datetime.now(UTC).isoformat(),
            "startedByUser": {"email": "mallory@example.com"},
            "gitMetadata": {"commit": head(project)},
            "reviewersUsers": [],
        }
        approval = {"user": {"email": "Alice@Example.com"}, "action": "approved"}
        path = "/environments/deployments/d-1"
        holds(project, env0, {path: known}, (path, {**known, "reviewersUsers": [approval]}))


def test_one_person_is_one_on_both_ways(project: support.Project, tmp_path: Path, github: Platform) -> None:
    """A review and a signature of the same person are one approval of two; another person's signature is the second."""
    alice, bob = (gatekit.person(tmp_path / "keys", name) for name in ("alice", "bob"))
    names = f'[identities]\nalice = ["email:alice@example.com", "github:{ALICE}"]\n'
    gate = f'approvals = 2\nevidence = ["github-review"]\n{names}[identity]\nissuers = ["{github.host}"]\n'
    made = gatekit.set_up(project, alice, bob, gate=gate)
    git(made.folder, "init", "-q")
    (made.folder / ".gitignore").write_text(".tfaudit/\n.terraform/\n*.tfstate*\n*.plan\n")
    commit(made.folder)
    environ = {"GITHUB_API_URL": github.address, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "acme/network"}
    gated = replace(made, environment={**made.environment, **environ})
    review(github, head(gated), ALICE)
    gated.tfaudit("plan", "-out=change.plan")
    gatekit.approve(gated, alice, "change.plan")
    assert "quorum" in gatekit.codes(gated.tfaudit("apply", "change.plan", code=77))
    gatekit.approve(gated, bob, "change.plan")
    gated.tfaudit("apply", "change.plan")
    assert gatekit.deployed(gated) == "small"
    assert gatekit.findings(gated) == []
