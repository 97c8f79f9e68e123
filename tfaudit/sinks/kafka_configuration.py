"""How are the Kafka brokers of a sink spoken to: which ones, by TLS or not, under which name?"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tfaudit import secret
from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

DEFAULT_MECHANISM: Final = "SCRAM-SHA-512"
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PLAIN: Final = "plaintext://"
_CLIENT: Final[Mapping[str, str | int]] = {
    "client.id": "tfaudit",
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 5_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """What a client of theirs needs to know."""

    servers: str
    """``HOST:PORT,HOST:PORT``, as the sink's URL has it."""
    plain: bool
    """In clear, and so this machine's own brokers alone."""
    client: Mapping[str, str | int] = field(repr=False)
    """librdkafka's configuration; it holds the password."""


def brokers(settings: SinkSettings, environ: Mapping[str, str]) -> Brokers:
    """Return what the sink's settings say.

    Raises :class:`ConfigError` for what is misconfigured, :class:`UnavailableError` where the secret can't be had now.
    """
    servers, plain = _servers(settings)
    client = {**_CLIENT, "bootstrap.servers": servers, **_security(settings, plain, environ)}
    return Brokers(servers=servers, plain=plain, client=client)


def _servers(settings: SinkSettings) -> tuple[str, bool]:
    """Return the brokers to begin with, and whether they are spoken to in clear."""
    rest = settings.url.removeprefix("kafka:")
    plain = rest.startswith(_PLAIN)
    rest = rest.removeprefix(_PLAIN)
    for server in rest.split(","):
        found = _SERVER.fullmatch(server)
        if not found or not 0 < int(found[2]) < 65_536:
            raise ConfigError(
                f'the url of the sink {settings.name} is "{settings.url}"', hint='as in "kafka:HOST:9093,HOST:9093"'
            )
        if plain and not is_here(found[1]):
            raise ConfigError(
                f"the sink {settings.name} would send in clear to {found[1]}", hint="only to 127.0.0.1 or [::1]"
            )
    return rest, plain


def is_here(host: str) -> bool:
    """Tell whether it is an address of this machine alone; a name may be anybody's."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _security(settings: SinkSettings, plain: bool, environ: Mapping[str, str]) -> dict[str, str]:
    options = settings.options
    ca, cert, key = (options.get(name) for name in ("ca", "cert", "key"))
    if bool(cert) != bool(key):
        raise ConfigError(f"the sink {settings.name} has only one of cert and key")
    if plain and (ca or cert):
        raise ConfigError(f"the sink {settings.name} has a certificate, and no TLS")
    given = {"ssl.ca.location": ca, "ssl.certificate.location": cert, "ssl.key.location": key}
    found = {name: str(value) for name, value in given.items() if value}
    mechanism = str(options.get("mechanism", DEFAULT_MECHANISM))
    if mechanism not in MECHANISMS:
        raise ConfigError(
            f'mechanism of the sink {settings.name} is "{mechanism}"', hint=f"one of {', '.join(MECHANISMS)}"
        )
    if settings.secret is None:
        if "mechanism" in options:
            raise ConfigError(f"the sink {settings.name} has a mechanism, and no secret", hint='secret = "env:NAME"')
        return {"security.protocol": "plaintext" if plain else "ssl", **found}
    user, colon, password = secret.read(settings.secret, environ).partition(":")
    if not user or not colon or not password:
        raise ConfigError(f"the secret of the sink {settings.name} is not of the form user:password")
    return {
        "security.protocol": "sasl_plaintext" if plain else "sasl_ssl",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
        **found,
    }
