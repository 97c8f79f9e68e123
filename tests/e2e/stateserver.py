"""A state server for the engine's `http` backend, with a password, on 127.0.0.1."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(200 if self.server.state else 404, self.server.state)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._answer(200, b""):
            self.server.state = body

    def do_LOCK(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, b"")

    do_UNLOCK = do_LOCK

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is not the place for requests."""

    def _answer(self, status: int, body: bytes) -> bool:
        allowed = self.headers.get("Authorization") == self.server.authorization
        self.send_response(status if allowed else 401)
        self.send_header("Content-Length", str(len(body) if allowed else 0))
        self.end_headers()
        if allowed:
            self.wfile.write(body)
        return allowed


class _Server(ThreadingHTTPServer):
    state = b""
    authorization = ""


@contextmanager
def state_server(username: str, password: str) -> Iterator[str]:
    """Give the address of a server that keeps one state for whoever knows the password."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.authorization = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
