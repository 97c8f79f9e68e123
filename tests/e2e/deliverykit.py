"""What the tests of delivery share: a receiver of webhooks on loopback that does as it is told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tfaudit import schema

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CONFIGURATION = """
variable "value" {
  default = "one"
}
resource "terraform_data" "it" {
  count = 3
  input = "${var.value}-${count.index}"
}
"""


def take(_number: int) -> str:
    """Let a receiver take every request."""
    return "take"


@dataclass
class Receiver:
    """What came to it: ``events`` are those that it took, whether or not the sender ever learnt of it."""

    address: str = ""
    fate: Callable[[int], str] = take
    """What becomes of a request: ``take``, ``busy`` (503), ``lose`` (taken, and no answer), ``hang``, ``refuse``."""
    events: list[dict] = field(default_factory=list)
    requests: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def documents(self) -> list[dict]:
        """The documents, in the order in which they came; each is held against its schema."""
        found = [event["data"] for event in self.events]
        validator = schema.validator("delivered-document.v1")
        for document in found:
            validator.validate(document)
        return found

    @property
    def ids(self) -> list[str]:
        """The ids of the documents, in the order in which they came."""
        return [document["id"] for document in self.documents]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve a receiver on loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.lock:
                receiver.requests += 1
                fate = receiver.fate(receiver.requests)
                if fate in ("take", "lose"):
                    read = json.loads(body)
                    receiver.events += read if isinstance(read, list) else [read]
            if fate == "hang":
                receiver.over.wait(60)
            if fate in ("lose", "hang"):
                self.close_connection = True
                return
            self.send_response({"take": 204, "busy": 503, "refuse": 400}[fate])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        receiver.over.set()
        server.shutdown()


def sink(name: str, receiver: Receiver, **keys: object) -> str:
    """Return the TOML of a sink that sends to a receiver."""
    members = {"name": name, "url": f"webhook:http://{receiver.address}/", "secret": "env:HOOK", **keys}
    return "\n[[sink]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in members.items())
