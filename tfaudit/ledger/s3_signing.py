"""How does a request to S3 prove whose it is: AWS Signature Version 4, in headers, the payload's digest included.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys, for one region."""

    access_key: str
    secret_key: str
    token: str | None
    """The session's, for temporary keys."""
    region: str

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, …)"


def path_of(*parts: str) -> str:
    """Return the path of these parts, as it is sent and signed: S3 encodes once and normalises nothing."""
    return "/" + "/".join(quote(part, safe=f"/{_UNRESERVED}") for part in parts)


def query_of(parameters: Mapping[str, str]) -> str:
    """Return the query as it is sent and signed."""
    pairs = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in parameters.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def sign(
    credentials: Credentials,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload: str,
    now: datetime,
) -> dict[str, str]:
    """Return ``headers``, the host's among them, with those that sign the request.

    ``path`` and ``query`` are as :func:`path_of` and :func:`query_of` make them, ``payload`` is the body's SHA-256 in
    hexadecimal digits, ``now`` the present time in UTC.
    """
    time = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "X-Amz-Content-SHA256": payload, "X-Amz-Date": time}
    if credentials.token:
        signed["X-Amz-Security-Token"] = credentials.token
    lower = {name.lower(): " ".join(value.split()) for name, value in signed.items()}
    names = sorted(lower)
    canonical = "\n".join(
        (method, path, query, *(f"{name}:{lower[name]}" for name in names), "", ";".join(names), payload)
    )
    scope = f"{time[:8]}/{credentials.region}/s3/aws4_request"
    to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    about = f"Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return {**signed, "Authorization": f"{_ALGORITHM} {about}"}
