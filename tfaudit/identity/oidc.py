"""Is this token what an issuer that is believed said, for us, and now?

JSON Web Tokens (RFC 7519) in the compact form. The signature is joserfc's to check; which algorithms, which key, which
issuer, audience and time are allowed is said here, before and after. No error shows the token or what it claims beyond
its issuer, its algorithm and its times.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from tfaudit.canonical import sha256_hex
from tfaudit.errors import InputError, VerificationError
from tfaudit.identity import jwks

MAX_TOKEN: Final = 16 * 1024
"""Characters."""
LEEWAY_SECONDS: Final = 300
"""How far clocks may differ."""
ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Which are allowed, each with the type and the curve of the only keys that it goes with: a public key must never be
taken for the secret of an HMAC, nor ``none`` for a signature."""

_MIN_RSA_BYTES: Final = 256
_MAX_RSA_BYTES: Final = 1024
_MAX_EXPONENT_BYTES: Final = 8
"""Whoever wrote a record chose the keys that are kept with it: checking them must cost nothing to speak of."""
_MAX_KEYS: Final = 100
_MAX_AUDIENCES: Final = 20
_LATEST: Final = 253_402_300_800  # the year 10000

ReadKeys = Callable[[str, bool], bytes]
"""Gives an issuer's key set; with True, a fresh one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A token that holds."""

    issuer: str
    claims: Mapping[str, Any]
    bound: bool
    """Whether its audience is the one bound to the run, and no other."""
    keys: bytes
    """The key set that it was checked with, as it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    issuer: str
    algorithm: str


def bound_audience(origin: str, run_id: str, change_digest: str | None) -> str:
    """Return the audience that makes a token good for one run of one ledger, and of one change where it is known."""
    what = f"tfaudit/audience/v1\n{run_id}\n{change_digest or ''}"
    return f"tfaudit:{origin}:{sha256_hex(what.encode())}"


def verify(
    token: str,
    *,
    is_believed: Callable[[str], bool],
    audiences: Callable[[str], Collection[str]],
    bound: str | None,
    read_keys: ReadKeys,
    now: datetime,
) -> Verified:
    """Return what a token says once its issuer, signature, audience and times are found to hold.

    ``audiences`` gives those that an issuer's tokens may have besides ``bound``. Raises :class:`VerificationError` with
    the reason; whatever ``read_keys`` raises, which is only asked about issuers that are believed.
    """
    parsed = _parse(token)
    if not is_believed(parsed.issuer):
        _refuse(f"its issuer {_shown(parsed.issuer)} is none that is believed", "see [identity] issuers")
    keys = read_keys(parsed.issuer, False)
    key = _key(keys, parsed)
    if key is None:
        keys = read_keys(parsed.issuer, True)
        key = _key(keys, parsed)
    if key is None:
        _refuse(f"{_shown(parsed.issuer)} has no key of that name for {parsed.algorithm}")
    _check_signature(parsed, key)
    is_bound = _check_audience(parsed.claims.get("aud"), audiences(parsed.issuer), bound)
    _check_times(parsed.claims, now)
    return Verified(issuer=parsed.issuer, claims=parsed.claims, bound=is_bound, keys=keys)


def verify_kept(token: str, keys: bytes, at: datetime, *, audience: str | None = None) -> Mapping[str, Any]:
    """Return the claims of a token that was kept, checked with the keys kept with it, as of ``at``.

    ``audience``: the one it must be bound to; None takes any that binds it to some run. Whether the keys are the
    issuer's is for the reader to ask the issuer. Raises :class:`VerificationError`.
    """
    wanted = audience
    match _parse(token).claims.get("aud"):
        case str(said) | [str(said)] if audience is None and said.startswith("tfaudit:"):
            wanted = said
    verified = verify(
        token,
        is_believed=lambda _issuer: True,
        audiences=lambda _issuer: (),
        bound=wanted,
        read_keys=lambda _issuer, _again: keys,
        now=at,
    )
    return verified.claims


def _refuse(reason: str, hint: str | None = None) -> NoReturn:
    raise VerificationError(f"the token does not count: {reason}", hint=hint)


def _parse(token: str) -> _Token:
    if len(token) > MAX_TOKEN:
        _refuse(f"it is longer than {MAX_TOKEN:,} characters")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        _refuse("it is no signed JSON Web Token")
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm, issuer = header.get("alg"), claims.get("iss")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        said = algorithm if isinstance(algorithm, str) and algorithm.isascii() and algorithm.isalnum() else "unknown"
        _refuse(f"its algorithm {said[:16]} is not allowed")
    if "crit" in header or "b64" in header:
        _refuse("it asks for extensions")
    if not isinstance(header.get("kid", ""), str):
        _refuse("its key's name is no text")
    if not isinstance(issuer, str) or not issuer:
        _refuse("it names no issuer")
    return _Token(text=token, header=header, claims=claims, issuer=issuer, algorithm=algorithm)


def _object(part: str) -> Mapping[str, Any]:
    """Return the JSON object of one part; a member that stands twice, and what JSON does not have, is refused."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, binascii.Error, RecursionError):
        _refuse("it is no signed JSON Web Token")
    if not isinstance(found, dict):
        _refuse("it is no signed JSON Web Token")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _key(keys: bytes, token: _Token) -> Mapping[str, Any] | None:
    """Return the one key that the token names and its algorithm goes with, None where there is none."""
    kind, curve = ALGORITHMS[token.algorithm]
    try:
        found = jwks.members(keys)
    except InputError as error:
        _refuse(error.message)
    kid = token.header.get("kid")
    fitting = [
        key
        for key in found[:_MAX_KEYS]
        if key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", token.algorithm) == token.algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fitting) > 1:
        _refuse(f"{_shown(token.issuer)} has more than one key that it may be signed with")
    return fitting[0] if fitting else None


def _check_signature(token: _Token, key: Mapping[str, Any]) -> None:
    from joserfc import jws
    from joserfc.errors import JoseError, SecurityWarning
    from joserfc.jwk import JWKRegistry

    kind, curve = ALGORITHMS[token.algorithm]
    public = {name: value for name, value in key.items() if name in ("kty", "crv", "x", "y", "n", "e")}
    # RFC 9864 gives EdDSA another name; issuers use the old one.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    try:
        if kind == "RSA" and _size(public.get("n")) < _MIN_RSA_BYTES:
            _refuse("it is signed with an RSA key of less than 2,048 bits")
        if kind == "RSA" and (_size(public["n"]) > _MAX_RSA_BYTES or _size(public.get("e")) > _MAX_EXPONENT_BYTES):
            _refuse("it is signed with an RSA key of more than 8,192 bits, or an odd one")
        imported = JWKRegistry.import_key(public, kind)
        registry = jws.JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
        registry.max_payload_length = MAX_TOKEN
        registry.max_header_length = MAX_TOKEN
        signed = jws.deserialize_compact(token.text, imported, registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        # A key that makes no sense, or a signature that is not its own: either way nobody vouches for the token.
        _refuse(f"its signature is not by the key of {_shown(token.issuer)}")
    if signed.protected.get("alg") != token.algorithm or curve != public.get("crv"):
        _refuse("its header was read in two ways")


def _size(number: object) -> int:
    """Return the bytes of a number in base64url, without leading zeros."""
    if not isinstance(number, str):
        return 0
    return len(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)).lstrip(b"\0"))


def _check_audience(said: object, accepted: Collection[str], bound: str | None) -> bool:
    """Return whether the token is bound to the run; refuse one that is for somebody else."""
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or not listed or len(listed) > _MAX_AUDIENCES:
        _refuse("it names no audience")
    if not all(isinstance(each, str) for each in listed):
        _refuse("its audience is no text")
    if bound is not None and len(listed) == 1 and hmac.compare_digest(listed[0].encode(), bound.encode()):
        return True
    if not any(each in accepted for each in listed):
        _refuse("it is for another audience", "see [identity] audience")
    return False


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    moment = now.timestamp()
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        _refuse("it never expires")
    if moment >= expires + LEEWAY_SECONDS:
        _refuse(f"it expired at {_moment(expires)}")
    for start in (begins, issued):
        if start is not None and moment < start - LEEWAY_SECONDS:
            _refuse(f"it is not valid before {_moment(start)}", "are the clocks right?")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"its {name} is no number")
    if not math.isfinite(value) or not 0 <= value < _LATEST:
        _refuse(f"its {name} is no time")
    return float(value)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _shown(issuer: str) -> str:
    """Return an issuer as errors name it: it stands in a token that anybody may have written."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in issuer[:120])
