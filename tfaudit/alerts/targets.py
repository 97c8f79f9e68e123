"""What kind of place does a target's URL name? The URL holds a secret: nothing here says any of it."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

Kind = Literal["post", "sns", "apprise"]

MAX_URL: Final = 8_192
_SNS: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_.-]{1,256}")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}://\S", re.IGNORECASE)
_HERE: Final = ("127.0.0.1", "::1", "localhost")


def kind(url: str) -> Kind | None:
    """Return how a target is reached; None for what is none: no URL at all, or plain http to another machine.

    ``https://`` is sent JSON by POST; ``arn:aws:sns:`` is an SNS topic; every other scheme is one of apprise's.
    """
    if len(url) > MAX_URL or not url.isprintable():
        return None
    if _SNS.fullmatch(url):
        return "sns"
    if not _SCHEME.match(url):
        return None
    scheme = url.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        return "apprise"
    host = host_of(url)
    return "post" if host and (scheme == "https" or host in _HERE) else None


def host_of(url: str) -> str | None:
    """Return the host that a URL names; None where it names none, or can't be taken apart."""
    try:
        parts = urlsplit(url)
        usable = parts.port is None or parts.port > 0
    except ValueError:
        return None
    return parts.hostname if usable else None


def region_of(arn: str) -> str | None:
    """Return the region of an SNS topic's ARN; None for what is no such ARN."""
    found = _SNS.fullmatch(arn)
    return found[1] if found else None


def has_apprise() -> bool:
    """Return whether the package apprise is installed; it is not imported."""
    from importlib.util import find_spec

    return find_spec("apprise") is not None
