"""Has a syslog receiver taken what was sent to it? Syslog has no answer: the end of the connection is all there is.

Everything is sent, then the end of it: TLS' close_notify, or the end of the stream. A receiver that has read up to
there answers with its own close_notify (RFC 5425, 4.4), or at least ends the connection in order. One that closes with
bytes unread makes its kernel reset the connection instead, and one that closes before they arrive leaves them
unacknowledged: neither is taken for an end in order. In clear, on one machine, a receiver that shuts down its side with
bytes unread, just while we end ours, can't be told from one that has read them.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tfaudit.sinks.https import certificate_hint

End = Literal["close_notify", "end of stream"]
"""How the receiver said that it has read everything; only the first can't be forged on the way."""

CONNECT_SECONDS: Final = 5.0
SECONDS: Final = 20.0
"""For all that comes after the connection."""
_RESET_SECONDS: Final = 0.25
"""So long is waited for a receiver that dislikes what it reads, or that shuts down its side before it closes."""
_PIECE: Final = 16_384
_SIOCOUTQ: Final = 0x5411
_PASSING: Final = ("INTERNAL_ERROR", "USER_CANCELLED")
"""Alerts of TLS that tell of no mistake of ours."""
_EARLY: Final = "the receiver closed the connection too early"
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


class Unsure(Exception):
    """Nobody knows whether the receiver has it; text without secrets."""


class Wrong(Exception):
    """Trying again can't help."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a receiver listens, and how it is spoken to."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    """None: in clear, which is for this machine's own receiver."""

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def hand_over(destination: Destination, content: bytes) -> End:
    """Connect, send ``content``, and return how the receiver said that it has read it all; nothing is sent twice.

    Raises :class:`Unsure` where that isn't known, whatever arrived, and :class:`Wrong` where somebody has to change
    something; takes 25 seconds at most, and what the system takes to look up a name and to find that the first of
    several addresses is silent.
    """
    with _explained(destination), contextlib.closing(_connected(destination)) as plain:
        left = _deadline(SECONDS)
        if destination.tls is None:
            return _hand_over_plain(plain, content, left)
        return _hand_over_secured(_Secured(plain, destination.tls, destination.host, left), content)


def _connected(destination: Destination) -> socket.socket:
    try:
        return socket.create_connection((destination.host, destination.port), CONNECT_SECONDS)
    except TimeoutError:
        raise Unsure(f"no connection in {CONNECT_SECONDS:.0f} seconds") from None
    except UnicodeError:
        raise Wrong("that can be no host's name", "a label has 1 to 63 characters") from None


def _deadline(seconds: float) -> Callable[[], float]:
    until = time.monotonic() + seconds

    def left() -> float:
        remaining = until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        return remaining

    return left


