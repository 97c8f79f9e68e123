"""Do requests that go without the SDK say the same as its own, and does it take over where they are not enough?"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.session
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.config import S3Settings
from tfaudit.errors import LedgerError
from tfaudit.ledger import s3_plain, s3_wire
from tfaudit.ledger.s3 import Bucket
from tfaudit.ledger.s3_contents import Contents
from tfaudit.ledger.s3_evidence import EvidenceBucket
from tfaudit.ledger.s3_objects import Body, Remote, stream
from tfaudit.ledger.s3_plain import Plain, Way, way_now
from tfaudit.ledger.s3_signing import Credentials, path_of, query_of, sign
from tfaudit.ledger.s3_working import WorkingBucket

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/of+it", "AWS_REGION": "eu-west-1"}
NOW = datetime(2026, 3, 1, 10, 30, 5, tzinfo=UTC)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
NOBODY = Path("/nonexistent")


# --- the signature ----------------------------------------------------------------------------------------------------


def test_the_documentations_example_is_signed_as_it_says() -> None:
    """AWS's own example of a GET with a range has this signature."""
    signed = sign(
        Credentials(
            access_key="AKIAIOSFODNN7EXAMPLE",
            secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            token=None,
            region="us-east-1",
        ),
        method="GET",
        path="/test.txt",
        query="",
        headers={"Host": "examplebucket.s3.amazonaws.com", "Range": "bytes=0-9"},
        payload=EMPTY,
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@given(
    key=TEXT,
    query=st.dictionaries(TEXT, TEXT, max_size=3),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).filter(str.strip),
    token=st.none() | st.just("session/token+="),
)
def test_any_request_is_signed_as_the_sdk_does(key: str, query: dict[str, str], value: str, token: str | None) -> None:
    """The signature is the SDK's for the same URL, headers and time."""
    path, text = path_of("bucket", key), query_of(query)
    headers = {"Host": "s3.example.test:9000", "x-amz-something": value}
    credentials = Credentials(access_key="AKID", secret_key="secret", token=token, region="eu-west-1")
    ours = sign(credentials, method="GET", path=path, query=text, headers=headers, payload=EMPTY, now=NOW)
    request = botocore.awsrequest.AWSRequest(
        method="GET", url=f"https://s3.example.test:9000{path}{'?' + text if text else ''}", headers=dict(headers)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
        signer = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials("AKID", "secret", token), "s3", "eu-west-1")
        signer.add_auth(request)
    assert ours["Authorization"] == request.headers["Authorization"]


def test_no_secret_is_shown() -> None:
    """What is printed of a way, or of its credentials, has no secret in it."""
    way = Way.of(S3Settings(), {**KEYS, "AWS_SESSION_TOKEN": "the-token"}, NOBODY)
    assert way is not None
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in f"{way!r}{way.credentials!r}"
    assert "the-token" not in f"{way!r}{way.credentials!r}"


