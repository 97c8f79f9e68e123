"""Where does a job get its identity token from, and can it choose the audience?

``TFAUDIT_ID_TOKEN`` is taken first, then ``TFAUDIT_ID_TOKEN_FILE``, then what the platform offers. A token is a secret
until its audience is bound to the run: it is never printed, recorded or put into an error.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from tfaudit.errors import UnavailableError
from tfaudit.identity.fetching import fetch
from tfaudit.regular import open_regular

MAX_ANSWER: Final = 64 * 1024
_COMMAND_SECONDS: Final = 15
_POD_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
_VARIABLES: Final = (
    "TFAUDIT_ID_TOKEN",
    "TFAUDIT_ID_TOKEN_FILE",
    "ENV0_OIDC_TOKEN",
    "SPACELIFT_OIDC_TOKEN",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
    "BITBUCKET_STEP_OIDC_TOKEN",
)
_AZURE_CONNECTIONS: Final = (
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
    "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """A token that nobody has checked yet."""

    token: str
    source: str
    """Where it came from, for people: a variable's name or a platform's."""


def obtain(environ: Mapping[str, str], audience: str, *, self_hosted: bool) -> Obtained | None:
    """Return the token of this job, for ``audience`` where the platform lets the job choose; None where it has none.

    ``self_hosted``: issuers without a well-known name are configured, so a pod's own token may be of use. Raises
    :class:`UnavailableError` where there should be one and it can't be had.
    """
    for source in _SOURCES:
        if source is _pod and not self_hosted:
            continue
        if (found := source(environ, audience)) is not None:
            return found
    return None


def is_offered(environ: Mapping[str, str], *, self_hosted: bool) -> bool:
    """Tell whether the environment looks as if there were a token to be had."""
    offers = (*_VARIABLES, "ACTIONS_ID_TOKEN_REQUEST_URL", "CIRCLECI", "BUILDKITE", "SYSTEM_OIDCREQUESTURI")
    return any(environ.get(name) for name in (*offers, *(["KUBERNETES_SERVICE_HOST"] if self_hosted else [])))


def _given(environ: Mapping[str, str], _audience: str) -> Obtained | None:
    if token := environ.get("TFAUDIT_ID_TOKEN"):
        return Obtained(token=token.strip(), source="TFAUDIT_ID_TOKEN")
    if path := environ.get("TFAUDIT_ID_TOKEN_FILE"):
        return Obtained(token=_file(Path(path)), source="TFAUDIT_ID_TOKEN_FILE")
    return None


def _variable(name: str) -> Callable[[Mapping[str, str], str], Obtained | None]:
    """Return a source that is a variable which the platform sets; its audience is fixed elsewhere."""

    def source(environ: Mapping[str, str], _audience: str) -> Obtained | None:
        token = environ.get(name)
        return Obtained(token=token.strip(), source=name) if token else None

    return source


def _github(environ: Mapping[str, str], audience: str) -> Obtained | None:
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    url, bearer = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"), environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not bearer:
        raise UnavailableError("GitHub gives this job no token", hint="add permissions: id-token: write to the job")
    joined = f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
    answer = fetch(joined, environ=environ, most=MAX_ANSWER, headers={"Authorization": f"Bearer {bearer}"})
    return Obtained(token=_member(answer, "value", "GitHub"), source="github-actions")


def _circleci(environ: Mapping[str, str], audience: str) -> Obtained | None:
    if environ.get("CIRCLECI") != "true":
        return None
    claims = json.dumps({"aud": audience})
    if (token := _command(environ, "circleci", "run", "oidc", "get", "--claims", claims)) is not None:
        return Obtained(token=token, source="circleci")
    return _variable("CIRCLE_OIDC_TOKEN_V2")(environ, audience)


def _buildkite(environ: Mapping[str, str], audience: str) -> Obtained | None:
    if environ.get("BUILDKITE") != "true":
        return None
    token = _command(environ, "buildkite-agent", "oidc", "request-token", "--audience", audience)
    if token is None:
        raise UnavailableError("buildkite-agent gives this job no token", hint="is it on the job's PATH?")
    return Obtained(token=token, source="buildkite")


def _azure(environ: Mapping[str, str], _audience: str) -> Obtained | None:
    if environ.get("TF_BUILD", "").lower() != "true":
        return None
    url, bearer = environ.get("SYSTEM_OIDCREQUESTURI"), environ.get("SYSTEM_ACCESSTOKEN")
    connection = next((environ[name] for name in _AZURE_CONNECTIONS if environ.get(name)), None)
    if not url or not bearer or not connection:
        raise UnavailableError(
            "Azure DevOps gives this job no token",
            hint="map SYSTEM_ACCESSTOKEN into the step and run it in a task with a service connection",
        )
    query = urlencode({"api-version": "7.1", "serviceConnectionId": connection})
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json", "Content-Length": "0"}
    answer = fetch(f"{url}?{query}", environ=environ, most=MAX_ANSWER, method="POST", headers=headers)
    return Obtained(token=_member(answer, "oidcToken", "Azure DevOps"), source="azure-devops")


def _pod(environ: Mapping[str, str], _audience: str) -> Obtained | None:
    path = Path(_POD_TOKEN)
    if not environ.get("KUBERNETES_SERVICE_HOST") or not path.exists():
        return None
    return Obtained(token=_file(path), source="kubernetes")


_SOURCES: Final[Sequence[Callable[[Mapping[str, str], str], Obtained | None]]] = (
    _given,
    # As in the table of platforms: what runs inside another comes first.
    _variable("ENV0_OIDC_TOKEN"),
    _variable("SPACELIFT_OIDC_TOKEN"),
    _variable("TFC_WORKLOAD_IDENTITY_TOKEN"),
    _github,
    _circleci,
    _buildkite,
    _variable("BITBUCKET_STEP_OIDC_TOKEN"),
    _azure,
    _pod,
)


def _file(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return file.read(MAX_ANSWER).decode("ascii", "replace").strip()
    except OSError as error:
        raise UnavailableError(f"the token in {path} can't be read: {error.strerror}") from error


def _member(answer: bytes, name: str, platform: str) -> str:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    token = found.get(name) if isinstance(found, dict) else None
    if not isinstance(token, str) or not token:
        raise UnavailableError(f"{platform} answers without a token")
    return token


def _command(environ: Mapping[str, str], *arguments: str) -> str | None:
    """Return what a platform's own program prints; None where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            arguments,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    printed = done.stdout[:MAX_ANSWER].decode("ascii", "replace").strip()
    return printed if done.returncode == 0 and printed else None
