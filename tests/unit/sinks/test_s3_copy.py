"""A copy in S3: one object a record, created once, in a bucket that may be another account's (a moto server)."""

from __future__ import annotations

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import awskit
import boto3
import pytest
from botocore.exceptions import ClientError

from tfaudit.errors import ConfigError
from tfaudit.sinks import aws, s3_copy
from tfaudit.sinks.model import Accepted, Later, Misconfigured, Refused

URL = "s3://copies/tfaudit"


@pytest.fixture
def bucket(moto):
    """A versioned bucket, by a client of moto."""
    client = boto3.client("s3", endpoint_url=moto, region_name="us-east-1")
    client.create_bucket(Bucket="copies")
    client.put_bucket_versioning(Bucket="copies", VersioningConfiguration={"Status": "Enabled"})
    return client


def keys(bucket):
    """The keys of the bucket."""
    return [one["Key"] for one in bucket.list_objects_v2(Bucket="copies").get("Contents", ())]


def test_a_record_is_an_object(bucket, moto):
    """Its lines are together under its id and day, in order; the receipts are the version's id."""
    documents = [awskit.document(line) for line in range(3)] + [awskit.document(0, record=1)]
    answers = awskit.deliver(awskit.open_at(s3_copy, URL, moto), *documents)
    first, second = keys(bucket)
    assert first.startswith(f"tfaudit/2026/11/18/{awskit.RECORD.format(0)}/000000-000002-")
    assert second.startswith(f"tfaudit/2026/11/18/{awskit.RECORD.format(1)}/000000-000000-")
    found = bucket.get_object(Bucket="copies", Key=first)
    assert [json.loads(line)["id"] for line in found["Body"].read().splitlines()] == [d.id for d in documents[:3]]
    assert answers[:3] == [Accepted(receipt=found["VersionId"])] * 3
    assert answers[3].receipt not in (None, found["VersionId"])


def test_what_is_sent_again_is_there_once(bucket, moto):
    """A second time makes no second version, and answers with the first one's id."""
    sent = [awskit.deliver(awskit.open_at(s3_copy, URL, moto), awskit.document(1)) for _ in range(2)]
    assert sent[0] == sent[1]
    assert len(bucket.list_object_versions(Bucket="copies")["Versions"]) == 1


def test_another_batch_of_the_record_is_another_object(bucket, moto):
    """Batches that overlap lose nothing."""
    sink = awskit.open_at(s3_copy, URL, moto)
    awskit.deliver(sink, awskit.document(1), awskit.document(2))
    awskit.deliver(sink, awskit.document(1))
    awskit.deliver(sink, awskit.document(1, address="aws_s3_bucket.other"))
    assert len(keys(bucket)) == 3


def test_what_somebody_else_put_there_is_seen(bucket, moto):
    """An object of that name with other bytes is no copy of ours."""
    sink = awskit.open_at(s3_copy, URL, moto)
    awskit.deliver(sink, awskit.document(1))
    (key,) = keys(bucket)
    bucket.put_object(Bucket="copies", Key=key, Body=b"else", ChecksumAlgorithm="SHA256")
    answer = awskit.deliver(sink, awskit.document(1))[0]
    assert isinstance(answer, Refused)
    assert "something else" in answer.reason


def test_many_records_at_once(bucket, moto):
    """Each record gets its object and its answers, in the batch's order."""
    documents = [awskit.document(line, record=record) for record in range(20) for line in range(2)]
    answers = awskit.deliver(awskit.open_at(s3_copy, URL, moto), *documents)
    assert len(keys(bucket)) == 20
    for at in range(0, 40, 2):
        assert answers[at] == answers[at + 1]
    assert len({answer.receipt for answer in answers}) == 20


def test_a_bucket_without_versions(moto):
    """The receipt is the object's ETag there; the bucket's root will do as well."""
    client = boto3.client("s3", endpoint_url=moto, region_name="us-east-1")
    client.create_bucket(Bucket="copies")
    answer = awskit.deliver(awskit.open_at(s3_copy, "s3://copies", moto), awskit.document(1))[0]
    assert f'"{answer.receipt}"' == client.head_object(Bucket="copies", Key=keys(client)[0])["ETag"]
    assert keys(client)[0].startswith("2026/11/18/")