# --- when it is plain -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "eu-central-2", "ap-southeast-4", "il-central-1"])
@pytest.mark.parametrize("bucket", ["logs", "some-other-bucket"])
def test_a_bucket_has_the_host_that_the_sdk_finds(region: str, bucket: str) -> None:
    """Scheme and host are those of the SDK's rules."""
    way = Way.of(S3Settings(region=region), KEYS, NOBODY)
    assert way is not None
    client: Any = botocore.session.Session().create_client(
        "s3", region_name=region, aws_access_key_id="x", aws_secret_access_key="x"
    )
    seen: list[str] = []

    def note(request: Any, **_: Any) -> Any:
        seen.append(request.url)
        raise LedgerError("far enough")

    client.meta.events.register("before-send.s3", note)
    with suppress(LedgerError):
        client.head_object(Bucket=bucket, Key="a/b")
    assert f"{way.base(bucket)}{path_of('a/b')}" == seen[0]


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (S3Settings(), {}),
        (S3Settings(region="us-west-2"), {"AWS_REGION": ""}),
        (S3Settings(), {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}),
        (S3Settings(endpoint_url="https://s3.example.test"), {"AWS_REGION": "anything"}),
        (S3Settings(), {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"}),
        (S3Settings(), {"AWS_ENDPOINT_URL_STS": "https://sts.example.test", "no_proxy": "example.test"}),
        (S3Settings(), {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}),
        (S3Settings(), {"AWS_SESSION_TOKEN": "token", "HTTPS_PROXY": ""}),
    ],
)
def test_keys_in_the_environment_are_plain(settings: S3Settings, more: Mapping[str, str]) -> None:
    """A region or an endpoint, and keys, are all that is needed."""
    assert Way.of(settings, {**KEYS, **more}, NOBODY) is not None


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (S3Settings(profile="audit"), {}),
        (S3Settings(), {"AWS_PROFILE": "audit"}),
        (S3Settings(), {"AWS_PROFILE": ""}),
        (S3Settings(endpoint_url=""), {}),
        (S3Settings(), {"AWS_ENDPOINT_URL": ""}),
        (S3Settings(), {"AWS_CA_BUNDLE": ""}),
        (S3Settings(), {"AWS_ACCESS_KEY_ID": "AKID\n"}),
        (S3Settings(), {"AWS_SESSION_TOKEN": " token"}),
        (S3Settings(endpoint_url="https://s3.example.test"), {"AWS_REGION": "aws-global"}),
        (S3Settings(endpoint_url="https://s3.example.test"), {"AWS_REGION": "us-west-2-fips"}),
        (S3Settings(endpoint_url="https://s3.example.test"), {"AWS_REGION": "eu_west_1"}),
        (S3Settings(endpoint_url="https://s3..example.test"), {}),
        (S3Settings(), {"BOTOCORE_EXPERIMENTAL__PLUGINS": "a=b"}),
        (S3Settings(), {"AWS_ACCESS_KEY_ID": ""}),
        (S3Settings(), {"AWS_REGION": ""}),
        (S3Settings(), {"AWS_REGION": "cn-north-1"}),
        (S3Settings(), {"AWS_REGION": "us-gov-west-1"}),
        (S3Settings(), {"AWS_USE_FIPS_ENDPOINT": "true"}),
        (S3Settings(), {"AWS_CREDENTIAL_EXPIRATION": "2026-03-01T10:30:00Z"}),
        (S3Settings(), {"AWS_MAX_ATTEMPTS": "2"}),
        (S3Settings(), {"HTTPS_PROXY": "http://proxy.example.test:3128"}),
        (S3Settings(), {"all_proxy": "socks5://proxy.example.test"}),
        (S3Settings(), {"AWS_ENDPOINT_URL": "https://example.test/s3/"}),
        (S3Settings(), {"AWS_ENDPOINT_URL": "https://user@example.test"}),
    ],
)
def test_what_only_the_sdk_understands_is_not_plain(settings: S3Settings, more: Mapping[str, str]) -> None:
    """Profiles, other partitions, proxies and settings that are not known here are the SDK's."""
    assert Way.of(settings, {**KEYS, **more}, NOBODY) is None


@pytest.mark.parametrize("name", [".aws/config", ".aws/credentials"])
@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        (b"", True),
        (b"# nothing\n[profile deploy]\nregion = eu-west-1\n[other]\naws_access_key_id = x\n", True),
        (b"[default]\nregion = eu-west-1\n", False),
        (b"[ profile 'default' ]\ns3 =\n  addressing_style = path\n", False),
        (b"[plugins]\ncli_legacy_plugin_path = x\n", False),
        (b"region = eu-west-1\n", False),
        (b"[deploy]\n[deploy]\n", False),
        (b"[deploy]\nregion = \xff\n", False),
    ],
)
def test_a_file_that_says_more_is_the_sdks(tmp_path: Path, name: str, content: bytes, is_plain: bool) -> None:
    """Profiles that nobody names say nothing; those for everybody do, and what can't be read might."""
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(content)
    assert (Way.of(S3Settings(), KEYS, tmp_path) is not None) is is_plain


def test_a_bucket_with_a_dot_is_the_sdks() -> None:
    """It has no certificate as a host."""
    way = Way.of(S3Settings(), KEYS, NOBODY)
    assert way is not None
    assert way.base("logs.example.test") is None


