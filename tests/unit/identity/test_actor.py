"""Evidence about the actor is ordered, allow-listed and marked as claimed."""

import subprocess
from pathlib import Path

import pytest

from tfaudit import canonical
from tfaudit.identity import actor, environment, git, machine


def test_the_strongest_evidence_names_the_principal() -> None:
    """A verified token outweighs what the environment claims."""
    claimed = actor.Evidence(source="ci", level="claimed", principal="github:mallory", claims=())
    verified = actor.Evidence(source="oidc", level="verified", principal="github:alice", claims=())
    combined = actor.combine([claimed, verified])
    assert (combined.principal, combined.level) == ("github:alice", "verified")


def test_a_name_may_be_of_any_bytes() -> None:
    """What the environment holds in another encoding is recorded with its bytes spelled out."""
    found = environment.recognise({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "caf\udce9"})
    assert found is not None
    recorded = actor.combine([found]).to_json()
    assert recorded["principal"] == "github:caf\\xe9"
    assert "caf\\xe9" in canonical.encode(recorded).decode().replace("\\\\", "\\")


def test_github_names_who_re_ran() -> None:
    """The triggering actor is the principal, the first actor stays as a claim."""
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "alice", "GITHUB_TRIGGERING_ACTOR": "bob"}
    found = environment.recognise(environ)
    assert found is not None
    assert found.principal == "github:bob"
    assert ("GITHUB_ACTOR", "alice") in found.claims
    assert environment.writer_name(environ) == "ci-github"


def test_tokens_are_never_claims() -> None:
    """Only allow-listed variables are recorded."""
    found = environment.recognise({"GITLAB_CI": "true", "CI_JOB_TOKEN": "secret", "CI_JOB_ID": "7"})
    assert found is not None
    assert found.claims == (("CI_JOB_ID", "7"),)


def test_outside_ci_nothing_is_recognised() -> None:
    """A plain environment is no CI system."""
    assert environment.recognise({"HOME": "/"}) is None
    assert environment.writer_name({}) == "local"


def test_the_machine_names_a_user_and_a_host() -> None:
    """The operating system's user is a claimed principal."""
    found = machine.operating_system_user()
    assert found.level == "claimed"
    assert found.principal is not None
    assert found.principal.startswith("os:")
    assert {"user", "uid", "host"} <= {name for name, _ in found.claims}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/Acme/Infra.git", "github.com/acme/infra"),
        ("https://x-access-token:ghs_secret@github.com/acme/infra", "github.com/acme/infra"),
        ("git@github.com:acme/infra.git", "github.com/acme/infra"),
        ("ssh://git@git.example.com:2222/acme/sub/infra.git", "git.example.com/acme/sub/infra"),
        ("https://gitlab-ci-token:t@gitlab.example.com/a/b.git?x=1#y", "gitlab.example.com/a/b"),
        ("/srv/git/infra.git", None),
        ("file:///srv/git/infra.git", None),
        ("../infra", None),
    ],
)
def test_remotes_are_normalised(url: str, name: str | None) -> None:
    """Every spelling of a remote gives one name, without its token."""
    assert git.normalise_remote(url) == name


def test_a_repository_is_read(tmp_path: Path) -> None:
    """Commit, author, remote and path come from git itself."""
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, env=environ, check=True, capture_output=True)

    run("init", "-q")
    run("remote", "add", "origin", "git@example.com:acme/infra.git")
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/main.tf").write_text("")
    run("add", ".")
    run("-c", "user.name=Alice", "-c", "user.email=alice@example.com", "commit", "-qm", "x")
    found = git.read(tmp_path / "envs", environ)
    assert found is not None
    assert (found.path, found.remote, found.author_email) == ("envs", "example.com/acme/infra", "alice@example.com")
    assert found.dirty is False
    evidence = found.evidence()
    assert evidence is not None
    assert evidence.level == "claimed"


def test_outside_a_repository_there_is_none(tmp_path: Path) -> None:
    """No repository is no error."""
    assert git.read(tmp_path, {"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}) is None


def _disguised(folder: Path, remote: str) -> None:
    """Put what git takes for a repository of its own into a folder, as a commit can bring it along."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    core = f'[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = "{folder}"\n'
    (folder / "config").write_text(f'{core}[remote "origin"]\n\turl = {remote}\n')


def test_a_repository_within_a_commit_is_not_the_one_it_lies_in(tmp_path: Path) -> None:
    """Whoever commits HEAD, objects, refs and config to a folder chooses neither its remote nor its commit."""
    environ = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    folder = tmp_path / "envs" / "prod"
    folder.mkdir(parents=True)
    _disguised(folder, "https://example.com/acme/sandbox.git")
    person = ("-c", "user.name=Mallory", "-c", "user.email=mallory@example.com")
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", "https://example.com/acme/prod.git"],
        [*person, "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, env=environ, check=True, capture_output=True)
    found = git.read(folder, environ)
    assert found is not None
    assert (found.remote, found.root, found.path) == ("example.com/acme/prod", tmp_path, "envs/prod")
    assert found.author_email == "mallory@example.com"


def test_a_disguised_repository_alone_is_none(tmp_path: Path) -> None:
    """Where there is no other repository, that one is none either."""
    environ = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    _disguised(tmp_path / "prod", "https://example.com/acme/sandbox.git")
    assert git.read(tmp_path / "prod", {**environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}) is None
