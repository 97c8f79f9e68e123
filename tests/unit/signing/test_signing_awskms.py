"""Signing with keys in AWS KMS: against moto, and against a small KMS that does what moto does not.

moto hashes a digest once more and has no Ed25519; `Kms` below follows the API's documentation there. Neither is AWS.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto.server import ThreadedMotoServer

from tfaudit.errors import ConfigError, TfauditError, UnavailableError
from tfaudit.signing import envelope, keys
from tfaudit.signing.signer import open_signer

REGION = "eu-central-1"
SMALL, LARGE = b"m" * 4096, b"m" * 4097


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """The ordinary AWS configuration by environment, and no other."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture(scope="module")
def server():
    """A moto server's address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(aws, server):
    """A KMS client of moto."""
    aws.setenv("AWS_ENDPOINT_URL", server)
    return boto3.client("kms", region_name=REGION)


def create(client, spec="ECC_NIST_P256", usage="SIGN_VERIFY"):
    """Make a key and return its metadata."""
    return client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


def test_p256_verifies_offline(moto, tmp_path):
    """A P-256 key, by id, ARN or alias, gives its public key and DER signatures over the message itself."""
    made = create(moto)
    moto.create_alias(AliasName="alias/tfaudit", TargetKeyId=made["KeyId"])
    for name in (made["KeyId"], made["Arn"], "alias/tfaudit"):
        signer = open_signer(f"awskms:{name}", base=tmp_path)
        assert signer.public.algorithm == "ecdsa-p256"
        assert keys.from_spki(signer.public.spki).verify(signer.sign(SMALL), SMALL)
        assert envelope.parse(envelope.seal(b"{}", signer)).signed_by(signer.public)


def test_an_arn_brings_its_region(moto, aws, tmp_path):
    """No region need be configured where the key is named by its ARN."""
    made = create(moto)
    aws.delenv("AWS_REGION")
    signer = open_signer(f"awskms:{made['Arn']}", base=tmp_path)
    assert signer.public.verify(signer.sign(b"m"), b"m")
    with pytest.raises(ConfigError, match="no AWS region"):
        _ = open_signer(f"awskms:{made['KeyId']}", base=tmp_path).public


@pytest.mark.parametrize(
    ("spec", "usage"),
    [("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P384", "SIGN_VERIFY"), ("RSA_2048", "ENCRYPT_DECRYPT")],
)
def test_a_key_of_another_kind_is_told(moto, tmp_path, spec, usage):
    """A key of an algorithm that records can't be signed with ends in one line, before anything is signed."""
    made = create(moto, spec, usage)
    with pytest.raises(ConfigError, match="ECC_NIST_P256"):
        _ = open_signer(f"awskms:{made['KeyId']}", base=tmp_path).public


def test_a_key_that_is_not_there_is_told(moto, tmp_path):
    """A key that KMS does not know is told by name, with what to do."""
    for name in ("alias/nothing", "11111111-2222-3333-4444-555555555555"):
        with pytest.raises(ConfigError, match=name):
            _ = open_signer(f"awskms:{name}", base=tmp_path).public
    with pytest.raises(ConfigError, match="names no key"):
        open_signer("awskms:", base=tmp_path)


def test_without_credentials_one_line_says_so(aws, server, tmp_path):
    """Missing credentials, or a profile that is not there, are a matter of configuration."""
    aws.setenv("AWS_ENDPOINT_URL", server)
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="no AWS credentials"):
        _ = open_signer("awskms:alias/x", base=tmp_path).public
    aws.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="no AWS credentials"):
        _ = open_signer("awskms:alias/x", base=tmp_path).public


