"""What is configured: ``tfaudit.toml`` and ``TFAUDIT_*`` to one frozen :class:`Config`.

The file is looked for from the working directory upwards. The environment overrides it, the command line overrides
both. An unknown key is an error that names the nearest known one: a misspelt key must not silently audit less.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from tfaudit.errors import ConfigError

FILE_NAME: Final = "tfaudit.toml"
MAX_FILE_BYTES: Final = 1_000_000
OnLedgerFailure = Literal["stop", "spool"]
LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
PROFILE_DAYS: Final[Mapping[str, int]] = {"soc2": 731, "pci": 731, "hipaa": 2192, "sox": 2557, "sec17a4": 2192}
"""Two, two, six, seven and six years, with as many leap days as may fall into them."""
MAX_DAYS: Final = 36_500

_TOP: Final = ("ledger", "working", "stack", "writer", "on_ledger_failure", "genesis")
_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "signer": ("record", "log", "second"),
    "capture": ("redact", "keep"),
    "audit": ("reads",),
    "s3": ("endpoint_url", "region", "profile", "kms_key_id"),
    "retention": ("profile", "days", "mode"),
}
# A table that a later version enforces must stop this one: a gate that is written down but not kept is worse than none.
_RESERVED: Final = ("gate", "identity", "identities", "policy", "delivery", "sink", "alert")
_WRITER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_GENESIS: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """What is set for S3 beside the ordinary AWS configuration, which holds where a setting is None."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    kms_key_id: str | None = None
    """The KMS key that objects are encrypted with; None: as the bucket says."""


NO_S3_SETTINGS: Final = S3Settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How objects of the evidence store are locked as they are created."""

    mode: LockMode
    days: int
    profile: str | None = None
    """The rule that the days come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that is configured, checked, with paths made absolute. Absent means absent in every source."""

    file: Path | None
    """The ``tfaudit.toml`` that was read, if any."""
    root: Path
    """The folder that relative paths start from: the file's own, else the working directory."""
    ledger: str | None
    """Absolute folder path or ``s3://bucket/prefix`` of the evidence store; None when nothing is set up."""
    working: str
    """The working store: disclosures and derived files."""
    default_working: str
    """Where that is when nothing names it: a folder of this machine."""
    spool: Path
    """Where signed records wait when the ledger can't be reached; always a folder."""
    stack: str | None
    """The stack's name, with ``{path}`` and ``{workspace}`` filled in by the run; None: derived from the repository."""
    writer: str | None
    """The prefix under ``records/`` that this role writes to; None: derived from where the run takes place."""
    on_ledger_failure: OnLedgerFailure
    """Whether an apply stops (default) or goes on with its record in the spool when the ledger is away."""
    genesis: str | None
    """The trust anchor, ``sha256:`` and 64 hexadecimal digits."""
    signer_record: str
    """URI of the key that signs records."""
    signer_log: str | None
    """URI of the key that signs checkpoints; None: this role only stages, a sequencer commits."""
    signer_second: str | None
    """URI of an ML-DSA-44 key for a second signature on checkpoints; None: one signature."""
    redact: tuple[str, ...]
    """Further attribute-name patterns whose values are withheld."""
    keep: tuple[str, ...]
    """Patterns exempt from the default name patterns; never from the engine's own marks."""
    audit_reads: bool
    """Whether commands that read secrets leave an ``access`` record."""
    s3: S3Settings = NO_S3_SETTINGS
    retention: Retention | None = None
    """None: as the bucket's default says."""


def find_file(start: Path) -> Path | None:
    """Return the nearest ``tfaudit.toml`` in ``start`` or above it, or None."""
    for folder in (start, *start.parents):
        candidate = folder / FILE_NAME
        if candidate.is_file():
            return candidate
    return None


def load(
    *,
    cwd: Path,
    environ: Mapping[str, str],
    folder: Path | None = None,
    config_file: str | None = None,
    ledger: str | None = None,
    working: str | None = None,
) -> Config:
    """Return the configuration in force for a run in ``folder``, by default the working directory ``cwd``.

    Both are absolute, with no ``..`` and no link in ``folder``: the nearest ``tfaudit.toml`` is looked for from there
    upwards. The last three arguments are the command line's own. Raises :class:`ConfigError` for an unreadable file,
    an unknown key, a wrong type or value, each by name.
    """
    named = config_file or environ.get("TFAUDIT_CONFIG")
    start = folder or cwd
    file = _named_file(cwd, named) if named else find_file(start)
    root = file.parent if file else start
    table = _read(file) if file else {}
    where = str(file) if file else "the environment"
    _check_keys(table, where)
    text = _Texts(table, environ, where)

    chosen_ledger = ledger or text.top("ledger")
    chosen_working = working or text.top("working")
    # A ledger named on the command line or in the environment is meant from where one stands, the file's from the file.
    ledger_base = cwd if ledger or environ.get("TFAUDIT_LEDGER") else root
    working_base = cwd if working or environ.get("TFAUDIT_WORKING") else root
    default_working = str(root / ".tfaudit/working")
    failure = text.top("on_ledger_failure") or "stop"
    if failure not in ("stop", "spool"):
        raise ConfigError(f'on_ledger_failure in {where} is "{failure}"', hint='it is "stop" or "spool"')
    writer = text.top("writer")
    if writer is not None and not _WRITER.fullmatch(writer):
        raise ConfigError(f'writer in {where} is "{writer}"', hint="lower-case letters, digits and hyphens, at most 63")
    genesis = text.top("genesis")
    if genesis is not None and not _GENESIS.fullmatch(genesis):
        raise ConfigError(f'genesis in {where} is "{genesis}"', hint='it is "sha256:" and 64 hexadecimal digits')
    return Config(
        file=file,
        root=root,
        ledger=_location(chosen_ledger, ledger_base) if chosen_ledger else None,
        working=_location(chosen_working, working_base) if chosen_working else default_working,
        default_working=default_working,
        spool=Path(_location(environ.get("TFAUDIT_SPOOL") or str(root / ".tfaudit/spool"), cwd)),
        stack=text.top("stack"),
        writer=writer,
        on_ledger_failure=cast(OnLedgerFailure, failure),
        genesis=genesis,
        signer_record=text.key("record", cwd, root) or _key("file:.tfaudit/keys/record.pem", root),
        signer_log=text.key("log", cwd, root),
        signer_second=text.key("second", cwd, root),
        redact=text.patterns("capture", "redact"),
        keep=text.patterns("capture", "keep"),
        audit_reads=text.flag("audit", "reads"),
        s3=S3Settings(**{key: text.nested("s3", key) for key in _TABLES["s3"]}),
        retention=_retention(text, environ, where),
    )


