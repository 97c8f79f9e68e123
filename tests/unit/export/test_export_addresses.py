"""Which addresses lie under which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import UsageError
from tfaudit.export import addresses

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
KEYS = st.one_of(
    st.just(""),
    st.integers(0, 99).map(lambda number: f"[{number}]"),
    st.text(st.characters(exclude_categories=["C"], exclude_characters='"\\'), max_size=8).map(
        lambda key: f'["{key}"]'
    ),
)
ADDRESSES = st.lists(st.builds(addresses.Piece, NAMES, KEYS), min_size=1, max_size=6).map(tuple)


@given(ADDRESSES)
def test_an_address_reads_as_it_is_written(address):
    """Text and pieces are two forms of the same."""
    assert addresses.parse(addresses.text(address)) == address
    assert addresses.without_keys(addresses.text(address)) == addresses.base(address)


@given(ADDRESSES)
def test_an_address_covers_itself(address):
    """Every address lies under itself, under its first pieces, and under itself without keys."""
    assert addresses.covers(address, address) is True
    assert addresses.covers(address[:1], address) is True
    assert addresses.covers(addresses.parse(addresses.base(address)), address) is True


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text):
    """Nothing but a usage error comes of a text that is no address."""
    try:
        assert addresses.text(addresses.parse(text)) == text
    except UsageError:
        assert addresses.recorded(text) is None


@pytest.mark.parametrize(
    ("wanted", "address", "expected"),
    [
        ("aws_x.y", "aws_x.y[0]", True),
        ("aws_x.y", 'aws_x.y["a.b[c]"]', True),
        ("aws_x.y[0]", "aws_x.y[0]", True),
        ("aws_x.y[0]", "aws_x.y[1]", False),
        ("aws_x.y[0]", "aws_x.y", False),
        ("aws_x.y", "aws_x.yy", False),
        ("aws_x.y", "module.m.aws_x.y", False),
        ("module.m", 'module.m["a"].aws_x.y[0]', True),
        ("module.m.aws_x.y", "module.m[1].aws_x.y[0]", True),
        ("module.m[0]", "module.m[1].aws_x.y", False),
        ('aws_x.y["a@b.c"]', 'aws_x.y["~0123456789abcdef"]', None),
        ("aws_x.y", 'aws_x.y["~0123456789abcdef"]', True),
        ('aws_x.z["a@b.c"]', 'aws_x.y["~0123456789abcdef"]', False),
    ],
)
def test_what_an_address_covers(wanted, address, expected):
    """Instances lie under their resource and everything under its module; a pseudonym leaves it open."""
    assert addresses.covers(addresses.parse(wanted), addresses.parse(address)) is expected


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.b[", 'a.b["x', "a b", "a.b]", "a.", '"a"'])
def test_a_text_that_is_no_address_is_refused(text):
    """A broken address is a usage error that shows it."""
    with pytest.raises(UsageError, match="no resource address"):
        addresses.parse(text)


@pytest.mark.parametrize(
    ("wanted", "source", "target", "expected"),
    [
        ("aws_x.b", "aws_x.a", "aws_x.b", "aws_x.a"),
        ("aws_x.b", 'aws_x.a["k"]', "aws_x.b[0]", 'aws_x.a["k"]'),
        ("module.b.aws_x.y[0]", "module.a", "module.b", "module.a.aws_x.y[0]"),
        ("aws_x.c", "aws_x.a", "aws_x.b", None),
    ],
)
def test_where_a_moved_resource_was(wanted, source, target, expected):
    """A move of a resource or of the module around it is undone."""
    found = addresses.moved_from(
        addresses.parse(wanted), source=addresses.parse(source), target=addresses.parse(target)
    )
    assert (addresses.text(found) if found else None) == expected
