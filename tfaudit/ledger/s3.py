"""How does tfaudit talk to one bucket of S3: which requests, what their failures mean, and what time it is there.

Any store that speaks S3 with versions, Object Lock and conditional writes will do. Credentials, region and assumed
roles come from the ordinary AWS configuration.
"""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from tfaudit import awsclient
from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger.s3_plain import Plain, Way, way_now
from tfaudit.ledger.store import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from tfaudit.config import S3Settings

SCHEME: Final = "s3://"
CONCURRENCY: Final = 16
"""Requests of one process at a time."""
ATTEMPTS: Final = 5
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 20
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINTS: Final = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}
_AMAZON: Final = re.compile(r"https://[^/]+\.amazonaws\.com(\.cn)?(:443)?/?")


Result = TypeVar("Result")


class UnfitStoreError(LedgerError):
    """The store is there, or could be, but is not set up to hold a ledger (78)."""

    exit_code: ClassVar[int] = 78


class Place(NamedTuple):
    """A prefix of a bucket."""

    bucket: str
    prefix: str
    """Empty, or ending in ``/``."""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def place(location: str) -> Place:
    """Return the place that ``s3://bucket/prefix`` names; :class:`ConfigError` where it names none."""
    bucket, _, prefix = location.removeprefix(SCHEME).partition("/")
    parts = [part for part in prefix.split("/") if part]
    if not location.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or {".", ".."} & {*parts}:
        raise ConfigError(f'"{location}" names no bucket', hint='as in "s3://bucket/prefix"')
    return Place(bucket, "".join(f"{part}/" for part in parts))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store said: ``code`` is None for a success, else the expected error's."""

    code: str | None
    body: Mapping[str, Any]
    retried: bool
    """Whether an earlier try of the same request got no usable answer: it may have been carried out."""


