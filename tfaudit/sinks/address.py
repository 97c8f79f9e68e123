"""Where is a sink's server, and what may be sent to it in a header?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

HERE: Final = ("127.0.0.1", "::1", "localhost")
"""This machine: all that is spoken to without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is."""

    url: str
    """Scheme, host, port and path, without a slash at its end."""
    host: str
    where: str
    """As errors name it: host and port."""

    @property
    def path(self) -> str:
        """What the address has behind its host; empty where there is nothing."""
        return urlsplit(self.url).path


def address(settings: SinkSettings, *, port: int | None = None) -> Address:
    """Return where the sink's server is: behind the scheme stands ``https://HOST[:PORT][/PATH]``.

    So does ``//HOST[:PORT]``, for kinds that have a ``port`` of their own, or ``http://`` to this machine. Raises
    :class:`ConfigError` for anything else.
    """
    rest = settings.url.removeprefix(f"{settings.scheme}:")
    if port is not None and rest.startswith("//"):
        rest, standard = f"https:{rest}", port
    else:
        standard = 80 if rest.startswith("http:") else 443
    example = f"{settings.scheme}:https://HOST/PATH" if port is None else f"{settings.scheme}://HOST:{port}"
    try:
        parts = urlsplit(rest)
        found = standard if parts.port is None else parts.port
    except ValueError:
        found = 0
    if (
        not 0 < found < 65536
        or not parts.hostname
        or parts.scheme not in ("http", "https")
        or parts.username is not None
        or parts.query
        or parts.fragment
        or not rest.isascii()
        or not rest.isprintable()
        or " " in rest
    ):
        raise ConfigError(f'the url of sink "{settings.name}" names no server', hint=f'as in "{example}"')
    if parts.scheme == "http" and parts.hostname not in HERE:
        raise ConfigError(
            f'sink "{settings.name}" would send to {parts.hostname} without TLS',
            hint="http:// is for a server on this machine: give https://",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    where = f"{host}:{found}"
    return Address(url=f"{parts.scheme}://{where}{parts.path.rstrip('/')}", host=parts.hostname, where=where)


def header(text: str, settings: SinkSettings) -> str:
    """Return a secret that goes out in a header; :class:`ConfigError` for one that can't."""
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ConfigError(
            f'the secret of sink "{settings.name}" can\'t be sent', hint="it is one line of printable ASCII characters"
        )
    return text
