"""What does a run ask of the gate: which change of which state, who asks, and what of it no plan binds?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tfaudit.canonical import readable
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.gate.model import Request, Subject
    from tfaudit.ledger.reader import Reader
    from tfaudit.runs.gatechange import Change
    from tfaudit.runs.gating import Gate
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.run import Run
    from tfaudit.runs.stage import Stage

_CHOOSE: Final[Mapping[str, tuple[str, ...]]] = {
    "gcp": ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
    "azure": ("ARM_SUBSCRIPTION_ID",),
}
"""By which variables a cloud's provider is told where to change things, the first one that is set."""


def of(stage: Stage, planned: Planned, ready: Ready, gate: Gate, change: Change) -> Request:
    """Return what the apply of a plan asks for."""
    from tfaudit.engine import unbound
    from tfaudit.gate.model import Request
    from tfaudit.runs import planplace, state

    run, plan = stage.run, planned.plan
    assert plan is not None  # noqa: S101 - the only caller has looked
    # An encrypted plan file doesn't say which state it was made against.
    before = planned.before or state.current(run, stage.relay)
    loose = unbound.always(run.invocation, run.world.environ, brand=run.engine.brand, cwd=run.world.cwd)
    if run.invocation.plan_file is not None:
        # The engine goes where the plan file says, not where the working directory points to.
        loose = (*loose, *planplace.elsewhere(run.workdir, stage.scratch.fd))
    if before is None:
        loose = (*loose, "the version of the state that the plan was made against")
    made = datetime.fromisoformat(plan.timestamp) if plan.timestamp else run.world.clock()
    return Request(
        subject=_subject(
            run,
            ready,
            gate,
            plan_sha256=planned.sha256 or "",
            digest=change.digest,
            lineage=before.lineage if before else "",
            serial=before.serial if before else 0,
        ),
        under={},
        changes=planned.may_change,
        first=before is not None and before.lineage == "",
        unknown_actions=tuple(one.address for one in plan.resource_changes() if one.action == "unknown")
        if plan.counts.unknown
        else (),
        unbound=loose,
        identities=ready.actor.identities,
        agent=_agent(ready),
        planned=ids.milliseconds(made),
        break_glass=run.break_glass,
    )


def unseen(run: Run, ready: Ready, gate: Gate) -> Request:
    """Return what a command asks for that nobody can look into before it runs."""
    from tfaudit.gate.model import Request

    command = run.invocation.command
    instead = "apply -refresh-only" if command == "refresh" else "plan -out and apply, or a stack without a gate"
    return Request(
        subject=_subject(run, ready, gate, plan_sha256="", digest="", lineage="", serial=0),
        under={},
        changes=True,
        first=False,
        unknown_actions=(),
        unbound=(f"what {command} changes can't be looked into before it runs: use {instead}",),
        identities=ready.actor.identities,
        agent=_agent(ready),
        planned=ready.ledger.now(),
        break_glass=False,
    )


def _subject(
    run: Run, ready: Ready, gate: Gate, *, plan_sha256: str, digest: str, lineage: str, serial: int
) -> Subject:

    from tfaudit.gate.model import Subject

    backend = run.workdir.backend()
    return Subject(
        plan_record="",
        leaf="",
        event_root="",
        plan_sha256=plan_sha256,
        change_digest=digest,
        key_commitment="",
        origin=ready.ledger.origin,
        stack=ready.stack,
        state_key=ready.state_key,
        lineage=lineage,
        serial=serial,
        backend=backend.type if backend else "local",
        target=target_of(ready.actor.claim("aws-sts", "account"), run.world.environ),
        commit=ready.repository.commit if ready.repository else None,
        policy=gate.policy.digest,
    )


def target_of(account: str | None, environ: Mapping[str, str]) -> str | None:
    """Return which cloud accounts a run changes things in, as far as that is told; None where nothing tells.

    ``account`` is AWS's own word. Google's and Azure's providers take project and subscription from ``environ`` where
    the configuration, which the change digest covers, doesn't say them.
    """
    found = [account] if account else []
    for cloud, variables in _CHOOSE.items():
        chosen = next((value for name in variables if (value := environ.get(name))), None)
        found += [f"{cloud}:{readable(chosen)}"] if chosen else []
    return ", ".join(found) or None


def genuine(run: Run, reader: Reader, request: Request, now: int) -> Request:
    """Return the request; where a saved plan is to be applied that no recorded run made, with that said.

    A plan file holds more than its change digest covers: the very state that the apply starts from.
    """
    from tfaudit.ledger.planned import is_recorded

    subject = request.subject
    if run.invocation.plan_file is None or is_recorded(
        reader, subject.plan_sha256, state_key=subject.state_key, since=request.planned, now=now
    ):
        return request
    doubt = "the plan file was not made by a recorded run of tfaudit plan, or was changed since: plan again"
    return replace(request, unbound=(*request.unbound, doubt))


def _agent(ready: Ready) -> str | None:
    agent = ready.actor.agent
    return None if agent is None else agent.name
