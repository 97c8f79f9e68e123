"""Every source's names lead to the same person."""

from __future__ import annotations

import subprocess

import pytest

from tfaudit.identity import environment, git, names, sshagent


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("Ann@Example.com", ("email:ann@example.com",)),
        (
            "583231+Octocat@users.noreply.github.com",
            ("github:583231", "github:octocat", "email:583231+octocat@users.noreply.github.com"),
        ),
        ("octocat@users.noreply.github.com", ("github:octocat", "email:octocat@users.noreply.github.com")),
        ("7-ann@users.noreply.gitlab.com", ("gitlab:7", "gitlab:ann", "email:7-ann@users.noreply.gitlab.com")),
        ("noreply@github.com", ()),
        ("no address", ()),
        ("", ()),
        (None, ()),
        ("x" * 400 + "@x", ()),
    ],
)
def test_addresses(address, found):
    """A forge's own address names the account; what its web editor commits as is nobody."""
    assert names.of_email(address) == found


def test_a_login_of_digits_is_none():
    """It would pass for somebody's id."""
    assert names.of_login("github", "583231") == ()
    assert names.of_login("github", "Octocat") == ("github:octocat",)
    assert names.of_id("github", "583231") == ("github:583231",)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTOR_ID": "583231",
                "GITHUB_ACTOR": "Octocat",
                "GITHUB_TRIGGERING_ACTOR": "hubot",
            },
            {"github:583231", "github:octocat", "github:hubot"},
        ),
        (
            {"GITLAB_CI": "1", "GITLAB_USER_ID": "7", "GITLAB_USER_LOGIN": "Ann", "GITLAB_USER_EMAIL": "A@x"},
            {"gitlab:7", "gitlab:ann", "email:a@x"},
        ),
        (
            {"ATLANTIS_TERRAFORM_VERSION": "1", "USER_NAME": "Octocat", "PULL_URL": "https://github.com/a/b/pull/7"},
            {"atlantis:Octocat", "github:octocat"},
        ),
        (
            {
                "ATLANTIS_TERRAFORM_VERSION": "1",
                "USER_NAME": "ann",
                "PULL_AUTHOR": "bob",
                "PULL_URL": "https://gitlab.example/a/b/-/merge_requests/7",
            },
            {"atlantis:ann", "gitlab:ann", "atlantis:bob", "gitlab:bob"},
        ),
        (
            {"ENV0_DEPLOYMENT_LOG_ID": "x", "ENV0_DEPLOYER_EMAIL": "A@x", "ENV0_REVIEWER_EMAIL": "r@x"},
            {"email:a@x"},
        ),
        ({"JENKINS_URL": "x", "BUILD_USER_ID": "ann", "BUILD_USER_EMAIL": "a@x"}, {"jenkins:ann", "email:a@x"}),
        (
            {"TF_BUILD": "True", "BUILD_REQUESTEDFORID": "u", "BUILD_REQUESTEDFOREMAIL": "a@x"},
            {"azure-devops:u", "email:a@x"},
        ),
    ],
)
def test_a_job_names_everybody_who_has_a_part_in_it(environ, found):
    """Who started it and who started it again; a reviewer has none."""
    assert set(environment.recognise(environ).identities) == found


@pytest.fixture
def repository(tmp_path):
    """A repository whose commit Bob made for Ann, with a .mailmap that says it was Carol."""
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    (tmp_path / ".mailmap").write_text("Carol <carol@x> <ann@x>\n")

    def run(*arguments):
        subprocess.run(["git", *arguments], cwd=tmp_path, env=environ, check=True, capture_output=True)

    run("init", "-q")
    run(
        "-c",
        "user.name=Bob",
        "-c",
        "user.email=Bob@x",
        "commit",
        "-q",
        "--allow-empty",
        "--author=Ann <ann@x>",
        "-m",
        "x",
    )
    return git.read(tmp_path, environ)


def test_author_and_committer_have_a_part_in_the_change(repository):
    """Committing as somebody else does not make the change somebody else's."""
    assert repository.evidence().identities == ("email:ann@x", "email:bob@x")
    assert ("committer_email", "Bob@x") in repository.evidence().claims


def test_the_change_itself_does_not_say_who_wrote_it(repository):
    """A .mailmap is a file of the pull request."""
    assert repository.author_email == "ann@x"


def test_the_keys_in_the_agent_are_the_actors_own(tmp_path):
    """An approval by one of them would be their own."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, "-C", "a key"], check=True)
    socket = tmp_path / "s"
    started = subprocess.run(["ssh-agent", "-s", "-a", socket], check=True, capture_output=True, text=True).stdout
    process = started.split("SSH_AGENT_PID=")[1].split(";")[0]
    environ = {"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": str(socket), "SSH_AGENT_PID": process}
    try:
        assert sshagent.held(environ) is None
        subprocess.run(["ssh-add", "-q", key], env=environ, check=True, capture_output=True)
        listed = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout
        assert sshagent.held(environ).identities == (f"ssh:{listed.split()[1]}",)
    finally:
        subprocess.run(["ssh-agent", "-k"], env=environ, check=True, capture_output=True)


def test_without_an_agent_there_are_no_keys(tmp_path):
    """Nor with one that has gone."""
    assert sshagent.held({"PATH": "/usr/bin:/bin"}) is None
    assert sshagent.held({"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": str(tmp_path / "none")}) is None
