"""How do documents get into a bucket as a plain copy, also one of another account?

``s3://bucket/prefix``: what a batch has of one record is one object of JSON lines, created on the condition that
nothing is there: ``PREFIX/YYYY/MM/DD/RECORD-ID/FIRST-LAST-DIGEST.jsonl``, after its first and last line and what it
holds. So the same lines sent again are the same object. The copy is no ledger: nothing is verified from it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError
from tfaudit.sinks import aws
from tfaudit.sinks.aws import Fault
from tfaudit.sinks.fitting import Fitted, fitted
from tfaudit.sinks.model import SLOW, Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

MOST_DOCUMENTS: Final = 2_000
MOST_BYTES: Final = 16 << 20
OWNER_CONTROLS: Final = "bucket-owner-full-control"

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_PREFIX: Final = re.compile(r"[\w!*'().=-]{1,255}(/[\w!*'().=-]{1,255}){0,15}", re.ASCII)
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_TITLE: Final = "S3"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TAKEN: Final = "PreconditionFailed"
_BUSY: Final = "ConditionalRequestConflict"
_ABSENT: Final = frozenset({"404", "NoSuchKey", _TAKEN, "412"})
_CONFIGURATION: Final[Mapping[str, str]] = {
    "AccessControlListNotSupported": "leave the sink's acl out: the bucket has no access control lists",
    "AuthorizationHeaderMalformed": "set the sink's region to the bucket's",
    "IllegalLocationConstraintException": "set the sink's region to the bucket's",
    "NoSuchBucket": "is it the right account, region and name?",
    "NotImplemented": "this store has no conditional writes (If-None-Match)",
    "PermanentRedirect": "set the sink's region to the bucket's",
}


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> S3Copy:
    """Return the sink; nothing is asked of AWS yet. :class:`ConfigError` for what is no bucket, account or ACL."""
    bucket, _, prefix = settings.url.removeprefix("s3://").partition("/")
    prefix, owner, acl = prefix.strip("/"), aws.option(settings, "owner"), aws.option(settings, "acl")
    if not settings.url.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        raise ConfigError(
            f'the URL of sink {settings.name} names no bucket: "{settings.url}"', hint="s3://bucket/prefix"
        )
    if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & {*prefix.split("/")}):
        raise ConfigError(f'the prefix of sink {settings.name} is "{prefix}"', hint="as in s3://bucket/tfaudit/copy")
    if owner is not None and not _ACCOUNT.fullmatch(owner):
        raise ConfigError(f'the owner of sink {settings.name} is "{owner}"', hint="an account's twelve digits")
    if acl not in (None, OWNER_CONTROLS):
        raise ConfigError(f'the acl of sink {settings.name} is "{acl}"', hint=f'"{OWNER_CONTROLS}", or none')
    needs = f"s3:PutObject and s3:GetObject on the bucket's objects{', s3:PutObjectAcl' if acl else ''}"
    service = aws.Service("s3", settings, environ=environ, title=_TITLE, needs=needs)
    usual = {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
    return S3Copy(settings, service, usual, f"{prefix}/" if prefix else "", {"ACL": acl} if acl else {})


class S3Copy:
    """A prefix of a bucket."""

    limits = Limits(documents=MOST_DOCUMENTS, size=MOST_BYTES, overhead=1)

    def __init__(
        self,
        settings: SinkSettings,
        service: aws.Service,
        usual: Mapping[str, str],
        prefix: str,
        written: Mapping[str, str],
    ) -> None:
        self._schema = settings.schema or "native"
        self._service = service
        self._usual = usual
        self._prefix = prefix
        self._written = written

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the document's JSON; see :class:`tfaudit.sinks.model.Sink`."""
        match fitted(document.body, self._schema, MOST_BYTES - 1):
            case Fitted(content, note):
                return Encoded(document.id, document.time, content, note)
            case refused:
                return refused

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Create an object for each record of the batch: the first alone, and then several at a time.

        None is begun once one could not be created, or after :data:`~tfaudit.sinks.model.SLOW`.
        """
        records = [list(lines) for _, lines in groupby(batch, lambda each: _record(each.id))]
        first, rest = self._create(records[0]), records[1:]
        if not rest or isinstance(first[-1], Later | Misconfigured):
            return first + aws.same(first[-1], batch[len(first) :])
        return first + self._several(rest)

    def check(self) -> Misconfigured | Later | None:
        """Try to replace an object that isn't there, which asks for the same rights and leaves nothing."""
        answer = self._call("put_object", Key=f"{self._prefix}tfaudit-check", Body=b"", IfMatch='"none"')
        if isinstance(answer, Fault) and answer.code not in _ABSENT:
            return answer.answer
        return None

    def close(self) -> None:
        """Let the connections go."""
        self._service.close()

    def _several(self, records: Sequence[Sequence[Encoded]]) -> list[Answer]:
        """Create objects on threads of their own, which are daemons: one that hangs keeps no process from ending."""
        until = time.monotonic() + SLOW
        waiting: SimpleQueue[int] = SimpleQueue()
        found: dict[int, list[Answer]] = {}
        stopped: list[Answer] = []
        broken: list[BaseException] = []

        def create() -> None:
            try:
                while not stopped and not broken and time.monotonic() < until:
                    at = waiting.get_nowait()
                    found[at] = self._create(records[at])
                    stopped.extend(one for one in found[at] if isinstance(one, Later | Misconfigured))
            except Empty:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the thread
                broken.append(error)

        for at in range(len(records)):
            waiting.put(at)
        threads = [Thread(target=create, name="s3 copy", daemon=True) for _ in records[: aws.CONNECTIONS]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if broken:
            raise broken[0]
        left = stopped[0] if stopped else Later(reason=f"{_TITLE} is slow", after=0.0)
        return [answer for at, lines in enumerate(records) for answer in found.get(at) or aws.same(left, lines)]

    def _create(self, lines: Sequence[Encoded]) -> list[Answer]:
        body = b"".join(each.content + b"\n" for each in lines)
        digest = hashlib.sha256(body)
        key, checksum = self._key(lines, digest.hexdigest()), base64.b64encode(digest.digest()).decode()
        answer = self._call(
            "put_object",
            Key=key,
            Body=body,
            ContentType="application/x-ndjson",
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum,
            IfNoneMatch="*",
            **self._written,
        )
        if isinstance(answer, Fault) and answer.code == _TAKEN:
            # Sent before, by its name. Whoever may look at it learns its version, and would see if it were another's.
            found = self._call("head_object", Key=key, ChecksumMode="ENABLED")
            there = {} if isinstance(found, Fault) else found
            if there.get("ChecksumSHA256", checksum) != checksum:
                return aws.same(Refused(reason=f"{key} is there already, and something else"), lines)
            return aws.same(Accepted(receipt=_receipt(there)), lines)
        if isinstance(answer, Fault):
            return aws.same(answer.answer, lines)
        receipt = _receipt(answer)
        if receipt is None:
            # Whatever answered, S3 always names what it made: an empty answer must not pass for a success.
            return aws.same(Later(reason=f"{_TITLE} gave no usable answer"), lines)
        return aws.same(Accepted(receipt=receipt), lines)

    def _key(self, lines: Sequence[Encoded], digest: str) -> str:
        day = _EPOCH + timedelta(milliseconds=lines[0].time)
        first, last = (int(each.id.rpartition("/")[2]) for each in (lines[0], lines[-1]))
        return f"{self._prefix}{day:%Y/%m/%d}/{_record(lines[0].id)}/{first:06}-{last:06}-{digest[:16]}.jsonl"

    def _call(self, operation: str, **parameters: Any) -> Mapping[str, Any] | Fault:  # noqa: ANN401 - AWS's own shapes
        answer = self._service.call(operation, **self._usual, **parameters)
        if not isinstance(answer, Fault):
            return answer
        if answer.code == _BUSY:
            return Fault(answer=Later(reason=f"{_TITLE} is just writing this object: {_BUSY}"), code=_BUSY)
        hint = _CONFIGURATION.get(answer.code)
        if hint is None:
            return answer
        return Fault(answer=Misconfigured(reason=f"{_TITLE} refuses: {answer.code}", hint=hint), code=answer.code)


def _record(document: str) -> str:
    return document.rpartition("/")[0]


def _receipt(answer: Mapping[str, Any]) -> str | None:
    """Return the version's id, or the ETag where the bucket has no versions; None where an answer has neither."""
    version = answer.get("VersionId")
    return version if version not in (None, "null") else str(answer.get("ETag", "")).strip('"') or None
