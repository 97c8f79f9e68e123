"""Strict small copies of the platforms' documented APIs, on loopback: what they would refuse is refused."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "tok-canary-0123456789"
JOB_TOKEN = "job-canary-0123456789"


@dataclass
class Fault:
    """What a request gets in place of its answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message":"no"}'
    times: int = 1_000_000


class Refused(Exception):
    """The request is not one that the API takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Platform:
    """One API: what it holds, what it was asked, what goes wrong."""

    kind: str
    prefix: str
    documents: dict[str, Any] = field(default_factory=dict)
    """By path: a list is paged, anything else is one answer."""
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""
    host: str = ""

    def answer(self, target: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a GET of ``target``."""
        split = urlsplit(target)
        path = split.path.removeprefix(self.prefix) if split.path.startswith(self.prefix) else f"?{split.path}"
        self.asked.append(path)
        try:
            self._admit(path, headers)
            fault = self.faults.get(path)
            if fault is not None and fault.times > 0:
                fault.times -= 1
                return fault.status, fault.headers, fault.body
            query = {
                name: values[-1] for name, values in parse_qs(split.query, strict_parsing=bool(split.query)).items()
            }
            return self._page(path, query)
        except Refused as refused:
            return refused.status, {}, json.dumps({"message": str(refused)}).encode()

    def _admit(self, path: str, headers: Any) -> None:
        getattr(self, f"_admit_{self.kind}")(path, headers)

    def _admit_github(self, _path: str, headers: Any) -> None:
        if not headers["User-Agent"]:
            raise Refused(403, "Request forbidden by administrative rules")
        if headers["Accept"] != "application/vnd.github+json" or headers["X-GitHub-Api-Version"] != "2022-11-28":
            raise Refused(400, "not a version that is known")
        if headers["Authorization"] != f"Bearer {TOKEN}":
            raise Refused(401, "Bad credentials")

    def _admit_gitlab(self, path: str, headers: Any) -> None:
        if headers["JOB-TOKEN"] == JOB_TOKEN:
            # The endpoints that a job's token reaches, of those that tfaudit asks.
            if re.fullmatch(r"/projects/\d+/deployments(/\d+)?", path):
                return
            raise Refused(401, "401 Unauthorized")
        if headers["PRIVATE-TOKEN"] != TOKEN:
            raise Refused(401, "401 Unauthorized")

    def _admit_env0(self, _path: str, headers: Any) -> None:
        if headers["Authorization"] != "Basic " + base64.b64encode(f"key:{TOKEN}".encode()).decode():
            raise Refused(401, "Unauthorized")

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        found = self.documents.get(path)
        if found is None:
            raise Refused(404, "Not Found")
        if not isinstance(found, list) or path.endswith("/approvals"):
            return 200, {}, json.dumps(found).encode()
        size, number = int(query.get("per_page", 30 if self.kind == "github" else 20)), int(query.get("page", 1))
        if not 1 <= size <= 100 or number < 1:
            raise Refused(400, "per_page does not have a valid value")
        headers = {}
        if number * size < len(found):
            others = "&".join(f"{name}={value}" for name, value in query.items() if name not in ("page", "per_page"))
            following = f"{self.address}{path}?per_page={size}&page={number + 1}" + (f"&{others}" if others else "")
            headers["Link"] = f'<{self.address}{path}?page=1>; rel="first", <{following}>; rel="next"'
        return 200, headers, json.dumps(found[(number - 1) * size : number * size]).encode()


@contextmanager
def serving(platform: Platform) -> Iterator[Platform]:
    """Serve ``platform`` on a free port of 127.0.0.1 for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, headers, body = platform.answer(self.path, self.headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    platform.host = f"http://127.0.0.1:{server.server_port}"
    platform.address = platform.host + platform.prefix
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
