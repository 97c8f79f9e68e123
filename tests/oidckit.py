"""A strict OpenID Connect provider on 127.0.0.1, real keys, and tokens as its attackers would make them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

PLACE = "/_services/token"
"""Where GitHub Enterprise Server issues its tokens."""
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-2"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
EC384 = ECKey.generate_key("P-384", {"kid": "ec-2"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
with warnings.catch_warnings(action="ignore"):
    SMALL_RSA = RSAKey.generate_key(1024, {"kid": "small"})


@dataclass
class Issuer:
    """The provider: what it serves, and what it was asked for."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [RSA, EC, EC384, ED])
    said_issuer: str | None = None
    """What the discovery document calls it; None: by its own name."""
    token: Callable[[str], str] | None = None
    """Gives a job's token for an audience, as GitHub's and Azure DevOps' services do."""
    asked: list[str] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], bool] | None = None
    """Answers in place of the provider; False: it did not."""

    def key_set(self) -> dict[str, Any]:
        """Return its public keys."""
        return {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in self.keys]}

    def asks_for(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(urlsplit(each).path == path for each in self.asked)


@contextmanager
def serve() -> Iterator[Issuer]:
    """Give a running provider."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.path = self.path.removeprefix(PLACE)
            issuer.asked.append(self.path)
            if issuer.answer is None or not issuer.answer(self):
                _answer(issuer, self)

        do_POST = do_GET

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer.url = f"http://127.0.0.1:{server.server_port}{PLACE}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


def _answer(issuer: Issuer, handler: BaseHTTPRequestHandler) -> None:
    parts = urlsplit(handler.path)
    query = parse_qs(parts.query)
    match handler.command, parts.path:
        case "GET", "/.well-known/openid-configuration":
            reply(handler, {"issuer": issuer.said_issuer or issuer.url, "jwks_uri": f"{issuer.url}/keys"})
        case "GET", "/keys":
            reply(handler, issuer.key_set())
        case "GET", "/github" if issuer.token and handler.headers["Authorization"] == "Bearer request-token":
            assert query["api-version"] == ["2.0"]
            (audience,) = query["audience"]
            reply(handler, {"value": issuer.token(audience)})
        case "POST", "/azure" if issuer.token and handler.headers["Authorization"] == "Bearer access-token":
            assert query == {"api-version": ["7.1"], "serviceConnectionId": ["connection-1"]}
            reply(handler, {"oidcToken": issuer.token("api://AzureADTokenExchange")})
        case _:
            handler.send_error(404)


def reply(handler: BaseHTTPRequestHandler, document: object) -> None:
    """Answer with a JSON document."""
    raw(handler, json.dumps(document).encode())


def raw(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Answer with bytes."""
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def claims(issuer: Issuer | str, audience: object = "tfaudit", *, now: datetime = NOW, **more: Any) -> dict[str, Any]:
    """Return the claims of a token that is good for five minutes; None among ``more`` leaves one out."""
    base: dict[str, Any] = {
        "iss": issuer if isinstance(issuer, str) else issuer.url,
        "sub": "somebody",
        "aud": audience,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=5)).timestamp()),
    }
    return {name: value for name, value in (base | more).items() if value is not None}


def sign(said: dict[str, Any], key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    """Return a token that the key signed."""
    names = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | header
    protected = {name: value for name, value in names.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jws.serialize_compact(protected, json.dumps(said).encode(), key, registry=registry)


def forge(said: object, header: object, signature: bytes = b"") -> str:
    """Return a token with any header, any claims and any signature at all."""
    return ".".join((encode(header), encode(said), base64url(signature)))


def hmac_signed(said: dict[str, Any], header: dict[str, Any], secret: bytes) -> str:
    """Return a token signed by HMAC-SHA256."""
    signed = f"{encode(header)}.{encode(said)}"
    return f"{signed}.{base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def encode(document: object) -> str:
    """Return one part of a token; bytes stand for themselves."""
    return base64url(document if isinstance(document, bytes) else json.dumps(document).encode())


def base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
