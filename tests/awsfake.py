"""A small AWS on loopback: PutAuditEvents, PutLogEvents, PutEvents and PublishBatch, as strict as the documentation.

Each request is checked against botocore's own model of the service (types, required, lengths, patterns, nothing
unknown), against its signature's scope, and against the limits that AWS documents; it must come within them. What a
test tells it to refuse it refuses, by entry or as a whole. It is not AWS: what AWS does beyond its documentation it
doesn't know.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import urllib.parse
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

from botocore.session import Session

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CHANNEL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:channel/01234567-89ab-cdef-0123-456789abcdef"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:changes"
DAY = 24 * 3600 * 1000

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}"
)
_TARGETS = {"Logs_20140328": "logs", "AWSEvents": "events"}
_FIELDS = {  # query-integration-event-schema: the longest each may be; those that must be there
    "version": 256,
    "eventSource": 1024,
    "eventName": 1024,
    "UID": 1024,
    "userAgent": 1024,
    "errorCode": 256,
    "errorMessage": 256,
    "sourceIPAddress": 1024,
}
_REQUIRED = ("version", "userIdentity", "eventSource", "eventName", "eventTime", "UID", "recipientAccountId")
_OBJECTS = {"requestParameters": 100_000, "responseElements": 100_000, "additionalEventData": 28_000}


class Refusal(Exception):
    """A whole request is refused."""

    def __init__(self, status, code, message="", **headers):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Aws:
    """What the server holds, what it was asked, and what it is to refuse."""

    def __init__(self):
        self.address = ""
        self.requests = []
        """(operation, parameters, access key) of each request that was well-formed."""
        self.whole = []
        """Refusals of the next requests, as a whole; None lets one through."""
        self.entries = {}
        """Codes by which entries are refused whose content holds the text."""
        self.silent = ()
        """Entries of these ids get no answer."""
        self.kept = []
        """What was taken: audit events, log events, events, messages."""
        self.groups = defaultdict(set)
        self.retention_days = None
        self.now = 0
        self.external_id = None
        self.may_make = True
        self.buses = {"audit"}
        self.lock = threading.Lock()
        session = Session()
        self.models = {
            name: session.get_service_model(name) for name in ("logs", "events", "sns", "sts", "cloudtrail-data")
        }

    # CloudTrail Lake

    def put_audit_events(self, asked, size):
        """Take audit events one by one; an HTTP 200 may refuse all of them."""
        events = asked["auditEvents"]
        within(size <= 1_000_000, "a request has more than 1 MB")
        if asked["channelArn"] != CHANNEL:
            raise Refusal(404, "ChannelNotFound")
        if self.external_id not in (None, asked.get("externalId")):
            raise Refusal(400, "ChannelInsufficientPermission")
        if len({event["id"] for event in events}) < len(events):
            raise Refusal(400, "DuplicatedAuditEventId")
        taken, failed = [], []
        for event in events:
            if event["id"] in self.silent:
                continue
            code = self.told(event["eventData"]) or wrong_with(event)
            if code:
                failed.append({"id": event["id"], "errorCode": code, "errorMessage": event["eventData"][:1024]})
            else:
                self.kept.append(json.loads(event["eventData"]))
                taken.append({"id": event["id"], "eventID": f"ct-{len(self.kept)}"})
        return {"successful": taken, "failed": failed}

    # CloudWatch Logs

    def create_log_group(self, asked, size):
        """Make a log group, where that is allowed."""
        if not self.may_make:
            raise Refusal(
                400, "AccessDeniedException", "User: x is not authorized to perform: logs:CreateLogGroup on y"
            )
        if asked["logGroupName"] in self.groups:
            raise Refusal(400, "ResourceAlreadyExistsException")
        self.groups[asked["logGroupName"]] = set()
        return {}

    def create_log_stream(self, asked, size):
        """Make a log stream in a group that is there."""
        if asked["logGroupName"] not in self.groups:
            raise Refusal(400, "ResourceNotFoundException", "The specified log group does not exist.")
        if asked["logStreamName"] in self.groups[asked["logGroupName"]]:
            raise Refusal(400, "ResourceAlreadyExistsException")
        self.groups[asked["logGroupName"]].add(asked["logStreamName"])
        return {}

    def put_log_events(self, asked, size):
        """Take log events within the documented bounds, and tell which are out of bounds in time."""
        if asked["logGroupName"] not in self.groups:
            raise Refusal(400, "ResourceNotFoundException", "The specified log group does not exist.")
        if asked["logStreamName"] not in self.groups[asked["logGroupName"]]:
            raise Refusal(400, "ResourceNotFoundException", "The specified log stream does not exist.")
        events = asked["logEvents"]
        within(sum(len(event["message"].encode()) + 26 for event in events) <= 1_048_576, "a batch is too large")
        times = [event["timestamp"] for event in events]
        within(times == sorted(times), "a batch is not in chronological order")
        if any(self.told(event["message"]) for event in events):
            raise Refusal(400, "InvalidParameterException", events[0]["message"])
        old = sum(time < self.now - 14 * DAY for time in times)
        new = sum(time <= self.now + 2 * 3600 * 1000 for time in times)
        expired = sum(time < self.now - self.retention_days * DAY for time in times) if self.retention_days else 0
        valid = events[max(old, expired) : new]
        within(not valid or valid[-1]["timestamp"] - valid[0]["timestamp"] <= DAY, "a batch spans more than 24 hours")
        self.kept += valid
        told = {
            **({"tooOldLogEventEndIndex": old} if old else {}),
            **({"expiredLogEventEndIndex": expired} if expired else {}),
            **({"tooNewLogEventStartIndex": new} if new < len(events) else {}),
        }
        return {"nextSequenceToken": "0", **({"rejectedLogEventsInfo": told} if told else {})}

    # EventBridge

    def describe_event_bus(self, asked, size):
        """Tell of an event bus that is there."""
        if asked["Name"].rpartition("/")[2] not in self.buses:
            raise Refusal(400, "ResourceNotFoundException")
        return {"Name": asked["Name"]}

    def put_events(self, asked, size):
        """Take events one by one."""
        entries = asked["Entries"]
        counted = sum(
            (14 if "Time" in entry else 0) + sum(len(entry[key].encode()) for key in ("Source", "DetailType", "Detail"))
            for entry in entries
        )
        within(counted < 262_144, "entries are not less than 256 KB")
        return {"Entries": (told := [self.event(entry) for entry in entries]), "FailedEntryCount": len(told)}

    def event(self, entry):
        """Take one event, or tell its code."""
        within(len(entry["DetailType"]) <= 128, "a detail-type has more than 128 characters")
        code = self.told(entry["Detail"])
        if entry["Source"].startswith("aws."):
            code = "NotAuthorizedForSourceException"
        try:
            json.loads(entry["Detail"])
        except ValueError:
            code = code or "MalformedDetail"
        if code:
            return {"ErrorCode": code, "ErrorMessage": entry["Detail"]}
        self.kept.append(entry)  # also for a bus that is not there
        return {"EventId": f"eb-{len(self.kept)}"}

    # SNS

    def get_topic_attributes(self, asked, size):
        """Tell of the topic."""
        if asked["TopicArn"].removesuffix(".fifo") != TOPIC:
            raise Refusal(404, "NotFound", "Topic does not exist")
        return "<Attributes/>"

    def publish_batch(self, asked, size):
        """Take messages one by one."""
        entries = asked["PublishBatchRequestEntries"]
        if asked["TopicArn"].removesuffix(".fifo") != TOPIC:
            raise Refusal(404, "NotFound", "Topic does not exist")
        within(len(entries) <= 10, "a batch has more than 10 messages")
        within(sum(len(entry["Message"].encode()) for entry in entries) <= 262_144, "a batch has more than 256 KiB")
        within(all(re.fullmatch(r"[\w-]{1,80}", entry["Id"], re.ASCII) for entry in entries), "an Id is no Id")
        if asked["TopicArn"].endswith(".fifo"):
            within(all(0 < len(entry["MessageDeduplicationId"]) <= 128 for entry in entries), "no deduplication id")
            within(all(entry["MessageGroupId"] for entry in entries), "no group")
        sent = failed = ""
        for entry in entries:
            if entry["Id"] in self.silent:
                continue
            if code := self.told(entry["Message"]):
                fault = "false" if code == "InternalError" else "true"
                failed += (
                    f"<member><Id>{entry['Id']}</Id><Code>{code}</Code><SenderFault>{fault}</SenderFault>"
                    f"<Message>{escape(entry['Message'])}</Message></member>"
                )
            else:
                self.kept.append(entry)
                sent += f"<member><Id>{entry['Id']}</Id><MessageId>sns-{len(self.kept)}</MessageId></member>"
        return f"<Successful>{sent}</Successful><Failed>{failed}</Failed>"

    # STS

    def assume_role(self, asked, size):
        """Give credentials of a role."""
        return (
            "<Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        )

    def told(self, text):
        """The code by which the test wants an entry of this text refused; None for none."""
        return next((code for part, code in self.entries.items() if part in text), None)


def within(kept, what):
    """A limit that whoever asks has to keep: a request beyond it is a fault of ours, and the test's end."""
    if not kept:
        raise AssertionError(what)


