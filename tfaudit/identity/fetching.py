"""How is something fetched from an issuer or a platform, so that it can neither hang a run nor fill its memory?

TLS with the system's certificates; plain HTTP to 127.0.0.1 alone. No redirect is followed. Errors name the server and
the path, never a header or a query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tfaudit.errors import UnavailableError

SECONDS: Final = 10.0
"""For a whole answer, from the look-up of the name to its last byte."""
_CONNECT_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 16
_HERE: Final = "127.0.0.1"


def fetch(
    url: str,
    *,
    environ: Mapping[str, str],
    most: int,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> bytes:
    """Return the body of the answer to one request, at most ``most`` bytes of it.

    ``environ`` names the proxies. Raises :class:`UnavailableError` for every answer but 200, for one that is larger or
    slower than allowed, and for an address that is neither https nor on 127.0.0.1.
    """
    parts = checked(url)
    request = _Request(url, parts, environ, most, method, {"Accept": "application/json", **(headers or {})}, seconds)
    request.start()
    request.join(seconds)
    if request.is_alive():
        # The thread ends with the process at the latest; whatever it still reads is thrown away.
        raise _late(parts, seconds)
    if request.error is not None:
        raise request.error
    return request.body


def _late(parts: SplitResult, seconds: float) -> UnavailableError:
    return UnavailableError(f"{shown(parts)} gave no whole answer within {seconds:.0f} seconds")


def checked(url: str) -> SplitResult:
    """Return an address taken apart; :class:`UnavailableError` unless it is https without a user, or on 127.0.0.1."""
    try:
        parts = urlsplit(url)
        usable = parts.port is None or parts.port > 0
    except ValueError:
        raise UnavailableError("an address to ask is none") from None
    if not usable or not parts.hostname or parts.username is not None or not url.isascii() or not url.isprintable():
        raise UnavailableError("an address to ask is none")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == _HERE):
        raise UnavailableError(f"{parts.hostname} is not asked without TLS", hint="give an https:// address")
    return parts


def shown(parts: SplitResult) -> str:
    """Return an address as errors name it."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:200]


class _Request(threading.Thread):
    """One request on a thread of its own: a server that sends a byte now and then resets every other time limit."""

    def __init__(
        self,
        url: str,
        parts: SplitResult,
        environ: Mapping[str, str],
        most: int,
        method: str,
        headers: Mapping[str, str],
        seconds: float,
    ) -> None:
        super().__init__(name="identity", daemon=True)
        self._url, self._parts, self._environ = url, parts, environ
        self._most, self._method, self._headers = most, method, headers
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self.body = b""
        self.error: UnavailableError | None = None

    def run(self) -> None:
        import urllib3

        try:
            self.body = self._ask()
        except UnavailableError as error:
            self.error = error
        except urllib3.exceptions.TimeoutError:
            self.error = _late(self._parts, self._seconds)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # Its text may show a header or a query.
            self.error = UnavailableError(f"{shown(self._parts)} can't be asked: {type(error).__name__}")

    def _ask(self) -> bytes:
        import urllib3

        proxy = _proxy(self._parts.hostname or "", self._environ)
        pool = (
            urllib3.ProxyManager(proxy, cert_reqs="CERT_REQUIRED")
            if proxy
            else urllib3.PoolManager(cert_reqs="CERT_REQUIRED")
        )
        left = max(self._until - time.monotonic(), 0.1)
        with pool:
            response = pool.request(
                self._method,
                self._url,
                headers={**self._headers, "Accept-Encoding": "identity", "User-Agent": "tfaudit"},
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, left), read=left),
                preload_content=False,
            )
            try:
                if response.status != 200:
                    kind = "redirects elsewhere, which" if 300 <= response.status < 400 else "answers in a way that"
                    raise UnavailableError(f"{shown(self._parts)} {kind} is not accepted: status {response.status}")
                return self._read(response)
            finally:
                response.close()

    def _read(self, response: object) -> bytes:
        body = bytearray()
        while chunk := response.read1(_CHUNK, decode_content=False):  # type: ignore[attr-defined]
            body += chunk
            if len(body) > self._most:
                raise UnavailableError(f"{shown(self._parts)} answers with more than {self._most:,} bytes")
            if time.monotonic() > self._until:
                raise _late(self._parts, self._seconds)
        return bytes(body)


def _proxy(host: str, environ: Mapping[str, str]) -> str | None:
    named = environ.get("HTTPS_PROXY") or environ.get("https_proxy")
    spared = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    domains = [domain.strip().lstrip("*").lstrip(".") for domain in spared.split(",")]
    if host == _HERE or spared.strip() == "*" or any(host == one or host.endswith(f".{one}") for one in domains if one):
        return None
    return named or None