class Bucket:
    """One place in a bucket, with a client that is made when it is first needed, in every process anew.

    ``client`` makes another than botocore's own, for tests; ``now`` is this machine's time in seconds since the epoch.
    """

    def __init__(
        self,
        location: str,
        settings: S3Settings,
        *,
        client: Callable[[], Any] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.place = place(location)
        self.settings = settings
        self.time = Time(now)
        self._make = client or self._connect
        self._clients: dict[int, Any] = {}
        self._plain: dict[int, Plain | None] | None = {} if client is None else None
        self._threads: dict[int, Executor] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return str(self.place)

    def __getstate__(self) -> dict[str, Any]:
        # To another process goes the name of the place; it connects for itself.
        return {"location": str(self.place), "settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Bucket.__init__(self, state["location"], state["settings"])

    @property
    def client(self) -> Any:  # noqa: ANN401 - botocore makes its clients' classes at run time
        """The S3 client of this process: a fork must not share its parent's connections."""
        with self._lock:
            found = self._clients.get(os.getpid())
            if found is None:
                found = self._clients[os.getpid()] = self._make()
        return found

    @property
    def is_amazon(self) -> bool:
        """Whether the requests go to AWS itself, whose abilities are known."""
        plain = self._plainly()
        if plain is not None:
            return plain.way.endpoint is None or bool(_AMAZON.fullmatch(plain.way.endpoint))
        return bool(_AMAZON.fullmatch(self.client.meta.endpoint_url))

    def call(self, operation: str, *, expected: Collection[str] = (), **parameters: Any) -> Answer:  # noqa: ANN401
        """Send one request about this bucket; an error whose code is ``expected`` is an answer like any other.

        Raises :class:`LedgerError` with the reason in words for every other failure.
        """
        sent, tried = self.time.local(), False
        plain = self._plainly()
        if plain is not None:
            found = plain.send(operation, {"Bucket": self.place.bucket, **parameters}, expected)
            if found is not None:
                self._learn_time(found[1], sent)
                return Answer(*found, retried=False)
            tried = plain.failed
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            response = getattr(self.client, operation)(Bucket=self.place.bucket, **parameters)
            code = None
        except ClientError as error:
            response = error.response
            code = str(response.get("Error", {}).get("Code", ""))
            self._learn_time(response, sent)
            if code not in expected:
                raise self._failure(operation, response) from error
        except (BotoCoreError, OSError, RuntimeError) as error:
            # botocore follows a redirect that names no region for ever, and may take what ends that for a failed try.
            if isinstance(getattr(error, "kwargs", {}).get("error", error), RecursionError):
                raise UnfitStoreError(f"{self} is somewhere else", hint="set [s3] region, or AWS_REGION") from error
            raise _unreachable(self, error) from error
        except (ValueError, LookupError) as error:
            # The SDK's parsers have no words of their own for what is no size, time or key.
            raise self.unreadable(operation) from error
        else:
            self._learn_time(response, sent)
        about = response.get("ResponseMetadata", {})
        return Answer(code, response, retried=tried or bool(about.get("RetryAttempts")))

    def each(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Yield what ``function`` returns for each item, in order, several at a time."""
        if len(items) < 2:
            yield from map(function, items)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(CONCURRENCY, len(items))) as pool:
            yield from pool.map(function, items)

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        """Have another thread call ``function``, of which there are as many as connections."""
        with self._lock:
            threads = self._threads.get(os.getpid())
            if threads is None:
                from concurrent.futures import ThreadPoolExecutor

                threads = self._threads[os.getpid()] = ThreadPoolExecutor(CONCURRENCY)
        return threads.submit(function)

    def _plainly(self) -> Plain | None:
        """Return what sends this process's requests without the SDK, as long as that goes well."""
        if self._plain is None:
            return None
        process = os.getpid()
        if process not in self._plain:
            self._plain[process] = _plain(self.settings)
        found = self._plain[process]
        return None if found is None or found.failed else found

    def _connect(self) -> Any:  # noqa: ANN401 - as above
        from botocore.exceptions import BotoCoreError

        # Making a client takes a tenth of a second: one serves all buckets of the same settings.
        environment = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
        known = (os.getpid(), self.settings, environment)
        with _connecting:
            if known not in _clients:
                try:
                    _clients[known] = _client(self.settings)
                except (BotoCoreError, ValueError) as error:
                    raise UnfitStoreError(
                        f"there is no way to {self}: {error}", hint="check [s3] and the AWS configuration"
                    ) from error
            return _clients[known]

    def _learn_time(self, response: Mapping[str, Any], sent: float) -> None:
        self.time.learn(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"), sent=sent)

    def unreadable(self, operation: str) -> LedgerError:
        """Return what to raise where an answer is none."""
        return LedgerError(
            f"{self}: {operation.replace('_', ' ')}: the answer can't be read", hint="is this an S3 endpoint?"
        )

    def _failure(self, operation: str, response: Mapping[str, Any]) -> LedgerError:
        error = response.get("Error", {})
        about = response.get("ResponseMetadata", {})
        code, message = str(error.get("Code", "")), _one_line(str(error.get("Message", "")))
        status = about.get("HTTPStatusCode", 0)
        told = f"{self}: {operation.replace('_', ' ')}: {code}" + (f": {message}" if message else "")
        if code in ("NoSuchBucket", "404"):
            return UnfitStoreError(
                f"there is no bucket {self.place.bucket}", hint="is it the right account, region and name?"
            )
        if code == "InvalidRequest" and "lock" in message.lower():
            return UnfitStoreError(f"the bucket {self.place.bucket} has no Object Lock", hint=NO_LOCK)
        if code == "NotImplemented" or status == 501:
            return UnfitStoreError(f"{told}: this store lacks what a ledger needs", hint=NEEDS)
        if code in _CREDENTIALS:
            return LedgerError(told, hint="renew the AWS credentials of this job")
        if code in _CLOCK:
            return LedgerError(told, hint="set this machine's clock")
        if status == 403 or code in ("AccessDenied", "403"):
            return ForbiddenError(told, hint=f"these credentials need {_ACTIONS.get(operation, 'more rights')}")
        if status == 301 or code in _REGION:
            there = about.get("HTTPHeaders", {}).get("x-amz-bucket-region")
            known = f"the bucket is in {there}: " if there else ""
            return UnfitStoreError(told, hint=f"{known}set [s3] region, or AWS_REGION")
        return LedgerError(told, hint="try again" if status >= 500 or status == 429 else None)


_clients: Final[dict[tuple[object, ...], Any]] = {}
_plains: Final[dict[tuple[int, Way], Plain]] = {}
_connecting: Final = threading.Lock()


def _plain(settings: S3Settings) -> Plain | None:
    way = way_now(settings)
    if way is None:
        return None
    with _connecting:
        return _plains.setdefault((os.getpid(), way), Plain(way))


def _client(settings: S3Settings) -> Any:  # noqa: ANN401 - as above
    import botocore.config
    import botocore.session

    config = botocore.config.Config(
        retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONCURRENCY,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="tfaudit",
        # Names of buckets don't resolve where the store is not AWS.
        s3={"addressing_style": "path"} if settings.endpoint_url or _ENDPOINTS & os.environ.keys() else None,
    )
    return botocore.session.Session(profile=settings.profile).create_client(
        "s3",
        # AWS_REGION is what CI systems set; botocore itself looks at AWS_DEFAULT_REGION alone.
        region_name=settings.region or os.environ.get("AWS_REGION") or None,
        endpoint_url=settings.endpoint_url,
        config=config,
    )


NEEDS: Final = "it must have versions, Object Lock and conditional writes (If-None-Match)"
NO_LOCK: Final = "make a bucket with Object Lock: `tfaudit setup --create-bucket`, or switch it on"
_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"}
    | {"TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_CLOCK: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_REGION: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_ACTIONS: Final = {
    "put_object": "s3:PutObject and, with a retention, s3:PutObjectRetention here; with a KMS key kms:GenerateDataKey",
    "get_object": "s3:GetObject and s3:GetObjectVersion here",
    "head_object": "s3:GetObject, s3:GetObjectVersion and s3:GetObjectRetention here",
    "list_objects_v2": "s3:ListBucket on the bucket",
    "list_object_versions": "s3:ListBucketVersions on the bucket",
    "delete_object": "s3:DeleteObject and s3:DeleteObjectVersion in the working store",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration on the bucket",
}


class Time:
    """The store's time, as its ``Date`` headers tell it: this machine's own wherever that is possible.

    A ``Date`` has whole seconds, so each answer says between which bounds the difference lies.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._low, self._high = float("-inf"), float("inf")

    def local(self) -> float:
        """Return this machine's time, seconds since the epoch."""
        return self._now()

    def learn(self, date: str | None, *, sent: float) -> None:
        """Take in the ``Date`` of an answer to a request that was sent at ``sent``."""
        from email.utils import parsedate_to_datetime

        if not date:
            return
        with suppress(ValueError, TypeError, IndexError):
            there = parsedate_to_datetime(date).timestamp()
            low, high = there - self._now(), there + 1 - sent
            if low > self._high or high < self._low:
                # One of the two clocks was set meanwhile: only the last word counts.
                self._low, self._high = low, high
            else:
                self._low, self._high = max(low, self._low), min(high, self._high)

    @property
    def known(self) -> bool:
        """Whether the store has told its time."""
        return self._high < float("inf")

    @property
    def difference(self) -> float:
        """By how many seconds the store's clock is surely ahead of this machine's (behind: negative)."""
        return min(max(0.0, self._low), self._high)

    def clock(self, local: Callable[[], datetime]) -> Callable[[], datetime]:
        """Return the clock ``local``, put right."""
        return lambda: local() + timedelta(seconds=self.difference)

    def now(self) -> datetime:
        """Return the store's time."""
        return datetime.fromtimestamp(self._now() + self.difference, UTC)


def _unreachable(bucket: Bucket, error: Exception) -> LedgerError:
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return LedgerError(
            f"there are no AWS credentials for {bucket}", hint="set AWS_PROFILE, or log in as for the engine"
        )
    if awsclient.lacks_credentials(error):
        return LedgerError(f"the AWS credentials for {bucket} can't be had: {_one_line(str(error))}")
    if isinstance(error, exceptions.SSLError) and "WRONG_VERSION_NUMBER" not in str(error):
        return LedgerError(
            f"{bucket} can't be reached: {_one_line(str(error))}",
            hint="AWS_CA_BUNDLE names the file of the authorities to trust",
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return LedgerError(f"{bucket} can't be reached: {_one_line(str(error))}", hint="is the endpoint right, and up?")
    return LedgerError(f"{bucket}: {_one_line(str(error))}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
