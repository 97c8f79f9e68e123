"""What the tests of the AWS sinks share: settings, documents, and sending as the outbox does."""

from __future__ import annotations

import os

from awsfake import ACCOUNT

from tfaudit.config.delivering import SinkSettings
from tfaudit.sinks.model import Document, Encoded

RECORD = "019abc00-0000-7000-8000-00000000{:04x}"
NOW = 1_795_000_000_000
"""Milliseconds since the epoch: 2026-11-18T10:26:40Z."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "TESTKEY",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def settings(url, **more):
    """The settings of a sink; what SinkSettings has no field for is an option."""
    fields = {key: more.pop(key) for key in ("schema", "values", "name") if key in more}
    return SinkSettings(**{"name": "copy", "url": url, "scheme": url.partition(":")[0], **fields}, options=more)


def open_at(module, url, server, **more):
    """A sink of this module that asks the server."""
    return module.open_sink(settings(url, endpoint_url=server, **more), environ=os.environ)


def document(line=1, *, record=0, time=NOW, kind="resource-change", **more):
    """A change of a bucket, as the outbox gives it."""
    identifier = RECORD.format(record)
    body = {
        "id": f"{identifier}/{line}",
        "time": "2026-11-18T10:26:40.000Z",
        "kind": kind,
        "run_id": "019abc00-0000-7000-8000-0000000000ff",
        "stack": "example.com/team/project",
        "record_id": identifier,
        "record": "intent",
        "severity": 2,
        "event_id": f"{identifier}/{line}",
        "actor": {"principal": "github:583231", "level": "verified-oidc", "evidence": []},
        "command": "apply",
        "address": f"aws_s3_bucket.b[{line}]",
        "type": "aws_s3_bucket",
        "provider": "registry.example.com/hashicorp/aws",
        "action": "create",
        "actions": ["create"],
        "attributes": [{"path": "/bucket", "before": None, "after": "acme-logs-ü", "withheld": False}],
        "outcome": None,
        **more,
    }
    return Document(id=body["id"], time=time, kind=kind, body=body)


def large(size, line=1, **more):
    """A change whose one value has so many characters, beside a small one."""
    attributes = [
        {"path": "/policy", "before": None, "after": "p" * size, "withheld": False},
        {"path": "/name", "before": "old", "after": "new", "withheld": False},
    ]
    return document(line, attributes=attributes, **more)


def deliver(sink, *documents):
    """What becomes of the documents, in one batch."""
    batch = [sink.encode(each) for each in documents]
    assert all(isinstance(each, Encoded) for each in batch)
    assert sum(len(each.content) + sink.limits.overhead for each in batch) <= sink.limits.size
    assert len(batch) <= sink.limits.documents
    answers = sink.send(batch)
    assert len(answers) == len(batch)
    return answers


__all__ = ["ACCOUNT", "ENVIRONMENT", "NOW", "RECORD", "deliver", "document", "large", "open_at", "settings"]
