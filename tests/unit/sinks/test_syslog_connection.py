"""What was sent counts as taken only where the receiver's end of the connection says so."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path

import pytest
import syslogkit
from syslogkit import Authority, Ending, Receiver, receiver

from tfaudit.sinks import syslog_connection
from tfaudit.sinks.syslog_connection import Destination, Unsure, Wrong, hand_over

MESSAGE = b"<110>1 2026-11-25T04:00:00.000Z host tfaudit - record - {}"
FRAMES = b"%d %s" % (len(MESSAGE), MESSAGE) * 1_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the receivers' certificates."""
    return Authority(tmp_path_factory.mktemp("tls"))


def _to(state: Receiver, authority: Authority | None, host: str = "localhost", **more) -> Destination:
    tls = None
    if authority is not None:
        tls = ssl.create_default_context(cafile=str(authority.file))
        if more:
            tls.load_cert_chain(**more)
    return Destination(host=host, port=state.port, tls=tls)


def test_all_arrives(authority: Authority) -> None:
    """Every frame arrives, and the receiver's close_notify says so."""
    with receiver(authority) as state:
        assert hand_over(_to(state, authority), FRAMES) == "close_notify"
    assert len(state.messages) == 1_000
    assert state.mistakes == []


def test_a_receiver_without_close_notify(authority: Authority) -> None:
    """One that reads everything and ends without TLS' own end is believed, and told apart."""
    with receiver(authority, ending="no close_notify") as state:
        assert hand_over(_to(state, authority), FRAMES) == "end of stream"
    assert len(state.messages) == 1_000


def test_in_clear() -> None:
    """On the same machine the end of the stream tells."""
    with receiver(None) as state:
        assert hand_over(_to(state, None, "127.0.0.1"), FRAMES) == "end of stream"
    assert len(state.messages) == 1_000
    assert state.mistakes == []


@pytest.mark.parametrize("size", [1, 10, 400])
@pytest.mark.parametrize(
    ("secured", "ending"),
    [(True, "at once"), (True, "unread"), (True, "after some"), (False, "at once"), (False, "after some")],
)
def test_bytes_that_nobody_read(authority: Authority, ending: Ending, size: int, secured: bool) -> None:
    """A receiver that goes before it has read everything is never believed, however little or much was sent."""
    known = authority if secured else None
    with receiver(known, ending=ending) as state, pytest.raises(Unsure):
        hand_over(_to(state, known, "localhost" if secured else "127.0.0.1"), FRAMES * size)


def test_a_receiver_that_never_ends(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that neither reads nor goes is given up after a while."""
    monkeypatch.setattr(syslog_connection, "SECONDS", 0.5)
    with receiver(authority, ending="never") as state, pytest.raises(Unsure, match="not done in"):
        hand_over(_to(state, authority), FRAMES * 400)


@pytest.mark.parametrize("secured", [True, False])
def test_something_else_answers(authority: Authority, secured: bool) -> None:
    """What answers is no syslog receiver: what it was sent is not taken for delivered."""
    known = authority if secured else None
    with receiver(known, ending="speaks") as state, pytest.raises(Wrong, match="answers"):
        hand_over(_to(state, known, "localhost" if secured else "127.0.0.1"), FRAMES)


def test_nobody_listens(authority: Authority) -> None:
    """A refused connection is tried again later."""
    with receiver(authority) as state:
        gone = _to(state, authority)
    with pytest.raises(Unsure, match="refused"):
        hand_over(gone, FRAMES)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_what_can_be_no_name(host: str) -> None:
    """A name that the resolver would not even take is a matter of configuration."""
    with pytest.raises(Wrong, match="no host's name"):
        hand_over(Destination(host=host, port=6514, tls=None), b"")


def test_another_name(authority: Authority) -> None:
    """A certificate for another host is refused, and nothing is sent."""
    with (
        receiver(authority, host="elsewhere.test") as state,
        pytest.raises(Wrong, match=r"not trusted.*mismatch.*[^.]$") as found,
    ):
        hand_over(_to(state, authority), FRAMES)
    assert found.value.hint == "it is another host's certificate: see the sink's url"
    assert state.received == b""


def test_another_authority(authority: Authority, tmp_path: Path) -> None:
    """A certificate of somebody else's is refused, and nothing is sent."""
    with receiver(Authority(tmp_path, "other")) as state, pytest.raises(Wrong, match="not trusted"):
        hand_over(_to(state, authority), FRAMES)
    assert state.received == b""


def test_our_certificate(authority: Authority) -> None:
    """A receiver that wants to know its clients is shown our certificate."""
    cert, key = authority.issue("tfaudit")
    with receiver(authority, mutual=True) as state:
        hand_over(_to(state, authority, certfile=cert, keyfile=key), FRAMES)
    assert state.peers == ["tfaudit"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("content", [b"", FRAMES], ids=["nothing", "frames"])
def test_no_certificate(authority: Authority, version: ssl.TLSVersion, content: bytes) -> None:
    """A receiver that wants one and gets none says so, in either version of TLS, whatever is sent."""
    with receiver(authority, mutual=True) as state:
        place = _to(state, authority)
        assert place.tls is not None
        place.tls.maximum_version = version
        with pytest.raises(Wrong, match=r"refuses our certificate|no TLS with it") as refused:
            hand_over(place, content)
    assert refused.value.hint
    assert state.received == b""


def test_no_tls_there(authority: Authority) -> None:
    """A port that speaks no TLS is told from one that is away."""
    with _talking(b"220 mail.example.test ESMTP\r\n") as port, pytest.raises(Wrong, match="speaks no TLS"):
        hand_over(Destination(host="localhost", port=port, tls=_context(authority)), FRAMES)


@contextlib.contextmanager
def _talking(greeting: bytes):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(greeting)
                while connection.recv(1_024):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def _context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def test_the_strict_reader_is_strict() -> None:
    """The receiver of these tests refuses what is no frame or no message: else its silence would say nothing."""
    for wrong in (b"012 ", b"x", b"5hello"):
        with pytest.raises(ValueError):
            syslogkit.frames(wrong)
    for wrong in (b"<192>1 - - - - - -", MESSAGE.replace(b" - {}", b" {}"), MESSAGE + "é".encode()):
        with pytest.raises(ValueError):
            syslogkit.parse(wrong)
