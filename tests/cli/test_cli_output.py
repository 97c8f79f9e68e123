"""What people are shown can't steer their terminal, nor pass for a line of tfaudit's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.cli import output


@pytest.mark.parametrize("letter", "\x00\x07\x1b\x7f\x9b\u061c\u200e\u2028\u202e\u2066\udcff")
def test_what_steers_is_spelled_out(letter):
    """Escape sequences, direction marks and stray bytes are shown as JSON spells them."""
    assert output.printable(f"a{letter}b") == f"a\\u{ord(letter):04x}b"


def test_a_text_stays_on_its_line():
    """A line feed in a reason or a name makes no second row."""
    assert output.printable("one\r\n\ttwo") == "one\\r\\n\\ttwo"
    assert output.table([["a\nforged", "b"]], header=["A", "B"]).count("\n") == 1


def test_every_line_that_is_said_is_marked(capsys):
    """A message of several lines is ours in each of them."""
    output.say("one\ntwo\x1b[2J")
    assert capsys.readouterr().err == "tfaudit: one\ntfaudit: two\\u001b[2J\n"


@given(st.text())
def test_json_stays_the_same_json(text):
    """Escaping a JSON text changes none of its values."""
    assert json.loads(output.printable(json.dumps(text, ensure_ascii=False))) == text