def wrong_with(event):
    """The code by which CloudTrail refuses an audit event; None for a right one."""
    data = event["eventData"].encode()
    if event.get("eventDataChecksum") != base64.b64encode(hashlib.sha256(data).digest()).decode():
        return "InvalidChecksum"
    try:
        found = json.loads(data)
    except ValueError:
        return "InvalidData"
    if any(not found.get(name) for name in _REQUIRED):
        return "FieldNotFound"
    who = found["userIdentity"]
    if not who.get("type") or not who.get("principalId"):
        return "FieldNotFound"
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?", found["eventTime"]):
        return "InvalidData"
    if found["recipientAccountId"] != ACCOUNT:
        return "InvalidRecipient"
    if len(who["type"].encode()) > 128 or len(who["principalId"].encode()) > 1024:
        return "FieldTooLong"
    if any(len((found.get(name) or "").encode()) > most for name, most in _FIELDS.items()):
        return "FieldTooLong"
    sizes = {
        name: len(json.dumps(found.get(name), separators=(",", ":"), ensure_ascii=False).encode()) for name in _OBJECTS
    }
    if any(sizes[name] > most for name, most in _OBJECTS.items()):
        return "FieldTooLong"
    return None


def check(shape, value, at):
    """Hold a parameter against its shape in botocore's model."""
    about = shape.metadata
    if shape.type_name == "structure":
        within(isinstance(value, dict), f"{at} is no structure")
        within(set(value) <= set(shape.members), f"{at} has {set(value) - set(shape.members)}")
        within(set(shape.required_members) <= set(value), f"{at} lacks something")
        for name, inner in value.items():
            check(shape.members[name], inner, f"{at}.{name}")
    elif shape.type_name == "list":
        within(isinstance(value, list), f"{at} is no list")
        within(about.get("min", 0) <= len(value) <= about.get("max", 1 << 30), f"{at} has {len(value)} members")
        for number, inner in enumerate(value):
            check(shape.member, inner, f"{at}[{number}]")
    elif shape.type_name == "string":
        within(isinstance(value, str), f"{at} is no string")
        within(about.get("min", 0) <= len(value) <= about.get("max", 1 << 30), f"{at} has {len(value)} characters")
        within("pattern" not in about or re.search(about["pattern"], value), f"{at} is {value!r}")
    else:
        within(isinstance(value, int | float), f"{at} is no number")


