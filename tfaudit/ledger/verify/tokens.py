"""Does the token that a record keeps prove who it says acted: signed, in time, good for this run of this ledger alone?

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
    from collections.abc import Iterable, Mapping

    from tfaudit.events.commitment import Disclosed
    from tfaudit.ledger.record import Record

_KEPT: Final = "/token"
_ACTOR: Final = "/actor"
_VERIFIED: Final = b'"verified"'


def objection(found: Record, disclosed: Iterable[Disclosed]) -> str | None:
    """Return why what is disclosed of a record does not prove who acted; None where it does, or claims no proof.

    The token has to hold by itself, and the actor may say no more than it does: without a token nobody is verified.
    """
    texts = {one.pointer: one.text for one in disclosed if one.text is not None}
    token, actor = texts.get(_KEPT), texts.get(_ACTOR)
    claims: Mapping[str, Any] = {}
    if "token" in found.predicate:
        if token is None:
            # Erased: nobody can tell any more.
            return None
        checked = _checked(found, token)
        if isinstance(checked, str):
            return checked
        claims = checked
    if actor is None or (not claims and _VERIFIED not in actor):
        return None
    from tfaudit.identity.claims import unlike

    try:
        said = json.loads(actor)
    except (ValueError, RecursionError):
        return "the actor is out of form"
    return unlike(said, str(claims["iss"]) if claims else None, claims)


def _checked(found: Record, text: bytes) -> Mapping[str, Any] | str:
    """Return the claims of the token in a disclosed text, or why it proves nothing of the record's run."""
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
    return claims


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
