"""Every command of tfaudit's own has help, and the documentation shows it as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TFAUDIT = Path(sys.executable).with_name("tfaudit")


def help_of(*command):
    """Return what ``--help`` of a command prints."""
    result = subprocess.run([TFAUDIT, *command, "--help"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def commands(text):
    """Return the commands that a help text lists, or none."""
    listed = text.partition("Commands:\n")[2]
    return re.findall(r"^  ([a-z][a-z-]*)(?:  |$)", listed, re.MULTILINE)


def test_the_help_blocks_are_what_help_says():
    """README.md and docs/ show every help text as it is now."""
    command = [sys.executable, REPOSITORY / "docs" / "help_blocks.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_command_stands_in_the_documentation():
    """Every command, and every command under it, has a help block in docs/commands.md."""
    page = (REPOSITORY / "docs" / "commands.md").read_text()
    for name in commands(help_of()):
        assert f"<!-- help: tfaudit {name} --help -->" in page
        for below in commands(help_of(name)):
            assert f"<!-- help: tfaudit {name} {below} --help -->" in page


@pytest.mark.parametrize("option", ["--config", "--ledger", "--working", "--reason", "--ticket"])
def test_tfaudits_own_options_are_in_its_help(option):
    """The options that go before any command are told by the help of tfaudit itself."""
    assert option in help_of()
