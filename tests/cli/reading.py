"""What the tests of the reading verbs share: a ledger with a story, and the commands run on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "export"))

from readkit import Place, change

from tfaudit.cli.main import main

TFAUDIT = Path(sys.executable).with_name("tfaudit")


def story(folder):
    """Return a ledger: a resource is created, changed, moved, and one fails; one run is still open."""
    place = Place(folder)
    place.planned(change("aws_x.web", ("create",), after={"size": 1}), kind="plan", digest="b" * 64)
    place.applied(change("aws_x.web", ("create",), after={"size": 1}), digest="b" * 64)
    intent = place.planned(
        change("aws_x.web", before={"size": 1}, after={"size": 2, "name": "\x1b]0;owned\x07\u202e"}),
        change("aws_x.db", ("create",), after={"size": 9}),
    )
    place.closed(intent, "applied", "errored", result="errored")
    place.operated("state mv", "aws_x.web", "aws_x.front")
    place.planned(change("aws_x.front", ("delete",), before={"size": 2}))
    return place


def tfaudit(place, capfd, *args, working=None):
    """Run a verb on the ledger, without any configuration; return (exit code, stdout, stderr)."""
    stores = ["--ledger", str(place.folder / "ledger"), "--working", str(working or place.folder / "working")]
    code = main([*stores, *args], shim=None)
    sys.stdout.flush()
    told = capfd.readouterr()
    return code, told.out, told.err


def run(place, *args, cwd=None):
    """Run a verb as a process of its own on the ledger, or with ``place`` None on none."""
    stores = [] if place is None else ["--ledger", str(place.folder / "ledger")]
    return subprocess.run(
        [TFAUDIT, *stores, *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd or place.folder,
        env={"PATH": os.environ["PATH"]},
    )


def on_a_terminal(place, *args, columns=60, **environment):
    """Run a verb with its stdout on a terminal; return what the terminal was sent."""
    ours, theirs = os.openpty()
    stores = ["--ledger", str(place.folder / "ledger"), "--working", str(place.folder / "working")]
    variables = {"PATH": os.environ["PATH"], "COLUMNS": str(columns), "TERM": "xterm", **environment}
    child = subprocess.Popen(
        [TFAUDIT, *stores, *args], stdout=theirs, stderr=subprocess.PIPE, env=variables, cwd=place.folder
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:
        # The end of a terminal's output: Linux says EIO.
        pass
    os.close(ours)
    assert child.wait() == 0, child.stderr.read()
    child.stderr.close()
    return b"".join(parts).decode()