@pytest.mark.parametrize("endpoint", [None, "https://s3.example.test"])
@pytest.mark.parametrize("bucket", ["logs--euw1-az1--x-s3", "point--ol-s3", "point-abc-s3alias", "sthree-configurator"])
def test_what_is_no_ordinary_bucket_is_the_sdks(endpoint: str | None, bucket: str) -> None:
    """Directory buckets and access points have hosts, and ways to sign, of their own."""
    way = Way.of(S3Settings(endpoint_url=endpoint), KEYS, NOBODY)
    assert way is not None
    assert way.base(bucket) is None


def test_files_that_may_not_be_looked_for_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is there a file in somebody else's home, nor in that of a user who has none: the SDK sees it so too."""

    def refuse(path: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        assert Way.of(S3Settings(), KEYS, tmp_path) is not None
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert way_now(S3Settings()) is not None


def test_proxies_of_the_system_are_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where settings outside the environment may name some, it is asked."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy.example.test:3128"})
    assert way_now(S3Settings()) is None
    monkeypatch.setattr("urllib.request.getproxies", dict)
    assert way_now(S3Settings()) is not None


# --- on the wire ------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int

    @property
    def said(self) -> tuple[object, ...]:
        """What it says to a store, without how it was signed and sent."""
        own = {name: value for name, value in self.headers.items() if name.startswith(("x-amz-", "if-", "range"))}
        for name in ("x-amz-date", "x-amz-content-sha256"):
            del own[name]
        where = urlsplit(self.path)
        return self.method, where.path, sorted(parse_qsl(where.query, keep_blank_values=True)), own, self.body


@dataclass
class Store:
    """A store on loopback that answers as it is told."""

    answers: list[tuple[int, Mapping[str, str], bytes]] = field(default_factory=list)
    """The next ones, the last for ever; status 0 hangs up."""
    seen: list[Seen] = field(default_factory=list)
    address: str = ""


@contextmanager
def running(certificate: Path | None = None) -> Iterator[Store]:
    """Give such a store, with ``certificate`` one that speaks TLS."""
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            store.seen.append(Seen(self.command, self.path, headers, body, self.client_address[1]))
            status, told, content = store.answers.pop(0) if len(store.answers) > 1 else store.answers[0]
            if status == 0:
                self.close_connection = True
                return
            self.send_response_only(status)
            length = {} if "Transfer-Encoding" in told else {"Content-Length": str(len(content))}
            for name, value in {**length, **told}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            if int(told.get("Content-Length", len(content))) > len(content):
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # Each connection shakes hands when its own thread first reads.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store.address = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def store() -> Iterator[Store]:
    """Give a store on loopback."""
    with running() as found:
        yield found


def plain(store: Store) -> Plain:
    """Return what sends plain requests to it."""
    way = Way.of(S3Settings(endpoint_url=store.address), KEYS, NOBODY)
    assert way is not None
    return Plain(way)


def sdk(store: Store) -> Any:
    """Return the SDK's client for it."""
    return botocore.session.Session().create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=store.address,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """Give a bucket there, as a process with nothing but keys in its environment has it."""
    for name, value in {**KEYS, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Bucket("s3://bucket/a b", S3Settings(endpoint_url=store.address))


def body(content: bytes) -> Body:
    """Return a body to send."""
    return Body(content, None)


LOCK = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime(2028, 3, 1, tzinfo=UTC)}
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "put_object",
        {
            "Key": "a/b c+d~é.jsonl",
            "ContentLength": 5,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": body(b"bytes").checksum,
            "IfNoneMatch": "*",
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "arn:aws:kms:eu-west-1:1:key/x",
            "BucketKeyEnabled": True,
            **LOCK,
        },
    ),
    ("get_object", {"Key": "a/b", "VersionId": "v 1/+", "Range": "bytes=0-9"}),
    ("head_object", {"Key": "a/b", "VersionId": "null"}),
    ("delete_object", {"Key": "a/b"}),
    ("list_objects_v2", {"Prefix": "a b/", "MaxKeys": 1000, "Delimiter": "/", "StartAfter": "a b/é"}),
    ("list_objects_v2", {"Prefix": "", "ContinuationToken": "1/+="}),
    ("list_object_versions", {"Prefix": "a/", "MaxKeys": 16, "KeyMarker": "a/+", "VersionIdMarker": "v/1"}),
)


