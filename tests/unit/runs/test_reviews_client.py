"""A platform that is slow, silent or endless costs a run a limited time."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from tfaudit.runs.reviews.client import Client
from tfaudit.runs.reviews.model import Unanswered


@contextmanager
def answering(*chunks, every=0.0):
    """Listen on loopback and send each caller ``chunks``, one after the other; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(65536)
                    for chunk in chunks:
                        if over.wait(every):
                            return
                        try:
                            caller.sendall(chunk)
                        except OSError:
                            break
                    if every:
                        over.wait(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


def client(address, seconds=0.4):
    """Return a client that is in a hurry."""
    return Client(base=address, headers={"Authorization": "Bearer canary"}, environ={}, seconds=seconds)


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (b"HTTP/1.1 200 OK\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" "] * 1000),
    ],
    ids=["silent", "half a header", "a byte at a time"],
)
def test_who_is_slow_is_left(chunks):
    """Neither silence nor a trickle holds the run for longer than the limit, give or take one read."""
    with answering(*chunks, every=0.05) as address:
        started = time.monotonic()
        with pytest.raises(Unanswered, match="no answer"):
            client(address).get("/x")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("answer", [b"", b"HTTP", b"\0" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_what_is_not_http(answer):
    """Anything that isn't HTTP, or breaks off, is no answer, and the token is not in what is said."""
    with answering(answer) as address, pytest.raises(Unanswered, match="no answer") as refused:
        client(address, seconds=5).get("/x")
    assert "canary" not in str(refused.value)


def test_pages_without_end():
    """A list whose every page has a next one is given up."""
    body = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nLink: <%s/x?page=2>; rel="next"\r\n\r\n[]'
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def serve():
            for _ in range(20):
                caller, _ = listening.accept()
                with caller:
                    caller.recv(65536)
                    caller.sendall(body % address.encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(Unanswered, match="more than 20 pages"):
            client(address, seconds=20).pages("/x")
        thread.join()


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"https_proxy": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "localhost, .example.org"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "ample.org"}, "http://proxy.example:3128"),
    ],
)
def test_a_proxy_is_gone_through(environ, proxy):
    """The usual variables name a proxy, and the hosts that need none."""
    made = Client(base="https://api.example.org", headers={}, environ=environ)
    assert made._proxy() == proxy
