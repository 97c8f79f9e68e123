"""What will the apply change: the engine's plan file, looked into before anybody is asked or anything is done."""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tfaudit.engine import process, variables
from tfaudit.engine.argv import show_call
from tfaudit.engine.human import import_label
from tfaudit.engine.process import Ended
from tfaudit.engine.scratch import Scratch
from tfaudit.engine.stored import Backend
from tfaudit.engine.variables import Variables
from tfaudit.errors import InputError, TfauditError
from tfaudit.plan.names import NameRules
from tfaudit.plan.parse import MAX_SIZE, Plan, read_plan
from tfaudit.plan.planfile import PlanFile, read_plan_file
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets
from tfaudit.regular import NotAFileError, open_regular
from tfaudit.runs.facts import Capture, StateId
from tfaudit.runs.run import Run
from tfaudit.runs.stage import Stage
from tfaudit.runs.variables import given

SEALED_HINT: Final = "it is sealed: tfaudit --sealed apply FILE"
_SECRET_VARIABLES: Final = ("TF_VAR_", "TF_TOKEN_", "TF_ENCRYPTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan file and what could be learned from it."""

    sha256: str | None
    """Of the plan file; None when the engine wrote none."""
    file: PlanFile | None
    plan: Plan | None
    """None when there is no plan file, or when the engine could not show it."""
    problem: str | None
    """Why ``plan`` is None although there is a file."""
    said: bytes = b""
    """What the engine said of that, for its user alone."""
    variables: Variables | None = None
    """The root module's variables, as the plan file knows them; None where it can't be looked into."""
    document: memoryview | None = None
    """The plan JSON that ``plan`` was read from, secrets and all: for a policy's input, never to be kept."""
    may_refresh: bool = False
    """Whether the plan is, or may be, one that only brings the state up to date: then drift is what it would write."""
    redactor: Redactor
    """Knows this plan's secrets, where there is one: to be used for all that is recorded from here on."""

    @property
    def applyable(self) -> bool:
        """Whether there is anything to apply. Engines that don't say ask whenever a plan changes anything."""
        if self.plan is None:
            return False
        if self.plan.applyable is not None:
            return self.plan.applyable
        return self.plan.counts.listed or (self.may_refresh and self.plan.counts.drift > 0)

    @property
    def may_change(self) -> bool:
        """Whether the gate is asked for it: not only by the engine's word on what it would apply."""
        return self.applyable or (self.plan is not None and self.plan.counts.listed)

    @property
    def holds_changes(self) -> bool:
        """Whether the plan holds changes of resources or outputs, if only no-ops."""
        if self.plan is None:
            return False
        return self.plan.counts.listed or self.plan.counts.no_op > 0

    @property
    def capture(self) -> Capture:
        """How much of the plan the record can hold."""
        if self.plan is not None:
            return "full"
        return "none" if self.sha256 is None else "partial"

    @property
    def before(self) -> StateId | None:
        """The state that the plan is tied to; lineage "" and serial 0 where there is none yet."""
        if self.file is None or self.file.lineage is None or self.file.serial is None:
            return None
        return StateId(lineage=self.file.lineage, serial=self.file.serial)


def redactor(run: Run) -> Redactor:
    """Return what takes secrets out of all that this run records, before any plan is known."""
    secrets = [value for name, value in run.world.environ.items() if name.startswith(_SECRET_VARIABLES)]
    secrets += [value.partition("=")[2] for value in run.invocation.values("var")]
    backend = run.workdir.backend()
    if backend is not None:
        secrets += _texts(backend)
    return Redactor(secrets=KnownSecrets(secrets), names=NameRules(redact=run.config.redact, keep=run.config.keep))


def _texts(backend: Backend) -> list[str]:
    """Return the texts of a backend's configuration that no other part of it names: those that may be credentials."""
    from tfaudit.runs import location

    named = set(location.remote(backend.type, backend.config))
    return [value for value in backend.config.values() if isinstance(value, str) and value not in named]


def load(path: Path, scratch: Scratch) -> None:
    """Copy a saved plan file into ``scratch`` and seal it: what is looked into is what will be applied.

    Raises :class:`InputError` when it is missing or no file; its cause says what the system has against it.
    """
    try:
        with open_regular(path) as source, os.fdopen(os.dup(scratch.fd), "wb") as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)
    except NotAFileError as error:
        cause = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) if path.is_dir() else error
        raise InputError(f"the plan file {path} is not a file", hint="give the path that plan -out wrote") from cause
    except OSError as error:
        raise InputError(f"the plan file {path} can't be read: {error.strerror}") from error
    scratch.seal()