@pytest.mark.parametrize(("operation", "parameters"), REQUESTS, ids=[f"{n}-{r[0]}" for n, r in enumerate(REQUESTS)])
def test_a_request_says_what_the_sdks_says(store: Store, operation: str, parameters: dict[str, Any]) -> None:
    """Method, path, query, body and all that S3 reads of the headers are the same."""
    content = b"<ListResult><IsTruncated>false</IsTruncated></ListResult>" if operation.startswith("list") else b""
    store.answers = [(200, {}, content)]
    contents: dict[str, Any] = {"Body": body(b"bytes")} if operation == "put_object" else {}
    found = plain(store).send(operation, {"Bucket": "bucket", **parameters, **contents}, ())
    assert found is not None
    contents = {"Body": b"bytes"} if contents else {}
    getattr(sdk(store), operation)(Bucket="bucket", **parameters, **contents)
    ours, theirs = store.seen
    assert ours.said == theirs.said


def test_every_operation_of_a_ledger_is_compared() -> None:
    """None is sent whose request was not held against the SDK's."""
    assert {name for name, _ in REQUESTS} == s3_wire.OPERATIONS.keys()


VERSIONS = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>bucket</Name><Prefix>a%2F</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextKeyMarker>a%2Fc%2Bd%C3%A9</NextKeyMarker><NextVersionIdMarker>v%2F2</NextVersionIdMarker>
<Version><Key>a%2Fb+c</Key><VersionId>v%2F1</VersionId><IsLatest>false</IsLatest>
<LastModified>2026-03-01T10:30:05.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>12</Size></Version>
<DeleteMarker><Key>a%2Fb+c</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
<LastModified>2026-03-01T10:30:06Z</LastModified></DeleteMarker>
<Version><Key>a%2Fc%2Bd%C3%A9</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>
<LastModified>2026-03-01T10:30:07.000Z</LastModified><Size>0</Size></Version>
</ListVersionsResult>"""
CURRENT = b"""<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>
<NextContinuationToken>1%2F+=</NextContinuationToken>
<Contents><Key>a%2Fb+c</Key><LastModified>2026-03-01T10:30:05.000Z</LastModified><Size>12</Size></Contents>
<CommonPrefixes><Prefix>c%2F</Prefix></CommonPrefixes><EncodingType>url</EncodingType></ListBucketResult>"""


@pytest.mark.parametrize(("operation", "content"), [("list_object_versions", VERSIONS), ("list_objects_v2", CURRENT)])
def test_a_listing_is_read_as_the_sdk_reads_it(store: Store, operation: str, content: bytes) -> None:
    """All that is read of it is the same."""
    store.answers = [(200, {"Content-Type": "application/xml"}, content)]
    found = plain(store).send(operation, {"Bucket": "bucket", "Prefix": "a/"}, ())
    theirs = getattr(sdk(store), operation)(Bucket="bucket", Prefix="a/")
    assert found is not None
    ours = {name: value for name, value in found[1].items() if name != "ResponseMetadata"}
    for name, value in ours.items():
        if isinstance(value, list):
            kept = [{each: one[each] for each in mine} for one, mine in zip(theirs[name], value, strict=True)]
            assert value == kept
        else:
            assert value == theirs[name]


HEADERS = {
    "x-amz-version-id": "v1",
    "Content-Range": "bytes 0-4/12",
    "x-amz-object-lock-mode": "COMPLIANCE",
    "x-amz-object-lock-retain-until-date": "2028-03-01T00:00:00.000Z",
    "x-amz-object-lock-legal-hold": "ON",
    "Date": "Sun, 01 Mar 2026 10:30:05 GMT",
}


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_what_headers_tell_is_read_as_the_sdk_reads_it(store: Store, operation: str) -> None:
    """Version, size, lock and the time there."""
    store.answers = [(206, HEADERS, b"bytes")]
    found = plain(store).send(operation, {"Bucket": "bucket", "Key": "a"}, ())
    theirs = getattr(sdk(store), operation)(Bucket="bucket", Key="a")
    assert found is not None
    assert found[1]["ResponseMetadata"]["HTTPHeaders"]["date"] == theirs["ResponseMetadata"]["HTTPHeaders"]["date"]
    for name, value in found[1].items():
        if name == "Body":
            assert value.read() == theirs["Body"].read() == b"bytes"
        elif name != "ResponseMetadata":
            assert value == theirs[name]


ERROR = b"<?xml version='1.0'?><Error><Code>PreconditionFailed</Code><Message>at least one</Message></Error>"


@pytest.mark.parametrize(
    ("operation", "status", "content", "code"),
    [("get_object", 412, ERROR, "PreconditionFailed"), ("head_object", 404, b"", "404")],
)
def test_an_expected_error_is_an_answer(store: Store, operation: str, status: int, content: bytes, code: str) -> None:
    """Its code is the document's, or the status where there is none."""
    store.answers = [(status, {}, content)]
    sender = plain(store)
    found = sender.send(operation, {"Bucket": "bucket", "Key": "a"}, ("PreconditionFailed", "404"))
    assert found is not None
    assert found[0] == code
    assert not sender.failed


