"""Which AWS identity will change the cloud: account, role and session, as AWS itself says?"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Final

from tfaudit.errors import UnavailableError
from tfaudit.identity import names
from tfaudit.identity.actor import Evidence

SECONDS: Final = 10.0
"""Altogether: finding credentials may itself mean asking several services."""
_ASK_SECONDS: Final = 5
_PLAIN: Final = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_PROFILE",),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
)
"""Each says that this job is meant to have AWS credentials. An instance's own are not looked for: where there are none,
finding that out takes seconds."""
_ASSUMED: Final = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/(.+)/([^/]+)", re.ASCII)


def is_configured(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment plainly gives AWS credentials."""
    return any(all(environ.get(name) for name in needed) for needed in _PLAIN)


def caller(environ: Mapping[str, str]) -> Evidence:
    """Return what ``sts get-caller-identity`` says of the credentials in the process's own environment.

    Level: sts. Raises :class:`UnavailableError` where AWS does not answer within seconds, or refuses.
    """
    asking = _Asking(environ)
    asking.start()
    asking.join(SECONDS)
    if asking.is_alive():
        raise UnavailableError(f"AWS STS does not say who calls within {SECONDS:.0f} seconds")
    if asking.problem is not None:
        raise UnavailableError(asking.problem)
    account, arn, user_id = asking.answer
    return evidence(account=account, arn=arn, user_id=user_id)


class _Asking(threading.Thread):
    """Asks on a thread of its own, which ends with the process at the latest."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(name="sts", daemon=True)
        self._environ = environ
        self.answer = ("", "", "")
        self.problem: str | None = None

    def run(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.answer = self._ask()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            self.problem = f"AWS STS refuses to say who calls: {code}"
        except (BotoCoreError, OSError, KeyError, ValueError) as error:
            # Its text may name files and addresses; its kind is enough.
            self.problem = f"AWS STS can't be asked who calls: {type(error).__name__}"

    def _ask(self) -> tuple[str, str, str]:
        import boto3
        from botocore.config import Config

        patience = Config(connect_timeout=_ASK_SECONDS, read_timeout=_ASK_SECONDS, retries={"total_max_attempts": 1})
        region = self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION")
        session = boto3.Session(region_name=region)
        client = session.client("sts", config=patience, region_name=session.region_name or "us-east-1")
        said = client.get_caller_identity()
        return str(said["Account"]), str(said["Arn"]), str(said["UserId"])


def evidence(*, account: str, arn: str, user_id: str) -> Evidence:
    """Return a caller's identity as evidence. An assumed role is known by the role's own ARN as well."""
    claims = [("account", account), ("arn", arn), ("user_id", user_id)]
    found = [f"aws:{arn}"]
    principal = f"aws:{arn}"
    if match := _ASSUMED.fullmatch(arn):
        partition, number, role, session = match.groups()
        claims += [("role", role), ("session_name", session)]
        # The session's name is whatever the caller liked: it names nobody. Who may assume the role is the role.
        principal = f"aws:arn:{partition}:iam::{number}:role/{role}"
        found.append(principal)
        if "@" in session:  # what IAM Identity Center calls a session: the person's address
            found += names.of_email(session) if role.startswith("AWSReservedSSO_") else ()
    return Evidence(
        source="aws-sts", level="sts", principal=principal, claims=tuple(claims), identities=names.unique(found)
    )
