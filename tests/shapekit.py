"""What the tests of the shapes share: documents of every kind, made and drawn, and what each schema demands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema
import msgspec
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from plankit import RECORD_ID, salts

from tfaudit.events import shapes
from tfaudit.events.build import plan_events
from tfaudit.events.commitment import decode_disclosure, encode_disclosure
from tfaudit.events.native import RecordFacts, change_event
from tfaudit.events.shapes import cloudevents, cloudtrail
from tfaudit.plan.parse import Plan

ACCOUNT = "123456789012"
ACTOR = {
    "principal": "github:583231",
    "level": "verified",
    "evidence": [
        {
            "source": "github-actions",
            "level": "verified",
            "principal": "github:583231",
            "claims": {"iss": "https://token.actions.githubusercontent.com", "actor": "octocat"},
            "identities": ["github:583231", "github:octocat"],
        },
        {
            "source": "aws-sts",
            "level": "sts",
            "principal": "aws:arn:aws:iam::210987654321:role/deploy",
            "claims": {"account": "210987654321", "arn": "arn:aws:sts::210987654321:assumed-role/deploy/x"},
        },
        {
            "source": "operating-system",
            "level": "claimed",
            "principal": "os:runner",
            "claims": {"user": "runner", "uid": "1001", "host": "runner-1"},
        },
    ],
}
FACTS = RecordFacts(
    record_id=RECORD_ID,
    run_id="01920000-0000-7000-8000-0000000000aa",
    time="2026-01-02T03:04:05.678Z",
    stack="github.com/acme/network/live-tests",
    actor=ACTOR,
    plan_digest="ab" * 32,
    extra={
        "record": "intent",
        "workspace": "default",
        "command": "apply",
        "arguments": [],
        "decision": "allow",
        "approvals": [f"sha256:{'cd' * 32}"],
        "approved_by": ["alice@example.com"],
        "break_glass": False,
        "reason": "because",
        "ticket": "CHG-1",
    },
)


def events_of(plan: Plan, facts: RecordFacts = FACTS) -> Iterator[dict[str, Any]]:
    """Yield the native change events of a plan, all disclosed."""
    for number, event in enumerate(plan_events(plan, record_id=RECORD_ID, entropy=salts()), 1):
        opened = decode_disclosure(encode_disclosure(number, event.disclosure)) if event.disclosure else None
        yield change_event(event.line, opened, number=number, facts=facts)


def document(**members: Any) -> dict[str, Any]:
    """Return the body of a resource change's document, with these members changed."""
    body: dict[str, Any] = {
        "id": f"{RECORD_ID}/1",
        "event_id": f"{RECORD_ID}/1",
        "record_id": RECORD_ID,
        "run_id": FACTS.run_id,
        "time": FACTS.time,
        "stack": "github.com/acme/network/vpc",
        "kind": "resource-change",
        "actor": ACTOR,
        "plan_digest": FACTS.plan_digest,
        "address": "aws_instance.web[0]",
        "previous_address": None,
        "deposed": None,
        "module": None,
        "mode": "managed",
        "type": "aws_instance",
        "name": "web",
        "index": 0,
        "provider": "registry.terraform.io/hashicorp/aws",
        "action": "update",
        "actions": ["update"],
        "action_reason": None,
        "source": {"file": "main.tf", "line": 3},
        "attributes": [attribute("/size", msgspec.Raw(b"1.50"), msgspec.Raw(b"12345678901234567890.10"))],
        "importing": None,
        "withheld": False,
        "outcome": None,
        **FACTS.extra,
    }
    return body | members