@pytest.mark.parametrize(
    "address", ["https://S3.Example.test:443/", "http://s3.example.TEST:80", "https://s3.example.test:9000"]
)
def test_a_host_is_named_as_the_sdk_names_it(address: str) -> None:
    """In lower case, and without the port that everybody knows."""
    way = Way.of(S3Settings(endpoint_url=address), KEYS, NOBODY)
    assert way is not None
    base = way.base("bucket")
    assert base is not None
    request = botocore.awsrequest.AWSRequest(method="GET", url=address)
    signer = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials("AKID", "secret"), "s3", "eu-west-1")
    assert s3_plain.host_of(base) == signer.headers_to_sign(request)["host"]


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_is_used_again_once_all_is_read(store: Store) -> None:
    """A body that is not read to its end keeps its connection; one that is lets others have it."""
    store.answers = [(200, {}, b"0123456789")]
    sender = plain(store)

    def get() -> Any:
        found = sender.send("get_object", {"Bucket": "bucket", "Key": "a"}, ())
        assert found is not None
        return found[1]["Body"]

    first = get()
    assert first.read(4) == b"0123"
    second = get()
    assert first.read() == b"456789"
    second.close()
    assert get().read() == b"0123456789"
    ports = [one.port for one in store.seen]
    assert ports[0] != ports[1]
    assert ports[0] == ports[2]


def test_a_connection_that_was_hung_up_is_not_used(store: Store) -> None:
    """A new one is made, and nothing fails."""
    store.answers = [(200, {"Connection": "close"}, b""), (200, {}, b"")]
    sender = plain(store)
    for _ in range(2):
        assert sender.send("delete_object", {"Bucket": "bucket", "Key": "a"}, ()) is not None
    assert not sender.failed


@pytest.mark.parametrize("reading", [lambda found: found.read(), lambda found: [found.read(4) for _ in range(4)]])
def test_a_body_that_breaks_off_is_no_whole_one(store: Store, reading: Callable[[Any], Any]) -> None:
    """Reading all of it fails; reading in parts gives no more than came, and the connection is not used again."""
    store.answers = [(200, {"Content-Length": "12"}, b"0123456789")]
    sender = plain(store)
    found = sender.send("get_object", {"Bucket": "bucket", "Key": "a"}, ())
    assert found is not None
    with suppress(OSError):
        assert b"".join(reading(found[1]["Body"])) == b"0123456789"
    assert not any(sender._idle.values())


def test_an_answer_before_the_answer_leaves_no_connection(store: Store) -> None:
    """What comes after an informational answer is not taken for the answer to another request."""
    store.answers = [(103, {}, b"")]
    sender = plain(store)
    assert sender.send("delete_object", {"Bucket": "bucket", "Key": "a"}, ["103"]) is None
    assert not any(sender._idle.values())


