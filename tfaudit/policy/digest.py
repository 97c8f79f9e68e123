"""Which policy is this: one number for all rules that a configuration names?"""

from __future__ import annotations

from typing import Final

from tfaudit import canonical
from tfaudit.config.gating import PolicySettings
from tfaudit.policy import builtin, rulefiles, rules

_UNREADABLE: Final = "unreadable"


def policy_digest(settings: PolicySettings | None) -> str:
    """Return the SHA-256 of the canonical JSON of what is evaluated and how, 64 hexadecimal digits.

    That is the rules, not who evaluates them or how long: not ``engine``, ``timeout_seconds``, ``memory_mb``. Raises
    :class:`ConfigError` for what can't be read.
    """
    settings = settings or PolicySettings()
    return of(
        settings,
        own=None if settings.cel is None else rules.read(settings.cel),
        files=None if settings.rego is None else rulefiles.read_rego(settings.rego),
    )


def of(
    settings: PolicySettings, *, own: tuple[rules.Rule, ...] | None, files: tuple[rulefiles.RegoFile, ...] | None
) -> str:
    """Return the digest of what was read already; None for what could not be read, or isn't configured."""
    described: dict[str, object] = {
        "format": "tfaudit-policy/v1",
        "defaults": rules.digest(builtin.RULES) if settings.defaults else None,
        "reveal": settings.reveal,
    }
    if settings.cel is not None:
        described["cel"] = _UNREADABLE if own is None else rules.digest(own)
    if settings.rego is not None:
        described["rego"] = _UNREADABLE if files is None else rulefiles.rego_digest(files)
        described["rego_version"] = settings.rego_version
        described["input"] = settings.input
    return canonical.sha256_hex(canonical.encode(described))
