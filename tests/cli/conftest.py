"""The ledger that the reading verbs are tried on."""

from __future__ import annotations

import pytest
from reading import story


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A ledger with a story, looked at from a folder without any configuration."""
    monkeypatch.chdir(tmp_path)
    return story(tmp_path / "place")
