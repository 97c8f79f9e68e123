"""How is a platform's API asked, so that neither it nor anybody between can do more than not answer?

TLS with the system's certificates; plain HTTP to this machine alone, for tests and proxies there. No redirect and no
page leads to another host. Time, size and the number of pages are limited. The token stands in a header and nowhere
else: errors name the path and the status.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from tfaudit.runs.reviews.model import Unanswered

if TYPE_CHECKING:
    import urllib3

LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))
MAX_BODY: Final = 8 << 20
MAX_PAGES: Final = 20
MAX_REDIRECTS: Final = 3
MAX_TRIES: Final = 3
MAX_WAIT_SECONDS: Final = 10.0
_SAID: Final = {
    401: "the token is not accepted",
    403: "the token may not read it",
    404: "it is not there, or the token may not see it",
}


@dataclass(slots=True, kw_only=True)
class Client:
    """Asks one API."""

    base: str
    """Its URL, without a slash at the end."""
    headers: Mapping[str, str]
    environ: Mapping[str, str]
    """Proxies are named there."""
    seconds: float = 30.0
    """How long the platform may take altogether."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _until: float = field(init=False)
    _pool: urllib3.PoolManager | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base)
        except ValueError as error:
            raise Unanswered("the address of the platform's API is none") from error
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            raise Unanswered("the address of the platform's API is not https")
        self._until = self.clock() + self.seconds

    def get(self, path: str, **query: str | int) -> object:
        """Return the JSON at ``path``; :class:`Unanswered` says why there is none."""
        return self._answer(self._url(path, query), path)[0]

    def pages(self, path: str, **query: str | int) -> list[object]:
        """Return the array at ``path``, all pages of it, by the links that the API gives."""
        found: list[object] = []
        url: str | None = self._url(path, {**query, "per_page": 100})
        for _ in range(MAX_PAGES):
            page, url = self._answer(url or "", path)
            if not isinstance(page, list):
                raise Unanswered(f"{path} gives no list")
            found += page
            if url is None:
                return found
        raise Unanswered(f"{path} has more than {MAX_PAGES} pages")

    def _url(self, path: str, query: Mapping[str, str | int]) -> str:
        return f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")

    def _answer(self, url: str, path: str) -> tuple[object, str | None]:
        """Return the JSON at ``url`` and the address of the next page."""
        redirects = tries = 0
        while True:
            status, headers, body = self._ask(url, path)
            if status in (301, 302, 307, 308) and redirects < MAX_REDIRECTS:
                redirects += 1
                url = self._same_host(urljoin(url, headers.get("location", "")), path)
                continue
            wait = _wait(status, headers, body)
            if wait is not None and tries + 1 < MAX_TRIES and wait <= min(MAX_WAIT_SECONDS, self._until - self.clock()):
                tries += 1
                self.sleep(wait)
                continue
            if wait is not None:
                raise Unanswered(f"{path}: too many requests for now")
            if status != 200:
                raise Unanswered(f"{path}: {_SAID.get(status, f'status {status}')}")
            try:
                return json.loads(body), self._next(headers, path)
            except (ValueError, RecursionError) as error:
                raise Unanswered(f"{path} gives no JSON") from error

    def _ask(self, url: str, path: str) -> tuple[int, Mapping[str, str], bytes]:
        import urllib3

        left = self._until - self.clock()
        if left <= 0:
            raise Unanswered(f"{path}: no answer within {self.seconds:.0f} seconds")
        try:
            response = self._manager().request(
                "GET",
                url,
                headers={**self.headers, "Accept-Encoding": "identity", "User-Agent": "tfaudit"},
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(5.0, left), read=min(10.0, left)),
                preload_content=False,
            )
            with closing(response):
                body = self._read(response, path)
                # Read to its end, so the connection can be used again; until then closing ends it.
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # A ValueError is about a header or an address: its text would show the token.
            raise Unanswered(f"{path}: no answer ({type(error).__name__})") from error
        return response.status, {name.lower(): value for name, value in response.headers.items()}, body

    def _read(self, response: urllib3.BaseHTTPResponse, path: str) -> bytes:
        """Return the body, unless it is too large or comes too slowly: each chunk is what one read of the net gave."""
        body = bytearray()
        while chunk := response.read1(1 << 16, decode_content=False):
            body += chunk
            if len(body) > MAX_BODY:
                raise Unanswered(f"{path} is larger than {MAX_BODY >> 20} MiB")
            if self.clock() > self._until:
                raise Unanswered(f"{path}: no answer within {self.seconds:.0f} seconds")
        return bytes(body)

    def _manager(self) -> urllib3.PoolManager:
        import urllib3

        if self._pool is None:
            proxy = self._proxy()
            self._pool = (
                urllib3.ProxyManager(proxy, cert_reqs="CERT_REQUIRED")
                if proxy
                else urllib3.PoolManager(cert_reqs="CERT_REQUIRED")
            )
        return self._pool

    def _proxy(self) -> str | None:
        host = urlsplit(self.base).hostname or ""
        named = self.environ.get("HTTPS_PROXY") or self.environ.get("https_proxy")
        spared = self.environ.get("NO_PROXY") or self.environ.get("no_proxy") or ""
        return None if host in LOOPBACK or _is_spared(host, spared) else named

    def _next(self, headers: Mapping[str, str], path: str) -> str | None:
        """Return the next page's address by RFC 8288's ``Link`` header."""
        for link in headers.get("link", "").split(","):
            address, _, parameters = link.partition(";")
            if 'rel="next"' in parameters:
                return self._same_host(address.strip().removeprefix("<").removesuffix(">"), path)
        return None

    def _same_host(self, url: str, path: str) -> str:
        """The token goes nowhere else."""
        there, here = urlsplit(url), urlsplit(self.base)
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise Unanswered(f"{path} leads to another host")
        return url


def _is_spared(host: str, spared: str) -> bool:
    domains = [domain.strip().lstrip("*").lstrip(".") for domain in spared.split(",")]
    return spared.strip() == "*" or any(host == each or host.endswith(f".{each}") for each in domains if each)


def _wait(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Return how many seconds to wait before asking again; None where the answer is no rate limit.

    By GitHub's rules (docs.github.com, "Rate limits for the REST API"): 403 or 429 with ``retry-after``, or with
    ``x-ratelimit-remaining: 0``, or with words about a secondary limit; else a minute. GitLab sends 429.
    """
    if status not in (403, 429):
        return None
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdigit():
        return float(after[:9])
    if status == 429 or headers.get("x-ratelimit-remaining") == "0" or b"secondary rate limit" in body:
        return 60.0
    return None
