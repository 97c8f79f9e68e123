"""Strict small copies of the APIs that the HTTP sinks send to, on loopback: what they would refuse is refused."""

from __future__ import annotations

import base64
import datetime as dt
import fnmatch
import gzip
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "11111111-canary-2222-3333-444444444444"
API_KEY = "Y2FuYXJ5OmtleS0wMTIzNDU2Nzg5"
KEY = b"canary-key-of-thirty-two-bytes-!"

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Any
    raw: bytes
    """As on the wire."""
    body: bytes
    """Decompressed."""


@dataclass
class Fault:
    """What a request gets in place of its answer."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"no"
    hang: float = 0.0
    """Seconds before anything is said."""
    drip: float = 0.0
    """Seconds between the bytes of the body."""
    cut: int | None = None
    """How many bytes of the body are sent before the connection ends."""
    after: bool = False
    """Whether the request is carried out before its answer is lost."""


class Service:
    """One API: what it was asked, what goes wrong; subclasses answer."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: deque[Fault | None] = deque()
        """For the next requests, one each; None: the real answer."""
        self.url = ""
        self.lock = threading.Lock()

    def answer(self, asked: Asked) -> Answer:
        """Return status, headers and body."""
        raise NotImplementedError

    @property
    def posted(self) -> list[Asked]:
        """The requests that had a body."""
        return [one for one in self.asked if one.method == "POST" and one.body]


