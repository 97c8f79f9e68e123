"""Which moments dates name."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import UsageError
from tfaudit.export import dates

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2024-02-29", "2024-02-29T00:00", "2024-03-01T00:00"),
        ("2026-03-01T12:30", "2026-03-01T12:30", "2026-03-01T12:30"),
        ("2026-03-01T12:30+02:00", "2026-03-01T10:30", "2026-03-01T10:30"),
        ("2026-03-01T12:30:01Z", "2026-03-01T12:30:01", "2026-03-01T12:30:01"),
        ("7d", "2026-11-17T12:00", "2026-11-17T12:00"),
        ("2w", "2026-11-10T12:00", "2026-11-10T12:00"),
        ("90m", "2026-11-24T10:30", "2026-11-24T10:30"),
    ],
)
def test_what_a_date_names(text, start, end):
    """A day, month or year is a span; a time is a moment in UTC unless it says otherwise."""
    assert dates.start(text, now=NOW) == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert dates.end(text, now=NOW) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-13", "2026-02-30", "0000", "9999", "7", "-1d", ""])
def test_what_is_no_date_is_refused(text):
    """A text that names no moment is a usage error."""
    with pytest.raises(UsageError, match="no date"):
        dates.end(text, now=NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_date_or_refused(text):
    """Nothing but a usage error comes of a text that is no date."""
    with suppress(UsageError):
        assert dates.start(text, now=NOW) <= dates.end(text, now=NOW)