def test_the_owner_gets_control_where_asked(bucket, moto):
    """With acl and owner, in a bucket that has ACLs, the bucket's owner may do everything with the copy."""
    sink = awskit.open_at(s3_copy, URL, moto, acl="bucket-owner-full-control", owner="123456789012")
    assert isinstance(awskit.deliver(sink, awskit.document(1))[0], Accepted)
    grants = bucket.get_object_acl(Bucket="copies", Key=keys(bucket)[0])["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]


def test_the_bucket_must_be_the_owners(bucket, moto):
    """A bucket of that name in another account than the one named gets nothing."""
    from botocore.stub import Stubber

    sink = awskit.open_at(s3_copy, URL, moto, owner="210987654321")
    client = sink._service._connected()
    with Stubber(client) as stub:
        stub.add_client_error("put_object", "AccessDenied", http_status_code=403)
        answer = awskit.deliver(sink, awskit.document(1))[0]
    assert isinstance(answer, Misconfigured)
    assert "s3:PutObject" in answer.hint


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ConditionalRequestConflict", 409, Later),
        ("SlowDown", 503, Later),
        ("NoSuchBucket", 404, Misconfigured),
        ("PermanentRedirect", 301, Misconfigured),
        ("AccessControlListNotSupported", 400, Misconfigured),
        ("NotImplemented", 501, Misconfigured),
    ],
)
def test_what_s3_answers_has_a_meaning(bucket, moto, code, status, kind):
    """After a failure nothing more is sent: the records that follow get the same answer."""
    from botocore.stub import Stubber

    sink = awskit.open_at(s3_copy, URL, moto)
    with Stubber(sink._service._connected()) as stub:
        stub.add_client_error("put_object", code, http_status_code=status)
        answers = awskit.deliver(sink, *[awskit.document(1, record=record) for record in range(3)])
        stub.assert_no_pending_responses()
    assert [type(answer) for answer in answers] == [kind] * 3
    assert keys(bucket) == []


def busy_after(requests, taken, seconds=0.0):
    """A server that takes so many objects and is busy then; it notes of each request which threads ask by then.

    Each takes it so many ``seconds``.
    """

    numbers = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            """Take the object, or not."""
            is_taken = next(numbers) <= taken
            self.rfile.read(int(self.headers["Content-Length"]))
            requests.append([thread for thread in threading.enumerate() if thread.name == "s3 copy"])
            time.sleep(seconds)
            self.send_response(200 if is_taken else 503)
            if is_taken:
                self.send_header("ETag", '"e"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def test_once_it_is_busy_nothing_more_is_begun(credentials):
    """Of many records only those under way are still tried; their threads keep no process from ending."""
    requests = []
    with busy_after(requests, 3) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = awskit.open_at(s3_copy, URL, f"http://127.0.0.1:{server.server_port}")
        answers = awskit.deliver(sink, *[awskit.document(1, record=record) for record in range(200)])
        server.shutdown()
    assert [type(answer) for answer in answers].count(Accepted) == 3
    assert [type(answer) for answer in answers].count(Later) == 197
    assert len(requests) <= 3 + aws.CONNECTIONS
    assert requests[-1]
    assert all(thread.daemon for thread in requests[-1])


def test_what_a_slow_bucket_took_is_told_before_the_whole_batch_is_there(credentials):
    """So that a short run keeps what it has done; the rest is asked for at once."""
    with busy_after([], 1_000, seconds=0.2) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = awskit.open_at(s3_copy, URL, f"http://127.0.0.1:{server.server_port}")
        answers = awskit.deliver(sink, *[awskit.document(1, record=record) for record in range(40)])
        server.shutdown()
    assert answers[:2] == [Accepted(receipt="e")] * 2
    assert answers[-1] == Later(reason="S3 is slow", after=0.0)


def test_an_answer_that_names_nothing_is_none(bucket, moto):
    """Something between us and S3 that answers in its place is not taken for it."""
    from botocore.stub import Stubber

    sink = awskit.open_at(s3_copy, URL, moto)
    with Stubber(sink._service._connected()) as stub:
        stub.add_response("put_object", {})
        assert awskit.deliver(sink, awskit.document(1)) == [Later(reason="S3 gave no usable answer")]


def test_who_may_only_write_is_answered_too(bucket, moto):
    """Without the right to look, an object that is there already counts by its name."""
    from botocore.stub import Stubber

    sink = awskit.open_at(s3_copy, URL, moto)
    with Stubber(sink._service._connected()) as stub:
        stub.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
        stub.add_client_error("head_object", "403", http_status_code=403)
        assert awskit.deliver(sink, awskit.document(1)) == [Accepted(receipt=None)]


def test_check_leaves_nothing(bucket, moto):
    """The check tries a write whose condition can't hold."""
    assert awskit.open_at(s3_copy, URL, moto).check() is None
    assert keys(bucket) == []
    absent = awskit.open_at(s3_copy, "s3://others/x", moto).check()
    assert absent.reason == "S3 refuses: NoSuchBucket"


def test_a_locked_bucket_takes_copies(moto):
    """A bucket with a default retention takes copies, which then can't be deleted."""
    client = boto3.client("s3", endpoint_url=moto, region_name="us-east-1")
    client.create_bucket(Bucket="copies", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket="copies", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    answer = awskit.deliver(awskit.open_at(s3_copy, URL, moto), awskit.document(1))[0]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="copies", Key=keys(client)[0], VersionId=answer.receipt)


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("s3://Bad_Bucket/x", {}),
        ("s3:copies/x", {}),
        ("s3://copies/../x", {}),
        ("s3://copies/a b", {}),
        (URL, {"owner": "123"}),
        (URL, {"acl": "public-read"}),
    ],
)
def test_a_place_that_cannot_be(credentials, url, more):
    """Buckets, prefixes, owners and ACLs are looked at before anything is asked; nothing is made public."""
    with pytest.raises(ConfigError):
        awskit.open_at(s3_copy, url, "http://127.0.0.1:9", **more)
