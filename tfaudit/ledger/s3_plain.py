"""How are the plain requests of a run sent without the AWS SDK, whose loading takes longer than all of them together?

Only where all is plain: keys in the environment, no profile or proxy, no file that says more of what is not named, a
region of the public AWS or an endpoint of its own; and only what :mod:`tfaudit.ledger.s3_wire` knows. The first answer
that nobody expects, or none at all, ends that: the SDK sends this request again and all that follow, and knows what to
do about expired credentials, other regions, throttling and networks that fail.
"""

from __future__ import annotations

import os
import re
import select
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tfaudit import __version__
from tfaudit.ledger import s3_wire
from tfaudit.ledger.s3_objects import Body
from tfaudit.ledger.s3_signing import Credentials, path_of, query_of, sign

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping
    from http.client import HTTPResponse

    from tfaudit.config import S3Settings

LARGE: Final = 1 << 20
"""Larger bodies are the SDK's: it asks whether they are wanted before it sends them."""
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 20
_IDLE_SECONDS: Final = 10
"""How long a connection may have waited; a store closes them sooner or later, and says so only to the next request."""
_KEPT: Final = 16
_PUBLIC: Final = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[1-9]")
"""Regions whose hosts are all named in the same way."""
_HOST_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Buckets that can be part of a host's name: one with a dot has no certificate."""
_SPECIAL_BUCKET: Final = re.compile(r".*--.*|.*-s3alias|sthree-.*|arn")
"""Names of what is no general purpose bucket: directories, access points and others, which have hosts of their own."""
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ENDPOINT: Final = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?/?")
_REGION: Final = re.compile(r"(?!.*fips)(?!.*-global)[a-z0-9-]{1,63}")
"""Regions that the SDK takes for what they are called."""
_WORD: Final = re.compile(r"[!-~]+")
_KNOWN: Final = frozenset(
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"}
    | {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED", "AWS_PAGER", "AWS_DEFAULT_OUTPUT"}
    # Keys in the environment come before a role that could be assumed.
    | {"AWS_CA_BUNDLE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_EXECUTION_ENV"}
)
"""What is understood of the SDK's variables: where another one is set, be it to nothing, the SDK is asked."""
_MUST_SAY: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
"""Variables that the SDK refuses where they are empty."""
_FILES: Final = (".aws/config", ".aws/credentials")
_EVERYBODYS: Final = ("default", "plugins")
"""What their sections are called that hold where no profile is named."""
_EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How requests get to a store."""

    credentials: Credentials = field(repr=False)
    endpoint: str | None
    """As ``https://host:port``; None for AWS itself."""
    authorities: str | None
    """The file with those whose certificates are trusted; None for what the SDK trusts by itself."""

    @classmethod
    def of(cls, settings: S3Settings, environ: Mapping[str, str], home: Path) -> Way | None:
        """Return the way that is plain from what is set, or None: ``home`` is where the SDK has its files."""
        if settings.profile is not None or settings.endpoint_url == "" or not _is_plain(environ, home):
            return None
        region = settings.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
        endpoint = settings.endpoint_url or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        token = environ.get("AWS_SESSION_TOKEN")
        if not region or not access or not secret or not all(map(_WORD.fullmatch, (access, secret, token or "-"))):
            return None
        if not (_PUBLIC if endpoint is None else _REGION).fullmatch(region):
            return None
        if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
            return None
        return cls(
            credentials=Credentials(access_key=access, secret_key=secret, token=token or None, region=region),
            endpoint=endpoint.rstrip("/") if endpoint else None,
            authorities=environ.get("AWS_CA_BUNDLE") or environ.get("REQUESTS_CA_BUNDLE") or None,
        )

    def base(self, bucket: str) -> str | None:
        """Return scheme and host for a bucket, which the host's name says only at AWS; None where that is not plain.

        As the SDK does: the first region's host is the one without a region.
        """
        if _SPECIAL_BUCKET.fullmatch(bucket):
            return None
        if self.endpoint is not None:
            return self.endpoint
        if not _HOST_BUCKET.fullmatch(bucket):
            return None
        region = "" if self.credentials.region == "us-east-1" else f".{self.credentials.region}"
        return f"https://{bucket}.s3{region}.amazonaws.com"


def _is_plain(environ: Mapping[str, str], home: Path) -> bool:
    for name, value in environ.items():
        if name.startswith(("AWS_", "BOTO")) and name not in _KNOWN and not _is_others(name):
            return False
        if not value and name in _MUST_SAY:
            return False
        if value and name.lower().endswith("_proxy") and name.lower() != "no_proxy":
            return False
    return not any(_says_more(home / name) for name in _FILES)


def _says_more(file: Path) -> bool:
    """Whether one of the SDK's files says something where no profile is named, or can't be read as the SDK reads it."""
    if not os.path.isfile(file):  # noqa: PTH113 - as the SDK asks: False also where one may not look
        return False
    from configparser import Error, RawConfigParser

    parser = RawConfigParser(default_section="")
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, Error):
        return True
    return any(word in section for section in parser.sections() for word in _EVERYBODYS)


def _is_others(name: str) -> bool:
    """Whether a variable is about another service's endpoint."""
    return name.startswith("AWS_ENDPOINT_URL_")


