"""What is configured: ``tfaudit.toml`` and ``TFAUDIT_*`` to one frozen :class:`Config`, by :func:`load`.

An unknown key is an error that names the nearest known one: a misspelt key must not silently audit less.
"""

from __future__ import annotations

from tfaudit.config.loading import FILE_NAME, MACHINE_FILE, find_file, load
from tfaudit.config.model import NO_S3_SETTINGS, Config, OnLedgerFailure, S3Settings
from tfaudit.config.retention import MAX_DAYS, PROFILE_DAYS, LockMode, Retention, retention_rule

__all__ = [
    "FILE_NAME",
    "MACHINE_FILE",
    "MAX_DAYS",
    "NO_S3_SETTINGS",
    "PROFILE_DAYS",
    "Config",
    "LockMode",
    "OnLedgerFailure",
    "Retention",
    "S3Settings",
    "find_file",
    "load",
    "retention_rule",
]
