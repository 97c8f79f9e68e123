"""Which state was this plan file made against?

A plan file is a zip; its member ``tfstate`` begins with the lineage and serial of the state that the plan is tied to.
Only that beginning is read, so that neither a state of gigabytes nor a zip bomb costs anything. A file that can't be
looked into costs the lineage, not the run: nothing here raises for what a file holds.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

PlanFileKind = Literal["plan-file", "bookmark", "encrypted", "old", "unknown"]

_HEAD: Final = 64 << 10
_MAX_SIZE: Final = 4 << 30
_MEMBER: Final = re.compile(
    rb'\s*[{,]\s*"([a-z_]+)"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d{1,18}(?![\d.eE])|true|false|null)(?=\s*[,}])'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """What a plan file gives away without its engine."""

    kind: PlanFileKind
    lineage: str | None = None
    """The state's lineage; empty before the first apply, None where it can't be read."""
    serial: int | None = None
    engine_version: str | None = None
    """The version of the engine that wrote that state."""
    run_id: str | None = None
    """The remote run of a bookmark."""
    hostname: str | None = None
    problem: str | None = None
    """Why lineage and serial are missing; None where they are there."""


def read_plan_file(place: Path | str | int) -> PlanFile:
    """Return what the plan file at ``place`` (a path, or an open file descriptor, left open) gives away.

    Nothing is raised: what can't be read is said in ``problem``.
    """
    try:
        with open(place, "rb", closefd=not isinstance(place, int)) as file:
            file.seek(0)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return PlanFile(kind="unknown", problem="not a regular file")
            head = file.read(_HEAD)
            if head.startswith(b"PK"):
                file.seek(0)
                return _from_zip(file) if status.st_size <= _MAX_SIZE else PlanFile(kind="unknown", problem="too large")
    except OSError as error:
        return PlanFile(kind="unknown", problem=f"can't be read: {error.strerror}")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, ValueError):
        return PlanFile(kind="unknown", problem="a zip that can't be read")
    return _from_head(head)


def _from_zip(file: BinaryIO) -> PlanFile:
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if member.filename == "tfstate"]
        if len(members) != 1:
            return PlanFile(kind="unknown", problem=f"a zip with {len(members)} members named tfstate")
        with archive.open(members[0]) as member:
            facts = _leading_members(member.read(_HEAD))
    serial, lineage, version = facts.get("serial"), facts.get("lineage"), facts.get("terraform_version")
    found = type(serial) is int and isinstance(lineage, str)
    return PlanFile(
        kind="plan-file",
        lineage=lineage if found and isinstance(lineage, str) else None,
        serial=serial if found and isinstance(serial, int) else None,
        engine_version=version if isinstance(version, str) else None,
        problem=None if found else "its state has no lineage and serial",
    )


def _leading_members(head: bytes) -> dict[str, object]:
    """Return the plain members at the beginning of a JSON object, up to the first that is an object or array."""
    found: dict[str, object] = {}
    position = 0
    while match := _MEMBER.match(head, position):
        try:
            found.setdefault(match[1].decode(), json.loads(match[2]))
        except ValueError:
            break
        position = match.end()
    return found


def _from_head(head: bytes) -> PlanFile:
    if head.startswith(b"tfplan"):
        return PlanFile(kind="old", problem="a plan file of an engine before 0.12")
    if head.lstrip()[:1] == b"{":
        facts = _leading_members(head)
        if "remote_plan_format" in facts:
            run_id, hostname = facts.get("run_id"), facts.get("hostname")
            return PlanFile(
                kind="bookmark",
                run_id=run_id if isinstance(run_id, str) and run_id else None,
                hostname=hostname if isinstance(hostname, str) and hostname else None,
                problem="the plan lives on the remote platform",
            )
        if b'"encrypted_data"' in head or b'"encryption_version"' in head:
            return PlanFile(kind="encrypted", problem="encrypted by the engine")
    return PlanFile(kind="unknown", problem="not a plan file")
