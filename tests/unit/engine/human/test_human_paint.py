"""Colour tags, as the engines read them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.human.paint import paint


def test_tags_become_sequences_and_a_reset_closes_the_text() -> None:
    """Each known tag is its SGR sequence; a text with any ends in a reset."""
    assert paint("[reset][bold]x[reset]", colour=True) == "\x1b[0m\x1b[1mx\x1b[0m\x1b[0m"


def test_the_reset_comes_after_a_line_feed() -> None:
    """The closing reset stands at the very end, even behind a line feed."""
    assert paint("[green]done\n", colour=True) == "\x1b[32mdone\n\x1b[0m"


def test_without_colour_known_tags_vanish() -> None:
    """Known tags are taken out when colour is off."""
    assert paint("[dark_gray]a[_red_]b[reset_bold]", colour=False) == "ab"


def test_unknown_tags_stay() -> None:
    """What only looks like a tag is text, and brings no reset."""
    assert paint("list[0] and [nope] and [BOLD]", colour=True) == "list[0] and [nope] and [BOLD]"


@given(st.text(alphabet="ab \n[]"))
def test_text_without_known_tags_is_unchanged(text: str) -> None:
    """Any text without a known tag comes back as it is, with and without colour."""
    assert paint(text, colour=True) == text
    assert paint(text, colour=False) == text