class Handler(BaseHTTPRequestHandler):
    """Speaks rest-json, json 1.1 and query, as far as these operations need it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        """Answer one request; what breaks a rule is remembered for the end of the test."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        aws = self.server.aws
        with aws.lock:
            try:
                self.answer(aws, body)
            except Refusal as refusal:
                self.refuse(refusal)
            except AssertionError as error:
                aws.broken.append(str(error))
                self.refuse(Refusal(500, "BrokenRule", str(error)))

    def answer(self, aws, body):
        """Check a request and carry it out."""
        service, operation, asked = self.read(body)
        self.query = service in ("sns", "sts")
        model = aws.models[service].operation_model(operation)
        check(model.input_shape, asked, operation)
        key, region, named = _SIGNED.fullmatch(self.headers["Authorization"]).groups()
        within((region, named) == (REGION, aws.models[service].signing_name), f"signed for {region} and {named}")
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        aws.requests.append((name, asked, key))
        if service != "sts" and aws.whole and (refusal := aws.whole.pop(0)):
            raise refusal
        found = getattr(aws, name)(asked, len(body))
        if self.query:
            namespace = aws.models[service].metadata["xmlNamespace"]
            found = f"<{operation}Result>{found}</{operation}Result>"
            found = f'<{operation}Response xmlns="{namespace}">{found}</{operation}Response>'
            self.reply(200, found.encode(), "text/xml")
        else:
            self.reply(200, json.dumps(found).encode(), "application/json")

    def read(self, body):
        """Return service, operation and parameters of a request."""
        parts = urllib.parse.urlsplit(self.path)
        if parts.path == "/PutAuditEvents":
            return "cloudtrail-data", "PutAuditEvents", dict(urllib.parse.parse_qsl(parts.query)) | json.loads(body)
        if target := self.headers.get("X-Amz-Target"):
            prefix, _, operation = target.partition(".")
            return _TARGETS[prefix], operation, json.loads(body)
        given = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        operation, asked = given.pop("Action"), {}
        del given["Version"]
        entries = defaultdict(dict)
        for name, value in given.items():
            if match := re.fullmatch(r"(\w+)\.member\.(\d+)\.(\w+)", name):
                entries[match[1], int(match[2])][match[3]] = value
            else:
                asked[name] = value
        for (name, _), entry in sorted(entries.items()):
            asked.setdefault(name, []).append(entry)
        return "sts" if operation == "AssumeRole" else "sns", operation, asked

    def refuse(self, refusal):
        """Answer with an error in the protocol's own form."""
        if getattr(self, "query", False):
            text = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"
            text = f"<ErrorResponse>{text}</ErrorResponse>"
            self.reply(refusal.status, text.encode(), "text/xml", **refusal.headers)
        else:
            text = json.dumps({"__type": refusal.code, "message": refusal.message})
            self.reply(refusal.status, text.encode(), "application/json", **refusal.headers)

    def reply(self, status, content, kind, **headers):
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "x-amzn-RequestId": "request-1", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Say nothing."""
        pass


@contextmanager
def serving():
    """A running fake; in the end no request may have broken a rule."""
    aws = Aws()
    aws.broken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.aws = aws
    aws.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert aws.broken == []