class Plain:
    """Sends requests over connections that are kept; to be used by any number of threads of one process."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.failed = False
        """Whether an answer was not plain, so that the SDK is to be asked from now on."""
        self._idle: dict[str, deque[tuple[float, HTTPConnection]]] = {}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def send(
        self, operation: str, parameters: Mapping[str, Any], expected: Collection[str]
    ) -> tuple[str | None, Mapping[str, Any]] | None:
        """Send a request and return its error's code, if that is ``expected``, and the answer, as botocore has it.

        None where the SDK has to be asked; with :attr:`failed` this request may have been carried out.
        """
        base, content = self.way.base(parameters["Bucket"]), parameters.get("Body")
        small = content is None or (isinstance(content, Body) and content.size <= LARGE)
        if base is None or not small:
            return None
        sent = s3_wire.request(operation, parameters)
        if sent is None:
            return None
        try:
            response, connection = self._exchange(base, sent, parameters["Bucket"] if self.way.endpoint else None)
            found = self._answer(operation, base, response, connection, expected)
        except (OSError, HTTPException, ValueError):
            found = None
        if found is None:
            self.failed = True
        return found

    def _exchange(self, base: str, sent: s3_wire.Sent, bucket: str | None) -> tuple[HTTPResponse, HTTPConnection]:
        parts = [part for part in (bucket, sent.key) if part is not None]
        path, query = path_of(*parts), query_of(sent.query)
        headers = sign(
            self.way.credentials,
            method=sent.method,
            path=path,
            query=query,
            headers={"Host": host_of(base), **sent.headers},
            payload=sent.body.digest.hex() if sent.body is not None else _EMPTY,
            now=datetime.now(UTC),
        )
        headers["User-Agent"] = f"tfaudit/{__version__}"
        connection = self._take(base) or self._open(base)
        try:
            content = None if sent.body is None else sent.body.whole()
            connection.request(sent.method, f"{path}?{query}" if query else path, content, headers)
            return connection.getresponse(), connection
        except BaseException:
            connection.close()
            raise

    def _answer(
        self,
        operation: str,
        base: str,
        response: HTTPResponse,
        connection: HTTPConnection,
        expected: Collection[str],
    ) -> tuple[str | None, Mapping[str, Any]] | None:
        if not 200 <= response.status < 500:
            # There may be more to come on this connection; or it is to be tried again, whatever the code.
            connection.close()
            return None
        headers = {name.lower(): value for name, value in response.getheaders()}
        known = {"ResponseMetadata": {"HTTPStatusCode": response.status, "HTTPHeaders": headers}}
        incoming = Incoming(response, connection, lambda: self._keep(base, connection))
        if response.status in (200, 204, 206):
            if operation == "get_object":
                return None, {**known, **s3_wire.about(headers), "Body": incoming}
            content = incoming.read()
            if operation.startswith("list_"):
                return None, {**known, **s3_wire.listing(content)}
            s3_wire.must_be_no_error(content)
            return None, {**known, **s3_wire.about(headers)}
        code = s3_wire.error_code(incoming.read(), response.status)
        return (code, {**known, "Error": {"Code": code}}) if code in expected else None

    def _open(self, base: str) -> HTTPConnection:
        where = urlsplit(base)
        if where.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(
                where.hostname or "", where.port, timeout=CONNECT_SECONDS, context=self._trusted()
            )
        else:
            connection = HTTPConnection(where.hostname or "", where.port, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection

    def _trusted(self) -> ssl.SSLContext:
        """Return what checks certificates, by the same authorities that the SDK trusts."""
        import ssl

        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context(cafile=self.way.authorities or _authorities())
            return self._context

    def _take(self, base: str) -> HTTPConnection | None:
        idle = self._idle.get(base)
        while idle:
            try:
                since, connection = idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _IDLE_SECONDS and not _is_closed(connection):
                return connection
            connection.close()
        return None

    def _keep(self, base: str, connection: HTTPConnection) -> None:
        idle = self._idle.setdefault(base, deque())
        if len(idle) < _KEPT and connection.sock is not None:
            idle.append((time.monotonic(), connection))
        else:
            connection.close()


class Incoming:
    """An answer's body as it comes in; its connection is kept for others once all is read. Errors are OSErrors."""

    def __init__(self, response: HTTPResponse, connection: HTTPConnection, keep: Callable[[], None]) -> None:
        self._response = response
        self._connection = connection
        self._keep = keep
        self._over = False
        self._end()

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, at most ``size`` of them, or all that are left."""
        try:
            part = self._response.read(size)
        except HTTPException as error:
            self.close()
            raise ConnectionError("the answer breaks off") from error
        except OSError:
            self.close()
            raise
        self._end()
        return part

    def close(self) -> None:
        """Let the connection go; one with bytes yet to come is of no use to others."""
        if not self._over:
            self._over = True
            self._response.close()
            self._connection.close()

    def _end(self) -> None:
        if not self._over and self._response.isclosed():
            if self._response.length:
                # The other side hung up before the end.
                self.close()
            else:
                self._over = True
                self._keep()


def host_of(base: str) -> str:
    """Return the host as a request names it: in lower case, with its port where that is not the scheme's own."""
    where = urlsplit(base)
    port = "" if where.port in (None, 443 if where.scheme == "https" else 80) else f":{where.port}"
    return f"{where.hostname}{port}"


def _is_closed(connection: HTTPConnection) -> bool:
    """Whether the other side has hung up: nothing else can have come on a connection that waits."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _authorities() -> str:
    for package in ("certifi", "botocore"):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found = Path(spec.origin).with_name("cacert.pem")
            if found.is_file():
                return str(found)
    raise ValueError("there is no list of certificate authorities")


def way_now(settings: S3Settings) -> Way | None:
    """Return the plain way from this process's environment, None where there is none."""
    if sys.platform in ("darwin", "win32"):
        from urllib.request import getproxies

        if getproxies():
            # The system has settings of its own.
            return None
    # Not Path.expanduser, which fails for a user without a home.
    return Way.of(settings, os.environ, Path(os.path.expanduser("~")))  # noqa: PTH111
