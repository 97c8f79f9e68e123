"""Change events as rows of CSV."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.export import table

EVENT = {
    "event_id": "01990000-0000-7000-8000-000000000000/1",
    "run_id": "r",
    "time": "2026-03-01T10:00:00.000Z",
    "stack": "s",
    "kind": "resource-change",
    "actor": {"principal": "github:octocat", "level": "claimed"},
    "actions": ["delete", "create"],
    "action": "replace",
    "address": msgspec.Raw(b'"aws_x.y[\\"a\\"]"'),
    "attributes": [{"path": "/size", "before": msgspec.Raw(b"1.50"), "after": None}],
    "source": {"file": "main.tf", "line": 3},
    "outcome": {"status": "applied", "elapsed_seconds": 2, "inferred": False},
    "withheld": False,
}


def read(line):
    """Return the cells of a line by their columns."""
    (row,) = csv.reader(io.StringIO(line.decode(), newline=""))
    return dict(zip(table.COLUMNS, row, strict=True))


def test_an_event_is_a_row():
    """Members stand in their columns, values as the engine spelled them."""
    row = read(table.row(EVENT))
    assert row["actor"] == "github:octocat"
    assert row["actions"] == "delete create"
    assert row["address"] == 'aws_x.y["a"]'
    assert (row["source_file"], row["source_line"]) == ("main.tf", "3")
    assert (row["outcome"], row["outcome_elapsed_seconds"]) == ("applied", "2")
    assert row["attributes"] == '[{"after":null,"before":1.50,"path":"/size"}]'
    assert row["outcome_error"] == ""


def test_the_columns_are_these():
    """Names and order are a promise; new columns come at the end."""
    assert table.header() == ",".join(table.COLUMNS).encode() + b"\r\n"
    assert table.COLUMNS[:5] == ("event_id", "record_id", "run_id", "time", "stack")
    assert len({*table.COLUMNS}) == len(table.COLUMNS) == 44


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\n=1", " =1", "\uff1d1"])
def test_no_cell_is_a_formula(text):
    """What a spreadsheet would compute begins with an apostrophe."""
    assert read(table.row({**EVENT, "stack": text}))["stack"].startswith("'")


@given(st.text(max_size=40))
def test_any_text_stays_one_cell_without_control_characters(text):
    """Whatever a record holds, the row has its columns, no cell is a formula and none steers a terminal."""
    cell = read(table.row({**EVENT, "stack": text}))["stack"]
    assert not cell.lstrip(" ")[:1] or cell.lstrip(" ")[0] not in "=+-@\t\r\n"
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in cell)
