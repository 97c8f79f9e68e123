"""How long is evidence locked: a profile or a number of days, and who may lift it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from tfaudit.errors import ConfigError

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
PROFILE_DAYS: Final[Mapping[str, int]] = {"soc2": 731, "pci": 731, "hipaa": 2192, "sox": 2557, "sec17a4": 2192}
"""Two, two, six, seven and six years, with as many leap days as may fall into them."""
MAX_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How objects of the evidence store are locked as they are created."""

    mode: LockMode
    days: int
    profile: str | None = None
    """The rule that the days come from."""


def retention_rule(profile: str | None, days: int | None, mode: str | None, *, where: str) -> Retention | None:
    """Return the retention that a profile or a number of days asks for, None where neither is given.

    ``where`` says in a :class:`ConfigError` who asks.
    """
    if mode not in (None, "GOVERNANCE", "COMPLIANCE"):
        raise ConfigError(f'retention.mode in {where} is "{mode}"', hint='it is "GOVERNANCE" or "COMPLIANCE"')
    if profile is not None and profile not in PROFILE_DAYS:
        raise ConfigError(f'retention.profile in {where} is "{profile}"', hint=f"one of {', '.join(PROFILE_DAYS)}")
    if profile is None and days is None:
        if mode is not None:
            raise ConfigError(f"retention.mode in {where} stands alone", hint="give a profile or days as well")
        return None
    if profile is not None and days is not None:
        raise ConfigError(f"retention in {where} has both a profile and days", hint="give one of them")
    if profile == "sec17a4" and mode != "COMPLIANCE":
        raise ConfigError(
            f'retention.profile = "sec17a4" in {where} needs a lock that nobody can lift',
            hint='set retention.mode = "COMPLIANCE"',
        )
    return Retention(
        mode=cast(LockMode, mode or "GOVERNANCE"),
        days=days if days is not None else PROFILE_DAYS[profile or ""],
        profile=profile,
    )
