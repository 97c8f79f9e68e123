"""A syslog receiver on loopback that takes nothing that RFC 5424 and 5425 don't allow; it can misbehave itself."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

Ending = Literal["close_notify", "no close_notify", "at once", "unread", "after some", "speaks", "never"]
"""How a connection ends: in order; in order but for TLS; before a byte is read; with bytes unread; in the middle of a
frame; with an answer; only when the client goes."""

_MESSAGE = re.compile(
    rb"<(?P<priority>0|[1-9][0-9]{0,2})>1 "
    rb"(?P<time>[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    rb"(?:Z|[+-][0-2][0-9]:[0-5][0-9])) "
    rb"(?P<host>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48}) (?P<process>[\x21-\x7e]{1,128}) "
    rb"(?P<kind>[\x21-\x7e]{1,32}) "
    rb"(?P<data>-|(?:\[[^\[\] =\"]{1,32}"
    rb"(?: [\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*\])+)"
    rb"(?: (?P<text>.*))?",
    re.DOTALL,
)
_PARAM = re.compile(rb" ([^ =]+)=\"((?:[^\"\\\]]|\\[\"\\\]])*)\"")
_BOM = b"\xef\xbb\xbf"
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as the receiver understood it."""

    priority: int
    time: str
    host: str
    app: str
    kind: str
    params: dict[str, str]
    text: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON that the text is."""
        return json.loads(self.text)


def parse(content: bytes) -> Message:
    """Return the message; ValueError for whatever RFC 5424 has not."""
    found = _MESSAGE.fullmatch(content)
    if found is None:
        raise ValueError(f"no RFC 5424 message: {content[:200]!r}")
    if int(found["priority"]) > 191:
        raise ValueError("the priority is above 191")
    if re.search(rb"[\x00-\x1f]", found["data"]):
        raise ValueError("a control character in the structured data")
    text = found["text"] or b""
    if text.startswith(_BOM):
        text = text.removeprefix(_BOM)
    elif not text.isascii():
        raise ValueError("text beyond ASCII without a byte order mark")
    params = {
        name.decode("ascii"): re.sub(rb"\\([\"\\\]])", rb"\1", value).decode()
        for name, value in _PARAM.findall(found["data"])
    }
    return Message(
        priority=int(found["priority"]),
        time=found["time"].decode(),
        host=found["host"].decode(),
        app=found["app"].decode(),
        kind=found["kind"].decode(),
        params=params,
        text=text.decode(),
    )


def frames(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the messages of whole frames, and what is left; ValueError for what is no frame."""
    found = []
    while True:
        length = re.match(rb"([1-9][0-9]{0,9}) ", content)
        if length is None:
            if content and not re.fullmatch(rb"[1-9][0-9]{0,9}", content):
                raise ValueError(f"no frame: {content[:50]!r}")
            return found, content
        size = int(length[1])
        if size > _LONGEST:
            raise ValueError("a frame is too long")
        if len(content) < length.end() + size:
            return found, content
        found.append(content[length.end() : length.end() + size])
        content = content[length.end() + size :]


@dataclass(kw_only=True)
class Receiver:
    """What a receiver got, and how it behaves."""

    port: int
    ending: Ending = "close_notify"
    received: bytes = b""
    """Every byte, as TLS gave it."""
    messages: list[Message] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    connections: int = 0
    peers: list[str] = field(default_factory=list)
    """The subject of each client's certificate."""


@contextlib.contextmanager
def receiver(
    authority: Authority | None, *, ending: Ending = "close_notify", mutual: bool = False, host: str = "localhost"
) -> Iterator[Receiver]:
    """Give a receiver with TLS, or without where there is no ``authority``; ``mutual``: it wants a certificate."""
    context = None
    if authority is not None:
        context = authority.server(host, mutual=mutual)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        state = Receiver(port=listening.getsockname()[1], ending=ending)
        over = threading.Event()
        threads = [threading.Thread(target=_accept, args=(listening, context, state, over), daemon=True)]
        threads[0].start()
        try:
            yield state
        finally:
            over.set()
            threads[0].join(10)


def _accept(listening: socket.socket, context: ssl.SSLContext | None, state: Receiver, over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        state.connections += 1
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            _serve(connection, context, state, over)


def _serve(connection: socket.socket, context: ssl.SSLContext | None, state: Receiver, over: threading.Event) -> None:
    if context is not None:
        connection = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
        certificate = connection.getpeercert()
        if certificate:
            state.peers.append(dict(pair[0] for pair in certificate["subject"])["commonName"])
    with connection:
        match state.ending:
            case "at once":
                return
            case "unread":
                # As syslog-ng does with what it can't read: the end of its side first, the reset by the close.
                over.wait(0.3)
                connection.shutdown(socket.SHUT_RDWR)
                return
            case "never":
                over.wait(10)
                return
        rest = b""
        while content := connection.recv(65_536):
            state.received += content
            rest = _take(rest + content, state)
            if state.ending == "after some":
                return
            if state.ending == "speaks":
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        if rest:
            state.mistakes.append("the end came in the middle of a frame")
        if isinstance(connection, ssl.SSLSocket) and state.ending == "close_notify":
            connection.unwrap()


def _take(content: bytes, state: Receiver) -> bytes:
    try:
        whole, rest = frames(content)
        state.messages += [parse(each) for each in whole]
    except ValueError as error:
        state.mistakes.append(str(error))
        return b""
    return rest


class Authority:
    """A certificate authority of a test, in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(name, self._key.public_key(), authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._certificate))

    def issue(self, name: str, *, days: int = 1, password: bytes | None = None) -> tuple[Path, Path]:
        """Return the files of a certificate for ``name``, valid from a week ago for so many days on, and of its key."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key.public_key(), days=days)
        cert_file, key_file = (self._folder / f"{self._name}-{name}.{kind}" for kind in ("pem", "key"))
        cert_file.write_bytes(_pem(certificate))
        closed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed))
        key_file.chmod(0o600)
        return cert_file, key_file

    def server(self, name: str, *, mutual: bool = False) -> ssl.SSLContext:
        """Return the context of a server of that name; ``mutual``: that takes only clients of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name))
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def _signed(self, name: str, public: Any, *, days: int = 1, authority: bool = False) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import NameOID

        now = datetime.now(UTC)
        try:
            alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        issuer = self._name if not authority else name
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=7))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)