class _Secured:
    """TLS over a connection. By hand, since what an SSLSocket reads after its own end it takes for the other's, alerts
    included.
    """

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str, left: Callable[[], float]) -> None:
        self.plain = plain
        self.left = left
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    # The alert that tells the receiver why.
                    self._flush()
                raise
            else:
                self._flush()
                return

    def send(self, content: bytes) -> None:
        waiting = memoryview(content)
        while waiting:
            waiting = waiting[self._tls.write(waiting[:_PIECE]) :]
            self._flush()

    def end(self) -> None:
        """Send our close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()

    def listen(self) -> None:
        """Take in what came so far: tickets, or the alert that says why the receiver goes; but no word of its own."""
        self.plain.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while content := self.plain.recv(_PIECE):
                self._in.write(content)
            self._in.write_eof()
        with contextlib.suppress(ssl.SSLWantReadError):
            self._hear()
            raise Unsure(_EARLY)

    def answered(self) -> bool:
        """Wait for the end, and tell whether it was a close_notify."""
        while True:
            try:
                self._hear()
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLEOFError:
                return False
            else:
                return True

    def _hear(self) -> None:
        try:
            heard = self._tls.read(1)
        except ssl.SSLZeroReturnError:
            return
        if heard:
            raise _speaks()

    def _fill(self) -> None:
        self.plain.settimeout(self.left())
        content = self.plain.recv(_PIECE)
        if content:
            self._in.write(content)
        else:
            self._in.write_eof()

    def _flush(self) -> None:
        if self._out.pending:
            _send(self.plain, self._out.read(), self.left)


def _hand_over_secured(secured: _Secured, content: bytes) -> End:
    secured.shake_hands()
    try:
        secured.send(content)
        secured.listen()
        secured.end()
    except (BrokenPipeError, ConnectionResetError):
        # Why it went may have come before it did.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            secured.listen()
        raise
    answered = secured.answered()
    if answered:
        secured.plain.shutdown(socket.SHUT_WR)
        _await_end(secured.plain, secured.left)
    else:
        _wait(secured.plain, 0)
    _must_be_taken(secured.plain)
    return "close_notify" if answered else "end of stream"


def _hand_over_plain(plain: socket.socket, content: bytes, left: Callable[[], float]) -> End:
    _send(plain, content, left)
    _wait(plain, select.POLLIN)
    _listen(plain)
    plain.shutdown(socket.SHUT_WR)
    _await_end(plain, left)
    _must_be_taken(plain)
    return "end of stream"


def _send(connection: socket.socket, content: bytes, left: Callable[[], float]) -> None:
    waiting = memoryview(content)
    while waiting:
        connection.settimeout(left())
        waiting = waiting[connection.send(waiting[:_PIECE]) :]


def _listen(plain: socket.socket) -> None:
    """See that nothing came so far."""
    plain.settimeout(0)
    try:
        heard = plain.recv(1)
    except BlockingIOError:
        return
    raise _speaks() if heard else Unsure(_EARLY)


def _wait(plain: socket.socket, what: int) -> None:
    """Wait a little for an error of the connection, or for ``what``."""
    poll = select.poll()
    poll.register(plain, what)
    poll.poll(_RESET_SECONDS * 1000)


def _await_end(plain: socket.socket, left: Callable[[], float]) -> None:
    plain.settimeout(left())
    if plain.recv(1):
        raise _speaks()


def _must_be_taken(plain: socket.socket) -> None:
    """See that the receiver's end was one in order: no reset, and nothing but our own end unacknowledged."""
    if plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _unacknowledged(plain) > 1:
        raise Unsure("the receiver closed the connection before it had read everything")


def _unacknowledged(plain: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    import fcntl

    return int.from_bytes(fcntl.ioctl(plain, _SIOCOUTQ, bytes(4)), sys.byteorder)


def _speaks() -> Wrong:
    return Wrong("it answers, which no syslog receiver does", "name the port of syslog over TLS, usually 6514")


@contextlib.contextmanager
def _explained(destination: Destination) -> Iterator[None]:
    try:
        yield
    except (Unsure, Wrong) as error:
        told = f"{destination}: {error}"
        raise (Wrong(told, error.hint) if isinstance(error, Wrong) else Unsure(told)) from error
    except ssl.SSLCertVerificationError as error:
        raise Wrong(
            f"{destination}: the receiver's certificate is not trusted: {str(error.verify_message).rstrip('.')}",
            certificate_hint(error),
        ) from error
    except TimeoutError as error:
        raise Unsure(f"{destination}: not done in {SECONDS:.0f} seconds") from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise Unsure(f"{destination}: {_EARLY}") from error
    except ssl.SSLError as error:
        raise _refused(destination, error.reason or "") from error
    except OSError as error:
        raise Unsure(f"{destination}: {error.strerror or type(error).__name__}") from error


def _refused(destination: Destination, reason: str) -> Unsure | Wrong:
    if reason in _NOT_TLS:
        return Wrong(f"{destination} speaks no TLS", "name the port of syslog over TLS, usually 6514")
    words = reason.replace("_", " ").lower()
    if reason.endswith(_PASSING):
        return Unsure(f"{destination}: {words}")
    if "CERT" in reason or reason.endswith(("UNKNOWN_CA", "ACCESS_DENIED")):
        return Wrong(f"{destination} refuses our certificate: {words}", "set cert and key to one that it accepts")
    return Wrong(f"{destination}: no TLS with it: {words}", "is it a syslog receiver with TLS 1.2 or above?")
