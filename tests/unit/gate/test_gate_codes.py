"""That every reason of the gate is explained, and stands in the schema of what `tfaudit gate` prints."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from tfaudit import schema
from tfaudit.gate.model import Code

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gate.md"


def test_every_reason_is_explained() -> None:
    """Each code has a line in the table of docs/gate.md."""
    text = PAGE.read_text()
    assert [code for code in get_args(Code) if f"| `{code}` |" not in text] == []


def test_every_reason_is_in_the_schema() -> None:
    """No other code is printed."""
    reasons = schema.load("gate.v1")["properties"]["reasons"]["items"]["properties"]["code"]["enum"]
    assert sorted(reasons) == sorted(get_args(Code))
