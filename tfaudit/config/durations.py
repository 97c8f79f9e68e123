"""How long is "1h30m": durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from tfaudit.errors import ConfigError

LONGEST: Final = timedelta(days=90)
"""What an approval may stay valid at most: the gate reads the log back as far."""
IN_HOURS: Final = 48 * 3_600

_PARTS: Final = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})s)?")
_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse(text: object, *, what: str, least: timedelta = timedelta(seconds=1), most: timedelta = LONGEST) -> timedelta:
    """Return the duration of ``24h``, ``30m``, ``2d``, ``1h30m`` or ``90s``, the larger units first.

    Raises :class:`ConfigError`, naming ``what``, for anything else and beyond the limits.
    """
    match = _PARTS.fullmatch(text) if isinstance(text, str) and text else None
    if match is None:
        given = f'"{text[:40]}", which is ' if isinstance(text, str) else ""
        raise ConfigError(f"{what} is {given}no duration", hint='as in "24h", "30m", "2d" or "1h30m"')
    found = timedelta(
        seconds=sum(int(count or 0) * unit[1] for count, unit in zip(match.groups(), _SECONDS, strict=True))
    )
    if not least <= found <= most:
        raise ConfigError(f'{what} is "{text}"', hint=f"from {spell(least)} to {spell(most)}")
    return found


def spell(duration: timedelta) -> str:
    """Return the text that :func:`parse` reads as the duration, in whole seconds; two days and less in hours."""
    rest = round(duration.total_seconds())
    parts = []
    for unit, seconds in _SECONDS if rest > IN_HOURS else _SECONDS[1:]:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
