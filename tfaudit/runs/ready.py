"""What a run must know before its first record: its ledger, stack and actor, gathered while the engine plans."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tfaudit.errors import TfauditError

if TYPE_CHECKING:
    from tfaudit.gate.model import Rules
    from tfaudit.identity.actor import Actor
    from tfaudit.identity.delegation import Checker
    from tfaudit.identity.gather import Gathered, Kept
    from tfaudit.identity.git import Repository
    from tfaudit.ledger.log import Ledger
    from tfaudit.runs.gating import Gate, Refused
    from tfaudit.runs.ledgers import Stores
    from tfaudit.runs.run import Run

T = TypeVar("T")
_FAR_KEY: Final = "awskms:"
"""What a key's name begins with that is asked for over the network, by what takes long to load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """All that the records of a run share."""

    ledger: Ledger
    stack: str
    actor: Actor
    repository: Repository | None
    state_key: str | None
    """None where the working directory has no initialised backend that could be told apart."""
    engine_digest: str | None
    sent: int
    """How many records of earlier runs were sent from the spool."""
    gate: Gate | Refused | None = None
    """The gate in force for the stack; None: the run is recorded only."""
    kept: Kept | None = None
    """The token that proves the actor, where it is good for this run alone."""
    known: Gathered | None = None
    """All that could be asked of the actor before the change was known."""


class Background(Generic[T]):
    """A function that runs on a thread of its own from :meth:`start` on; :meth:`result` raises what it raised.

    To be used by one thread.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ready", daemon=True)

    def start(self) -> None:
        """Start the thread if that hasn't been done yet."""
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            self._error = error

    def peek(self) -> T | None:
        """Return what the function returned; None where it has not ended yet, or has raised."""
        return None if not hasattr(self, "_value") or self._error is not None else self._value

    def result(self) -> T:
        """Wait for the function and return what it returned."""
        self.start()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def prepare(run: Run) -> Ready:
    """Return what :func:`get_ready` does, and have loaded what the run needs next: first what looks into its plan."""
    run.scan.begin()
    repository = Background(lambda: _repository(run))
    repository.start()
    from tfaudit.runs.ledgers import is_far, open_stores

    stores = Background(lambda: open_stores(run.config, run.world.step)) if is_far(run.config) else None
    if stores is not None:
        stores.start()
    import tfaudit.runs.planning

    ready = get_ready(run, repository, stores)
    import tfaudit.runs.applying
    import tfaudit.runs.intents
    import tfaudit.runs.recovery  # noqa: F401 - to be found loaded by whoever imports it

    return ready


def _repository(run: Run) -> Repository | None:
    from tfaudit.identity import git

    return git.read(run.workdir.root, run.world.environ)


def get_ready(
    run: Run, asked: Background[Repository | None] | None = None, stores: Background[Stores] | None = None
) -> Ready:
    """Return what the records need; raises :class:`LedgerError` or :class:`ConfigError` when there can be no record.

    ``asked`` is git and ``stores`` are the ledger's, if they are being asked already.
    """
    from tfaudit.engine import brand
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.runs.stack import stack_name

    environ = run.world.environ
    repository = asked.result() if asked is not None else _repository(run)
    stack = stack_name(
        configured=run.config.stack,
        repository=repository,
        below_root=_below(run.workdir.root, run.config.root),
        workspace=run.workdir.workspace,
    )
    ledger = open_ledger(run.config, run.world, stores=stores.result() if stores is not None else None)
    if run.config.signer_record.startswith(_FAR_KEY):
        Background(ledger.warm).start()
    sent = _drain(run, ledger)
    state_key = _state_key(run, repository, stack, ledger.genesis.nonce)
    gate = _gate(run, ledger, stack, state_key)
    # Under a gate the platform's token is asked for later, for the very change.
    known = identify(run, ledger, repository, gate, stack)
    return Ready(
        ledger=ledger,
        stack=stack,
        actor=known.actor,
        kept=known.kept,
        repository=repository,
        state_key=state_key,
        engine_digest=brand.digest(run.engine, cache=brand.default_cache(environ)),
        sent=sent,
        gate=gate,
        known=known,
    )


