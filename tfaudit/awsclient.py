"""What holds for every client of AWS: which endpoints may be asked, and which errors say that there are no credentials?

The endpoint comes from the environment or a profile as well: in clear, a secret or a signature would go over the net.
"""

from __future__ import annotations

from typing import Final

LOGIN: Final = "give AWS credentials: AWS_PROFILE, a role, or aws sso login"
"""What to do where there are none, or none that are still good."""


def is_allowed(endpoint: str) -> bool:
    """Tell whether an endpoint is spoken to by TLS, or is on this machine."""
    import ipaddress
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lacks_credentials(error: Exception) -> bool:
    """Tell whether what a request raised is mended by another AWS configuration, or a login.

    Not all of that is botocore's own: a web identity's token comes from a file, which may not be there (OSError), and
    credentials that were just renewed may have expired all the same (RuntimeError).
    """
    from botocore import exceptions

    if not isinstance(error, exceptions.BotoCoreError):
        return isinstance(error, OSError | RuntimeError)
    return isinstance(
        error,
        exceptions.NoCredentialsError
        | exceptions.PartialCredentialsError
        | exceptions.CredentialRetrievalError
        | exceptions.ProfileNotFound
        | exceptions.TokenRetrievalError
        | exceptions.SSOError,
    )
