"""The lists of tfaudit's own commands agree: each is found by whoever meets it first."""

from __future__ import annotations

import click
import pytest

from tfaudit import entry
from tfaudit.cli import main, verbs
from tfaudit.errors import UsageError


def test_every_verb_is_known_on_the_way_to_it():
    """A verb that click has is passed to click, and never to the engine."""
    context = click.Context(verbs.group)
    assert frozenset(verbs.group.list_commands(context)) == main.VERBS
    assert main.VERBS <= entry.VERBS


def test_every_verb_can_be_loaded():
    """Each name leads to a command with a help text."""
    context = click.Context(verbs.group)
    for name in main.VERBS:
        found = verbs.group.get_command(context, name)
        assert found is not None
        assert found.help


def test_own_options_end_at_the_command():
    """What follows the subcommand is the engine's, also where it looks like ours."""
    options, rest = main.split_options(["--reason=a=b", "--ticket", "T", "-v", "apply", "--ledger", "x"])
    assert (options.reason, options.ticket, options.verbose, options.ledger) == ("a=b", "T", True, None)
    assert rest == ["apply", "--ledger", "x"]


def test_an_option_without_its_value():
    """It is a usage error, not a command named by the next word."""
    with pytest.raises(UsageError, match="--reason needs a value"):
        main.split_options(["--reason"])


@pytest.mark.parametrize("argv", [["--bogus", "apply"], ["log", "--bogus"], ["keys", "bogus"], ["history"]])
def test_a_usage_error_is_64(argv, capsys):
    """Never click's 2, which is the engine's -detailed-exitcode."""
    assert main.main(argv, shim=None) == 64
    told = capsys.readouterr().err
    assert told.startswith("tfaudit: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", ["TFAUDIT_SEAL", "TFAUDIT_SEALED", "TFAUDIT_BREAK_GLASS", "TFAUDIT_VERBOSE"])
def test_a_misspelt_switch_is_one_error(monkeypatch, capfd, name):
    """A plan that was to be sealed must not be written in clear because somebody wrote "yes": 78, by name."""
    monkeypatch.setenv(name, "yes")
    assert main.main(["plan"], shim=None) == 78
    assert capfd.readouterr().err == f'tfaudit: {name} is "yes" (it is true or false)\n'
