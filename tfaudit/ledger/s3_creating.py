"""How is an object created once and for all: on the condition that nothing is there, locked as it is written?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tfaudit.ledger import ids
from tfaudit.ledger.s3 import NEEDS, NO_LOCK, UnfitStoreError
from tfaudit.ledger.s3_objects import Body
from tfaudit.ledger.store import Location

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfaudit.config import Retention
    from tfaudit.ledger.s3 import Answer, Bucket

TAKEN: Final = "PreconditionFailed"
BUSY: Final = "ConditionalRequestConflict"
PROBE: Final = "probe/"
PROBE_SECONDS: Final = 120
"""How long a probe is locked: enough to see that a delete is refused."""


def put(bucket: Bucket, key: str, body: Body, *, new: bool, **more: object) -> Answer:
    """Put an object, its digest checked on arrival, encrypted as the settings say; errors as :meth:`Bucket.call`.

    With ``new`` on the condition that nothing is there: else the answer's code is :data:`TAKEN`, or :data:`BUSY` while
    somebody writes it.
    """
    parameters: dict[str, object] = {
        "Key": bucket.place.prefix + key,
        "Body": body,
        "ContentLength": body.size,
        "ChecksumAlgorithm": "SHA256",
        "ChecksumSHA256": body.checksum,
        **({"IfNoneMatch": "*"} if new else {}),
        **more,
    }
    if bucket.settings.kms_key_id:
        parameters["ServerSideEncryption"] = "aws:kms"
        parameters["SSEKMSKeyId"] = bucket.settings.kms_key_id
        parameters["BucketKeyEnabled"] = True
    return bucket.call("put_object", expected=(TAKEN, BUSY) if new else (), **parameters)


class Creator:
    """Creates the objects of a bucket with Object Lock; ``retention`` is given to each, else the default holds."""

    def __init__(self, bucket: Bucket, retention: Retention | None) -> None:
        self._bucket = bucket
        self._retention = retention
        self._written: dict[str, Location] = {}
        self._fit = False

    def create(self, key: str, head: bytes, tail: BinaryIO | None, *, is_mine: Callable[[bytes], bool]) -> bool:
        """Create an object; see :meth:`tfaudit.ledger.store.Store.create`.

        ``is_mine`` tells whether the object that is there has the bytes of this digest. Raises
        :class:`UnfitStoreError` where the store turns out to have no Object Lock, versions or conditions.
        """
        if not self._fit:
            self._must_lock()
        body = Body(head, tail)
        answer = self._put(key, body, seconds=PROBE_SECONDS if key.startswith(PROBE) else None)
        if answer.code is not None:
            # Refused since something is there; after a try without an answer that may be this very object.
            return answer.retried and answer.code == TAKEN and is_mine(body.digest)
        if answer.body.get("VersionId") in (None, "null"):
            raise UnfitStoreError(f"the bucket {self._bucket.place.bucket} keeps no versions", hint=NEEDS)
        if not self._fit:
            self._must_refuse(key)
            self._fit = True
        return True

    def written(self, key: str) -> Location | None:
        """Return where an object lies that was created here."""
        return self._written.get(key)

    def _put(self, key: str, body: Body, *, seconds: int | None = None) -> Answer:
        locked = self._lock(seconds)
        answer = put(self._bucket, key, body, new=True, **locked)
        if answer.code is None:
            until = locked.get("ObjectLockRetainUntilDate")
            self._written[key] = Location(answer.body.get("VersionId"), ids.milliseconds(until) if until else None)
        return answer

    def _lock(self, seconds: int | None) -> dict[str, Any]:
        """Return the lock's two parameters, always together; ``seconds`` is a probe's short one."""
        now = self._bucket.time.now().replace(microsecond=0)
        if seconds is not None:
            return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": now + timedelta(seconds=seconds)}
        if self._retention is None:
            return {}
        until = now + timedelta(days=self._retention.days)
        return {"ObjectLockMode": self._retention.mode, "ObjectLockRetainUntilDate": until}

    def _must_lock(self) -> None:
        """Raise unless the bucket has Object Lock, as far as we may know; a retention of ours would be refused."""
        if self._retention is not None:
            return
        missing = ("ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest")
        answer = self._bucket.call("get_object_lock_configuration", expected=(*missing, "AccessDenied"))
        if answer.code in missing:
            raise UnfitStoreError(f"the bucket {self._bucket.place.bucket} has no Object Lock", hint=NO_LOCK)

    def _must_refuse(self, key: str) -> None:
        """Raise unless the store refuses a second create of an object: AWS does, others may not know the condition."""
        if self._bucket.is_amazon:
            return
        written = self._written.get(key)
        seconds = PROBE_SECONDS if self._retention or key.startswith(PROBE) else None
        answer = self._put(key, Body(b"again\n", None), seconds=seconds)
        if answer.code is None:
            raise UnfitStoreError(f"{self._bucket} lets an object be written twice", hint=NEEDS)
        if written is not None:
            self._written[key] = written
