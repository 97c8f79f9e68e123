"""What is the secret that the configuration only names: ``env:NAME``, ``file:PATH`` or ``secretsmanager:ID``?

Errors name the reference and never what stands behind it. Nothing is kept: whoever needs a secret reads it when it is
used, so that a new one is taken without a restart.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tfaudit import awsclient
from tfaudit.errors import ConfigError, TfauditError, UnavailableError
from tfaudit.regular import open_regular

MAX_SECRET: Final = 65_536
"""Bytes of a secret, as Secrets Manager has it."""
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
"""What a secret's file may not allow: a pod's group may read what is mounted for it, none but the owner may write."""
_WHERE: Final = 'as in "env:NAME", "file:PATH", "secretsmanager:ID"'
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10
_ATTEMPTS: Final = 2
_HINTS: Final = {
    "AccessDeniedException": "the role needs secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
    "ResourceNotFoundException": "is it this account's and this region's secret? an ARN names both",
    "DecryptionFailure": "the role needs kms:Decrypt on the secret's key",
    "InvalidParameterException": "name a secret by its name or its ARN",
    "InvalidRequestException": "it is about to be deleted, or has no value yet",
    "ValidationException": "name a secret by its name or its ARN",
    "ExpiredTokenException": awsclient.LOGIN,
    "ExpiredToken": awsclient.LOGIN,
    "UnrecognizedClientException": awsclient.LOGIN,
    "InvalidClientTokenId": awsclient.LOGIN,
    "InvalidSignatureException": "are the credentials and this machine's clock right?",
}
"""What Secrets Manager says where trying again can't help, and what does."""


def read(reference: str, environ: Mapping[str, str]) -> str:
    """Return the secret that ``reference`` names, one line break at its end dropped; never an empty one.

    ``env:NAME`` is a variable of ``environ``. ``file:PATH`` is a file that none but its owner may write and none but
    its owner and group may read. ``secretsmanager:ID`` is a secret's name or ARN in AWS Secrets Manager, ``ID#MEMBER``
    a text member of one that is a JSON object; credentials are those of the ordinary AWS configuration. Raises
    :class:`ConfigError` for a secret that isn't there or can't be used, :class:`UnavailableError` where Secrets Manager
    can't be asked.
    """
    kind, _, rest = reference.partition(":")
    if not rest or kind not in ("env", "file", "secretsmanager"):
        # Not shown: it may be the secret itself.
        raise ConfigError("a secret is named in a way that is not known", hint=_WHERE)
    match kind:
        case "env":
            text = _variable(rest, environ)
        case "file":
            text = _file(Path(rest), reference)
        case _:
            text = _stored(rest, reference, environ)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or text.isspace() or "\0" in text:
        raise ConfigError(f"the secret {reference} is empty or no text")
    if len(text.encode(errors="replace")) > MAX_SECRET:
        raise ConfigError(f"the secret {reference} is larger than {MAX_SECRET:,} bytes")
    return text


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise ConfigError(f"the secret env:{name} is not there", hint=f"set {name} in the job's environment")
    return value


def _file(path: Path, reference: str) -> str:
    try:
        with open_regular(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_SECRET + 3)
    except OSError as error:
        raise ConfigError(f"the secret {reference} can't be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise ConfigError(
            f"the secret {reference} can be read or written by others (mode {mode:04o})",
            hint="make it 0600 or 0640 (in a pod: defaultMode: 0440), and change the secret if others may have read it",
        )
    return _text(content, reference)


def _text(content: bytes, reference: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        # No cause: its text shows bytes of the secret.
        raise ConfigError(f"the secret {reference} is empty or no text") from None


def _stored(name: str, reference: str, environ: Mapping[str, str]) -> str:
    name, _, member = name.partition("#")
    answer = _ask(name, reference, environ)
    text = answer.get("SecretString")
    if not isinstance(text, str):
        text = _text(bytes(answer.get("SecretBinary") or b""), reference)
    return _member(text, member, reference) if member else text


def _member(text: str, member: str, reference: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    found = value.get(member) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise ConfigError(
            f"the secret {reference} is not there",
            hint="what stands behind the # is the name of a text member of a secret that is a JSON object",
        )
    return found


def _ask(name: str, reference: str, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - an AWS answer
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        user_agent_extra="tfaudit",
    )
    try:
        client = boto3.session.Session().client("secretsmanager", region_name=_region(name, environ), config=config)
        if not awsclient.is_allowed(client.meta.endpoint_url):
            raise ConfigError(
                f"the endpoint of Secrets Manager is neither https nor on this machine: {reference} is not asked for",
                hint="see AWS_ENDPOINT_URL and endpoint_url in the AWS configuration",
            )
        return client.get_secret_value(SecretId=name)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code in _HINTS:
            raise ConfigError(f"Secrets Manager refuses {reference}: {code}", hint=_HINTS[code]) from error
        raise UnavailableError(f"Secrets Manager can't give {reference} now: {code}", hint="try again") from error
    except (BotoCoreError, ValueError, OSError, RuntimeError) as error:
        raise _failed(error, reference) from error


def _failed(error: Exception, reference: str) -> TfauditError:
    from botocore import exceptions

    if awsclient.lacks_credentials(error):
        return ConfigError(f"no AWS credentials for {reference} ({type(error).__name__})", hint=awsclient.LOGIN)
    if isinstance(error, exceptions.NoRegionError):
        return ConfigError(f"no AWS region for {reference}", hint="name the secret by its ARN, or set AWS_REGION")
    if isinstance(error, exceptions.ParamValidationError | exceptions.InvalidRegionError | ValueError):
        return ConfigError(f"{reference} names no secret", hint="a secret's name or ARN")
    return UnavailableError(f"Secrets Manager can't be reached for {reference} ({type(error).__name__})")


def _region(name: str, environ: Mapping[str, str]) -> str | None:
    """Return an ARN's region, else AWS_REGION, which boto3 does not read; None for what it finds itself."""
    parts = name.split(":")
    if len(parts) >= 6 and parts[0] == "arn":
        return parts[3] or None
    return environ.get("AWS_REGION") or None