def test_a_body_in_chunks_is_read(store: Store) -> None:
    """It is as long as its chunks say, and breaks off where one is missing."""
    chunks = b"4\r\n0123\r\n6\r\n456789\r\n"
    store.answers = [(200, {"Transfer-Encoding": "chunked"}, chunks + b"0\r\n\r\n")] * 2
    sender = plain(store)
    for _ in range(2):
        found = sender.send("get_object", {"Bucket": "bucket", "Key": "a"}, ())
        assert found is not None
        assert found[1]["Body"].read() == b"0123456789"
    assert len({one.port for one in store.seen}) == 1
    store.answers = [(200, {"Transfer-Encoding": "chunked", "Connection": "close"}, chunks[:12])]
    found = sender.send("get_object", {"Bucket": "bucket", "Key": "a"}, ())
    assert found is not None
    with pytest.raises(OSError, match="breaks off"):
        found[1]["Body"].read()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file with a certificate for 127.0.0.1, that nobody has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return file


@pytest.mark.parametrize(
    ("host", "bundle", "trusted"),
    [("127.0.0.1", True, True), ("localhost", True, False), ("127.0.0.1", False, False)],
)
def test_only_a_store_with_a_trusted_certificate_is_talked_to(
    certificate: Path, host: str, bundle: bool, trusted: bool
) -> None:
    """Whoever nobody vouches for, or for somebody else, gets no request at all."""
    with running(certificate) as store:
        store.answers = [(204, {}, b"")]
        more = {"AWS_CA_BUNDLE": str(certificate)} if bundle else {}
        address = store.address.replace("127.0.0.1", host)
        way = Way.of(S3Settings(endpoint_url=address), {**KEYS, **more}, NOBODY)
        assert way is not None
        sender = Plain(way)
        assert (sender.send("delete_object", {"Bucket": "bucket", "Key": "a"}, ()) is not None) is trusted
        assert sender.failed is not trusted
        assert len(store.seen) == trusted


Trouble = tuple[int, Mapping[str, str], bytes]


# --- when the SDK takes over ------------------------------------------------------------------------------------------

SLOW: Trouble = (503, {}, b"<Error><Code>SlowDown</Code><Message>less</Message></Error>")


@pytest.mark.parametrize("trouble", [SLOW, (0, {}, b""), (200, {}, b"no XML"), (200, {}, b"<!DOCTYPE x><ListResult/>")])
def test_the_sdk_asks_again_where_the_answer_is_not_plain(store: Store, bucket: Bucket, trouble: Trouble) -> None:
    """It sends the same request, and all that follow."""
    store.answers = [trouble, (200, {}, CURRENT)]
    answer = bucket.call("list_objects_v2", Prefix="a/")
    assert [one["Key"] for one in answer.body["Contents"]] == ["a/b c"]
    assert answer.retried
    assert not bucket.call("list_objects_v2", Prefix="a/").retried
    agents = [one.headers["user-agent"].partition("/")[0] for one in store.seen]
    assert agents == ["tfaudit", "Botocore", "Botocore"]


@pytest.mark.parametrize(
    "trouble",
    [
        SLOW,
        (0, {}, b""),
        (200, {}, b"<Error><Code>InternalError</Code><Message>again</Message></Error>"),
        (200, {}, b"<Err"),
        (500, {}, b"<Error><Code>PreconditionFailed</Code><Message>not this time</Message></Error>"),
        (307, {}, b"<Error><Code>TemporaryRedirect</Code><Message>for now</Message></Error>"),
        (400, {}, b"<Error><Code>RequestTimeout</Code><Message>too slow</Message></Error>"),
    ],
)
def test_the_sdk_sends_a_whole_body_again(store: Store, bucket: Bucket, trouble: Trouble) -> None:
    """With all its bytes and their digest, and at once; an error in the body of a success is none."""
    store.answers = [trouble, (200, {"x-amz-version-id": "v1"}, b"")]
    answer = bucket.call("put_object", expected=["PreconditionFailed"], Key="a", Body=body(b"bytes"), ContentLength=5)
    assert (answer.code, answer.body["VersionId"], answer.retried) == (None, "v1", True)
    assert [one.body for one in store.seen] == [b"bytes", b"bytes"]
    assert len({one.headers["x-amz-content-sha256"] for one in store.seen}) == 1


