"""``tfaudit deliver`` says what it did and what is left, as text and as JSON of its schema."""

from __future__ import annotations

import json

import pytest
from reading import tfaudit

from tfaudit import schema


@pytest.fixture
def configured(place, tmp_path):
    """The story's ledger with a sink that nobody listens for, configured in the working directory."""
    (tmp_path / "tfaudit.toml").write_text(
        '[[sink]]\nname = "hook"\nurl = "webhook:http://127.0.0.1:9/"\nsecret = "file:key"\n'
    )
    key = tmp_path / "key"
    key.write_text("a key of more than twenty-four characters")
    key.chmod(0o600)
    return place


def test_without_a_sink_there_is_nothing_to_do(place, capfd):
    """No [[sink]] is no error, and is said."""
    assert tfaudit(place, capfd, "deliver")[:2] == (0, "there is no [[sink]]: nothing to deliver\n")
    assert tfaudit(place, capfd, "deliver", "--status")[:2] == (0, "there is no [[sink]]\n")


def test_an_unknown_sink_is_named(configured, capfd):
    """A mistyped name is an error of configuration that lists the known ones."""
    code, _, said = tfaudit(configured, capfd, "deliver", "--sink", "hoook")
    assert (code, said) == (78, 'tfaudit: there is no sink "hoook" (there is hook)\n')


@pytest.mark.parametrize(
    "options", [["--status", "--retry-dead"], ["--status", "--budget", "1s"], ["--budget", "soon"]]
)
def test_options_that_make_no_sense_are_a_usage_error(configured, capfd, options):
    """What can't be meant is refused before anything is done."""
    assert tfaudit(configured, capfd, "deliver", *options)[0] == 64


def test_the_status_asks_nobody(configured, capfd):
    """It says how far the sink is behind, as text and in its schema, and writes nothing."""
    code, out, _ = tfaudit(configured, capfd, "deliver", "--status")
    assert (code, out) == (0, "hook  webhook:http://127.0.0.1:9/\n  nothing delivered yet\n  8 records left\n")
    document = json.loads(tfaudit(configured, capfd, "deliver", "--status", "--json")[1])
    schema.validate("delivery-status.v1", document)
    assert document["sinks"][0] | {"position": None, "left": 8, "dead": 0} == document["sinks"][0]
    assert not (configured.folder / "working" / "delivery").exists()


def test_a_sink_that_is_down_is_said_and_is_exit_69(configured, capfd):
    """One line on stdout what was done, one on stderr why the rest is left; the JSON says the same."""
    code, out, said = tfaudit(configured, capfd, "deliver", "--budget", "1s")
    assert (code, out) == (69, "hook  0 documents delivered, 8 left\n")
    assert said.startswith('tfaudit: sink "hook": 8 records left for the next run or tfaudit deliver: ')
    code, out, said = tfaudit(configured, capfd, "deliver", "--json", "--budget", "1s")
    document = json.loads(out)
    schema.validate("delivery.v1", document)
    assert (code, said, document["sinks"][0]["state"]) == (69, "", "left")


def test_a_ledger_that_is_not_there_is_exit_74(configured, capfd, tmp_path):
    """Where the ledger is gone that is what is said, whatever the sinks are."""
    (configured.folder / "ledger").rename(tmp_path / "elsewhere")
    assert tfaudit(configured, capfd, "deliver")[0] == 74
    assert tfaudit(configured, capfd, "deliver", "--status")[0] == 74
