"""How does a configuration come about: the machine's file, the command line, the environment, the repository's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict, cast

from tfaudit.config import reading
from tfaudit.config.model import Config, OnLedgerFailure, S3Settings
from tfaudit.config.reading import FILE_NAME, TABLES, find_file
from tfaudit.config.retention import MAX_DAYS, Retention, retention_rule
from tfaudit.config.sources import Environment, FileSource, Source, Sources, overridden
from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config.delivering import AlertSettings, DeliverySettings, SinkSettings
    from tfaudit.config.gating import GateSettings, IdentitySettings, PolicySettings

__all__ = ["FILE_NAME", "MACHINE_FILE", "find_file", "load"]

MACHINE_FILE: Final = Path("/etc/tfaudit/tfaudit.toml")
"""What holds for every repository on a machine; only its administrator can write there."""


class _Delivering(TypedDict, total=False):
    delivery_set: DeliverySettings
    sinks: tuple[SinkSettings, ...]
    alerts: tuple[AlertSettings, ...]


_WRITER: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_GENESIS: Final = re.compile(r"sha256:[0-9a-f]{64}")


def load(
    *,
    cwd: Path,
    environ: Mapping[str, str],
    folder: Path | None = None,
    config_file: str | None = None,
    ledger: str | None = None,
    working: str | None = None,
    machine_file: Path = MACHINE_FILE,
) -> Config:
    """Return the configuration in force for a run in ``folder``, by default the working directory ``cwd``.

    Both are absolute, with no ``..`` and no link in ``folder``: the nearest ``tfaudit.toml`` is looked for from there
    upwards. ``config_file``, ``ledger`` and ``working`` are the command line's own. What ``machine_file`` says can't be
    overridden, and its ``[gate]`` only tightened. Raises :class:`ConfigError` for an unreadable file, an unknown key, a
    wrong type or value, and a setting that differs from the machine's, each by name.
    """
    named = config_file or environ.get("TFAUDIT_CONFIG")
    start = folder or cwd
    file = reading.named_file(cwd, named) if named else find_file(start)
    root = file.parent if file else start
    table = reading.read(file) if file else {}
    own = FileSource(table, str(file) if file else "the environment", root)
    machine = _machine(machine_file)
    variables = Environment(environ, cwd)
    options = FileSource({"ledger": ledger or None, "working": working or None}, "the command line", cwd)
    said = Sources(machine, (options, variables, own))
    default_working = str(root / ".tfaudit/working")
    stronger = Sources(machine, (options, variables))
    gates = _gates(own, variables, machine)
    return Config(
        file=file,
        root=root,
        ledger=said.text("ledger", _location),
        working=said.text("working", _location) or default_working,
        default_working=default_working,
        spool=Path(_location(environ.get("TFAUDIT_SPOOL") or str(root / ".tfaudit/spool"), variables)),
        stack=said.text("stack"),
        writer=_matching(said, "writer", _WRITER, "lower-case letters, digits and hyphens, at most 63"),
        on_ledger_failure=_failure(said),
        failure_is_own=stronger.text("on_ledger_failure") is None,
        stack_is_own=stronger.text("stack") is None,
        genesis=_matching(said, "genesis", _GENESIS, 'it is "sha256:" and 64 hexadecimal digits'),
        signer_record=said.text("signer.record", _key) or _key("file:.tfaudit/keys/record.pem", own),
        signer_log=said.text("signer.log", _key),
        signer_second=said.text("signer.second", _key),
        redact=_redacted(own, machine),
        keep=said.texts("capture.keep") or (),
        audit_reads=said.flag("audit.reads") or False,
        s3=S3Settings(**{key: said.text(f"s3.{key}") for key in TABLES["s3"]}),
        retention=_retention(own, variables, machine),
        gate=gates[0],
        floor=gates[1],
        policy=_policy(said),
        identity_set=_identity(said),
        identities=_identities(own, machine),
        **_delivering(said, own, machine),
    )


def _machine(file: Path) -> FileSource | None:
    try:
        there = file.exists()
    except OSError as error:
        # What can't be looked at must not count as nothing said.
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    if not there:
        return None
    return FileSource(reading.read(file), str(file), file.parent)


def _failure(said: Sources) -> OnLedgerFailure:
    failure = said.text("on_ledger_failure") or "stop"
    if failure not in ("stop", "spool"):
        raise ConfigError(
            f'{said.place("on_ledger_failure")} is "{failure}"', hint='on_ledger_failure is "stop" or "spool"'
        )
    return cast(OnLedgerFailure, failure)


def _matching(said: Sources, key: str, pattern: re.Pattern[str], hint: str) -> str | None:
    value = said.text(key)
    if value is not None and not pattern.fullmatch(value):
        raise ConfigError(f'{said.place(key)} is "{value}"', hint=hint)
    return value


def _redacted(own: FileSource, machine: FileSource | None) -> tuple[str, ...]:
    """Return all patterns: withholding more is always allowed."""
    found = [source.get("capture.redact", list) or () for source in (machine, own) if source]
    return tuple(dict.fromkeys(pattern for patterns in found for pattern in cast("tuple[str, ...]", patterns)))


def _retention(own: FileSource, variables: Environment, machine: FileSource | None) -> Retention | None:
    given = {key for key in ("profile", "days") if variables.get(f"retention.{key}", str)}
    # The one in the environment stands in for the other in the file as well.
    said = _one_retention((variables, own), given or {"profile", "days"}, own.where)
    fixed = _one_retention((machine,), {"profile", "days"}, machine.where) if machine else None
    if fixed is None or machine is None:
        return said
    if said is not None and (said.mode, said.days) != (fixed.mode, fixed.days):
        raise overridden(own.name("retention"), machine.name("retention"))
    return fixed


def _one_retention(sources: tuple[Source, ...], wanted: set[str], where: str) -> Retention | None:
    said = Sources(None, sources)
    return retention_rule(
        said.text("retention.profile") if "profile" in wanted else None,
        said.number("retention.days", most=MAX_DAYS) if "days" in wanted else None,
        said.text("retention.mode"),
        where=where,
    )


def _gates(
    own: FileSource, variables: Environment, machine: FileSource | None
) -> tuple[GateSettings | None, GateSettings | None]:
    """Return the repository's gate and the machine's; nothing more is imported where nobody speaks of one."""
    floor = machine.member("gate") if machine else None
    if own.member("gate") is None and floor is None and not variables.speaks_of("gate"):
        return None, None
    from tfaudit.config import gate

    asked, fixed = (
        gate.settings(source.member("gate"), source.where, source.base)
        if source and source.member("gate") is not None
        else None
        for source in (own, machine)
    )
    return gate.tightened(asked, variables), fixed


def _policy(said: Sources) -> PolicySettings | None:
    if not said.speak_of("policy"):
        return None
    from tfaudit.config import tables

    return tables.policy(said)


def _identity(said: Sources) -> IdentitySettings | None:
    if not said.speak_of("identity"):
        return None
    from tfaudit.config import tables

    return tables.identity(said)


def _identities(own: FileSource, machine: FileSource | None) -> Mapping[str, tuple[str, ...]]:
    if own.member("identities") is None and (machine is None or machine.member("identities") is None):
        return {}
    from tfaudit.config import tables

    return tables.identities(own, machine)


def _delivering(said: Sources, own: FileSource, machine: FileSource | None) -> _Delivering:
    if not any(said.speak_of(table) for table in ("delivery", "sink", "alert")):
        return {}
    from tfaudit.config import delivering

    return {
        "delivery_set": delivering.delivery(said),
        "sinks": delivering.sinks(own, machine),
        "alerts": delivering.alerts(own, machine),
    }


def _location(text: str, source: Source) -> str:
    if text.startswith("s3://"):
        return text.rstrip("/")
    if "://" in text:
        raise ConfigError(f'"{text}" is no ledger location', hint="a folder, or s3://bucket/prefix")
    return str((source.base / text).absolute())


def _key(uri: str, source: Source) -> str:
    scheme, colon, rest = uri.partition(":")
    if not colon or not rest:
        raise ConfigError(f'"{uri}" names no key', hint='as in "file:.tfaudit/keys/record.pem"')
    return f"file:{(source.base / rest).absolute()}" if scheme == "file" else uri
