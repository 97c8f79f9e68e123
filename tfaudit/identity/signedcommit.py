"""Is the commit that is applied signed, by which key, and does git hold the signature for good?

git checks it: OpenPGP with gpg's own keyring, SSH with the file that ``gpg.ssh.allowedSignersFile`` names. The file and
the keyring are this machine's; what they know is believed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tfaudit.canonical import readable
from tfaudit.identity import git, names
from tfaudit.identity.actor import Evidence

SECONDS: Final = 10
_FORMAT: Final = "%G?%x00%GS%x00%GK%x00%GF%x00%H"
"""Without the trust (%GT): git 2.39 aborts on it where a signature can't be checked."""
_MEANINGS: Final[Mapping[str, str]] = {
    "G": "good",
    "U": "good, of a key that is not known to be somebody's",
    "B": "bad, or by a key that is not allowed to sign commits",
    "X": "good, but it has expired",
    "Y": "good, but by a key that has expired",
    "R": "good, but by a key that was revoked",
    "E": "not checked: its key is missing, or gpg.ssh.allowedSignersFile",
    "N": "none",
}
_EMAIL: Final = re.compile(r"[^<>\s]+@[^<>\s]+")


def read(folder: Path, environ: Mapping[str, str]) -> tuple[Evidence | None, str | None]:
    """Return what git says of the signature of HEAD, and a line where it is bad or could not be checked in time.

    Level signed-commit where it is good and the key's owner is known, else claimed with the status among the claims;
    no evidence without a signature or a commit.
    """
    try:
        printed = _git(folder, environ, "log", "-1", "--no-show-signature", f"--format={_FORMAT}")
        fields = [readable(field) for field in printed.rstrip("\n").split("\0")] if printed else []
        if len(fields) != 5:
            return None, None
        if fields[0] == "N" and _has_signature(_git(folder, environ, "cat-file", "commit", fields[4]) or ""):
            # git says "none" also where it lacks the file of allowed signers, or gpg.
            fields[0] = "E"
    except subprocess.TimeoutExpired:
        return None, f"the commit's signature could not be checked within {SECONDS} seconds"
    return (None, None) if fields[0] == "N" else _evidence(*fields)


def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [*git.COMMAND, *arguments],
            cwd=git.place(folder.resolve(), environ),
            env={**environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None


def _has_signature(commit: str) -> bool:
    header, _, _ = commit.partition("\n\n")
    return any(line.startswith(("gpgsig ", "gpgsig-sha256 ")) for line in header.split("\n"))


def _evidence(status: str, signer: str, key: str, fingerprint: str, commit: str) -> tuple[Evidence, str | None]:
    meaning = _MEANINGS.get(status, "unknown")
    is_ssh = key.startswith("SHA256:")
    claims = [("commit", commit), ("signature", meaning), ("kind", "ssh" if is_ssh else "openpgp")]
    claims += [(name, value) for name, value in (("signer", signer), ("key", fingerprint or key)) if value]
    # An SSH key that no line of the file names is no better than unknown, though git may call it good.
    good = status == "G" and bool(signer)
    found: list[str] = []
    if good:
        found += [f"ssh:{key}"] if is_ssh else names.of_id("gpg", fingerprint or key)
        if mail := _EMAIL.search(signer):
            found += names.of_email(mail[0])
        elif is_ssh:
            found += names.of_id("principal", signer)
    evidence = Evidence(
        source="signed-commit",
        level="signed-commit" if good else "claimed",
        # Whoever signed the commit wrote the change; they need not be the one who runs it.
        principal=None,
        claims=tuple(claims),
        identities=names.unique(found),
    )
    # In CI the key is missing as a rule: that it was not checked stands in the evidence, and is no news.
    quiet = good or status in ("E", "U")
    return evidence, None if quiet else f"the commit's signature is {meaning}"
