"""How does a sink ask a service of AWS, and what does an answer mean that is none?

Credentials, profiles and certificates are those of the ordinary AWS configuration of this process. A request is tried
once: whoever delivers tries again. What is told of a failure is AWS's code and our own words, never AWS's text: it may
repeat the request, with its token and its documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfaudit import awsclient
from tfaudit.errors import ConfigError
from tfaudit.sinks.model import Answer, Encoded, Later, Misconfigured
from tfaudit.sinks.narrowing import Doubtful, narrowed

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 15
CONNECTIONS: Final = 8
"""Requests of one sink at a time."""
LONGEST_AFTER: Final = 300.0
"""Seconds; a service that asks for more is asked again after as many."""

_ARN: Final = re.compile(r"arn:(aws[a-z-]*):([a-z-]+):([a-z]+(?:-[a-z]+)+-\d+):(\d{12}):([!-~]{1,1024})", re.ASCII)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_CODE: Final = re.compile(r"[\w.:-]{1,80}", re.ASCII)
_ACTION: Final = re.compile(r"not authorized to perform: ([a-z0-9-]{1,40}:[A-Za-z]{1,60})", re.ASCII)
_LATER: Final = frozenset(
    {
        "InternalError",
        "InternalErrorException",
        "InternalException",
        "InternalFailure",
        "InternalServerException",
        "KMSThrottling",
        "KMSThrottlingException",
        "OperationAbortedException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
_CLOCK: Final = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
_REGION: Final = "set the sink's region, or AWS_REGION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """An ARN's parts."""

    text: str
    service: str
    region: str
    account: str
    """Twelve digits."""
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A request that came to nothing."""

    answer: Later | Misconfigured
    """What that is for all documents of the request, if the code tells the sink nothing better."""
    code: str = ""
    """AWS's own; empty where the request got no answer."""
    text: str = ""
    """AWS's own; to be looked at, never to be shown."""


def arn(text: str) -> Arn | None:
    """Return the parts of an ARN that names a region and an account; None for anything else."""
    match = _ARN.fullmatch(text)
    if match is None:
        return None
    _, service, region, account, resource = match.groups()
    return Arn(text=text, service=service, region=region, account=account, resource=resource)


def destination(settings: SinkSettings) -> str:
    """Return what follows the scheme in the sink's URL."""
    return settings.url.partition(":")[2]


def option(settings: SinkSettings, name: str) -> str | None:
    """Return a text among the sink's options; None where it is not set."""
    value = settings.options.get(name)
    return None if value is None else str(value)


