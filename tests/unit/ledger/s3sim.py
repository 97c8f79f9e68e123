"""S3 in this process, on a clock of its own: versions, conditions, locks; latency, conflicts, throttling, lost answers.

Writers run on threads, one at a time: each request hands over to whoever is next on the simulated clock. The same seed
gives the same interleaving.
"""

from __future__ import annotations

import heapq
import io
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NoReturn

from botocore.exceptions import ClientError, ReadTimeoutError

from tfaudit.config import S3Settings
from tfaudit.errors import LedgerError
from tfaudit.ledger.s3 import Bucket

START = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
Effect = Callable[[], dict[str, Any]]


class Killed(BaseException):
    """A writer's process ends here, whatever it was about to do."""


@dataclass
class Version:
    """One version of an object, or a delete marker (no content)."""

    id: str
    content: bytes | None
    modified: datetime
    mode: str | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong, as shares of all requests."""

    throttled: float = 0.0
    """503 SlowDown: nothing happened."""
    lost: float = 0.0
    """No answer, and the request was never carried out."""
    unanswered: float = 0.0
    """No answer, but it was carried out."""
    late: float = 0.0
    """No answer, and it is carried out only later, when the client has long given up."""
    conflict: float = 0.0
    """409 for a conditional create, nothing happened."""
    killed: float = 0.0
    """The writer's process ends in the middle of the request."""
    attempts: int = 4
    """So often the SDK tries by itself."""


class World:
    """The clock, whoever waits on it, and what is stored."""

    def __init__(self, seed: int, *, latency: bool = True) -> None:
        self.random = random.Random(seed)
        self.time = 0.0
        self.requests: dict[str, int] = {}
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.objects: dict[str, list[Version]] = {}
        self.at_once = False
        self._latency = latency
        self._queue: list[tuple[float, int, threading.Event | Callable[[], None]]] = []
        self._count = itertools.count()
        self._versions = itertools.count(1)
        self._done = threading.Event()

    def clock(self) -> datetime:
        """Return the simulated time."""
        return START + timedelta(seconds=self.time)

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so long."""
        mine = threading.Event()
        self._push(self.time + seconds, mine)
        if self._next() is not mine:
            mine.wait()

    def later(self, seconds: float, effect: Callable[[], None]) -> None:
        """Have something happen then, whoever runs."""
        self._push(self.time + seconds, effect)

    def run(self, writers: Sequence[Callable[[], None]], *, starts: Sequence[float] | None = None) -> None:
        """Run the writers to their ends, beginning at these times; raises what one of them raised."""
        failed: list[BaseException] = []

        def body(writer: Callable[[], None], go: threading.Event) -> None:
            go.wait()
            try:
                with suppress(Killed):
                    writer()
            except BaseException as error:  # noqa: BLE001 - raised again by run
                failed.append(error)
            finally:
                if self._next() is None:
                    self._done.set()

        threads = []
        for number, writer in enumerate(writers):
            go = threading.Event()
            self._push(self.time + (starts[number] if starts else 0.0), go)
            threads.append(threading.Thread(target=body, args=(writer, go), daemon=True))
            threads[-1].start()
        self._done.clear()
        self._next()
        self._done.wait()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def delay(self, operation: str) -> float:
        """Return how long a request may take one way."""
        if not self._latency:
            return self.random.random() / 1000
        usual = {"put_object": 0.030, "get_object": 0.016, "head_object": 0.014}.get(operation, 0.024)
        return usual / 2 * self.random.lognormvariate(0, 0.4)

    def version_id(self) -> str:
        """Return a fresh version id."""
        return f"v{next(self._versions):06d}"

    def _push(self, when: float, what: threading.Event | Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._count), what))

    def _next(self) -> threading.Event | None:
        """Wake the next in time; None when nobody waits."""
        while self._queue:
            self.time, _, what = heapq.heappop(self._queue)
            if isinstance(what, threading.Event):
                what.set()
                return what
            what()
        return None


@dataclass
class Meta:
    """What a client tells of itself."""

    endpoint_url: str = "https://s3.eu-west-1.amazonaws.com"
    region_name: str = "eu-west-1"


@dataclass
class Client:
    """What a writer has in place of botocore's client."""

    world: World
    faults: Faults = Faults()
    meta: Meta = field(default_factory=Meta)

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """Return the operation of that name."""
        carry_out = getattr(Operations(self.world), operation)

        def call(**parameters: Any) -> dict[str, Any]:
            return self._call(operation, lambda: carry_out(**parameters), parameters)

        return call

    def _call(self, operation: str, effect: Effect, parameters: dict[str, Any]) -> dict[str, Any]:
        body = parameters.get("Body")
        if body is not None:
            parameters["Body"] = body.read()
        for tried in range(self.faults.attempts):
            last = tried + 1 == self.faults.attempts
            try:
                answer = self._try(operation, effect, parameters)
            except ReadTimeoutError:
                if last:
                    raise
            except ClientError as error:
                about = error.response["ResponseMetadata"]
                if last or about["HTTPStatusCode"] < 500:
                    about["RetryAttempts"] = tried
                    raise
            else:
                answer["ResponseMetadata"]["RetryAttempts"] = tried
                return answer
            self.world.sleep(self.world.random.random() * 2**tried)
        raise AssertionError("one try at least")

    def _try(self, operation: str, effect: Effect, parameters: dict[str, Any]) -> dict[str, Any]:
        world, chance = self.world, self.world.random.random
        world.requests[operation] = world.requests.get(operation, 0) + 1
        world.log.append((operation, parameters))
        if chance() < self.faults.killed:
            if chance() < 0.5:
                _quietly(effect)
            raise Killed
        if world.at_once:
            return effect()
        world.sleep(world.delay(operation))
        for share, failure in self._failures(operation, effect, conditional="IfNoneMatch" in parameters):
            if chance() < share:
                failure()
        try:
            return effect()
        finally:
            world.sleep(world.delay(operation))

    def _failures(
        self, operation: str, effect: Effect, *, conditional: bool
    ) -> Iterator[tuple[float, Callable[[], None]]]:
        world, faults = self.world, self.faults

        def no_answer() -> None:
            world.sleep(0.2 + world.random.random())
            raise ReadTimeoutError(endpoint_url="https://s3")

        def unanswered() -> None:
            _quietly(effect)
            no_answer()

        def late() -> None:
            world.later(world.random.random() * 3, lambda: _quietly(effect))
            no_answer()

        yield faults.throttled, lambda: refuse(world, operation, "SlowDown", 503)
        yield faults.lost, no_answer
        if operation in ("put_object", "delete_object"):
            yield faults.unanswered, unanswered
            yield faults.late, late
        if conditional:
            yield faults.conflict, lambda: refuse(world, operation, "ConditionalRequestConflict", 409)


