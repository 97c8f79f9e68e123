"""How is somebody else's server asked, so that it can neither hang a delivery nor fill its memory?

TLS with the system's certificates, or with those of the option ``ca`` in their place; plain HTTP to this machine alone.
No redirect is followed, an answer has at most 1 MB and comes whole within 20 seconds. What is told of a failure names
the server and nothing of the path, the headers or the body.
"""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from tfaudit.errors import ConfigError, InputError
from tfaudit.regular import read_regular
from tfaudit.sinks.address import HERE, Address
from tfaudit.sinks.model import Later, Misconfigured

if TYPE_CHECKING:
    import urllib3

    from tfaudit.config.delivering import SinkSettings

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 15.0
SECONDS: Final = 20.0
"""For a whole answer, from the look-up of the name to its last byte."""
MAX_ANSWER: Final = 1_000_000
"""Bytes of an answer."""
MAX_CA: Final = 1_000_000
LONGEST_AFTER: Final = 3_600.0
"""Seconds; a server that asks to be left alone for longer is asked again after as many."""

_CHUNK: Final = 1 << 16
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "UNKNOWN_PROTOCOL"})
"""What OpenSSL says of a server that speaks no TLS, or none that is still safe."""
_OTHER_HOST: Final = "it is another host's certificate: see the sink's url"
_CERTIFICATES: Final[Mapping[int, str]] = {
    9: "look at this machine's clock",
    10: "the server needs a new certificate",
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
"""What helps, by OpenSSL's number of what is wrong with a certificate (X509_V_ERR_…)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer."""

    where: str
    status: int
    headers: Mapping[str, str]
    """By their lower-case names."""
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - foreign JSON
        """Return what the body says; None where it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def members(self) -> dict[str, Any]:
        """Return the body's JSON object; an empty one where it is something else."""
        value = self.json()
        return value if isinstance(value, dict) else {}

    def after(self) -> float | None:
        """Return the seconds that ``Retry-After`` asks for, at most :data:`LONGEST_AFTER` (RFC 9110, 10.2.3)."""
        text = self.headers.get("retry-after", "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), LONGEST_AFTER)
        try:
            moment = parsedate_to_datetime(text).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
        return min(max(moment - time.time(), 0.0), LONGEST_AFTER)

    def trouble(self) -> Later | Misconfigured | None:
        """Return what a status means that every server means alike; None where it is for its own kind to tell."""
        match self.status:
            case 401 | 403:
                return Misconfigured(
                    reason=f"{self.where} refuses us (status {self.status})",
                    hint="is the sink's secret the right one, and may it write there?",
                )
            case 404 | 405:
                return Misconfigured(
                    reason=f"{self.where} has nothing at this address (status {self.status})", hint="see the sink's url"
                )
            case status if 300 <= status < 400:
                return Misconfigured(
                    reason=f"{self.where} redirects elsewhere, which is not followed (status {status})",
                    hint="give the address that it redirects to",
                )
            case 408 | 425 | 429:
                return Later(reason=f"{self.where} is busy (status {self.status})", after=self.after())
            case status if status >= 500:
                return Later(reason=f"{self.where} can't take it now (status {status})", after=self.after())
        return None


class Server:
    """One server, asked by one thread over one connection that is kept."""

    def __init__(
        self, settings: SinkSettings, at: Address, *, environ: Mapping[str, str], seconds: float = SECONDS
    ) -> None:
        """Ask nothing yet; ``environ`` names the proxies. :class:`ConfigError` where they or ``ca`` can't be used."""
        self.at = at
        self._seconds = seconds
        self._environ = environ
        self._tls = _tls(settings) if at.url.startswith("https:") else None
        self._pool = self._connect()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        compress: bool = False,
    ) -> Reply | Later | Misconfigured:
        """Return the answer, whatever its status; what became of the request where there is none."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tfaudit", **(headers or {})}
        if body is not None and compress:
            # No time in it: the same documents are the same bytes.
            body, sent["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
        request = _Request(self._pool, self.at, method, path, sent, body, self._seconds)
        request.start()
        request.join(self._seconds)
        if request.answer is not None:
            return request.answer
        # The thread ends with the process at the latest; whatever it still reads is thrown away, with its connection.
        self._pool = self._connect()
        return _late(self.at, self._seconds)

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def _connect(self) -> urllib3.PoolManager:
        import urllib3

        limits: dict[str, Any] = {"num_pools": 1, "maxsize": 1, "cert_reqs": "CERT_REQUIRED", "ssl_context": self._tls}
        proxy = _proxy(self.at, self._environ)
        if proxy is None:
            return urllib3.PoolManager(**limits)
        try:
            parts = urlsplit(proxy)
            who = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
            return urllib3.ProxyManager(
                proxy,
                proxy_headers=urllib3.make_headers(proxy_basic_auth=who) if who else None,
                **limits,
            )
        except (urllib3.exceptions.HTTPError, ValueError):
            # No cause: its text shows the proxy's password.
            raise ConfigError("HTTPS_PROXY names no proxy", hint="as in http://proxy.example.com:3128") from None


def _late(at: Address, seconds: float) -> Later:
    return Later(reason=f"{at.where} gave no whole answer within {seconds:g} seconds")


class _Request(threading.Thread):
    """One request on a thread of its own: a server that sends a byte now and then resets every other time limit."""

    def __init__(
        self,
        pool: urllib3.PoolManager,
        at: Address,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> None:
        super().__init__(name="sink", daemon=True)
        self._pool, self._at, self._method, self._url = pool, at, method, at.url + path
        self._headers, self._body = headers, body
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self.answer: Reply | Later | Misconfigured | None = None

    def run(self) -> None:
        import urllib3

        try:
            self.answer = self._ask()
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            self.answer = _failed(error, self._at)
        except Exception as error:  # noqa: BLE001 - a thread would print it, and a secret in it
            self.answer = Later(reason=f"{self._at.where} could not be asked: {type(error).__name__}")

    def _ask(self) -> Reply | Later:
        import urllib3

        response = self._pool.request(
            self._method,
            self._url,
            body=self._body,
            headers=self._headers,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            preload_content=False,
        )
        whole = False
        try:
            body = bytearray()
            while chunk := response.read1(_CHUNK, decode_content=False):
                body += chunk
                if len(body) > MAX_ANSWER:
                    return Later(reason=f"{self._at.where} answers with more than {MAX_ANSWER:,} bytes")
                if time.monotonic() > self._until:
                    return _late(self._at, self._seconds)
            whole = True
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(where=self._at.where, status=response.status, headers=headers, body=bytes(body))


def _failed(error: Exception, at: Address) -> Later | Misconfigured:
    """Return what a failure means. Its own text is not shown: it may hold the path, a header or a proxy's password."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.SSLError):
        return _untrusted(error.args[0] if error.args else None, at)
    if isinstance(error, exceptions.LocationValueError):
        return Misconfigured(reason=f"{at.where} can be no host's name", hint="see the sink's url")
    if isinstance(error, exceptions.ProxyError):
        return Later(reason=f"the proxy on the way to {at.where} can't be used")
    if isinstance(error, exceptions.NameResolutionError):
        return Later(reason=f"{at.where} can't be reached: its name is not known")
    if isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        return Later(reason=f"{at.where} gave no answer in time")
    cause = error.__cause__
    if isinstance(error, exceptions.NewConnectionError):
        return Later(reason=f"{at.where} can't be reached: {getattr(cause, 'strerror', None) or 'no connection'}")
    return Later(reason=f"the connection to {at.where} was lost before its answer was whole")


def certificate_hint(error: ssl.SSLCertVerificationError) -> str:
    """Return what helps against a certificate that is not trusted."""
    private = 'where it has a certificate of your own authority: name that by the sink\'s ca = "FILE"'
    return _CERTIFICATES.get(error.verify_code, private)


def _untrusted(error: object, at: Address) -> Later | Misconfigured:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(
            reason=f"{at.where} is not trusted: {str(error.verify_message).rstrip('.')[:200]}",
            hint=certificate_hint(error),
        )
    reason = str(getattr(error, "reason", None) or "no reason given")
    if reason in _NO_TLS:
        return Misconfigured(reason=f"{at.where} does not speak TLS 1.2 or later", hint="see the sink's url")
    return Later(reason=f"TLS with {at.where} failed: {reason[:60]}")


def _tls(settings: SinkSettings) -> ssl.SSLContext:
    named = settings.options.get("ca")
    context = ssl.create_default_context() if named is None else _private(Path(str(named)), settings)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    return context


def _private(path: Path, settings: SinkSettings) -> ssl.SSLContext:
    """Return a context that trusts a file's certificates in place of the system's.

    No public authority can give a certificate for a private one's server, then.
    """
    wrong = ConfigError(
        f'the ca of sink "{settings.name}" can\'t be used: {path}', hint="a file of certificates in PEM"
    )
    try:
        content = read_regular(path, limit=MAX_CA).decode("ascii")
        if "-----BEGIN CERTIFICATE-----" in content:
            return ssl.create_default_context(cadata=content)
    except (InputError, ssl.SSLError, ValueError) as error:
        raise wrong from error
    # Without this check, nothing at all would mean the system's certificates.
    raise wrong


def _proxy(at: Address, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for a server, in the usual way; None for this machine's own."""
    named = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    spared = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if at.host in HERE or not named or spared.strip() == "*":
        return None
    domains = [domain.strip().lstrip("*").lstrip(".").lower() for domain in spared.split(",")]
    return None if any(at.host == one or at.host.endswith(f".{one}") for one in domains if one) else named