def _gate(run: Run, ledger: Ledger, stack: str, state_key: str | None) -> Gate | Refused | None:
    from tfaudit.engine.argv import Role
    from tfaudit.runs import gating

    asks = run.invocation.role is Role.PLAN or run.invocation.command in gating.GATED
    return gating.prepare(run, ledger, stack, state_key) if asks else None


def identify(
    run: Run,
    ledger: Ledger,
    repository: Repository | None,
    gate: Gate | Refused | None,
    stack: str,
    *,
    early: Gathered | None = None,
    change_digest: str | None = None,
) -> Gathered:
    """Return who acts; a platform's token is bound to the run and, where it is given, to the change.

    Under a gate everything that can be asked is asked: all but the token at first, and the token with ``early``, what
    that gave. What could not be checked is said in the end: the record then claims what it can't prove.
    """
    from tfaudit.engine import brand
    from tfaudit.identity.gather import gather

    rules = _rules(gate)
    whole = rules is None or early is not None
    cache = brand.default_cache(run.world.environ)
    found = gather(
        run.world.environ,
        run.workdir.root,
        run.config.identity if gate is None else gate.identity,
        run.config.identities if rules is None else rules.identities,
        origin=ledger.origin,
        run_id=run.run_id,
        change_digest=change_digest,
        cache=cache.parent if cache else None,
        clock=run.world.clock,
        deep=gate is not None,
        token=whole,
        early=early,
        repository=repository,
        delegations=_delegations(run, rules, stack),
    )
    for problem in found.problems if whole else ():
        run.world.say(f"not proven: {problem}")
    return found


def _rules(gate: Gate | Refused | None) -> Rules | None:
    if gate is None:
        return None
    from tfaudit.runs.gating import Refused

    return None if isinstance(gate, Refused) else gate.rules


def _delegations(run: Run, rules: Rules | None, stack: str) -> Checker | None:
    """Return what checks a person's signed word that an agent acts for them; without a gate there are no approvers."""
    if rules is None or "TFAUDIT_DELEGATION" not in run.world.environ:
        return None
    from tfaudit.ledger import ids
    from tfaudit.runs.delegations import StackChecker

    return StackChecker(approvers=rules.approvers or (), stack=stack, now=ids.milliseconds(run.world.clock()))


def _drain(run: Run, ledger: Ledger) -> int:
    """Send what earlier runs left in the spool. What still can't be sent stays there; this run goes on by itself."""
    if not ledger.spool.waiting():
        return 0
    try:
        sent = ledger.drain()
    except TfauditError as error:
        run.world.say(f"records of earlier runs still wait in {run.config.spool}: {error}")
        return 0
    run.world.say(f"sent {len(sent)} record{'s' if len(sent) != 1 else ''} of earlier runs from the spool")
    return len(sent)


def _below(folder: Path, root: Path) -> str:
    try:
        path = folder.relative_to(root).as_posix()
    except ValueError:
        return ""
    return "" if path == "." else path


def _home(run: Run, repository: Repository | None, stack: str) -> str:
    """Return what a state in a file belongs to: by a name that a pull request can't change, where there is one.

    Else a stack that calls itself otherwise would be another, whose state nobody has ever gated.
    """
    from tfaudit.runs.stack import stack_name

    if not run.config.stack_is_own or repository is None or repository.remote is None:
        return stack
    return stack_name(configured=None, repository=repository, below_root="", workspace=run.workdir.workspace)


def _state_key(run: Run, repository: Repository | None, stack: str, nonce: bytes) -> str | None:
    from tfaudit.runs import location
    from tfaudit.runs.stack import state_key

    backend = run.workdir.backend()
    kind = backend.type if backend else "local"
    state_path = run.workdir.state_path(run.invocation)
    workspace = run.workdir.workspace
    if state_path is not None:
        root = repository.root if repository else run.config.root
        # A relative path says nothing by itself: every repository has a terraform.tfstate.
        place = (_home(run, repository, stack), *location.local(state_path, root))
    elif backend is not None:
        place, workspace = location.of_state(backend.type, backend.config, workspace)
        if not any(place):
            place = (_home(run, repository, stack),)
    else:
        return None
    return state_key(nonce=nonce, backend=kind, location=place, workspace=workspace)
