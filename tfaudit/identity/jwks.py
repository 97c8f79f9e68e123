"""With which public keys does an issuer sign: from a file, an address, the issuer's own documents, or the cache?"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.identity.fetching import checked, fetch
from tfaudit.regular import open_regular

MAX_BYTES: Final = 128 * 1024
"""Of a key set, and of an issuer's description of itself."""
FRESH_SECONDS: Final = 3600
"""How long a key set that was fetched is used without asking again."""
_CLOCKS_DIFFER_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySets:
    """Where key sets come from."""

    configured: str | None
    """``[identity] jwks``: an address or a file's path; None: every issuer's own."""
    environ: Mapping[str, str]
    cache: Path | None
    """A folder of this user's; None: nothing is kept."""
    now: float
    """Seconds since the epoch."""

    def read(self, issuer: str, *, again: bool = False) -> bytes:
        """Return an issuer's key set as JSON; ``again`` passes over the cache.

        Raises :class:`UnavailableError` where it can't be had, :class:`ConfigError` for a file that is missing.
        """
        if self.configured is not None and not self.configured.startswith(("https://", "http://")):
            return _file(Path(self.configured))
        place = self._place(issuer)
        if not again and (kept := self._kept(place, issuer)) is not None:
            return kept
        address = self.configured or self._discover(issuer)
        found = fetch(address, environ=self.environ, most=MAX_BYTES)
        _object(found, f"the key set at {address}")
        self._keep(place, issuer, found)
        return found

    def _discover(self, issuer: str) -> str:
        """Return the address that the issuer's own description gives (OpenID Connect Discovery 1.0, section 4)."""
        address = f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
        described = _object(fetch(address, environ=self.environ, most=MAX_BYTES), f"the description at {address}")
        if described.get("issuer") != issuer:
            raise UnavailableError(f"{address} describes another issuer")
        found = described.get("jwks_uri")
        if not isinstance(found, str):
            raise UnavailableError(f"{address} names no key set")
        checked(found)
        return found

    def _place(self, issuer: str) -> Path | None:
        if self.cache is None:
            return None
        name = hashlib.sha256(f"{issuer}\n{self.configured or ''}".encode()).hexdigest()
        return self.cache / "oidc" / f"{name}.json"

    def _kept(self, place: Path | None, issuer: str) -> bytes | None:
        if place is None:
            return None
        try:
            with place.open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    return None
                document = _object(file.read(2 * MAX_BYTES), "the cache")
        except (OSError, UnavailableError):
            return None
        fetched, keys = document.get("fetched"), document.get("keys")
        if document.get("issuer") != issuer or not isinstance(fetched, int) or not isinstance(keys, str):
            return None
        age = self.now - fetched
        return keys.encode() if -_CLOCKS_DIFFER_SECONDS <= age < FRESH_SECONDS else None

    def _keep(self, place: Path | None, issuer: str, keys: bytes) -> None:
        """Put a key set into the cache; one that can't be written is none."""
        if place is None:
            return
        document = json.dumps({"issuer": issuer, "fetched": int(self.now), "keys": keys.decode()})
        with suppress(OSError):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place.parent)
            with os.fdopen(handle, "w") as file:
                file.write(document)
            Path(name).replace(place)


def members(keys: bytes) -> list[Mapping[str, Any]]:
    """Return the keys of a key set (RFC 7517, section 5); :class:`InputError` for anything else."""
    try:
        found = _object(keys, "the key set").get("keys")
    except UnavailableError as error:
        raise InputError(error.message) from error
    if not isinstance(found, list) or not all(isinstance(key, dict) for key in found):
        raise InputError("the key set has no list of keys")
    return found


def _file(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            found = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"[identity] jwks {path} can't be read: {error.strerror}") from error
    if len(found) > MAX_BYTES:
        raise ConfigError(f"[identity] jwks {path} is larger than {MAX_BYTES:,} bytes")
    return found


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise UnavailableError(f"{what} is no JSON") from None
    if not isinstance(found, dict):
        raise UnavailableError(f"{what} is no JSON object")
    return found
