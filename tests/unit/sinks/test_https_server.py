"""Somebody else's server is asked within limits, by TLS that is verified, and nothing secret is told of a failure."""

import datetime as dt
import email.utils
import os
import socket
import ssl
import threading
import time

import httpkit
import pytest
from httpkit import server_at
from httpsinkfakes import Authority, Fault, Service, serving

from tfaudit.errors import ConfigError
from tfaudit.sinks.address import address
from tfaudit.sinks.https import LONGEST_AFTER, MAX_ANSWER, Reply
from tfaudit.sinks.model import Later, Misconfigured

SECRET = "path-canary"
HEADERS = {"Authorization": "Splunk header-canary"}


class Echo(Service):
    """A server that answers 200."""

    def answer(self, asked):
        """Say the same always."""
        return 200, {}, b'{"ok":true}'


@pytest.fixture
def echo():
    """A running server."""
    with serving(Echo()) as running:
        yield running


def ask(running, **more):
    """Ask a server for something with a secret path, header and body."""
    server = server_at(f"{running.url}/{SECRET}", **more)
    try:
        return server.ask("POST", "/x", body=b"body-canary", headers=HEADERS)
    finally:
        server.close()


def assert_shows_nothing(answer):
    """No part of a request is in what is told of it."""
    assert "canary" not in str(answer)


def test_an_answer_comes_back(echo):
    """Status and body come back, and the request was what was asked for."""
    reply = ask(echo)
    assert (reply.status, reply.json()) == (200, {"ok": True})
    (asked,) = echo.asked
    assert (asked.path, asked.body) == (f"/{SECRET}/x", b"body-canary")
    assert asked.headers["User-Agent"] == "tfaudit"
    assert asked.headers["Authorization"] == HEADERS["Authorization"]


def test_a_compressed_body_is_the_same_bytes_each_time(echo):
    """The same documents give the same request."""
    server = server_at(echo.url)
    for _ in range(2):
        server.ask("POST", "/x", body=b"body" * 100, compress=True)
        time.sleep(1.1)
    first, second = echo.asked
    assert first.raw == second.raw
    assert first.body == b"body" * 100
    assert first.headers["Content-Encoding"] == "gzip"


def test_one_connection_serves_many_requests(echo):
    """The connection is kept."""
    server = server_at(echo.url)
    assert [server.ask("GET", "/").status for _ in range(5)] == [200] * 5


def test_what_nobody_foresaw_is_told_by_its_kind_alone(echo, monkeypatch):
    """Whatever breaks on the way shows no part of the request, neither in the answer nor on stderr."""
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    server = server_at(f"{echo.url}/{SECRET}")
    answer = server.ask("POST", "/x", headers={"Authorization": ("header-canary",)})
    assert answer == Later(reason=f"{server.at.where} could not be asked: TypeError")
    assert not printed


def test_a_server_that_hangs_is_left(echo):
    """Who says nothing is not waited for beyond the limit, and the next request has a connection of its own."""
    echo.faults.append(Fault(hang=3))
    server = server_at(f"{echo.url}/{SECRET}", seconds=0.3)
    answer = server.ask("POST", "", body=b"body-canary", headers=HEADERS)
    assert isinstance(answer, Later)
    assert_shows_nothing(answer)
    assert server.ask("GET", "").status == 200


def test_a_server_that_drips_is_left(echo):
    """Who sends a byte now and then is not waited for beyond the limit."""
    echo.faults.append(Fault(status=200, body=b"x" * 1000, drip=0.05))
    assert isinstance(ask(echo, seconds=0.5), Later)


def test_a_server_that_drips_its_headers_is_left():
    """Nor is one that never comes to the end of its headers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for at in range(40):
                    connection.sendall(f"X-{at}: 1\r\n".encode())
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        answer = server_at(f"http://127.0.0.1:{listening.getsockname()[1]}", seconds=0.4).ask("GET", "/")
    assert isinstance(answer, Later)


def test_a_huge_answer_is_not_read_whole(echo):
    """More than 1 MB is no answer of a sink."""
    echo.faults.append(Fault(status=200, body=b"x" * (MAX_ANSWER + 1)))
    answer = ask(echo)
    assert isinstance(answer, Later)
    assert "more than 1,000,000 bytes" in answer.reason


def test_an_answer_that_breaks_off_is_none(echo):
    """Half an answer says nothing."""
    echo.faults.append(Fault(status=200, body=b'{"ok":true}', cut=4))
    answer = ask(echo)
    assert isinstance(answer, Later)
    assert_shows_nothing(answer)


def test_a_connection_that_ends_before_the_answer_is_later():
    """A server that hangs up has perhaps taken the request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
        answer = server_at(f"http://127.0.0.1:{listening.getsockname()[1]}/{SECRET}").ask("GET", "/")
    assert isinstance(answer, Later)
    assert_shows_nothing(answer)


