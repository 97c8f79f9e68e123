"""How do documents reach a syslog receiver: RFC 5424 messages over TLS, each behind its length (RFC 5425)?

Syslog has no acknowledgement: see :mod:`tfaudit.sinks.syslog_connection` for what is taken for one.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import syslog_connection, syslog_message
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.syslog_connection import Destination, Unsure, Wrong

if TYPE_CHECKING:
    from tfaudit.config.delivering import Shape, SinkSettings

PORT: Final = 6514
DEFAULT_SIZE: Final = 8_000
"""Bytes of a message: rsyslog cuts what is above 8,096 into pieces, unless it is told otherwise."""
LEAST_SIZE: Final = 2_048
"""What every receiver takes (RFC 5425, 4.3.1)."""
MOST_SIZE: Final = 1 << 20
_BATCH: Final = Limits(documents=1_000, size=4 << 20)
_FORM: Final = re.compile(r"(?://)?(?:(tls|tcp)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


class SyslogSink:
    """A syslog receiver. Each batch has a connection of its own, since only its end tells that all was read."""

    limits = _BATCH

    def __init__(self, destination: Destination, *, host: str, schema: Shape, size: int) -> None:
        self._destination = destination
        self._host = host
        self._schema: Final = schema
        self._size = size

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the framed message; one that would be too long tells what it lacks, and the receipt does."""
        head = syslog_message.head(
            time=document.time,
            host=self._host,
            kind=document.kind,
            severity=document.body["severity"],
            params={
                "id": document.id,
                "run": document.body.get("run_id"),
                "stack": document.body.get("stack"),
            },
        )
        most = room = self._size - len(head)
        while True:
            fit = fitted(document.body, self._schema, most)
            if isinstance(fit, Refused):
                return fit
            text = syslog_message.ascii_json(fit.content)
            if len(text) <= room:
                break
            # In ASCII it is longer: the next shorter one.
            most = len(fit.content) - 1
        return Encoded(document.id, document.time, syslog_message.frame(head + text), fit.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the messages; they are accepted together once the receiver has read the last."""
        try:
            end = syslog_connection.hand_over(self._destination, b"".join(each.content for each in batch))
        except Unsure as error:
            return [Later(reason=str(error))] * len(batch)
        except Wrong as error:
            return [Misconfigured(reason=str(error), hint=error.hint)] * len(batch)
        return [Accepted(receipt=end)] * len(batch)

    def check(self) -> Misconfigured | Later | None:
        """Connect and end the connection, as after a batch."""
        try:
            syslog_connection.hand_over(self._destination, b"")
        except Unsure as error:
            return Later(reason=str(error))
        except Wrong as error:
            return Misconfigured(reason=str(error), hint=error.hint)
        return None


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> SyslogSink:
    """Return the sink of ``syslog:HOST[:PORT]`` (TLS), or of ``syslog:tcp://HOST:PORT`` on this machine.

    Raises :class:`ConfigError` for another form, a certificate that can't be used, or a size that receivers have not.
    """
    del environ  # It has no secret but the key of its certificate.
    if settings.secret is not None:
        raise ConfigError(
            f"the sink {settings.name} has no use for a secret", hint="set cert and key for a certificate"
        )
    size = settings.options.get("size", DEFAULT_SIZE)
    if not isinstance(size, int) or not LEAST_SIZE <= size <= MOST_SIZE:
        raise ConfigError(f"size of the sink {settings.name} is not from {LEAST_SIZE} to {MOST_SIZE}")
    return SyslogSink(_destination(settings), host=socket.gethostname(), schema=settings.schema or "native", size=size)


def _destination(settings: SinkSettings) -> Destination:
    rest = settings.url.removeprefix("syslog:")
    found = _FORM.fullmatch(rest)
    if not found or (found[3] and not 0 < int(found[3]) < 65_536):
        raise ConfigError(f'the url of the sink {settings.name} is "{settings.url}"', hint='as in "syslog:HOST:6514"')
    transport, host, port = found.groups()
    host = host.strip("[]")
    if transport != "tcp":
        return Destination(host=host, port=int(port or PORT), tls=_context(settings))
    if not _is_here(host):
        raise ConfigError(f"the sink {settings.name} would send in clear to {host}", hint="only to 127.0.0.1 or ::1")
    if port is None:
        raise ConfigError(f"the sink {settings.name} names no port", hint='as in "syslog:tcp://127.0.0.1:601"')
    if settings.options.keys() & {"ca", "cert", "key"}:
        raise ConfigError(f"the sink {settings.name} has a certificate, and no TLS")
    return Destination(host=host, port=int(port), tls=None)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Not even "localhost": what that is somebody else may say.
        return False


def _context(settings: SinkSettings) -> ssl.SSLContext:
    ca, cert, key = (settings.options.get(name) for name in ("ca", "cert", "key"))
    if bool(cert) != bool(key):
        raise ConfigError(f"the sink {settings.name} has only one of cert and key")
    what = f"ca {ca}"
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert and key:
            what = f"cert {cert} with key {key}"
            # Never asks at a terminal for the password of a key that has one.
            context.load_cert_chain(str(cert), str(key), password=bytes)
    except OSError as error:
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"{what} of the sink {settings.name} can't be used: {why or 'not PEM'}",
            hint="a file in PEM form, a key without a password",
        ) from error
    return context
