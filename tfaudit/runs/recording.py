"""How a run's records are written: the facts they share, and what happens when the ledger can't take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from tfaudit import canonical
from tfaudit.events import commitment
from tfaudit.ledger.log import SpooledError
from tfaudit.runs import facts

if TYPE_CHECKING:
    from tfaudit.errors import LedgerError
    from tfaudit.events.model import EventLine
    from tfaudit.ledger.draft import Draft
    from tfaudit.ledger.log import Receipt
    from tfaudit.ledger.reader import Reader
    from tfaudit.plan.redact import Redactor
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.run import Run

OnFailure = Literal["raise", "spool"]
Fill = Callable[["Draft"], Iterable["EventLine"]]


def _nothing(_draft: Draft) -> Iterable[EventLine]:
    return ()


class Recorder:
    """Writes the records of one run.

    ``receipts`` are what the ledger gave for them, in order; ``spooled`` is the last failure after which a record was
    left in the spool, signed and durable on this machine only.
    """

    def __init__(self, run: Run, ready: Ready, redactor: Redactor) -> None:
        self._run = run
        self._ready = ready
        self._redactor = redactor
        self.receipts: list[Receipt] = []
        self.spooled: LedgerError | None = None

    @property
    def ready(self) -> Ready:
        """What the run's records share."""
        return self._ready

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out of this run's records."""
        return self._redactor

    def reader(self) -> Reader:
        """Return a reader of the run's own ledger."""
        return self._ready.ledger.reader()

    @property
    def state_key(self) -> str | None:
        """The key of the state that the run is about."""
        return self._ready.state_key

    def write(
        self,
        kind: str,
        own: Mapping[str, object],
        fill: Fill = _nothing,
        *,
        seen: Callable[[str, EventLine], None] | None = None,
        plan_sha256: str | None = None,
        on_failure: OnFailure = "raise",
        disclosed: Mapping[str, str] | None = None,
        committed: Callable[[Draft], Mapping[str, object]] | None = None,
    ) -> str:
        """Append one record and return its id.

        ``own`` are the predicate's keys of this kind, ``fill`` gives the event lines for the draft, ``seen`` is told
        each line with its event id, ``disclosed`` are further texts that stand in the statement as commitments only,
        ``committed`` gives further keys, with the draft to commit to what lies beneath them.
        Raises :class:`LedgerError` when the record could not be made durable anywhere; with ``on_failure="spool"``
        the local spool counts.
        """
        ledger = self._ready.ledger
        with ledger.draft(kind) as draft:
            for line in fill(draft):
                event_id = draft.add(line)
                if seen is not None:
                    seen(event_id, line)
            predicate = {**self._shared(draft), **own}
            for name, text in (disclosed or {}).items():
                predicate[name] = draft.disclose(f"/{name}", self._own_words(text))
            if committed is not None:
                predicate |= committed(draft)
            subjects = [("plan", plan_sha256)] if plan_sha256 else []
            try:
                receipt = ledger.append(draft, predicate, subjects=subjects, spool=on_failure == "spool")
            except SpooledError as error:
                self.spooled = error
            else:
                self.receipts.append(receipt)
            return draft.record_id

    def _own_words(self, text: str) -> bytes:
        """Return the JSON text of what the user wrote, without secrets."""
        return commitment.json_text(self._redactor.text(canonical.readable(text)))

    def _shared(self, draft: Draft) -> dict[str, object]:
        run, ready = self._run, self._ready
        predicate: dict[str, object] = {
            "run_id": run.run_id,
            "stack": ready.stack,
            "workspace": canonical.readable(run.workdir.workspace),
            "command": facts.command(run.invocation, self._redactor),
            "engine": facts.engine(run.engine, ready.engine_digest),
            "tfaudit": facts.tool(),
            "actor": draft.disclose("/actor", commitment.json_text(ready.actor.to_json())),
        }
        if ready.kept is not None:
            # Useless for anything but this run: with the issuer's keys of the time it can be checked for years.
            predicate["token"] = draft.disclose("/token", commitment.json_text(ready.kept.to_json()))
        providers = facts.providers(run.workdir.root / ".terraform.lock.hcl")
        if providers is not None:
            predicate["providers"] = providers
        source = facts.source(ready.repository)
        if source is not None:
            predicate["source"] = source
        for name, text in (("reason", run.reason), ("ticket", run.ticket)):
            if text:
                predicate[name] = draft.disclose(f"/{name}", self._own_words(text))
        return predicate