def test_a_token_that_is_not_there_is_no_credentials(aws, server, tmp_path):
    """A web identity's token comes from a file; where that is missing, one line says so."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    aws.setenv("AWS_ENDPOINT_URL", server)
    aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
    with pytest.raises(ConfigError, match=r"no AWS credentials .* .FileNotFoundError"):
        _ = open_signer("awskms:alias/x", base=tmp_path).public


def test_a_kms_that_is_away_is_unavailable(aws, tmp_path):
    """A connection that nobody takes ends in 69."""
    aws.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UnavailableError, match="can't be reached"):
        _ = open_signer("awskms:alias/x", base=tmp_path).public


def test_an_emulator_that_hashes_a_digest_again_is_found_out(moto, tmp_path):
    """A signature that does not verify is never used: moto's over what exceeds 4,096 bytes is such a one."""
    signer = open_signer(f"awskms:{create(moto)['KeyId']}", base=tmp_path)
    with pytest.raises(UnavailableError, match="hashes digests again"):
        signer.sign(LARGE)


class Kms(BaseHTTPRequestHandler):
    """GetPublicKey and Sign as the API's documentation has them."""

    private: object = None
    refusal: tuple[int, str] | None = None

    def log_message(self, *_arguments):
        """Say nothing."""

    def do_POST(self):
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        action = self.headers["X-Amz-Target"].removeprefix("TrentService.")
        if self.refusal:
            self._answer(self.refusal[0], {"__type": self.refusal[1]})
        elif action == "GetPublicKey":
            spki = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self._answer(200, {"KeyId": asked["KeyId"], "PublicKey": base64.b64encode(spki).decode()})
        else:
            message = base64.b64decode(asked["Message"])
            if len(message) > 4096:
                self._answer(400, {"__type": "ValidationException"})
                return
            signature = self._sign(message, (asked["SigningAlgorithm"], asked["MessageType"]))
            self._answer(200, {"KeyId": asked["KeyId"], "Signature": base64.b64encode(signature).decode()})

    def _sign(self, message, how):
        if how == ("ECDSA_SHA_256", "RAW"):
            return self.private.sign(message, ec.ECDSA(SHA256()))
        if how == ("ECDSA_SHA_256", "DIGEST"):
            return self.private.sign(message, ec.ECDSA(Prehashed(SHA256())))
        assert how == ("ED25519_SHA_512", "RAW")
        return self.private.sign(message)

    def _answer(self, status, document):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def kms(aws):
    """Return a maker of signers of a key in such a KMS."""
    servers = []

    def made(private, refusal=None):
        handler = type("Handler", (Kms,), {"private": private, "refusal": refusal})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        aws.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        return open_signer("awskms:alias/x", base=None)

    yield made
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("message", [b"", SMALL, LARGE, LARGE * 20], ids=len)
def test_p256_signs_messages_of_any_length(kms, message):
    """Up to 4,096 bytes KMS hashes the message, beyond it gets the digest: the signature is the same to a verifier."""
    signer = kms(ec.generate_private_key(ec.SECP256R1()))
    assert signer.public.verify(signer.sign(message), message)


def test_ed25519_signs_what_is_short_enough(kms):
    """KMS signs up to 4,096 bytes with Ed25519; for more another key is wanted."""
    signer = kms(ed25519.Ed25519PrivateKey.generate())
    assert signer.public.algorithm == "ed25519"
    assert signer.public.verify(signer.sign(SMALL), SMALL)
    with pytest.raises(ConfigError, match="at most 4096 bytes with ed25519"):
        signer.sign(LARGE)


def test_the_public_key_is_asked_for_once(kms):
    """A signer asks KMS for the public key only when it is wanted, and only once."""
    signer = kms(ed25519.Ed25519PrivateKey.generate())
    assert signer.public is signer.public


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ((400, "AccessDeniedException"), ConfigError),
        ((400, "DisabledException"), ConfigError),
        ((400, "KMSInvalidStateException"), ConfigError),
        ((400, "ExpiredTokenException"), ConfigError),
        ((400, "UnrecognizedClientException"), ConfigError),
        ((400, "KeyUnavailableException"), UnavailableError),
        ((500, "KMSInternalException"), UnavailableError),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else value.__name__,
)
def test_what_kms_refuses_is_one_line(kms, code, expected):
    """What trying again can't help is a matter of configuration, the rest of the service."""
    signer = kms(rsa.generate_private_key(65537, 2048), refusal=code)
    with pytest.raises(TfauditError) as caught:
        signer.sign(b"m")
    assert type(caught.value) is expected
    assert code[1] in str(caught.value)
    assert "\n" not in str(caught.value)