def test_what_is_not_http_is_later():
    """So has one that speaks something else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n" * 10)
                connection.recv(1000)

        threading.Thread(target=talk, daemon=True).start()
        answer = server_at(f"http://127.0.0.1:{listening.getsockname()[1]}/{SECRET}").ask("GET", "/")
    assert isinstance(answer, Later)
    assert_shows_nothing(answer)


def test_a_server_that_is_away_is_later():
    """The reason is the system's word."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = server_at(f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}").ask("GET", "/")
    assert isinstance(answer, Later)
    assert answer.reason.endswith("can't be reached: Connection refused")
    assert_shows_nothing(answer)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_what_can_be_no_name_is_a_wrong_configuration(host):
    """Trying again would not help."""
    server = server_at(f"https://{host}/{SECRET}")
    answer = server.ask("GET", "")
    assert isinstance(answer, Misconfigured)
    assert_shows_nothing(answer)


def test_a_redirect_is_not_followed(echo):
    """What is sent goes where the configuration says, and nowhere else."""
    with serving(Echo()) as other:
        echo.faults.append(Fault(status=307, headers={"Location": f"{other.url}/elsewhere-canary"}))
        reply = ask(echo)
        assert other.asked == []
    assert isinstance(reply.trouble(), Misconfigured)
    assert_shows_nothing(reply.trouble())


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_refusal_is_a_wrong_configuration(status):
    """Trying again does not help."""
    assert isinstance(reply_of(status).trouble(), Misconfigured)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_busy_server_is_asked_later(status):
    """It is asked again after as long as it wants."""
    assert reply_of(status, "7").trouble() == Later(reason=reply_of(status).trouble().reason, after=7.0)


def reply_of(status, after=None, body=b""):
    """A reply of that status."""
    headers = {} if after is None else {"retry-after": after}
    return Reply(where="example.com:443", status=status, headers=headers, body=body)


def test_retry_after_is_read_as_a_date():
    """RFC 9110 allows both forms."""
    soon = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30), usegmt=True)
    assert 28 <= reply_of(503, soon).after() <= 30


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("99999999999999999999", LONGEST_AFTER),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_AFTER),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_has_limits(text, seconds):
    """What is no time is none, and nobody waits for ever."""
    assert reply_of(503, text).after() == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"[" * 100_000, b"NaN"])
def test_garbage_has_no_members(body):
    """An answer that is no object says nothing."""
    assert reply_of(200, body=body).members() == {}