def _quietly(effect: Effect) -> None:
    with suppress(ClientError):
        effect()


class Operations:
    """What S3 does with a request, at one moment."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put_object(self, Bucket: str, Key: str, Body: bytes, **more: Any) -> dict[str, Any]:
        """Put a version on top; refuse if one is there and the request says so."""
        versions = self._world.objects.setdefault(f"{Bucket}/{Key}", [])
        if more.get("IfNoneMatch") == "*" and versions and versions[-1].content is not None:
            refuse(self._world, "PutObject", "PreconditionFailed", 412)
        made = Version(
            self._world.version_id(),
            Body,
            self._world.clock(),
            more.get("ObjectLockMode"),
            more.get("ObjectLockRetainUntilDate"),
        )
        versions.append(made)
        return self._answer(VersionId=made.id)

    def get_object(self, Bucket: str, Key: str, Range: str = "", VersionId: str | None = None) -> dict[str, Any]:
        """Return a version's bytes, or a part of them."""
        found = self._find(Bucket, Key, VersionId)
        assert found.content is not None
        first, last = (int(part) for part in Range.removeprefix("bytes=").split("-"))
        if first >= len(found.content):
            refuse(self._world, "GetObject", "InvalidRange", 416)
        part = found.content[first : last + 1]
        return self._answer(
            Body=_Body(part),
            ContentLength=len(part),
            ContentRange=f"bytes {first}-{first + len(part) - 1}/{len(found.content)}",
            VersionId=found.id,
            **_lock(found),
        )

    def head_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        """Return what is known of a version."""
        found = self._find(Bucket, Key, VersionId)
        return self._answer(VersionId=found.id, **_lock(found))

    def get_object_retention(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        """Return a version's retention; there is an error for one that has none."""
        found = self._find(Bucket, Key, VersionId)
        if found.mode is None:
            refuse(self._world, "GetObjectRetention", "NoSuchObjectLockConfiguration", 404)
        return self._answer(Retention={"Mode": found.mode, "RetainUntilDate": found.until})

    def delete_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        """Put a marker on top, or remove a version that is not locked."""
        versions = self._world.objects.setdefault(f"{Bucket}/{Key}", [])
        if VersionId is None:
            marker = Version(self._world.version_id(), None, self._world.clock())
            versions.append(marker)
            return self._answer(DeleteMarker=True, VersionId=marker.id)
        for one in versions:
            if one.id == VersionId:
                if one.until is not None and one.until > self._world.clock():
                    refuse(self._world, "DeleteObject", "AccessDenied", 403)
                versions.remove(one)
                break
        return self._answer()

    def get_object_lock_configuration(self, Bucket: str) -> dict[str, Any]:
        """Say that there are locks."""
        return self._answer(ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})

    def list_object_versions(
        self, Bucket: str, Prefix: str, MaxKeys: int = 1000, KeyMarker: str = "", VersionIdMarker: str = ""
    ) -> dict[str, Any]:
        """List versions and markers, of each key the newest first."""
        found: list[tuple[str, Version]] = []
        for name in sorted(self._under(Bucket, Prefix)):
            if name < KeyMarker or (name == KeyMarker and not VersionIdMarker):
                continue
            newest_first = self._world.objects[f"{Bucket}/{name}"][::-1]
            if name == KeyMarker:
                ids = [one.id for one in newest_first]
                newest_first = newest_first[ids.index(VersionIdMarker) + 1 :]
            found += [(name, one) for one in newest_first]
            if len(found) > MaxKeys:
                break
        page = found[:MaxKeys]
        rows = [
            (one.content is None, {"Key": name, "VersionId": one.id, "LastModified": one.modified} | _size(one))
            for name, one in page
        ]
        answer = self._answer(
            IsTruncated=len(found) > MaxKeys,
            Versions=[row for marker, row in rows if not marker],
            DeleteMarkers=[row for marker, row in rows if marker],
        )
        if len(found) > MaxKeys:
            answer |= {"NextKeyMarker": page[-1][0], "NextVersionIdMarker": page[-1][1].id}
        return answer

    def list_objects_v2(
        self,
        Bucket: str,
        Prefix: str,
        MaxKeys: int = 1000,
        StartAfter: str = "",
        Delimiter: str = "",
        ContinuationToken: str = "",
    ) -> dict[str, Any]:
        """List what stands on top."""
        after = max(StartAfter, ContinuationToken)
        contents: list[dict[str, Any]] = []
        prefixes: set[str] = set()
        last = ""
        for name in sorted(self._under(Bucket, Prefix)):
            top = self._world.objects[f"{Bucket}/{name}"][-1]
            if name <= after or top.content is None:
                continue
            cut = name.find(Delimiter, len(Prefix)) if Delimiter else -1
            if cut >= 0:
                prefixes.add(name[: cut + 1])
            else:
                if len(contents) == MaxKeys:
                    return self._answer(IsTruncated=True, Contents=contents, NextContinuationToken=last)
                contents.append({"Key": name, "Size": len(top.content)})
                last = name
        return self._answer(
            IsTruncated=False, Contents=contents, CommonPrefixes=[{"Prefix": one} for one in sorted(prefixes)]
        )

    def _under(self, bucket: str, prefix: str) -> list[str]:
        start = len(bucket) + 1
        return [
            name[start:] for name, held in self._world.objects.items() if held and name.startswith(f"{bucket}/{prefix}")
        ]

    def _find(self, bucket: str, key: str, version: str | None) -> Version:
        for one in reversed(self._world.objects.get(f"{bucket}/{key}", [])):
            if version is None and one.content is None:
                break
            if version in (None, one.id) and one.content is not None:
                return one
        raise refusal(self._world, "GetObject", "NoSuchKey" if version is None else "NoSuchVersion", 404)

    def _answer(self, **body: Any) -> dict[str, Any]:
        return body | {"ResponseMetadata": about(self._world, 200)}