def attribute(path: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """Return an attribute of a native change event."""
    flags = dict.fromkeys(("sensitive", "redacted", "unknown", "forces_replacement", "withheld"), False)
    return {"path": path, "before": before, "after": after, **flags, **more}


def outcome_document(status: str = "applied", **members: Any) -> dict[str, Any]:
    """Return the body of an outcome's document."""
    outcome = {
        "record_id": RECORD_ID,
        "status": status,
        "started": "2026-01-02T03:04:06.000Z",
        "elapsed_seconds": 2,
        "id": msgspec.Raw(b'"i-0123"'),
        "error": msgspec.Raw(b'"it broke"') if status == "errored" else None,
        "inferred": False,
        "steps": [],
        "provisioner": None,
    }
    return document(kind="outcome", record="outcome", id=f"{RECORD_ID}/2", outcome=outcome, attributes=[], **members)


def record_document(record: str = "intent", **members: Any) -> dict[str, Any]:
    """Return the body of a record's own document."""
    body = {
        "id": f"{RECORD_ID}/0",
        "record_id": RECORD_ID,
        "kind": "record",
        "record": record,
        "time": FACTS.time,
        "run_id": FACTS.run_id,
        "stack": "github.com/acme/network/vpc",
        "workspace": "default",
        "actor": ACTOR,
        "command": "apply",
        "arguments": [],
        "summary": f"{record} of things",
        "decision": "allow",
        "reasons": [],
        "required": 1,
        "approvals": [],
        "approved_by": [],
        "break_glass": False,
        "reason": None,
        "ticket": None,
        "policy": [],
        "result": None,
        "plan": {"sha256": "ab" * 32, "counts": {"create": 1, "no-op": 3}},
        "plan_digest": "ab" * 32,
        "state": {"key": "ef" * 32, "before": {"lineage": "x", "serial": 3}},
        "engine": {"brand": "terraform", "version": "1.11.4"},
        "tfaudit": {"version": "0.1.0"},
        "source": {"repository": "github.com/acme/network", "commit": "0" * 40, "path": "vpc"},
        "capture": "full",
        "events": 1,
        "recovered": False,
        "leaf": "12" * 32,
        "log": {"origin": "ledger.example/acme", "position": 7, "size": 9, "root": "34" * 32},
        "unrecorded": None,
    }
    return body | members


def every_kind() -> dict[str, dict[str, Any]]:
    """Return a document of every kind there is, by a name."""
    result = {"exit_code": 0, "started": "2026-01-02T03:04:06.000Z", "elapsed_ms": 2100, "counts": {"applied": 1}}
    policy = {"engine": "cel", "version": "1", "digest": "ab" * 32, "rules": 4, "denied": 0, "required": 0, "warned": 1}
    return {
        **{f"change-{action}": document(action=action, actions=[action]) for action in ACTIONS},
        "change-withheld": document(actor=None, attributes=[attribute("/x", withheld=True)], reason=None, ticket=None),
        "change-values-false": document(attributes=[{"path": "/x", "sensitive": False}]),
        "change-planned": document(record="plan"),
        "change-denied": document(record="plan", decision="deny"),
        "change-break-glass": document(break_glass=True),
        "change-moved": document(action="no-op", previous_address="aws_instance.old"),
        "change-imported": document(action="no-op", importing={"id": msgspec.Raw(b'{"a":"b"}')}),
        "change-iam": document(type="aws_iam_role", address="aws_iam_role.x"),
        "change-deposed": document(action="delete", deposed="0a1b2c3d"),
        "change-hidden": document(address=msgspec.Raw(b'"a.b[\\"me@example.org\\"]"')),
        "drift": document(kind="drift"),
        "deferred": document(kind="deferred-change", deferred_reason="resource_config_unknown"),
        "output": document(kind="output-change", type=None, provider=None, address="output.x"),
        "action": document(kind="action-invocation", action=None, trigger={"address": "a.b", "event": "after_create"}),
        "check": document(
            kind="check",
            action=None,
            type=None,
            check_kind="resource",
            status="fail",
            instances=[{"address": "a.b", "status": "fail", "problems": [msgspec.Raw(b'"bad"')]}],
        ),
        "diagnostic": document(
            kind="diagnostic",
            action=None,
            record="outcome",
            diagnostic_severity="error",
            summary=msgspec.Raw(b'"no"'),
            detail=None,
        ),
        "note": document(
            kind="note", action=None, record="outcome", address=None, code="unplanned", facts={"addresses": ["a.b"]}
        ),
        "operation": document(
            kind="operation", action=None, address="a.b", command="state mv", arguments=["a.a", "a.b"], attributes=[]
        ),
        **{
            f"outcome-{status}": outcome_document(status) for status in ("applied", "errored", "not-reached", "unknown")
        },
        **{f"record-{record}": record_document(record) for record in RECORDS},
        "record-denied": record_document(
            "plan", decision="deny", reasons=["no-approval", "quorum"], result=result | {"status": "denied"}
        ),
        "record-break-glass": record_document(break_glass=True, review_by="2026-01-05T00:00:00.000Z"),
        "record-warned": record_document(policy=[policy]),
        "record-unrecorded": record_document(unrecorded={"from": 3, "to": 5}),
        "record-outcome-done": record_document("outcome", result=result | {"status": "applied"}, plan=None),
        "record-outcome-errored": record_document("outcome", result=result | {"status": "errored", "exit_code": 1}),
        "record-bare": {"id": f"{RECORD_ID}/0", "time": FACTS.time, "kind": "record", "record": "config"},
        "bare": {"id": f"{RECORD_ID}/1", "time": FACTS.time, "kind": "resource-change"},
    }


ACTIONS = ("no-op", "create", "read", "update", "delete", "replace", "forget", "unknown")
RECORDS = (
    "plan",
    "intent",
    "outcome",
    "operation",
    "approval",
    "rejection",
    "review",
    "access",
    "erasure",
    "adopt",
    "finding",
    "external",
    "config",
    "retention",
)

# --- what hypothesis draws --------------------------------------------------------------------------------------------

_NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
_TEXT = st.text(max_size=40)
_JSON = st.one_of(
    _NUMBERS.map(str.encode),
    st.recursive(
        st.none() | st.booleans() | _TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value, ensure_ascii=False).encode()),
)
_VALUES = st.none() | _JSON.map(msgspec.Raw)
_MAYBE = st.none() | _TEXT
_TIMES = st.datetimes().map(lambda found: found.isoformat(timespec="milliseconds") + "Z")
_ATTRIBUTES = st.builds(attribute, path=_TEXT, before=_VALUES, after=_VALUES, withheld=st.booleans())
_CLAIMS = st.dictionaries(st.sampled_from(("iss", "email", "host", "account", "x")), _TEXT)
_EVIDENCE = st.fixed_dictionaries(
    {
        "source": st.sampled_from(("aws-sts", "github-actions", "")),
        "level": _TEXT,
        "principal": _MAYBE,
        "claims": _CLAIMS,
    }
)
_ACTORS = st.one_of(
    st.none(),
    _TEXT,
    st.fixed_dictionaries(
        {"principal": _TEXT, "level": _TEXT, "evidence": st.lists(_EVIDENCE, max_size=3)},
        optional={"agent": st.fixed_dictionaries({"name": _TEXT, "on_behalf_of": _MAYBE, "recognised": _TEXT})},
    ),
)
_OUTCOMES = st.fixed_dictionaries(
    {
        "record_id": st.just(RECORD_ID),
        "status": st.sampled_from(("applied", "errored", "not-reached", "unknown")),
        "started": st.none() | _TIMES,
        "elapsed_seconds": st.none() | st.integers(0, 10**6),
        "id": st.none() | _TEXT.map(lambda text: msgspec.Raw(json.dumps(text, ensure_ascii=False).encode())),
        "error": st.none() | _TEXT,
        "inferred": st.booleans(),
    }
)
_POLICIES = st.fixed_dictionaries(
    {"engine": _TEXT, "version": _TEXT, "digest": _TEXT, "warned": st.integers(0, 3), "denied": st.integers(0, 3)}
)
_RESULTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(("planned", "applied", "errored", "killed", "declined", "denied", "succeeded")),
        "exit_code": st.none() | st.integers(0, 255),
        "started": _TIMES,
        "elapsed_ms": st.integers(0, 10**10),
    }
)
bodies = st.fixed_dictionaries(
    {
        "id": st.integers(0, 10**6).map(lambda number: f"{RECORD_ID}/{number}"),
        "time": _TIMES,
        "record_id": st.just(RECORD_ID),
        "record": st.sampled_from(RECORDS),
        "kind": st.sampled_from(
            (
                *("record", "resource-change", "drift", "deferred-change", "output-change", "action-invocation"),
                *("check", "outcome", "diagnostic", "note", "operation", "deferred-action-invocation"),
            )
        ),
    },
    optional={
        "event_id": st.just(f"{RECORD_ID}/1"),
        "run_id": _MAYBE,
        "stack": _MAYBE,
        "workspace": _MAYBE,
        "actor": _ACTORS,
        "address": _MAYBE | _TEXT.map(lambda text: msgspec.Raw(json.dumps(text, ensure_ascii=False).encode())),
        "previous_address": _MAYBE,
        "type": st.none() | st.sampled_from(("aws_iam_role", "aws_vpc", "aws_kms_key", "google_sql_database", "x")),
        "mode": st.sampled_from(("managed", "data", None)),
        "module": _MAYBE,
        "deposed": _MAYBE,
        "index": st.none() | st.integers() | _TEXT,
        "provider": _MAYBE,
        "action": st.none() | st.sampled_from(ACTIONS),
        "actions": st.lists(_TEXT, max_size=2),
        "importing": st.none() | st.fixed_dictionaries({"id": _VALUES}),
        "attributes": st.lists(_ATTRIBUTES, max_size=4),
        "outcome": st.none() | _OUTCOMES,
        "result": st.none() | _RESULTS,
        "command": _MAYBE,
        "arguments": st.lists(_TEXT, max_size=3),
        "decision": st.sampled_from(("allow", "deny", "not-gated", None)),
        "reasons": st.lists(_TEXT, max_size=3),
        "approvals": st.lists(_TEXT, max_size=2),
        "approved_by": st.none() | st.lists(_TEXT, max_size=2),
        "break_glass": st.booleans(),
        "reason": _MAYBE,
        "ticket": _MAYBE,
        "policy": st.lists(_POLICIES, max_size=2),
        "plan": st.none()
        | st.fixed_dictionaries({"sha256": _TEXT, "counts": st.dictionaries(_TEXT, st.integers(0, 9))}),
        "summary": _VALUES,
        "diagnostic_severity": st.sampled_from(("error", "warning", None)),
        "status": _MAYBE,
        "code": _MAYBE,
        "leaf": st.just("12" * 32),
        "log": st.none() | st.fixed_dictionaries({"origin": _TEXT, "position": st.integers(0, 2**40)}),
        "tfaudit": st.fixed_dictionaries({"version": _TEXT}),
        "unrecorded": st.none() | st.fixed_dictionaries({"from": st.integers(0), "to": st.integers(0)}),
    },
)

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT | _JSON.map(msgspec.Raw),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_INNER = st.dictionaries(
    st.sampled_from(
        (
            *(
                "status",
                "started",
                "elapsed_seconds",
                "elapsed_ms",
                "exit_code",
                "id",
                "error",
                "principal",
                "evidence",
            ),
            *("agent", "level", "counts", "origin", "position", "version", "brand", "action", "path", "before"),
        )
    ),
    _ANY,
    max_size=4,
)
_NAMES = (
    *("event_id", "run_id", "stack", "workspace", "actor", "address", "previous_address", "type", "mode", "module"),
    *("deposed", "index", "provider", "action", "actions", "importing", "attributes", "outcome", "result", "command"),
    *("arguments", "decision", "reasons", "approvals", "approved_by", "break_glass", "reason", "ticket", "policy"),
    *("plan", "summary", "detail", "diagnostic_severity", "status", "code", "leaf", "log", "tfaudit", "engine"),
    *("unrecorded", "retention", "review_by", "instances", "facts", "source", "severity", "shortened"),
)
wild_bodies = st.builds(
    lambda body, wild: body | wild,
    bodies,
    st.dictionaries(st.sampled_from(_NAMES), _ANY | _INNER | st.lists(_INNER, max_size=2), max_size=8),
)
"""Documents of which members may be of any type: what a writer signed, nobody checked."""

