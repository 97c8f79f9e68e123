"""What can go wrong, with which exit code and which hint.

Exit codes follow ``sysexits.h`` and lie outside the engine's own range (0, 1, 2 and 128+n), so that a caller can tell
tfaudit's word from the engine's.
"""

from __future__ import annotations

from typing import ClassVar


class TfauditError(Exception):
    """Any failure that tfaudit can explain: one line for people, one exit code for machines.

    ``message`` is lower case and names the thing and its value; ``hint`` says what to do about it.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(TfauditError):
    """The command line can't be understood (64). Never 2: that is the engine's ``-detailed-exitcode``."""

    exit_code = 64


class InputError(TfauditError):
    """A file, plan or document that was given is broken, too large or of the wrong kind (65)."""

    exit_code = 65


class UnavailableError(TfauditError):
    """A sink, a service or the engine itself can't be reached (69)."""

    exit_code = 69


class InternalError(TfauditError):
    """An invariant of tfaudit's own is broken, or two wrappers call each other (70)."""

    exit_code = 70


class LedgerError(TfauditError):
    """The ledger can't be read or written, so that there would be no evidence (74)."""

    exit_code = 74


class VerificationError(TfauditError):
    """What was read back is not what was signed (76)."""

    exit_code = 76


class DeniedError(TfauditError):
    """The gate denied the run (77)."""

    exit_code = 77


class ConfigError(TfauditError):
    """The configuration, a key file or a trust anchor is missing or wrong (78)."""

    exit_code = 78