def _retention(text: _Texts, environ: Mapping[str, str], where: str) -> Retention | None:
    given = {key for key in ("profile", "days") if environ.get(f"TFAUDIT_RETENTION_{key.upper()}")}
    # The one in the environment stands in for the other in the file as well.
    wanted = given or {"profile", "days"}
    return retention_rule(
        text.nested("retention", "profile") if "profile" in wanted else None,
        text.number("retention", "days", most=MAX_DAYS) if "days" in wanted else None,
        text.nested("retention", "mode"),
        where=where,
    )


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


class _Texts:
    """Values by key, the environment before the file, each checked for its type."""

    def __init__(self, table: Mapping[str, object], environ: Mapping[str, str], where: str) -> None:
        self._table = table
        self._environ = environ
        self._where = where

    def top(self, key: str) -> str | None:
        return self._environ.get(f"TFAUDIT_{key.upper()}") or self._text(self._table.get(key), key)

    def nested(self, table: str, key: str) -> str | None:
        found = self._environ.get(f"TFAUDIT_{table.upper()}_{key.upper()}")
        return found or self._text(self._member(table, key), f"{table}.{key}")

    def key(self, name: str, cwd: Path, root: Path) -> str | None:
        """Return a signing key's URI, a relative path in it made absolute from where it was given."""
        uri = self.nested("signer", name)
        return _key(uri, cwd if self._environ.get(f"TFAUDIT_SIGNER_{name.upper()}") else root) if uri else None

    def patterns(self, table: str, key: str) -> tuple[str, ...]:
        value = self._member(table, key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
            raise ConfigError(f"{table}.{key} in {self._where} is not a list of patterns", hint='as in ["*_secret"]')
        return tuple(value)

    def flag(self, table: str, key: str) -> bool:
        text = self._environ.get(f"TFAUDIT_{table.upper()}_{key.upper()}")
        if text:
            if text.lower() not in ("1", "true", "0", "false"):
                raise ConfigError(f'TFAUDIT_{table.upper()}_{key.upper()} is "{text}"', hint="it is true or false")
            return text.lower() in ("1", "true")
        value = self._member(table, key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise ConfigError(f"{table}.{key} in {self._where} is not true or false")
        return value

    def number(self, table: str, key: str, *, most: int) -> int | None:
        name = f"TFAUDIT_{table.upper()}_{key.upper()}"
        text = self._environ.get(name)
        where = name if text else f"{table}.{key} in {self._where}"
        value = self._member(table, key) if not text else int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            raise ConfigError(f"{where} is not a number from 1 to {most}")
        return value

    def _member(self, table: str, key: str) -> object:
        return cast(Mapping[str, object], self._table.get(table, {})).get(key)

    def _text(self, value: object, key: str) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value or "\n" in value or "\0" in value:
            raise ConfigError(f"{key} in {self._where} is not a text", hint=f'write {key} = "..."')
        return value


def _named_file(cwd: Path, name: str) -> Path:
    file = Path(os.path.realpath((cwd / name).parent), Path(name).name)
    if not file.is_file():
        raise ConfigError(f"there is no configuration file {name}", hint="check --config or TFAUDIT_CONFIG")
    return file


def _read(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{file} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error


def _check_keys(table: Mapping[str, object], where: str) -> None:
    for key, value in table.items():
        if key in _RESERVED:
            raise ConfigError(
                f"[{key}] in {where} is not kept by this version of tfaudit", hint="take it out, or use one that does"
            )
        if key in _TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{key} in {where} is not a table", hint=f"write [{key}] on a line of its own")
            for member in value:
                if member not in _TABLES[key]:
                    raise _unknown(f"{key}.{member}", (f"{key}.{known}" for known in _TABLES[key]), where)
        elif key not in _TOP:
            raise _unknown(key, (*_TOP, *_TABLES), where)


def _unknown(key: str, known: Iterable[str], where: str) -> ConfigError:
    candidates = tuple(known)
    import difflib

    nearest = difflib.get_close_matches(key, candidates, n=1, cutoff=0.0)[0]
    return ConfigError(f'unknown key "{key}" in {where}', hint=f'did you mean "{nearest}"?')


def _location(text: str, base: Path) -> str:
    if text.startswith("s3://"):
        return text.rstrip("/")
    if "://" in text:
        raise ConfigError(f'"{text}" is no ledger location', hint="a folder, or s3://bucket/prefix")
    return str((base / text).absolute())


def _key(uri: str, root: Path) -> str:
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest:
        raise ConfigError(f'"{uri}" names no key', hint='as in "file:.tfaudit/keys/record.pem"')
    return f"file:{(root / rest).absolute()}" if scheme == "file" else uri
