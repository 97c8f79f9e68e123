"""Does the token that a record keeps prove who acted: signed, in time, and good for this run of this ledger alone?

Whether the keys that are kept with it are the issuer's is for the reader to ask the issuer.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import VerificationError
from tfaudit.gate.words import TOLERANCE

if TYPE_CHECKING:
    from tfaudit.ledger.record import Record

POINTER: Final = "/token"


def objection(found: Record, text: bytes) -> str | None:
    """Return why the token in the disclosed ``text`` proves nothing of the record's run; None where it does."""
    try:
        match json.loads(text):
            case {"token": str(token), "jwks": str(keys)}:
                pass
            case _:
                return "it is out of form"
    except (ValueError, RecursionError):
        return "it is out of form"
    start, end = _times(token)
    if start > found.time + TOLERANCE:
        return "it was issued after the record was made"
    from tfaudit.identity import oidc

    # It was checked when the run began, and may have ended long before a record of the run's end.
    at = datetime.fromtimestamp(min(found.time, max(end - 1000, 0)) / 1000, UTC)
    run, digest = found.predicate.get("run_id"), _change(found)
    known = isinstance(run, str) and found.kind in ("plan", "intent", "operation")
    audience = oidc.bound_audience(found.origin, str(run), digest) if known else None
    try:
        claims = oidc.verify_kept(token, keys.encode(), at, audience=audience)
    except VerificationError as failure:
        return failure.message
    said = claims.get("aud")
    audiences = said if isinstance(said, list) else [said]
    if not all(isinstance(one, str) and one.startswith(f"tfaudit:{found.origin}:") for one in audiences):
        return "it is for another ledger"
    return None


def _change(found: Record) -> str | None:
    change, own = found.predicate.get("change"), found.predicate.get("change_digest")
    digest = change.get("digest") if isinstance(change, dict) else own
    return digest if isinstance(digest, str) else None


def _times(token: str) -> tuple[int, int]:
    """Return when a token was issued and when it ends, unverified, in milliseconds; 0 for what it does not say."""
    try:
        payload = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return 0, 0
    if not isinstance(claims, dict):
        return 0, 0
    issued, ends = (claims.get(name) for name in ("iat", "exp"))
    limit = 1 << 40
    start = int(issued) if isinstance(issued, int | float) and 0 <= issued < limit else 0
    end = int(ends) if isinstance(ends, int | float) and 0 <= ends < limit else 0
    return start * 1000, end * 1000