class Service:
    """One service of AWS, as one sink uses it; the client is made when it is first needed, which takes 0.1 s.

    ``title`` is the service's name for people, ``needs`` what a policy has to allow, ``region`` that of an ARN in the
    sink's URL. Raises :class:`ConfigError` for an option that can't be right.
    """

    def __init__(
        self,
        service: str,
        settings: SinkSettings,
        *,
        environ: Mapping[str, str],
        title: str,
        needs: str,
        region: str | None = None,
    ) -> None:
        self._service = service
        self._title = title
        self._needs = needs
        self._profile = option(settings, "profile")
        self._role = option(settings, "role")
        self._endpoint = option(settings, "endpoint_url")
        # AWS_REGION is what CI systems set; botocore itself looks at AWS_DEFAULT_REGION alone.
        self._by_path = bool({"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & environ.keys() or self._endpoint)
        self._region = option(settings, "region") or region or environ.get("AWS_REGION") or None
        # The session's name stands in CloudTrail beside everything that the sink does.
        self._session_name = f"tfaudit-{settings.name}"[:64]
        self._client: Any = None
        if self._role is not None and not _ROLE.fullmatch(self._role):
            raise ConfigError(
                f'the role of sink {settings.name} is "{self._role}"', hint="as in arn:aws:iam::123456789012:role/NAME"
            )
        if self._endpoint is not None and not awsclient.is_allowed(self._endpoint):
            raise ConfigError(
                f"the endpoint_url of sink {settings.name} is neither https nor on this machine",
                hint="as in https://vpce-….amazonaws.com; http only to 127.0.0.1",
            )

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any] | Fault:  # noqa: ANN401 - AWS's own shapes
        """Send one request, once; botocore's answer, or :class:`Fault` for whatever went wrong."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._connected()
            if isinstance(client, Fault):
                return client
            answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
        except ClientError as error:
            return self._refused(error.response, error.operation_name)
        except (BotoCoreError, ValueError, OSError) as error:
            return Fault(answer=self._failed(error))
        except RecursionError:
            # botocore follows a redirect that names no region for ever.
            return Fault(answer=Misconfigured(reason=f"{self._title} is in another region", hint=_REGION))
        except RuntimeError:
            # That is how botocore says that credentials that it has just renewed have expired.
            return Fault(
                answer=Misconfigured(reason=f"the AWS credentials for {self._title} expired", hint=awsclient.LOGIN)
            )
        return answer

    def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Any:  # noqa: ANN401 - botocore makes its clients' classes at run time
        if self._client is None:
            client = self._session().create_client(
                self._service, region_name=self._region, endpoint_url=self._endpoint, config=self._config()
            )
            if not awsclient.is_allowed(client.meta.endpoint_url):
                # From the environment or a profile: documents and the signature would go over the net in clear.
                return Fault(
                    answer=Misconfigured(
                        reason=f"the endpoint of {self._title} is neither https nor on this machine",
                        hint="see AWS_ENDPOINT_URL and endpoint_url in the AWS configuration",
                    )
                )
            self._client = client
        return self._client

    def _config(self) -> Any:  # noqa: ANN401 - as above
        from botocore.config import Config

        return Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="tfaudit",
            # Names of buckets don't resolve where the store is not AWS.
            s3={"addressing_style": "path"} if self._by_path else None,
        )

    def _session(self) -> Any:  # noqa: ANN401 - as above
        from botocore.session import Session

        session = Session(profile=self._profile)
        if self._role is not None:
            taken = _Assumed(session, self._role, self._session_name, region=self._region, config=self._config())
            session = Session(profile=self._profile)
            session.register_component("credential_provider", taken)
        return session

    def _refused(self, response: Mapping[str, Any], operation: str) -> Fault:
        error, about = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, text = plain(str(error.get("Code", ""))), str(error.get("Message", ""))
        status = int(about.get("HTTPStatusCode") or 0)
        return Fault(answer=self._meaning(code, status, text, operation, about), code=code, text=text)

    def _meaning(
        self, code: str, status: int, text: str, operation: str, about: Mapping[str, Any]
    ) -> Later | Misconfigured:
        if code in _LATER or status == 429 or status >= 500:
            return Later(reason=f"{self._title} can't now: {code}", after=_after(about.get("HTTPHeaders", {})))
        if code in _CREDENTIALS:
            return Misconfigured(reason=f"{self._title} refuses the AWS credentials: {code}", hint=awsclient.LOGIN)
        if code in _CLOCK:
            return Misconfigured(
                reason=f"{self._title} refuses the signature: {code}",
                hint="are the AWS credentials and this machine's clock right?",
            )
        if operation.startswith("AssumeRole"):
            role = self._role or "the role of the AWS configuration"
            return Misconfigured(
                reason=f"{role} can't be assumed: {code}",
                hint="its trust policy has to name this job's identity, and this job's policy sts:AssumeRole on it",
            )
        if is_denial(code) or status == 403:
            action = _ACTION.search(text)
            needed = action[1] if action else self._needs
            return Misconfigured(reason=f"{self._title} refuses: {code}", hint=f"these credentials need {needed}")
        return Misconfigured(reason=f"{self._title} refuses: {code}")

    def _failed(self, error: Exception) -> Later | Misconfigured:
        from botocore import exceptions

        kind = type(error).__name__
        if awsclient.lacks_credentials(error):
            return Misconfigured(
                reason=f"there are no AWS credentials for {self._title} ({kind})", hint=awsclient.LOGIN
            )
        if isinstance(error, exceptions.NoRegionError | exceptions.InvalidRegionError):
            return Misconfigured(reason=f"{self._title} needs a region ({kind})", hint=_REGION)
        if isinstance(error, exceptions.SSLError):
            return Misconfigured(
                reason=f"{self._title} shows a certificate that is not trusted here",
                hint="AWS_CA_BUNDLE names the authorities of a network that inspects TLS",
            )
        if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
            return Later(reason=f"{self._title} can't be reached ({kind})")
        if isinstance(error, exceptions.ParamValidationError | exceptions.ConfigParseError | ValueError):
            return Misconfigured(
                reason=f"{self._title} can't be asked like this ({kind})",
                hint="check the sink and the AWS configuration",
            )
        return Later(reason=f"{self._title} gave no usable answer ({kind})")


class _Assumed:
    """Where a session gets the credentials of a role: from STS, and again before they expire."""

    def __init__(self, source: Any, role: str, name: str, *, region: str | None, config: Any) -> None:  # noqa: ANN401
        self._source = source
        self._role = role
        self._name = name
        self._region = region
        self._config = config

    def load_credentials(self) -> Any:  # noqa: ANN401 - botocore's own
        """Return credentials that ask STS when they are first used."""
        from botocore.credentials import DeferredRefreshableCredentials

        return DeferredRefreshableCredentials(self._taken, "assume-role")

    def _taken(self) -> dict[str, str]:
        client = self._source.create_client("sts", region_name=self._region, config=self._config)
        if not awsclient.is_allowed(client.meta.endpoint_url):
            raise ValueError("the endpoint of STS is neither https nor on this machine")
        said = client.assume_role(RoleArn=self._role, RoleSessionName=self._name)["Credentials"]
        return {
            "access_key": said["AccessKeyId"],
            "secret_key": said["SecretAccessKey"],
            "token": said["SessionToken"],
            "expiry_time": said["Expiration"].isoformat(),
        }


def is_denial(code: str) -> bool:
    """Tell whether a code means that these credentials may not."""
    return code in ("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException")


def is_passing(code: str) -> bool:
    """Tell whether a code means that it may go well later."""
    return code in _LATER


def plain(code: str) -> str:
    """Return a code as AWS has them; whatever else stood in its place is not repeated."""
    return code if _CODE.fullmatch(code) else "an unknown error"


def same(answer: Answer, batch: Sequence[Encoded]) -> list[Answer]:
    """Return one answer for every document of a batch."""
    return [answer] * len(batch)


def by_halves(
    batch: Sequence[Encoded],
    send: Callable[[Sequence[Encoded]], Sequence[Answer] | Fault],
    *,
    blames: Callable[[str], bool],
) -> Sequence[Answer]:
    """Return ``send``'s answers; where a request is refused as a whole for what it holds, find what that is by halves.

    ``blames`` tells of a code whether it means the documents. A document that is refused alone is :class:`Refused`.
    Requests, time, and what follows an answer that stops everything are as :func:`narrowed` has them.
    """

    def ask(part: Sequence[Encoded]) -> Answer | Sequence[Answer] | Doubtful:
        found = send(part)
        if not isinstance(found, Fault):
            return found
        return Doubtful(reason=f"it was refused by AWS: {found.code}") if blames(found.code) else found.answer

    return narrowed(batch, ask)


def _after(headers: Mapping[str, Any]) -> float | None:
    with suppress(KeyError, ValueError):
        seconds = float(headers["retry-after"])
        return min(seconds, LONGEST_AFTER) if seconds > 0 else None
    return None