def test_an_error_is_told_in_the_sdks_words(store: Store, bucket: Bucket) -> None:
    """What nobody expects is asked by the SDK, and its answer is what people read."""
    store.answers = [(403, {}, b"<Error><Code>AccessDenied</Code><Message>not for you</Message></Error>")]
    with pytest.raises(LedgerError, match="AccessDenied: not for you") as caught:
        bucket.call("list_objects_v2", Prefix="a/")
    assert caught.value.hint == "these credentials need s3:ListBucket on the bucket"


def test_what_is_not_known_here_is_the_sdks_and_ends_nothing(store: Store, bucket: Bucket) -> None:
    """Another operation goes by the SDK; the next plain one does not."""
    store.answers = [(200, {}, b"<VersioningConfiguration/>"), (200, {}, CURRENT)]
    bucket.call("get_bucket_versioning")
    bucket.call("list_objects_v2", Prefix="a/")
    agents = [one.headers["user-agent"].partition("/")[0] for one in store.seen]
    assert agents == ["Botocore", "tfaudit"]


def test_a_large_body_is_the_sdks(store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks whether the body is wanted."""
    monkeypatch.setattr(s3_plain, "LARGE", 4)
    store.answers = [(200, {"x-amz-version-id": "v1"}, b"")]
    bucket.call("put_object", Key="a", Body=body(b"bytes"))
    assert store.seen[0].headers["user-agent"].startswith("Botocore")


def test_a_broken_stream_is_taken_up_where_it_broke(store: Store, bucket: Bucket) -> None:
    """Whoever reads gets the whole object."""
    store.answers = [
        (206, {"Content-Length": "10", "Content-Range": "bytes 0-9/10"}, b"01234"),
        (206, {"Content-Range": "bytes 5-9/10"}, b"56789"),
    ]
    with stream(Remote(bucket, "a", end=10, version="v1")) as source:
        assert source.read() == b"0123456789"
    assert [one.headers["range"] for one in store.seen] == ["bytes=0-9", "bytes=5-9"]


# --- what is no answer, whoever asks ----------------------------------------------------------------------------------


@pytest.fixture(params=["plain", "sdk"])
def either(request: pytest.FixtureRequest, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give the bucket as it is asked without the SDK, and with it."""
    if request.param == "sdk":
        monkeypatch.setenv("AWS_SDK_UA_APP_ID", "not-plain")
    return bucket


def listed(inner: bytes) -> bytes:
    """Return a listing with this in it."""
    return b"<ListVersionsResult><EncodingType>url</EncodingType>" + inner + b"</ListVersionsResult>"


WHOLE = b"<IsTruncated>false</IsTruncated>"


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>log in first</body></html>",
        b"",
        listed(b""),
        listed(WHOLE + b"<Version><VersionId>1</VersionId><Size>3</Size></Version>"),
        listed(WHOLE + b"<Version><Key>a</Key><Size>3</Size></Version>"),
        listed(WHOLE + b"<Version><Key>a</Key><VersionId>1</VersionId></Version>"),
        listed(WHOLE + b"<Version><Key>a</Key><VersionId>1</VersionId><Size>many</Size></Version>"),
        listed(WHOLE + b"<DeleteMarker><Key>a</Key></DeleteMarker>"),
        listed(b"<IsTruncated>true</IsTruncated>"),
    ],
)
def test_what_is_no_listing_is_not_taken_for_an_empty_one(store: Store, either: Bucket, content: bytes) -> None:
    """It is a failure that says so in a line, also where the SDK makes nothing of it."""
    store.answers = [(200, {}, content)]
    with pytest.raises(LedgerError, match=r"list object versions: (the answer can't be read|500)"):
        [*EvidenceBucket(either).list("")]


@pytest.mark.parametrize(
    "answers",
    [
        [(200, {}, listed(b"<IsTruncated>true</IsTruncated><NextKeyMarker>a b/x</NextKeyMarker>"))],
        [
            (200, {}, listed(b"<IsTruncated>true</IsTruncated><NextKeyMarker>a b/y</NextKeyMarker>")),
            (200, {}, listed(b"<IsTruncated>true</IsTruncated><NextKeyMarker>a b/x</NextKeyMarker>")),
        ],
    ],
    ids=["again", "back"],
)
def test_a_listing_that_gets_no_further_ends(store: Store, either: Bucket, answers: list[Any]) -> None:
    """Nobody waits for ever for the next page."""
    store.answers = answers
    with pytest.raises(LedgerError, match="list object versions: the answer can't be read"):
        [*EvidenceBucket(either).list("")]
    current = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    store.answers = [(200, {}, current + b"</ListBucketResult>")]
    with pytest.raises(LedgerError, match="list objects v2: the answer can't be read"):
        [*WorkingBucket(either).list("")]


