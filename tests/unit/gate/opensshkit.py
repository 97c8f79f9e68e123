"""What the tests of approvals share: real OpenSSH keys, made once a test run, and its own word on signatures."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tfaudit.signing import sshkeys

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no OpenSSH here")

KINDS = {
    "ed25519": ["-t", "ed25519"],
    "p256": ["-t", "ecdsa", "-b", "256"],
    "p384": ["-t", "ecdsa", "-b", "384"],
    "p521": ["-t", "ecdsa", "-b", "521"],
    "rsa": ["-t", "rsa", "-b", "2048"],
}


def run(*command, stdin=None, ok=True, **environment):
    """Run a program and return what it prints."""
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    result = subprocess.run(
        [str(part) for part in command], env={**os.environ, **environment}, capture_output=True, check=False, **given
    )
    assert not ok or result.returncode == 0, result.stderr
    return result.stdout.decode() if ok else result


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make an OpenSSH key pair."""
    run("ssh-keygen", "-q", *KINDS[kind], "-N", passphrase, "-C", "a comment", "-f", path)
    return path


@cache
def _kept() -> Path:
    folder = mkdtemp(prefix="tfaudit-test-keys-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def a_key(kind: str = "ed25519", name: str = "one") -> Path:
    """Return a key pair of this kind, the same in all tests of the run."""
    path = _kept() / f"{kind}-{name}"
    return path if path.exists() else new_key(path, kind)


def public_text(path: Path) -> str:
    """Return ``TYPE BASE64`` of a key pair."""
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


def public(path: Path):
    """Return a key pair's public half."""
    return sshkeys.parse_text(public_text(path), what="key")


def signature(path: Path, message: bytes, namespace: str = "tfaudit-approval") -> str:
    """Return OpenSSH's own armored signature."""
    return run("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", path, stdin=message)
