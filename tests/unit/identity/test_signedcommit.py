"""Signatures of commits, made by real keys and checked by a real git."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tfaudit.identity import signedcommit

ALICE = "alice@example.com"


@pytest.fixture
def place(tmp_path):
    """A repository with nothing in it, and the environment to use it in."""
    home = tmp_path / "home"
    home.mkdir()
    folder = tmp_path / "repo"
    folder.mkdir()
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    place = Place(folder, environ)
    place.git("init", "-q")
    place.git("config", "user.name", "Alice")
    place.git("config", "user.email", ALICE)
    return place


class Place:
    """A repository to commit in."""

    def __init__(self, folder, environ):
        self.folder = folder
        self.environ = environ

    def run(self, *command, **how):
        """Run a command in it and return what it prints."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, check=True, capture_output=True, text=True, **how
        ).stdout

    def git(self, *arguments):
        """Run git in it."""
        return self.run("git", *arguments)

    def read(self):
        """Return what is found of the signature of HEAD."""
        return signedcommit.read(self.folder, self.environ)


@pytest.fixture
def ssh(place):
    """The repository, its commits signed by an SSH key; the key's public half and its fingerprint."""
    key = place.folder.parent / "key"
    place.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), "-C", "k")
    fingerprint = place.run("ssh-keygen", "-lf", str(key)).split()[1]
    place.git("config", "gpg.format", "ssh")
    place.git("config", "user.signingkey", str(key))
    place.git("commit", "-q", "--allow-empty", "-S", "-m", "x")
    return place, key.with_suffix(".pub").read_text(), fingerprint


def allow(place, text):
    """Write git's file of allowed signers."""
    allowed = place.folder.parent / "allowed"
    allowed.write_text(text)
    place.git("config", "gpg.ssh.allowedSignersFile", str(allowed))


def test_a_commit_signed_by_a_known_ssh_key(ssh):
    """It proves the key, and whose it is by the file."""
    place, public, fingerprint = ssh
    allow(place, f"{ALICE} {public}")
    found, problem = place.read()
    assert problem is None
    assert found.level == "signed-commit"
    assert found.principal is None
    assert found.identities == (f"ssh:{fingerprint}", f"email:{ALICE}")


def test_a_commit_signed_by_an_ssh_key_that_no_file_knows(ssh):
    """A signature that anybody could make proves nothing."""
    place, public, _ = ssh
    found, problem = place.read()
    assert (found.level, found.identities, problem) == ("claimed", (), None)
    for text in ("", f"bob@example.com valid-before=20200101 {public}", f'{ALICE} namespaces="file" {public}'):
        allow(place, text)
        found, _ = place.read()
        assert (found.level, found.identities) == ("claimed", ())
        assert dict(found.claims)["signature"] != "good"


def test_a_changed_commit_has_a_bad_signature(ssh):
    """Whatever is in the commit is signed."""
    place, public, _ = ssh
    allow(place, f"{ALICE} {public}")
    text = place.git("cat-file", "commit", "HEAD")
    changed = place.run("git", "hash-object", "-t", "commit", "-w", "--stdin", input=text.replace("\nx\n", "\ny\n"))
    place.git("reset", "-q", "--soft", changed.strip())
    found, problem = place.read()
    assert found.level == "claimed"
    assert dict(found.claims)["signature"].startswith("bad")
    assert "bad" in problem


def test_a_commit_without_a_signature(place):
    """Most have none: that is no problem, and no evidence."""
    place.git("commit", "-q", "--allow-empty", "-m", "x")
    assert place.read() == (None, None)


def test_no_commit_and_no_repository(place):
    """Nor is there any where there is nothing to sign."""
    assert place.read() == (None, None)
    assert signedcommit.read(place.folder.parent, place.environ | {"GIT_CEILING_DIRECTORIES": "/"}) == (None, None)


def test_a_repository_within_the_commit_signs_nothing(ssh):
    """What lies in a folder beside the configuration, HEAD, refs and config, is not what git is asked of."""
    place, public, _ = ssh
    allow(place, f"{ALICE} {public}")
    inner = place.folder / "prod"
    place.run("git", "init", "-q", "--bare", str(inner))
    found, problem = signedcommit.read(inner, place.environ)
    assert problem is None
    assert found.level == "signed-commit"


@pytest.fixture
def gpg(place):
    """The repository, its commit signed by an OpenPGP key in a keyring of its own."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    ring = place.folder.parent / "g"
    ring.mkdir(mode=0o700)
    place.environ["GNUPGHOME"] = str(ring)
    made = (
        "gpg",
        "--batch",
        "--quiet",
        "--passphrase",
        "",
        "--quick-generate-key",
        f"Alice <{ALICE}>",
        "ed25519",
        "sign",
    )
    place.run(*made)
    listed = place.run("gpg", "--batch", "--with-colons", "--list-keys")
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    place.git("config", "user.signingkey", fingerprint)
    place.git("commit", "-q", "--allow-empty", "-S", "-m", "x")
    yield place, fingerprint
    subprocess.run(["gpgconf", "--kill", "all"], env=place.environ, check=False, capture_output=True)


def test_a_commit_signed_by_a_known_openpgp_key(gpg):
    """It proves the key, and whose it is by gpg's own trust."""
    place, fingerprint = gpg
    found, problem = place.read()
    assert problem is None
    assert found.level == "signed-commit"
    assert f"email:{ALICE}" in found.identities
    assert dict(found.claims)["key"] == fingerprint


def test_an_openpgp_key_that_is_not_trusted(gpg):
    """Good, but nobody knows whose it is: claimed."""
    place, _ = gpg
    place.run("gpg", "--batch", "--import-ownertrust", input="".join(_untrusted(place)))
    found, problem = place.read()
    assert (found.level, found.identities, problem) == ("claimed", (), None)
    assert "not known" in dict(found.claims)["signature"]


def test_an_openpgp_key_that_is_missing(gpg):
    """It can't be checked, which stands in the evidence."""
    place, _ = gpg
    empty = place.folder.parent / "e"
    empty.mkdir(mode=0o700)
    place.environ["GNUPGHOME"] = str(empty)
    found, problem = place.read()
    assert (found.level, problem) == ("claimed", None)
    assert "missing" in dict(found.claims)["signature"]


def _untrusted(place):
    listed = place.run("gpg", "--batch", "--export-ownertrust")
    for line in listed.splitlines():
        if not line.startswith("#"):
            yield f"{line.split(':')[0]}:2:\n"
