"""What a record says about a run besides its events: one function for each part of the predicate, all pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tfaudit import __version__, canonical
from tfaudit.engine.argv import Invocation
from tfaudit.engine.brand import Engine
from tfaudit.identity.git import Repository
from tfaudit.regular import open_regular

if TYPE_CHECKING:
    from tfaudit.engine.process import Ended
    from tfaudit.plan.parse import Plan
    from tfaudit.plan.redact import Redactor

Capture = Literal["full", "partial", "none"]
Status = Literal[
    "planned",
    "denied",
    "applied",
    "errored",
    "interrupted",
    "killed",
    "declined",
    "not-started",
    "succeeded",
    "unknown",
]
NOT_GATED: Final[Mapping[str, object]] = {"decision": "not-gated", "reasons": []}


MAX_LOCK_FILE: Final = 4 << 20
MAX_PROVIDERS: Final = 128
_PROVIDER: Final = re.compile(
    r'^provider "([^"\n]{1,200})" \{\n(?:.*\n)??\s*version\s*=\s*"([^"\n]{1,64})"', re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateId:
    """Which version of which state: absent where there is none yet or it could not be read."""

    lineage: str
    serial: int

    def to_json(self) -> dict[str, object]:
        """Return ``{lineage, serial}``."""
        return {"lineage": self.lineage, "serial": self.serial}


def timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def tool() -> dict[str, object]:
    """Return what wrote the record."""
    return {"version": __version__}


def engine(found: Engine, digest: str | None) -> dict[str, object]:
    """Return the engine's brand, version and, where it is one binary, its SHA-256."""
    described: dict[str, object] = {"brand": found.brand, "version": found.version}
    if digest is not None:
        described["sha256"] = digest
    return described


def command(invocation: Invocation, redactor: Redactor) -> dict[str, object]:
    """Return the command's name and what of its line may be recorded: option names, values only where harmless."""
    described: dict[str, object] = {
        "name": invocation.command,
        "options": [redactor.text(canonical.readable(option)) for option in invocation.options()],
    }
    arguments = [redactor.text(canonical.readable(argument)) for argument in invocation.arguments()]
    if arguments:
        described["arguments"] = arguments
    return described


def providers(lock_file: Path) -> dict[str, object] | None:
    """Return the providers' versions and the digest of the lock file that fixes their bytes; None without one."""
    try:
        with open_regular(lock_file) as file:
            content = file.read(MAX_LOCK_FILE + 1)
    except OSError:
        return None
    if len(content) > MAX_LOCK_FILE:
        return None
    versions = dict(_PROVIDER.findall(content.decode("utf-8", "replace"))[:MAX_PROVIDERS])
    return {"lock_sha256": canonical.sha256_hex(content), "versions": versions}


def source(repository: Repository | None) -> dict[str, object] | None:
    """Return repository, path and commit; the commit's author is personal and belongs to the actor's evidence."""
    if repository is None or repository.commit is None:
        return None
    described: dict[str, object] = {"commit": repository.commit, "path": repository.path}
    if repository.remote:
        described["repository"] = repository.remote
    if repository.dirty is not None:
        described["dirty"] = repository.dirty
    return described


def state(key: str | None, before: StateId | None, after: StateId | None = None) -> dict[str, object] | None:
    """Return the state's key and its versions around the run; None where the state can't be told."""
    if key is None:
        return None
    described: dict[str, object] = {"key": key}
    if before is not None:
        described["before"] = before.to_json()
    if after is not None:
        described["after"] = after.to_json()
    return described


def plan(sha256: str, parsed: Plan | None) -> dict[str, object]:
    """Return what identifies a plan: the digest of its file, and, where it could be shown, what it says of itself."""
    described: dict[str, object] = {"sha256": sha256}
    if parsed is None:
        return described
    described["format_version"] = parsed.format_version
    for name in ("engine_version", "timestamp", "applyable", "complete", "errored"):
        value = getattr(parsed, name)
        if value is not None:
            described[name] = value
    described["counts"] = {
        field: n for field in parsed.counts.__struct_fields__ if (n := getattr(parsed.counts, field))
    }
    return described


def failed(ended: Ended) -> Status:
    """Return what became of a command that the engine ended with an error."""
    if ended.signal is not None:
        return "killed"
    return "interrupted" if ended.interrupts else "errored"


def result(
    status: Status,
    *,
    exit_code: int | None,
    signal: int | None = None,
    started: datetime,
    ended: datetime,
    counts: Mapping[str, int] | None = None,
    errored_state: bool = False,
) -> dict[str, object]:
    """Return what came of the run as a whole; an ``exit_code`` of None means that nobody saw its end."""
    described: dict[str, object] = {
        "status": status,
        "exit_code": exit_code,
        "started": timestamp(started),
        "elapsed_ms": max(0, round((ended - started).total_seconds() * 1000)),
    }
    if signal is not None:
        described["signal"] = signal
    if counts:
        described["counts"] = dict(counts)
    if errored_state:
        # The engine could not save the state where it belongs and left it in the working directory.
        described["errored_tfstate"] = True
    return described