class TestTls:
    """TLS with a private authority."""

    @pytest.fixture
    def authority(self, tmp_path):
        """An authority of this test's own."""
        return Authority(tmp_path)

    def test_a_private_authority_is_trusted_where_it_is_named(self, authority):
        """The option ca names it."""
        with serving(Echo(), certificate=authority.certificate()) as running:
            assert ask(running, ca=str(authority.path)).status == 200

    def test_a_private_authority_is_not_trusted_by_itself(self, authority):
        """Without ca the system's certificates decide."""
        with serving(Echo(), certificate=authority.certificate()) as running:
            answer = ask(running)
            assert running.asked == []
        assert isinstance(answer, Misconfigured)
        assert "is not trusted" in answer.reason
        assert_shows_nothing(answer)

    def test_another_authority_is_not_trusted(self, authority, tmp_path):
        """A certificate of somebody else's is refused."""
        (tmp_path / "other").mkdir()
        other = Authority(tmp_path / "other")
        with serving(Echo(), certificate=other.certificate()) as running:
            answer = ask(running, ca=str(authority.path))
            assert running.asked == []
        assert isinstance(answer, Misconfigured)

    def test_the_systems_authorities_are_not_trusted_beside_it(self, authority, tmp_path, monkeypatch):
        """With ca, a public authority's certificate is refused."""
        (tmp_path / "public").mkdir()
        public = Authority(tmp_path / "public")
        monkeypatch.setenv("SSL_CERT_FILE", str(public.path))
        with serving(Echo(), certificate=public.certificate()) as running:
            assert ask(running).status == 200
            assert isinstance(ask(running, ca=str(authority.path)), Misconfigured)

    def test_an_expired_certificate_is_refused(self, authority):
        """The reason says so."""
        with serving(Echo(), certificate=authority.certificate(days=-1)) as running:
            answer = ask(running, ca=str(authority.path))
            assert running.asked == []
        assert isinstance(answer, Misconfigured)
        assert "expired" in answer.reason
        assert answer.hint == "the server needs a new certificate"

    @pytest.mark.parametrize("host", ["127.0.0.2", "splunk.example.com", "localhost"])
    def test_another_hosts_certificate_is_refused(self, authority, host):
        """The certificate must be of the address that is asked."""
        with serving(Echo(), certificate=authority.certificate(host)) as running:
            answer = ask(running, ca=str(authority.path))
            assert running.asked == []
        assert isinstance(answer, Misconfigured)
        assert "is not trusted" in answer.reason
        assert answer.hint == "it is another host's certificate: see the sink's url"

    def test_a_server_without_tls_is_told(self, echo):
        """A wrong scheme is a wrong configuration."""
        answer = server_at(echo.url.replace("http:", "https:")).ask("GET", "/")
        assert isinstance(answer, Misconfigured)
        assert "does not speak TLS" in answer.reason

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
    def test_old_tls_is_refused(self, authority):
        """Nothing is sent over TLS 1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate())
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def shake():
                connection, _ = listening.accept()
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True)
                    except (ssl.SSLError, OSError):
                        return

            threading.Thread(target=shake, daemon=True).start()
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            answer = server_at(url, ca=str(authority.path)).ask("GET", "/")
        assert isinstance(answer, Misconfigured | Later)

    @pytest.mark.parametrize(
        "content", [None, b"", b"no certificate", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nx\n"]
    )
    def test_a_ca_that_holds_no_certificate_is_told(self, tmp_path, content):
        """It never means the system's certificates instead."""
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"the ca of sink .copy. can't be used"):
            server_at("https://127.0.0.1:1", ca=str(path))

    def test_a_ca_that_is_a_pipe_is_not_waited_for(self, tmp_path):
        """What is no file is refused."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConfigError):
            server_at("https://127.0.0.1:1", ca=str(tmp_path / "pipe"))


def test_a_proxy_is_used(echo):
    """HTTPS_PROXY names it, and its password goes to it alone."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        seen = []

        def refuse():
            connection, _ = proxy.accept()
            with connection:
                seen.append(connection.recv(10_000))
                connection.sendall(b"HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        named = f"http://user:password%2Dcanary@127.0.0.1:{proxy.getsockname()[1]}"
        answer = server_at("https://splunk.example.com/x", environ={"HTTPS_PROXY": named}).ask("GET", "/")
        thread.join(5)
    assert seen[0].startswith(b"CONNECT splunk.example.com:443 ")
    assert b"dXNlcjpwYXNzd29yZC1jYW5hcnk=" in seen[0]
    assert isinstance(answer, Later)
    assert_shows_nothing(answer)


def test_this_machine_is_asked_without_a_proxy(echo):
    """Loopback never goes by one."""
    assert ask(echo, environ={"HTTPS_PROXY": "http://127.0.0.1:1"}).status == 200


def test_a_proxy_that_is_none_is_told():
    """Its password is not shown."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        server_at("https://splunk.example.com", environ={"HTTPS_PROXY": "socks9://u:canary@x"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("spared", ["*", "example.com", ".example.com", "other, splunk.example.com"])
def test_no_proxy_is_heeded(spared):
    """Hosts of NO_PROXY are asked directly."""
    environ = {"HTTPS_PROXY": "socks9://nonsense", "NO_PROXY": spared}
    server_at("https://splunk.example.com", environ=environ)


@pytest.mark.parametrize(
    ("rest", "port", "url", "where"),
    [
        ("//splunk.example.com", 8088, "https://splunk.example.com:8088", "splunk.example.com:8088"),
        ("//splunk.example.com:443", 8088, "https://splunk.example.com:443", "splunk.example.com:443"),
        ("//10.1.2.3/", 9200, "https://10.1.2.3:9200", "10.1.2.3:9200"),
        ("//[2001:db8::1]:9", 9200, "https://[2001:db8::1]:9", "[2001:db8::1]:9"),
        ("https://es.example.com/prefix/", 9200, "https://es.example.com:443/prefix", "es.example.com:443"),
        ("https://Hooks.Example.com/a/b", None, "https://hooks.example.com:443/a/b", "hooks.example.com:443"),
        ("http://127.0.0.1:8088", 8088, "http://127.0.0.1:8088", "127.0.0.1:8088"),
        ("http://localhost:4318/v1/logs", None, "http://localhost:4318/v1/logs", "localhost:4318"),
        ("http://[::1]:4318", None, "http://[::1]:4318", "[::1]:4318"),
    ],
)
def test_an_address_is_read(rest, port, url, where):
    """Scheme, port and path as the documentation has them."""
    found = address(httpkit.settings("webhook", rest), port=port)
    assert (found.url, found.where) == (url, where)


@pytest.mark.parametrize(
    ("rest", "port"),
    [
        ("//splunk.example.com", None),
        ("splunk.example.com", 8088),
        ("//", 8088),
        ("//:8088", 8088),
        ("//host:0", 8088),
        ("//host:65536", 8088),
        ("//host:port", 8088),
        ("//user:canary@host", 8088),
        ("https://host/?token=canary", 8088),
        ("https://host/#canary", 8088),
        ("ftp://host", 8088),
        ("https://host/a b", 8088),
        ("https://höst/", 8088),
        ("https://host/\x01", 8088),
        ("//[::1", 8088),
        ("http://splunk.example.com", 8088),
        ("http://127.0.0.1.example.com", 8088),
        ("http://127.0.0.2:80", 8088),
    ],
)
def test_an_address_that_is_none_is_told(rest, port):
    """Neither anything else nor plain HTTP to another machine is taken."""
    with pytest.raises(ConfigError) as caught:
        address(httpkit.settings("webhook", rest), port=port)
    assert "canary" not in str(caught.value)


def test_a_third_of_unavailable_answers_is_later(echo):
    """Each 503 is its own request's answer, and the connection goes on."""
    server = server_at(echo.url)
    echo.faults.extend([None, Fault(headers={"Retry-After": "1"}), None] * 10)
    replies = [server.ask("GET", "/") for _ in range(30)]
    assert [reply.status for reply in replies] == [200, 503, 200] * 10
