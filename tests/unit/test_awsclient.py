"""Which endpoints of AWS may be asked."""

from __future__ import annotations

import pytest

from tfaudit import awsclient


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("https://sns.eu-west-1.amazonaws.com", True),
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("http://localhost:4566", True),
        ("http://localhost.example.com", False),
        ("http://192.0.2.1:4566", False),
        ("http://[::ffff:192.0.2.1]", False),
        ("https://", False),
        ("https://[", False),
        ("ftp://127.0.0.1", False),
        ("", False),
    ],
)
def test_what_is_asked_is_secured_or_here(endpoint: str, allowed: bool) -> None:
    """By TLS anywhere, in clear on this machine alone."""
    assert awsclient.is_allowed(endpoint) is allowed
