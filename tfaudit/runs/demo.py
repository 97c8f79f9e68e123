"""What does tfaudit do, shown on a real engine in a folder of its own: two changes, one for two people, a forgery."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final, TextIO

from tfaudit.engine import find
from tfaudit.errors import InternalError

FIRST: Final = """\
variable "db_password" {
  type      = string
  default   = "correct-horse-battery-staple"
  sensitive = true
}

resource "terraform_data" "database" {
  input = { engine = "postgres", version = 15, password = var.db_password }
}

resource "terraform_data" "web" {
  input = { size = "small", database = terraform_data.database.id }
}
"""
THIRD_INPUT: Final = ("version = 16", "version = 17")
GATE: Final = """
[gate]
approvals = 2
approvers = "approvers"
"""
APPROVERS: Final = ("alice", "bob")
SECOND: Final = FIRST.replace('size = "small"', 'size = "large"').replace("version = 15", "version = 16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """How the story reaches whoever watches."""

    say: Callable[[str], None]
    """A sentence of the story."""
    show: Callable[[str], None]
    """A command line that is about to be run."""
    ran: Callable[[Sequence[str], int], None]
    """The arguments of a command of ours that has ended, and its exit code."""
    screen: TextIO
    """Where the commands write what they write to stdout."""


def tell(folder: Path, environ: Mapping[str, str], teller: Teller) -> None:
    """Play the story in ``folder``, which is empty; raises :class:`InternalError` where a step ends otherwise."""
    stage = Stage(folder, environ, teller)
    (folder / "main.tf").write_text(FIRST)
    teller.say("A folder with two resources, one of which holds a password. Make a ledger for it:")
    stage.run("setup", "--yes")
    teller.say("Plan and apply, as ever, with tfaudit in place of the engine:")
    stage.run("init", quiet=True)
    stage.run("plan", quiet=True)
    stage.run("--reason", "first deployment", "apply", "-auto-approve")
    teller.say("Then a second change:")
    (folder / "main.tf").write_text(SECOND)
    stage.run("--reason", "more traffic", "--ticket", "OPS-17", "apply", "-auto-approve", quiet=True)
    teller.say("Who changed the web server, when, and what came of it? The password is nowhere in it.")
    stage.run("history", "terraform_data.web")
    stage.run("history", "terraform_data.database")
    stage.run("log")
    _gate(folder, teller, stage)
    teller.say("Is every record there, unaltered, in order, signed?")
    stage.run("verify")
    teller.say("Now somebody with write access to a copy turns a change into none:")
    forged = _forge(folder)
    stage.run("--ledger", forged, "verify", code=76)
    teller.say("It shows. To look further:")
    teller.show(f"{_reached(environ)}cd {quote(str(folder))} && tfaudit log && tfaudit doctor")
    teller.show("less .tfaudit/ledger/commits/*")


def _reached(environ: Mapping[str, str]) -> str:
    """Return what has to be typed first where tfaudit is not on PATH, as in a virtual environment by itself."""
    own = Path(find.own_path())
    if own.name != "tfaudit" or shutil.which("tfaudit", path=environ.get("PATH", "")) is not None:
        return ""
    return f"export PATH={quote(str(own.parent))}:$PATH && "


class Stage:
    """The folder where the commands of a story run, one after the other."""

    def __init__(self, folder: Path, environ: Mapping[str, str], teller: Teller) -> None:
        self._folder = folder
        self._teller = teller
        kept = {name: value for name, value in environ.items() if not name.startswith(("TFAUDIT_", "TF_"))}
        engine = environ.get("TFAUDIT_ENGINE")
        self._environ = {**kept, **({"TFAUDIT_ENGINE": engine} if engine else {}), "CHECKPOINT_DISABLE": "1"}

    def run(self, *arguments: str, code: int = 0, quiet: bool = False, brief: bool = False) -> None:
        """Run tfaudit; ``quiet`` keeps the engine's stdout off the screen, as it is no part of the story.

        ``brief`` shows the last line alone of what was seen once already.
        """
        self._teller.show("tfaudit " + " ".join(f'"{word}"' if " " in word else word for word in arguments))
        done = subprocess.run(
            [sys.executable, "-m", "tfaudit.entry", *arguments],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else subprocess.PIPE if brief else self._teller.screen,
            stderr=subprocess.STDOUT if brief else None,
            check=False,
        )
        if brief:
            self._teller.screen.write(done.stdout.decode(errors="replace").rstrip("\n").rpartition("\n")[2] + "\n")
            self._teller.screen.flush()
        self._teller.ran(arguments, done.returncode)
        if done.returncode != code:
            raise InternalError(f"tfaudit {arguments[0]} ended with {done.returncode}, not {code}")


def _gate(folder: Path, teller: Teller, stage: Stage) -> None:
    """Play the part with two approvers: each with a key of their own, the change applied when both have said yes."""
    teller.say("From now on nobody changes this alone: two must approve, by keys of their own. The root key pins that:")
    (folder / "approvers").write_text("".join(_approver(folder, name) for name in APPROVERS))
    configuration = folder / "tfaudit.toml"
    before = configuration.read_text()
    configuration.write_text(before + GATE)
    stage.run("config", "push", "--yes")
    teller.say("Somebody plans a change, and may not apply it alone:")
    (folder / "main.tf").write_text(SECOND.replace(*THIRD_INPUT))
    stage.run("--reason", "security fixes", "plan", "-out", "change.plan", quiet=True)
    stage.run("apply", "change.plan", code=77, quiet=True)
    teller.say("A pull request that asks for no approvals does not help; it is refused:")
    configuration.write_text(before + GATE.replace("approvals = 2", "approvals = 0"))
    stage.run("apply", "change.plan", code=78, quiet=True)
    configuration.write_text(before + GATE)
    teller.say("Alice looks at the change and approves it; one is not enough yet. Then Bob does:")
    stage.run("approve", "change.plan", "--key", "alice.pem", "--yes")
    stage.run("gate", "change.plan", code=77)
    stage.run("approve", "change.plan", "--key", "bob.pem", "--yes", brief=True)
    stage.run("apply", "change.plan", quiet=True)
    teller.say("An approval is for that change and serves once:")
    stage.run("apply", "change.plan", code=77, quiet=True)
    teller.say("All of it is in the ledger, what was denied too:")
    stage.run("log")


def _approver(folder: Path, name: str) -> str:
    """Make a key for somebody and return their line of the approvers file."""
    from tfaudit.signing import sshkeys
    from tfaudit.signing.signer import create_key_file

    public = create_key_file(folder / f"{name}.pem").public
    return f"{name}@example.com {sshkeys.of_public(public).text}\n"


def _forge(folder: Path) -> str:
    """Copy the ledger and rewrite one event in the copy; return the copy's path from the folder."""
    original, copy = folder / ".tfaudit/ledger", folder / ".tfaudit/forged"
    shutil.copytree(original, copy)
    for path in sorted(copy.glob("records/**/*.jsonl"), reverse=True):
        content = path.read_bytes()
        altered = content.replace(b'"action":"update","actions":["update"]', b'"action":"no-op","actions":["no-op"]', 1)
        if altered != content:
            path.chmod(0o600)
            path.write_bytes(altered)
            return os.path.relpath(copy, folder)
    raise InternalError("the demo's ledger holds no update")
