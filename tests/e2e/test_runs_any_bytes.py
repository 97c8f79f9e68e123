"""Names and words in other encodings than UTF-8 cost neither the run nor its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import support

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform == "darwin", reason="this file system takes names in UTF-8 alone"),
]


def test_a_run_in_latin_1(project: support.Project) -> None:
    """A folder, a reason and a CI actor with a byte that is no UTF-8."""
    project.tfaudit("setup", "--yes")
    folder = project.folder / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "main.tf").write_text('resource "terraform_data" "one" { input = 1 }')
    environment = {os.fsencode(name): os.fsencode(value) for name, value in project.environment.items()}
    environment |= {b"TFAUDIT_REASON": b"caf\xe9\nforged", b"GITHUB_ACTIONS": b"true", b"GITHUB_ACTOR": b"\xe9"}
    del environment[b"TFAUDIT_STACK"]
    command = [os.fsencode(support.TFAUDIT), b"apply", b"-auto-approve", b"-no-color"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert b"1 added" in done.stdout
    project.tfaudit("verify")
    (outcome, intent) = map(json.loads, project.tfaudit("log", "--json").stdout.splitlines())
    assert intent["stack"].endswith("/caf\\xe9:default")
    assert outcome["actor"]["principal"] == "github:\\xe9"
    assert "reason     caf\\xe9\\nforged\n" in project.tfaudit("inspect", outcome["run_id"]).stdout