def said(status: int, value: object, **headers: str) -> Answer:
    """Return an answer in JSON."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


class Splunk(Service):
    """HTTP Event Collector, as its documentation and its table of codes have it."""

    KEYS = frozenset({"time", "host", "source", "sourcetype", "index", "event", "fields"})

    def __init__(self, *, indexes: tuple[str, ...] = ("main", "terraform"), acknowledge: bool = False) -> None:
        super().__init__()
        self.indexes, self.acknowledge = indexes, acknowledge
        self.most = 1_000_000
        self.disabled = False
        self.indexed: list[dict[str, Any]] = []
        self.invalid: Callable[[dict[str, Any]], int | None] = lambda _: None
        """The code that an event is refused with."""
        self.names_the_event = True
        self.slow_acks = 0
        """How many times acknowledgements are asked for in vain."""
        self.acks: dict[str, int] = {}

    def answer(self, asked: Asked) -> Answer:
        """Return what the collector says."""
        if asked.path in ("/services/collector/health", "/services/collector/health/1.0"):
            return self._code(200, 17, "HEC is healthy") if asked.method == "GET" else said(405, {})
        if asked.path == "/services/collector/ack":
            return self._token(asked) or self._ack(asked)
        if asked.path not in ("/services/collector/event", "/services/collector"):
            return 404, {}, b'{"text":"The requested URL was not found on this server.","code":404}'
        if asked.method != "POST":
            return said(405, {})
        if len(asked.raw) > self.most or len(asked.body) > self.most:
            return 413, {}, b'{"text":"Content-Length is too large","code":27000}'
        return self._token(asked) or self._channel(asked) or self._events(asked)

    def _code(self, status: int, code: int, text: str, **more: object) -> Answer:
        return said(status, {"text": text, "code": code, **more})

    def _token(self, asked: Asked) -> Answer | None:
        word, _, token = (asked.headers["Authorization"] or "").partition(" ")
        if not word:
            return self._code(401, 2, "Token is required")
        if word != "Splunk" or not token:
            return self._code(401, 3, "Invalid authorization")
        if token != TOKEN:
            return self._code(403, 4, "Invalid token")
        return self._code(403, 1, "Token disabled") if self.disabled else None

    def _channel(self, asked: Asked) -> Answer | None:
        if not self.acknowledge:
            return None
        channel = asked.headers["X-Splunk-Request-Channel"] or asked.query.get("channel")
        if channel is None:
            return self._code(400, 10, "Data channel is missing")
        try:
            uuid.UUID(channel)
        except ValueError:
            return self._code(400, 11, "Invalid data channel")
        return None

    def _events(self, asked: Asked) -> Answer:
        text = asked.body.decode()
        if not text.strip():
            return self._code(400, 5, "No data")
        at, number = 0, 0
        while at < len(text):
            try:
                event, at = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                return self._bad(6, "Invalid data format", number)
            refused = self._refused(event)
            if refused:
                return self._bad(*refused, number)
            # What stands before an invalid event is indexed all the same.
            self.indexed.append(event)
            number += 1
            while at < len(text) and text[at] in " \r\n\t":
                at += 1
        if not self.acknowledge:
            return self._code(200, 0, "Success")
        channel = asked.headers["X-Splunk-Request-Channel"]
        self.acks[channel] = self.acks.get(channel, -1) + 1
        return self._code(200, 0, "Success", ackId=self.acks[channel])

    def _bad(self, code: int, text: str, number: int) -> Answer:
        return self._code(400, code, text, **({"invalid-event-number": number} if self.names_the_event else {}))

    def _refused(self, event: Any) -> tuple[int, str] | None:
        if not isinstance(event, dict) or set(event) - self.KEYS:
            return 6, "Invalid data format"
        if "event" not in event:
            return 12, "Event field is required"
        if event["event"] in ("", None, {}):
            return 13, "Event field cannot be blank"
        if not isinstance(event.get("time", 0.0), float | int) or not 1e9 < event.get("time", 2e9) < 1e10:
            return 6, "Invalid data format"
        if any(not isinstance(event.get(name, "x"), str) for name in ("host", "source", "sourcetype", "index")):
            return 6, "Invalid data format"
        fields = event.get("fields", {})
        if not isinstance(fields, dict) or any(isinstance(value, dict) for value in fields.values()):
            return 15, "Error in handling indexed fields"
        if event.get("index", "main") not in self.indexes:
            return 7, "Incorrect index"
        code = self.invalid(event)
        return (code, "Invalid data format") if code is not None else None

    def _ack(self, asked: Asked) -> Answer:
        if not self.acknowledge:
            return self._code(400, 14, "ACK is disabled")
        channel = asked.query.get("channel")
        wanted = json.loads(asked.body)["acks"]
        if channel is None:
            return self._code(400, 10, "Data channel is missing")
        if self.slow_acks > 0:
            self.slow_acks -= 1
            return said(200, {"acks": {str(one): False for one in wanted}})
        return said(200, {"acks": {str(one): 0 <= one <= self.acks.get(channel, -1) for one in wanted}})


class Elastic(Service):
    """Elasticsearch 8 or OpenSearch 2: data streams, bulk, templates, ISM; fields are checked by their mapping."""

    TEMPLATE = frozenset({"index_patterns", "data_stream", "priority", "version", "_meta", "template", "composed_of"})

    def __init__(self, product: str = "elasticsearch", *, version: str = "8.17.0", authorization: str | None = None):
        super().__init__()
        self.product, self.version = product, version
        self.authorization = f"ApiKey {API_KEY}" if authorization is None else authorization
        self.rights = {"monitor", "manage", "create_doc", "view"}
        self.templates: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.streams: dict[str, dict[str, Any]] = {}
        """By data stream: its documents by id."""
        self.indexes: dict[str, dict[str, Any]] = {}
        """Ordinary ones, made since nothing said that the name is a data stream's."""
        self.most = 100_000_000
        self.trouble: Callable[[str], tuple[int, str] | None] = lambda _: None
        """By document id: status and type of what it gets."""

    def answer(self, asked: Asked) -> Answer:
        """Return what the server says."""
        if asked.headers["Authorization"] != (self.authorization or None):
            return self._error(401, "security_exception")
        for method, pattern, way in (
            ("GET", r"/", self._root),
            ("POST", r"/_security/user/_has_privileges", self._privileges),
            ("GET", r"/_data_stream/([^/]+)", self._see_stream),
            ("PUT", r"/_data_stream/([^/]+)", self._make_stream),
            ("GET", r"/_index_template/([^/]+)", self._see_template),
            ("PUT", r"/_index_template/([^/]+)", self._make_template),
            ("GET", r"/_plugins/_ism/policies/([^/]+)", self._see_policy),
            ("PUT", r"/_plugins/_ism/policies/([^/]+)", self._make_policy),
            ("POST", r"/([^/]+)/_bulk", self._bulk),
        ):
            if asked.method == method and (found := re.fullmatch(pattern, asked.path)):
                return way(asked, *found.groups())
        return said(400, {"error": f"no handler found for uri [{asked.path}] and method [{asked.method}]"})

    def _error(self, status: int, kind: str, reason: str = "secret-looking reason") -> Answer:
        return said(status, {"error": {"type": kind, "reason": reason}, "status": status})

    def _root(self, _asked: Asked) -> Answer:
        if "monitor" not in self.rights:
            return self._error(403, "security_exception")
        number: dict[str, Any] = {"number": self.version}
        if self.product == "opensearch":
            number["distribution"] = "opensearch"
        return said(200, {"name": "n", "cluster_name": "c", "version": number})

    def _privileges(self, asked: Asked) -> Answer:
        if self.product == "opensearch":
            return said(405, {"error": "Incorrect HTTP method"})
        wanted = json.loads(asked.body)["index"][0]
        assert set(wanted) == {"names", "privileges"}
        return said(200, {"has_all_requested": set(wanted["privileges"]) <= self.rights})

    def _see_stream(self, _asked: Asked, name: str) -> Answer:
        if "view" not in self.rights:
            return self._error(403, "security_exception")
        if name not in self.streams:
            return self._error(404, "index_not_found_exception")
        return said(200, {"data_streams": [{"name": name}]})

    def _make_stream(self, asked: Asked, name: str) -> Answer:
        if "manage" not in self.rights:
            return self._error(403, "security_exception")
        if asked.body:
            return self._error(400, "parse_exception")
        if name in self.streams:
            return self._error(400, "resource_already_exists_exception")
        if self._template(name) is None:
            return self._error(400, "illegal_argument_exception", f"no matching index template found for [{name}]")
        self.streams[name] = {}
        return said(200, {"acknowledged": True})

    def _see_template(self, _asked: Asked, name: str) -> Answer:
        if "view" not in self.rights:
            return self._error(403, "security_exception")
        if name not in self.templates:
            return self._error(404, "resource_not_found_exception")
        return said(200, {"index_templates": [{"name": name, "index_template": self.templates[name]}]})

    def _make_template(self, asked: Asked, name: str) -> Answer:
        if "manage" not in self.rights:
            return self._error(403, "security_exception")
        body = json.loads(asked.body)
        inner = body.get("template", {})
        allowed = {"settings", "mappings", "aliases"}
        if self.product == "elasticsearch" and tuple(map(int, self.version.split(".")[:2])) >= (8, 11):
            allowed |= {"lifecycle"}
        if set(body) - self.TEMPLATE or set(inner) - allowed:
            return self._error(400, "x_content_parse_exception")
        for pattern in body["index_patterns"]:
            for other, template in self.templates.items():
                same = template.get("priority") == body.get("priority")
                if other != name and same and pattern in template["index_patterns"]:
                    return self._error(400, "illegal_argument_exception")
        self.templates[name] = body
        return said(200, {"acknowledged": True})

    def _see_policy(self, _asked: Asked, name: str) -> Answer:
        if self.product != "opensearch":
            return said(400, {"error": "no handler found"})
        return said(200, self.policies[name]) if name in self.policies else self._error(404, "status_exception")

    def _make_policy(self, asked: Asked, name: str) -> Answer:
        if self.product != "opensearch":
            return said(400, {"error": "no handler found"})
        if "manage" not in self.rights:
            return self._error(403, "security_exception")
        policy = json.loads(asked.body)["policy"]
        states = {state["name"] for state in policy["states"]}
        if policy["default_state"] not in states or any(
            way["state_name"] not in states for state in policy["states"] for way in state["transitions"]
        ):
            return self._error(400, "illegal_argument_exception")
        self.policies[name] = {"policy": policy, "made_before": not self.streams}
        return said(201, {"_id": name})

    def _template(self, name: str) -> dict[str, Any] | None:
        matching = [
            template
            for template in self.templates.values()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in template["index_patterns"])
        ]
        return max(matching, key=lambda one: one.get("priority", 0)) if matching else None

    def _bulk(self, asked: Asked, target: str) -> Answer:
        if asked.headers["Content-Type"] not in ("application/x-ndjson", "application/json"):
            return self._error(406, "media_type_header_exception")
        if len(asked.raw) > self.most:
            return 413, {}, b""
        if not asked.body.endswith(b"\n"):
            return self._error(400, "illegal_argument_exception")
        lines = asked.body.split(b"\n")[:-1]
        if len(lines) % 2:
            return self._error(400, "illegal_argument_exception")
        items = []
        for at in range(0, len(lines), 2):
            action, content = json.loads(lines[at]), json.loads(lines[at + 1])
            (op, named), *more = action.items()
            if more or op != "create" or set(named) - {"_id", "_index", "require_alias"}:
                return self._error(400, "illegal_argument_exception")
            items.append({"create": self._create(target, named["_id"], content)})
        whole = {"took": 3, "errors": any(item["create"]["status"] >= 300 for item in items), "items": items}
        return said(200, _filtered(whole, asked.query.get("filter_path")))

    def _create(self, target: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
        base = {"_index": f".ds-{target}-2026.11.25-000001", "_id": name}
        wrong = self.trouble(name)
        if wrong is None and "create_doc" not in self.rights:
            wrong = (403, "security_exception")
        if wrong is not None:
            return {**base, "status": wrong[0], "error": {"type": wrong[1], "reason": f"of {name}: canary-reason"}}
        template = self._template(target)
        if target not in self.streams and (template is None or "data_stream" not in template):
            self.indexes.setdefault(target, {})[name] = content
            return {**base, "_index": target, "status": 201, "result": "created"}
        documents = self.streams.setdefault(target, {})
        if name in documents:
            kind = "version_conflict_engine_exception"
            return {**base, "status": 409, "error": {"type": kind, "reason": f"[{name}]: version conflict"}}
        if len(name.encode()) > 512:
            return {**base, "status": 400, "error": {"type": "illegal_argument_exception", "reason": "id is too long"}}
        mapping = (template or {}).get("template", {}).get("mappings", {})
        problem = None if "@timestamp" in content else "data stream timestamp field [@timestamp] is missing"
        problem = problem or _unmapped(content, mapping.get("properties", {}), "")
        if problem:
            return {**base, "status": 400, "error": {"type": "document_parsing_exception", "reason": problem}}
        documents[name] = content
        return {**base, "status": 201, "result": "created", "_version": 1}


def _filtered(value: Any, paths: str | None) -> Any:
    """Return what ``filter_path`` leaves of an answer."""
    if paths is None:
        return value
    return _kept(value, [path.split(".") for path in paths.split(",")])


def _kept(value: Any, paths: list[list[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        kept = [_kept(one, paths) for one in value]
        return [one for one in kept if one is not None]
    if not isinstance(value, dict):
        return None
    found = {}
    for name, inner in value.items():
        below = [path[1:] for path in paths if path[0] in ("*", name)]
        if below and (kept := _kept(inner, below)) is not None:
            found[name] = kept
    return found or None


def _unmapped(value: Any, properties: dict[str, Any], path: str) -> str | None:
    """Return what a mapping with ``dynamic: false`` and ``ignore_malformed`` has against a document."""
    for name, inner in value.items():
        at, mapped = f"{path}{name}", properties.get(name)
        if mapped is None:
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            if one is None:
                continue
            if "properties" in mapped:
                if not isinstance(one, dict):
                    return (
                        f"object mapping for [{at}] tried to parse field [{at}] as object, but found a concrete value"
                    )
                problem = _unmapped(one, mapped["properties"], f"{at}.")
                if problem:
                    return problem
            elif isinstance(one, dict | list):
                return f"failed to parse field [{at}] of type [{mapped['type']}] in document: canary-value"
            elif mapped["type"] == "boolean" and not isinstance(one, bool):
                return f"failed to parse field [{at}] of type [boolean] in document: canary-value"
            elif name == "@timestamp" and not (isinstance(one, int) or _DATE.fullmatch(str(one))):
                return f"failed to parse field [{at}] of type [date] in document: canary-value"
    return None


class Receiver(Service):
    """A receiver of CloudEvents that answers with ``status``; what it got is for the test to look at."""

    def __init__(self, *, status: int = 204) -> None:
        super().__init__()
        self.status = status
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _: False
        self.refusal = 422
        self.events: list[dict[str, Any]] = []

    def answer(self, asked: Asked) -> Answer:
        """Return what the receiver says."""
        if asked.path != "/hooks/tfaudit":
            return 404, {}, b""
        if asked.method == "OPTIONS":
            return 200, {"Allow": "POST"}, b""
        if asked.method != "POST" or self.status >= 300:
            return (self.status if asked.method == "POST" else 405), {}, b"body-canary"
        found = json.loads(asked.body)
        events = found if isinstance(found, list) else [found]
        if any(self.refuses(event) for event in events):
            return self.refusal, {}, b"body-canary"
        self.events += events
        return self.status, {}, b""


class Collector(Service):
    """An OTLP receiver: the request's members, names and types as the protocol's JSON encoding has them."""

    def __init__(self, *, path: str = "/v1/logs") -> None:
        super().__init__()
        self.path = path
        self.records: list[dict[str, Any]] = []
        self.wanted: dict[str, str] = {}
        """Headers without which nothing is taken."""
        self.rejects: Callable[[dict[str, Any]], bool] = lambda _: False
        self.most = 20 << 20

    def answer(self, asked: Asked) -> Answer:
        """Return what the receiver says."""
        if asked.path != self.path:
            return 404, {}, b"404 page not found"
        if asked.method != "POST":
            return 405, {}, b""
        if asked.headers["Content-Type"] != "application/json":
            return 415, {}, b""
        if any(asked.headers[name] != value for name, value in self.wanted.items()):
            return said(401, {"code": 16, "message": "unauthenticated"})
        if len(asked.body) > self.most:
            return said(413, {"code": 3})
        try:
            records = self._records(json.loads(asked.body))
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            return said(400, {"code": 3, "message": f"readObjectStart: {error}"})
        bad = [one for one in records if self.rejects(one)]
        self.records += [one for one in records if one not in bad]
        if not bad:
            return said(200, {"partialSuccess": {}})
        return said(200, {"partialSuccess": {"rejectedLogRecords": str(len(bad)), "errorMessage": "canary-message"}})

    def _records(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        assert set(request) == {"resourceLogs"}
        found = []
        for logs in request["resourceLogs"]:
            assert set(logs) == {"resource", "scopeLogs"}
            _attributes(logs["resource"]["attributes"])
            for scope in logs["scopeLogs"]:
                assert set(scope) == {"scope", "logRecords"}
                assert set(scope["scope"]) <= {"name", "version"}
                found += scope["logRecords"]
        for record in found:
            assert set(record) <= {
                "timeUnixNano",
                "observedTimeUnixNano",
                "severityNumber",
                "severityText",
                "eventName",
                "body",
                "attributes",
            }
            assert re.fullmatch(r"\d{19}", record["timeUnixNano"])
            assert re.fullmatch(r"\d{19}", record["observedTimeUnixNano"])
            assert 1 <= record["severityNumber"] <= 24
            _any_value(record["body"])
            _attributes(record["attributes"])
        return found


def _attributes(attributes: list[dict[str, Any]]) -> None:
    names = [one["key"] for one in attributes]
    assert len(set(names)) == len(names)
    for one in attributes:
        assert set(one) == {"key", "value"}
        _any_value(one["value"])


def _any_value(value: dict[str, Any]) -> None:
    if not value:
        return
    ((kind, inner),) = value.items()
    match kind:
        case "stringValue":
            assert isinstance(inner, str)
        case "boolValue":
            assert isinstance(inner, bool)
        case "intValue":
            assert isinstance(inner, str)
            assert -(2**63) <= int(inner) < 2**63
        case "doubleValue":
            assert isinstance(inner, float)
        case "arrayValue":
            assert set(inner) == {"values"}
            for one in inner["values"]:
                _any_value(one)
        case "kvlistValue":
            assert set(inner) == {"values"}
            _attributes(inner["values"])
        case _:
            raise AssertionError(kind)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            self.close_connection = True

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = gzip.decompress(raw) if self.headers["Content-Encoding"] == "gzip" else raw
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        asked = Asked(self.command, split.path, query, self.headers, raw, body)
        with self.service.lock:
            self.service.asked.append(asked)
            fault = self.service.faults.popleft() if self.service.faults else None
            if fault is None or fault.after:
                status, headers, content = self.service.answer(asked)
        if fault is not None:
            status, headers, content = fault.status, fault.headers, fault.body
            time.sleep(fault.hang)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault is not None and fault.drip:
            for at in range(len(content)):
                self.wfile.write(content[at : at + 1])
                self.wfile.flush()
                time.sleep(fault.drip)
        elif fault is not None and fault.cut is not None:
            self.wfile.write(content[: fault.cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_OPTIONS = do_HEAD = _serve

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(service: Service, *, certificate: Path | None = None) -> Iterator[Any]:
    """Serve ``service`` on a free port of 127.0.0.1 for as long as the block lasts; by TLS with a ``certificate``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    server.block_on_close = False
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # In the connection's own thread: one that is refused must not hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        now = dt.datetime.now(dt.UTC)
        own = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(*[name in (5, 6) for name in range(9)]),
                critical=True,
            )
            .sign(self.key, hashes.SHA256())
        )
        self.path = folder / "ca.pem"
        self.path.write_bytes(own.public_bytes(_pem()))

    def certificate(self, host: str = "127.0.0.1", *, days: int = 10) -> Path:
        """Return the file of a server's certificate and key; with negative ``days`` it has expired."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        try:
            name: Any = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=20))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        path = self.folder / f"{uuid.uuid4().hex}.pem"
        path.write_bytes(
            made.public_bytes(_pem())
            + key.private_bytes(_pem(), serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return path


def _pem() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


def basic(user: str, password: str) -> str:
    """Return the header of a user and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