# --- what the schemas demand ------------------------------------------------------------------------------------------


@cache
def _ocsf() -> jsonschema.Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0")).get_class_schema("api_activity", ["cloud"])
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_ocsf(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the OCSF event of a document, having checked it against OCSF's own schema and rules."""
    event: dict[str, Any] = json.loads(shapes.encode(shapes.shape("ocsf", body)))
    errors = [f"{'/'.join(map(str, one.path))}: {one.message[:200]}" for one in _ocsf().iter_errors(event)]
    assert errors == []
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["metadata"]["profiles"] == ["cloud"]
    assert event["activity_id"] != 99 or event["activity_name"]
    assert event.get("status_id") != 99 or event["status"]
    return event


ECS_FIELDS = {
    "@timestamp": str,
    "message": str,
    "ecs.version": str,
    "event.kind": str,
    "event.category": list,
    "event.type": list,
    "event.action": str,
    "event.outcome": str,
    "event.id": str,
    "event.hash": str,
    "event.code": str,
    "event.provider": str,
    "event.module": str,
    "event.dataset": str,
    "event.severity": int,
    "event.reason": str,
    "event.sequence": int,
    "event.start": str,
    "event.end": str,
    "event.duration": int,
    "user.id": str,
    "user.name": str,
    "user.domain": str,
    "user.email": str,
    "related.user": list,
    "related.hosts": list,
    "host.name": str,
    "cloud.provider": str,
    "cloud.account.id": str,
    "error.message": str,
}
"""The fields of ECS 8 and 9 that are used, by the type that JSON has for each."""
ECS_EXPECTED = {
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
}
"""The types of events that ECS expects with each category that is used."""


def check_ecs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ECS document of a document, having checked its fields, their types and the allowed values."""
    document: dict[str, Any] = json.loads(shapes.encode(shapes.shape("ecs", body)))
    for name, value in _flat({name: value for name, value in document.items() if name != "tfaudit"}):
        assert type(value) is ECS_FIELDS[name], name
        if isinstance(value, list):
            assert value
            assert all(isinstance(one, str) for one in value)
    event = document["event"]
    assert event["kind"] == "event"
    assert {"configuration"} <= set(event["category"]) <= set(ECS_EXPECTED)
    for category in event["category"]:
        assert set(event["type"]) <= ECS_EXPECTED[category]
    assert event.get("outcome") in (None, "success", "failure", "unknown")
    assert 1 <= event["severity"] <= 5
    for attribute in document["tfaudit"].get("attributes", ()):
        for side in ("before", "after"):
            assert isinstance(attribute.get(side, ""), str)
    return document


def _flat(members: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


CLOUDTRAIL_TEXTS = {
    "version": 256,
    "eventSource": 1024,
    "eventName": 1024,
    "UID": 1024,
    "userAgent": 1024,
    "errorCode": 256,
    "errorMessage": 256,
}
CLOUDTRAIL_OBJECTS = {"requestParameters": 100_000, "responseElements": 100_000, "additionalEventData": 28_000}
CLOUDTRAIL_REQUIRED = {"version", "userIdentity", "eventSource", "eventName", "eventTime", "UID", "recipientAccountId"}


def check_cloudtrail(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the eventData of a document, having checked its fields and their limits."""
    content, shortened = cloudtrail.event_data(body, account=ACCOUNT)
    event: dict[str, Any] = json.loads(content)
    assert event.keys() >= CLOUDTRAIL_REQUIRED
    assert event.keys() <= CLOUDTRAIL_REQUIRED | CLOUDTRAIL_TEXTS.keys() | CLOUDTRAIL_OBJECTS.keys()
    for name, limit in CLOUDTRAIL_TEXTS.items():
        assert isinstance(event.get(name, ""), str)
        assert len(event.get(name, "").encode()) <= limit
    for name, limit in CLOUDTRAIL_OBJECTS.items():
        assert isinstance(event.get(name, {}), dict)
        assert len(json.dumps(event.get(name, {}), ensure_ascii=False, separators=(",", ":")).encode()) <= limit
    identity = event["userIdentity"]
    assert 0 < len(identity["type"].encode()) <= 128
    assert 0 < len(identity["principalId"].encode()) <= 1024
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["eventTime"])
    assert event["recipientAccountId"] == ACCOUNT
    assert event["additionalEventData"].get("shortened", []) == [name[:64] for name in shortened][:30]
    return event


def check_cloudevent(body: Mapping[str, Any], schema: shapes.Shape = "native") -> dict[str, Any]:
    """Return the CloudEvent of a document, having checked its attributes by the specification's types."""
    event: dict[str, Any] = json.loads(shapes.encode(cloudevents.envelope(body, schema)))
    assert event["specversion"] == "1.0"
    for name in ("id", "source", "type", "time", "datacontenttype", "dataschema"):
        assert event[name]
    for name, value in event.items():
        assert re.fullmatch("[a-z0-9]{1,20}", name)
        if name != "data":
            assert isinstance(value, str | int)
        if name != "data" and isinstance(value, str):
            assert value
            assert not re.search("[\x00-\x1f\x7f-\x9f]", value)
    assert re.fullmatch(r"//tfaudit/[A-Za-z0-9%/:@._~-]*", event["source"])
    assert isinstance(event["data"], dict)
    return event