def test_a_part_that_begins_elsewhere_is_not_the_part(store: Store, either: Bucket) -> None:
    """A store that gives the whole where the rest was asked for is not believed."""
    store.answers = [
        (206, {"Content-Length": "10", "Content-Range": "bytes 0-9/10"}, b"01234"),
        (200, {}, b"0123456789"),
    ]
    with stream(Remote(either, "a", end=10, version="v1")) as source, pytest.raises(LedgerError, match="can't be read"):
        source.read()


def test_headers_that_mean_nothing_are_a_failure(store: Store, either: Bucket) -> None:
    """The SDK's parser has no words for them."""
    store.answers = [(200, {"x-amz-object-lock-retain-until-date": "soon"}, b"content")]
    with pytest.raises(LedgerError, match="get object: the answer can't be read"):
        WorkingBucket(either).open("a")


@pytest.mark.parametrize("more", [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}])
def test_an_object_that_breaks_off_is_a_failure(store: Store, either: Bucket, more: Mapping[str, str]) -> None:
    """Of the working store it is told, of the evidence it is no beginning."""
    store.answers = [(200, {**more, "x-amz-version-id": "v1", "Connection": "close"}, b"5\r\nbytes\r\n5\r\nby")]
    with pytest.raises(LedgerError, match="breaks off"):
        WorkingBucket(either).open("a")
    assert Contents(either).current("a") is None


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [(403, "RequestTimeTooSkewed", "set this machine's clock"), (429, "TooManyRequests", "try again")],
)
def test_what_to_do_is_said(store: Store, either: Bucket, status: int, code: str, hint: str) -> None:
    """Rights are not what is missing where the clock is wrong or the store is busy."""
    store.answers = [(status, {}, f"<Error><Code>{code}</Code><Message>not now</Message></Error>".encode())]
    with pytest.raises(LedgerError, match=f"{code}: not now") as caught:
        either.call("list_objects_v2", Prefix="a/")
    assert type(caught.value) is LedgerError
    assert caught.value.hint == hint


def test_a_certificate_that_nobody_trusts_is_told(
    certificate: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variable that names those to trust."""
    with running(certificate) as store:
        there = Bucket("s3://bucket/a", S3Settings(endpoint_url=store.address))
        with pytest.raises(LedgerError, match="can't be reached: SSL validation failed") as caught:
            there.call("list_objects_v2", Prefix="a/")
        assert store.seen == []
    assert caught.value.hint == "AWS_CA_BUNDLE names the file of the authorities to trust"


def test_a_store_without_tls_is_no_matter_of_authorities(store: Store, bucket: Bucket) -> None:
    """Its address is wrong."""
    there = Bucket("s3://bucket/a", S3Settings(endpoint_url=store.address.replace("http:", "https:")))
    with pytest.raises(LedgerError, match="can't be reached: SSL validation failed") as caught:
        there.call("list_objects_v2", Prefix="a/")
    assert caught.value.hint == "is the endpoint right, and up?"


def test_the_sdk_is_not_loaded_for_plain_requests(store: Store, tmp_path: Path) -> None:
    """A process that reads and writes objects has no botocore in it."""
    store.answers = [(200, {"x-amz-version-id": "v1"}, CURRENT)]
    code = f"""
import sys
from tfaudit.config import S3Settings
from tfaudit.ledger.s3 import Bucket
from tfaudit.ledger.s3_working import WorkingBucket
store = WorkingBucket(Bucket("s3://bucket/a", S3Settings(endpoint_url={store.address!r})))
assert store.create("b", b"content")
with store.open("b") as source:
    source.read()
assert [entry.key for entry in store.list("")]
print([name for name in sys.modules if name.partition(".")[0] in ("boto3", "botocore")])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**KEYS, "HOME": str(tmp_path)}, check=True
    )
    assert ended.stdout == "[]\n"