def load_given(stage: Stage, path: Path) -> None:
    """Take the plan file to apply into the stage's scratch: whatever becomes of the file then matters no more."""
    if stage.run.sealed:
        from tfaudit.runs import sealing

        sealing.unseal(path, stage.scratch, sealing.identities(stage.run.world.environ, stage.run.world.cwd))
    else:
        load(path, stage.scratch)


def not_a_plan(path: Path) -> InputError:
    """Return the error that says that ``path`` is none."""
    from tfaudit.runs import sealing

    hint = SEALED_HINT if sealing.is_sealed(path) else "give the path that plan -out wrote"
    return InputError(f"{path} is not a plan file", hint=hint)


def look_into(stage: Stage, known: Redactor) -> Planned:
    """Return what the plan file in the stage's scratch says; the engine's JSON of it stays in memory.

    Never raises for a plan that can't be shown: the caller decides whether to go on without.
    """
    run, scratch = stage.run, stage.scratch
    if scratch.size == 0:
        return Planned(sha256=None, file=None, plan=None, problem="the engine wrote no plan file", redactor=known)
    sha256, file = scratch.digest(), read_plan_file(scratch.path)

    def without(problem: str, said: bytes = b"") -> Planned:
        return Planned(sha256=sha256, file=file, plan=None, problem=problem, said=said, redactor=known)

    if file.kind == "bookmark":
        return without("it lies with the remote service")
    shown = stage.stack.enter_context(Scratch("plan-json"))
    call = show_call(run.invocation, run.world.environ, plan_file=scratch.path)
    run.world.step("show")
    try:
        captured = process.capture(
            run.engine.command, call, relay=stage.relay, limit=MAX_SIZE, into=shown.fd, pass_fds=scratch.fds
        )
        if captured.ended.code != 0:
            return without(_reason(captured.ended), captured.stderr)
        document = _mapped(shown)
        plan = read_plan(document, redactor=known, given=tuple(given(run)))
    except TfauditError as error:
        return without(str(error))
    return Planned(
        sha256=sha256,
        file=file,
        plan=plan,
        document=document,
        problem=None,
        variables=variables.read(scratch.fd),
        redactor=plan.redactor,
        # What mode a saved plan was made in, its JSON doesn't say.
        may_refresh=run.invocation.refresh_only or run.invocation.plan_file is not None,
    )


def _reason(ended: Ended) -> str:
    how = f"was killed by signal {ended.signal}" if ended.signal else f"ended with {ended.code}"
    return f"the engine's show -json {how}"


def _mapped(shown: Scratch) -> memoryview:
    """Return the JSON without copying it: it may be hundreds of megabytes. The plan keeps the map alive."""
    if shown.size == 0:
        raise InputError("the engine's show -json printed nothing")
    return memoryview(mmap.mmap(shown.fd, 0, access=mmap.ACCESS_READ))


def import_labels(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return address and label of each import: the stream has no line for it, the human output does."""
    if not plan.counts.imported:
        return ()
    return tuple(
        (change.address, import_label(msgspec.json.decode(change.importing.text)))
        for change in plan.resource_changes()
        if change.importing is not None and change.importing.text is not None
    )
