"""Patterns with asterisks and question marks match what they say, however they are written."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tfaudit import wildcards


@given(st.text("ab*?", max_size=8), st.text("ab*\n", max_size=10))
def test_it_matches_what_the_plain_expression_does(pattern: str, text: str) -> None:
    """As if each character were translated by itself."""
    plain = "".join({"*": ".*", "?": "[^*]"}.get(one) or re.escape(one) for one in pattern)
    expected = re.fullmatch(plain, text, re.DOTALL) is not None
    assert (wildcards.compiled(pattern, one="[^*]").fullmatch(text) is not None) is expected


def test_no_pattern_takes_for_ever() -> None:
    """A pattern of many asterisks, which the plain expression would try out in more ways than there is time for."""
    hostile = wildcards.compiled("*" + "a*" * 40 + "b")
    assert hostile.fullmatch("a" * 5_000) is None
    assert hostile.fullmatch("a" * 5_000 + "b") is not None
