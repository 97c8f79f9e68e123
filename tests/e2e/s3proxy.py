"""A proxy before an S3 endpoint on loopback that loses, refuses or delays what a test wants it to."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Verdict = str | None
"""None: pass on; ``cut``: no answer; ``lost``: passed on, no answer; else S3's error, as ``STATUS CODE``."""


class Proxy:
    """The proxy's address, and what it has seen."""

    def __init__(self, address: str, judge: Callable[[str, str], Verdict]) -> None:
        self.address = address
        self.judge = judge
        self.seen: list[tuple[str, str, Verdict]] = []


@contextmanager
def proxy(upstream: str, judge: Callable[[str, str], Verdict]) -> Iterator[Proxy]:
    """Give a proxy that asks ``judge(method, path)`` about each request."""
    target = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            verdict = running.judge(self.command, self.path)
            running.seen.append((self.command, self.path, verdict))
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if verdict == "cut":
                return
            if verdict not in (None, "lost"):
                self.refuse(*verdict.split())
                return
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            # The signature covers the host, which the emulator does not check.
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if verdict == "lost":
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.finish_with(content, answer.getheader("Content-Length"))

        def refuse(self, status: str, code: str) -> None:
            self.send_response(int(status))
            self.send_header("Content-Type", "application/xml")
            self.finish_with(f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode(), None)

        def finish_with(self, content: bytes, length: str | None) -> None:
            head = self.command == "HEAD"
            self.send_header("Content-Length", length if head and length else str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            if not head:
                self.wfile.write(content)

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            return True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = Proxy(f"http://127.0.0.1:{server.server_address[1]}", judge)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