class _Body(io.BytesIO):
    """A body as botocore gives it."""


def _lock(version: Version) -> dict[str, Any]:
    if version.mode is None:
        return {}
    return {"ObjectLockMode": version.mode, "ObjectLockRetainUntilDate": version.until}


def _size(version: Version) -> dict[str, int]:
    return {} if version.content is None else {"Size": len(version.content)}


def about(world: World, status: int) -> dict[str, Any]:
    """Return the part of an answer that every one has."""
    date = format_datetime(world.clock().replace(microsecond=0), usegmt=True)
    return {"HTTPStatusCode": status, "HTTPHeaders": {"date": date}, "RetryAttempts": 0}


def refusal(world: World, operation: str, code: str, status: int) -> ClientError:
    """Return an error as S3 gives it."""
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": about(world, status)}, operation)


def refuse(world: World, operation: str, code: str, status: int) -> NoReturn:
    """Raise an error as S3 gives it."""
    raise refusal(world, operation, code, status)


class SimulatedBucket(Bucket):
    """A bucket of the simulation; what the real one does on several threads happens at once here."""

    def __init__(self, location: str, world: World, faults: Faults = Faults()) -> None:
        self.world = world
        super().__init__(
            location, S3Settings(), client=lambda: Client(world, faults), now=lambda: world.clock().timestamp()
        )

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Do it all at one moment, and take as long as the slowest would."""
        if not items:
            return
        self.world.at_once = True
        try:
            found = [function(item) for item in items]
        finally:
            self.world.at_once = False
        self.world.sleep(sum(self.world.delay("get_object") * 2 for _ in range((len(items) + 15) // 16)))
        yield from found

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        """Do it now, at once."""
        done: Future[Any] = Future()
        self.world.at_once = True
        try:
            done.set_result(function())
        except LedgerError as error:
            done.set_exception(error)
        finally:
            self.world.at_once = False
        return done
