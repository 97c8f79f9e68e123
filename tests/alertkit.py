"""What the tests of alerts stand on: a chat's incoming webhook and other receivers, over real HTTP on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class Receiver:
    """Takes what is posted to it; ``status`` is what it answers, ``delay`` the seconds it takes."""

    port: int = 0
    status: int = 200
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[str, Any, float]] = field(default_factory=list)
    """Path, body and time of arrival."""

    def url(self, scheme: str = "http", path: str = "/hook/T0KEN-of-the-receiver") -> str:
        """Return a target's URL, with a token in its path as incoming webhooks have it."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    @property
    def bodies(self) -> list[Any]:
        """What came, oldest first."""
        return [body for _, body, _ in self.got]

    def wait(self, count: int = 1, seconds: float = 20.0) -> list[Any]:
        """Return what came, as soon as there is so much of it."""
        end = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.02)
        return self.bodies


@contextmanager
def receiver(**settings: Any) -> Iterator[Receiver]:
    """Give a receiver on a free port of 127.0.0.1."""
    found = Receiver(**settings)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            time.sleep(found.delay)
            try:
                body = json.loads(raw)
            except ValueError:
                body = raw.decode(errors="replace")
            found.got.append((self.path, body, time.time()))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
