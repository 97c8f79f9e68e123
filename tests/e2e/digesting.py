"""How the tests get the summary of a plan: as a run would, from the engine's own files."""

from __future__ import annotations

import support

from tfaudit.plan.changeset import summarise
from tfaudit.plan.modules import source_digests
from tfaudit.plan.parse import read_plan
from tfaudit.runs import facts


def summary(project: support.Project, *options: str, file: str = "tfplan") -> bytes:
    """Plan with these options, and return the summary of the plan."""
    project.run_engine("plan", "-input=false", f"-out={file}", *options)
    shown = project.run_engine("show", "-json", file).stdout.encode()
    known = facts.providers(project.folder / ".terraform.lock.hcl") or {"lock_sha256": None, "versions": {}}
    return summarise(
        read_plan(shown),
        engine="terraform",
        engine_version=project.engine.version,
        lock_sha256=known["lock_sha256"],  # type: ignore[arg-type]
        providers=known["versions"],  # type: ignore[arg-type]
        sources=source_digests(project.folder / file, root=project.folder, data=project.folder / ".terraform"),
    )
