"""Which CI system runs this, and whom does it name. All of it is claimed: a job may set any variable it likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tfaudit.identity import names
from tfaudit.identity.actor import Evidence
from tfaudit.identity.platforms import PLATFORMS, Platform

MAX_CLAIM_CHARACTERS: Final = 512

_FORGES: Final = (("/-/merge_requests/", "gitlab"), ("/pull-requests/", "bitbucket"), ("/pull/", "github"))
"""By which part of a pull request's address its forge is told: Atlantis calls people as their forge does."""


def recognise(environ: Mapping[str, str]) -> Evidence | None:
    """Return what the CI system says of itself and of who started it, or None outside CI. Level: claimed."""
    platform = _find(environ)
    if platform is None:
        return None
    name = next((environ[variable] for variable in platform.principal if environ.get(variable)), None)
    claims = ((variable, environ[variable]) for variable in platform.claims if environ.get(variable))
    return Evidence(
        source=platform.name,
        level="claimed",
        principal=f"{platform.prefix}{name[:MAX_CLAIM_CHARACTERS]}" if name else None,
        claims=tuple((variable, value[:MAX_CLAIM_CHARACTERS]) for variable, value in claims),
        identities=names.unique(_identities(platform, environ)),
    )


def writer_name(environ: Mapping[str, str]) -> str:
    """Return the ``records/`` prefix that suits this place: ``ci-github`` and the like, or ``local``."""
    platform = _find(environ)
    return platform.writer if platform else "local"


def _identities(platform: Platform, environ: Mapping[str, str]) -> Iterator[str]:
    kind = platform.prefix.removesuffix(":")
    kinds = [kind]
    if platform.name == "atlantis":
        kinds += [forge for part, forge in _FORGES if part in environ.get("PULL_URL", "")][:1]
    for variable in platform.ids:
        yield from names.of_id(kind, environ.get(variable))
    for variable in platform.logins:
        for each in kinds:
            yield from names.of_login(each, environ.get(variable))
    for variable in platform.emails:
        yield from names.of_email(environ.get(variable))


def _find(environ: Mapping[str, str]) -> Platform | None:
    return next((each for each in PLATFORMS if environ.get(each.mark) not in (None, "", "false")), None)
