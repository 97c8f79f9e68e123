"""A token issuer on this machine."""

from __future__ import annotations

import pytest
from oidckit import serve


@pytest.fixture
def issuer():
    """A running OpenID Connect provider with real keys."""
    with serve() as running:
        yield running
