"""Which subcommand a command line means, and what tfaudit does with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import commands


@pytest.mark.parametrize(
    ("line", "command", "role"),
    [
        ("plan", "plan", commands.PLAN),
        ("apply p", "apply", commands.APPLY),
        ("destroy", "destroy", commands.APPLY),
        ("-chdir=x apply", "apply", commands.APPLY),
        ("state mv a b", "state mv", commands.OPERATION),
        ("state move a b", "state mv", commands.OPERATION),
        ("state remove a", "state rm", commands.OPERATION),
        ("env new x", "workspace new", commands.OPERATION),
        ("workspace select x", "workspace select", commands.PASS),
        ("workspace select -or-create x", "workspace select", commands.OPERATION),
        ("workspace select --or-create=true x", "workspace select", commands.OPERATION),
        ("state mvx", "state", commands.PASS),
        ("state -lock=false mv", "state", commands.PASS),
        ("state", "state", commands.PASS),
        ("state pull", "state pull", commands.READ),
        ("state ls", "state list", commands.READ),
        ("init", "init", commands.INIT),
        ("providers lock", "providers", commands.PASS),
        ("new-subcommand", "new-subcommand", commands.PASS),
        ("", "", commands.PASS),
        ("apply -help", "", commands.PASS),
        ("-help apply", "", commands.PASS),
        ("apply -target x -version", "", commands.PASS),
        ("-v apply", "", commands.PASS),
        ("apply -- -help", "apply", commands.APPLY),
        ("-bogus apply", "apply", commands.APPLY),
    ],
)
def test_find(line: str, command: str, role: str) -> None:
    """The subcommand under its main name, and its role."""
    assert commands.find(line.split(), {}) == (command, role)


def test_variable_may_complete_the_subcommand() -> None:
    """A word in TF_CLI_ARGS can turn a help page into a change."""
    assert commands.find(["state"], {"TF_CLI_ARGS": "rm a"}) == ("state rm", commands.OPERATION)


def test_variable_may_ask_for_help() -> None:
    """A -help in TF_CLI_ARGS_apply makes apply a help page."""
    assert commands.find(["apply"], {"TF_CLI_ARGS_apply": "-help"})[1] == commands.PASS


def test_bad_quoting_leaves_the_role() -> None:
    """A variable that can't be split doesn't make an apply pass through unseen."""
    assert commands.find(["apply"], {"TF_CLI_ARGS": "'"}) == ("apply", commands.APPLY)


def test_completion_passes() -> None:
    """The shell's completion of an apply is none."""
    assert commands.find(["apply"], {"COMP_LINE": "terraform apply -"})[1] == commands.PASS


def test_expansion_order() -> None:
    """The specific variable comes first, then the general one, then what was typed."""
    env = {"TF_CLI_ARGS": "-general", "TF_CLI_ARGS_state_mv": "-specific"}
    assert commands.expand(["state", "mv", "a", "b"], env) == ["state", "mv", "-specific", "-general", "a", "b"]


def test_expansion_follows_the_first_equal_word() -> None:
    """The place is after the first word equal to the subcommand's last, as in the engine, also by accident."""
    assert commands.expand(["-x", "plan"], {"TF_CLI_ARGS_plan": "-a"}) == ["-x", "plan", "-a"]


def test_dashes_become_underscores() -> None:
    """force-unlock reads TF_CLI_ARGS_force_unlock."""
    env = {"TF_CLI_ARGS_force_unlock": "-force"}
    assert commands.expand(["force-unlock", "id"], env) == ["force-unlock", "-force", "id"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-chdir=a", "plan"], ("a", ["plan"])),
        (["-chdir=a", "-chdir=b", "plan"], ("b", ["-chdir=a", "plan"])),
        (["plan", "-chdir=a"], (None, ["plan", "-chdir=a"])),
        (["-chdir=", "plan"], (None, ["-chdir=", "plan"])),
        (["-chdir", "a", "plan"], (None, ["-chdir", "a", "plan"])),
    ],
)
def test_chdir(args: list[str], expected: tuple[str | None, list[str]]) -> None:
    """Only -chdir=DIR before the subcommand counts."""
    assert commands.split_chdir(args) == expected


@given(st.lists(st.text()), st.dictionaries(st.sampled_from(["TF_CLI_ARGS", "TF_CLI_ARGS_apply"]), st.text()))
def test_any_line_has_a_role(args: list[str], env: dict[str, str]) -> None:
    """Whatever the line, there is an answer."""
    assert commands.find(args, env)[1] in {"plan", "apply", "operation", "init", "read", "pass"}
