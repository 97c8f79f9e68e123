"""What does a process ask of AWS, and would the module's policies have let it? A proxy that keeps every request.

The emulator allows everything. So each request is written down as the actions, resources and context that AWS makes of
it, for the tests to ask the policies themselves.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

VIA = "s3.eu-west-1.amazonaws.com"
OF_BUCKET = {
    "list-type": "ListBucket",
    "object-lock": "GetBucketObjectLockConfiguration",
    "policy": "GetBucketPolicy",
    "versioning": "GetBucketVersioning",
    "versions": "ListBucketVersions",
}
OF_OBJECT = {("GET", "retention"): "GetObjectRetention", ("PUT", "retention"): "PutObjectRetention"}
OF_OBJECT |= {("PUT", "legal-hold"): "PutObjectLegalHold"}
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
PLAIN = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


class Asked(NamedTuple):
    """One permission that a request needs."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


class Sent(NamedTuple):
    """One request, as it came."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def proxy(endpoint: str, forbidden: Callable[[Sent], bool] = lambda _: False) -> Iterator[tuple[str, list[Sent]]]:
    """Give the address of a proxy to ``endpoint`` on loopback, and the list that its requests go into.

    What is ``forbidden`` is answered as AWS answers what no policy allows, and not passed on.
    """
    there = urlsplit(endpoint)
    sent: list[Sent] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            request = Sent(self.command, self.path, headers, body)
            sent.append(request)
            if forbidden(request):
                self._refuse(kms="x-amz-target" in headers)
                return
            connection = http.client.HTTPConnection(there.hostname, there.port, timeout=60)
            headers = {
                name: text for name, text in self.headers.items() if name.lower() not in ("expect", "connection")
            }
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, text in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, text)
            size = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", size or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def _refuse(self, *, kms: bool) -> None:
            content = b'{"__type":"AccessDeniedException"}' if kms else DENIED
            self.send_response_only(400 if kms else 403)
            self.send_header("Content-Type", "application/x-amz-json-1.1" if kms else "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(request: Sent, encrypted: dict[str, str]) -> list[Asked]:
    """Return the permissions that a request needs; ``encrypted`` are the keys by bucket. ValueError for any other."""
    target = request.headers.get("x-amz-target", "")
    if target.startswith("TrentService."):
        return [Asked(f"kms:{target.partition('.')[2]}", json.loads(request.body)["KeyId"])]
    url = urlsplit(request.url)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if bucket not in encrypted:
        raise ValueError(f"{request.method} {request.url}")
    if not key:
        if request.method == "HEAD":
            return [Asked("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
        (action,) = (action for name, action in OF_BUCKET.items() if name in query)
        return [Asked(f"s3:{action}", f"arn:aws:s3:::{bucket}")]
    return list(_of_object(request, query, f"arn:aws:s3:::{bucket}", key, encrypted[bucket]))


def _of_object(request: Sent, query: dict[str, str], bucket: str, key: str, encryption: str) -> Iterator[Asked]:
    resource = f"{bucket}/{key}"
    context = _context(request)
    for (method, name), action in OF_OBJECT.items():
        if request.method == method and name in query:
            yield Asked(f"s3:{action}", resource, context)
            return
    plain = PLAIN[request.method]
    versioned = "Version" if "versionId" in query and plain != "PutObject" else ""
    yield Asked(f"s3:{plain}{versioned}", resource, context)
    if request.method == "PUT" and "x-amz-object-lock-mode" in request.headers:
        yield Asked("s3:PutObjectRetention", resource, context)
    if request.method in ("GET", "HEAD", "PUT"):
        use = "GenerateDataKey" if request.method == "PUT" else "Decrypt"
        yield Asked(f"kms:{use}", encryption, (("kms:ViaService", VIA), ("kms:EncryptionContext:aws:s3:arn", bucket)))


def _context(request: Sent) -> tuple[tuple[str, str], ...]:
    found = {f"s3:{name}": text for name, text in request.headers.items() if name.startswith("x-amz-server-side")}
    if request.method == "PUT" and "?" not in request.url:
        found["s3:ObjectCreationOperation"] = "true"
    if "if-none-match" in request.headers:
        found["s3:if-none-match"] = request.headers["if-none-match"]
    # A lock comes in headers with an object, and in a document for an object that is there.
    lock = (request.headers.get("x-amz-object-lock-mode"), request.headers.get("x-amz-object-lock-retain-until-date"))
    if document := re.search(rb"<Retention.*<Mode>(.*)</Mode><RetainUntilDate>(.*)</RetainUntilDate>", request.body):
        lock = (document[1].decode(), document[2].decode())
    if lock[0] and lock[1]:
        found["s3:object-lock-mode"] = lock[0]
        left = datetime.fromisoformat(lock[1]) - datetime.now(UTC)
        found["s3:object-lock-remaining-retention-days"] = str(left.days)
    return tuple(found.items())
