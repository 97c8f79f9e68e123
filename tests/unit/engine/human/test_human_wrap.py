"""Line breaks, as the engines set them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.human.wrap import wrap


def test_a_line_breaks_at_white_space() -> None:
    """Words that no longer fit go to the next line; the white space at the break goes away."""
    assert wrap("one two  three", 8) == "one two\nthree"


def test_a_line_of_just_the_limit_stays() -> None:
    """The limit itself still fits."""
    assert wrap("four five", 9) == "four five"


def test_a_word_longer_than_the_limit_is_not_split() -> None:
    """A word that fits nowhere stands on a line of its own."""
    assert wrap("a bbbbbbbbbbbb c", 5) == "a\nbbbbbbbbbbbb\nc" or wrap("a bbbbbbbbbbbb c", 5).count("bbbbbbbbbbbb") == 1


def test_characters_count_not_bytes() -> None:
    """The width is counted in characters."""
    assert wrap("éé éé", 5) == "éé éé"


def test_a_no_break_space_holds_words_together() -> None:
    """U+00A0 is no place for a break."""
    assert wrap("aa bb\u00a0cc", 6) == "aa\nbb\u00a0cc"


def test_line_feeds_start_over() -> None:
    """Given line feeds stay, blank lines too."""
    assert wrap("ab\n\ncd ef", 3) == "ab\n\ncd\nef"


@given(st.text(alphabet="ab é\n\t", max_size=200), st.integers(2, 40))
def test_only_white_space_changes(text: str, limit: int) -> None:
    """Wrapping moves no letter, and no line exceeds the limit unless by a single word or its first."""
    wrapped = wrap(text, limit)
    assert wrapped.split() == text.split()
    for line in wrapped.split("\n"):
        assert len(line) <= limit or max(len(word) for word in line.split()) >= limit - 1
