"""What came of each change, from the engine's stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import fixture

from tfaudit.plan.outcome import IndexedChange, Outcome, OutcomeTracker, RunOutcome, Step
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets

REDACTOR = Redactor(secrets=KnownSecrets(["canary-secret"]))


def planned(*changes: tuple[str, tuple[str, ...]], deposed: str | None = None) -> list[IndexedChange]:
    """Return indexed changes with the event ids 1, 2, …"""
    return [
        IndexedChange(str(number), address, address, deposed, actions)
        for number, (address, actions) in enumerate(changes, 1)
    ]


def hook(kind: str, address: str, action: str, second: int = 0, **more: Any) -> bytes:
    """Return one line of an apply stream."""
    message = {
        "@message": "x",
        "@timestamp": f"2026-01-01T02:00:{second:02d}.123456+02:00",
        "type": kind,
        "hook": {"resource": {"addr": address}, "action": action, **more},
    }
    return json.dumps(message).encode() + b"\n"


def run(changes: list[IndexedChange], *lines: bytes, exit_code: int | None = 0, rose: bool | None = True) -> RunOutcome:
    """Return what came of the changes."""
    tracker = OutcomeTracker(changes, REDACTOR)
    for line in lines:
        tracker.feed(line)
    return tracker.finish(exit_code=exit_code, serial_rose=rose)


def statuses(outcome: RunOutcome) -> list[str]:
    """Return the statuses in order."""
    return [found.status for found in outcome.outcomes]


def test_an_applied_change_has_its_times_and_id() -> None:
    """Start in UTC, seconds and the new object's id come from the stream, secrets taken out."""
    (found,) = run(
        planned(("a.b", ("create",))),
        hook("apply_start", "a.b", "create", 1),
        hook("apply_complete", "a.b", "create", 4, id_key="id", id_value="x/canary-secret", elapsed_seconds=3),
    ).outcomes
    assert found == Outcome(
        event_id="1",
        address="a.b",
        deposed=None,
        status="applied",
        started="2026-01-01T00:00:01.123Z",
        elapsed_seconds=3,
        id="x/[redacted]",
        error=None,
        inferred=False,
        steps=(),
        provisioner=None,
    )


def test_an_errored_change_has_its_diagnostics() -> None:
    """The reason comes later, linked by the address; it is redacted."""
    said = {"severity": "error", "summary": "No", "detail": "canary-secret is wrong", "address": "a.b"}
    outcome = run(
        planned(("a.b", ("update",)), ("a.c", ("update",))),
        hook("apply_start", "a.b", "update"),
        hook("apply_errored", "a.b", "update", elapsed_seconds=1),
        json.dumps({"type": "diagnostic", "diagnostic": said}).encode(),
        json.dumps({"type": "diagnostic", "diagnostic": said}).encode(),
        exit_code=1,
    )
    assert statuses(outcome) == ["errored", "not-reached"]
    assert outcome.outcomes[0].error == "No: [redacted] is wrong"
    assert len(outcome.diagnostics) == 1


@pytest.mark.parametrize("order", [("delete", "create"), ("create", "delete")])
def test_a_replace_is_two_steps(order: tuple[str, str]) -> None:
    """In either order both halves must end; the times add up."""
    lines = [
        line
        for action in order
        for line in (hook("apply_start", "a.b", action), hook("apply_complete", "a.b", action, elapsed_seconds=2))
    ]
    (found,) = run(planned(("a.b", order)), *lines).outcomes
    assert (found.status, found.elapsed_seconds, found.steps) == ("applied", 4, ())


def test_half_a_replace_is_told() -> None:
    """Where the second half failed or never came, both halves are named."""
    half = [hook("apply_start", "a.b", "delete"), hook("apply_complete", "a.b", "delete")]
    failed = [hook("apply_start", "a.b", "create"), hook("apply_errored", "a.b", "create")]
    changes = planned(("a.b", ("delete", "create")))
    (found,) = run(changes, *half, *failed, exit_code=1).outcomes
    assert (found.status, found.steps) == ("errored", (Step("delete", "applied"), Step("create", "errored")))
    (found,) = run(changes, *half, exit_code=1).outcomes
    assert (found.status, found.steps) == ("errored", (Step("delete", "applied"), Step("create", "not-reached")))
    (found,) = run(changes, *half, exit_code=None).outcomes
    assert found.status == "unknown"


@pytest.mark.parametrize("actions", [("create", "forget"), ("forget", "create")])
def test_the_forgotten_half_emits_nothing(actions: tuple[str, str]) -> None:
    """A replace that forgets instead of deleting is applied when its create is."""
    outcome = run(
        planned(("a.b", actions)), hook("apply_start", "a.b", "create"), hook("apply_complete", "a.b", "create")
    )
    assert statuses(outcome) == ["applied"]


def test_two_deletes_of_one_address() -> None:
    """The current and a deposed object are paired by order where they ended alike or one after the other."""
    changes = planned(("a.b", ("delete",)), ("a.b", ("delete",)))
    start, done, failed = (hook(kind, "a.b", "delete") for kind in ("apply_start", "apply_complete", "apply_errored"))
    assert statuses(run(changes, start, start, done, done)) == ["applied", "applied"]
    assert statuses(run(changes, start, done, start, failed, exit_code=1)) == ["applied", "errored"]
    assert statuses(run(changes, start, start, done, failed, exit_code=1)) == ["unknown", "unknown"]


@pytest.mark.parametrize("actions", [("forget",), ("no-op",)])
@pytest.mark.parametrize(
    ("exit_code", "rose", "status"),
    [(0, True, "applied"), (0, False, "unknown"), (0, None, "unknown"), (1, True, "unknown"), (None, None, "unknown")],
)
def test_silent_changes_are_inferred(
    actions: tuple[str, ...], exit_code: int | None, rose: bool | None, status: str
) -> None:
    """Forget, move and import emit no event: exit 0 and a risen serial say that they happened."""
    (found,) = run(planned(("a.b", actions)), exit_code=exit_code, rose=rose).outcomes
    assert (found.status, found.inferred) == (status, status == "applied")


def test_started_and_not_finished_is_unknown() -> None:
    """What an interrupted engine left in the middle may or may not have happened."""
    outcome = run(
        planned(("a.b", ("create",)), ("a.c", ("create",))), hook("apply_start", "a.b", "create"), exit_code=1
    )
    assert statuses(outcome) == ["unknown", "not-reached"]
    assert outcome.counts == {"applied": 0, "errored": 0, "not-reached": 1, "unknown": 1}


def test_nothing_is_known_without_a_stream() -> None:
    """Where nobody saw the end, or no stream came, a change that did not start is unknown."""
    changes = planned(("a.b", ("create",)))
    assert statuses(run(changes, exit_code=None)) == ["unknown"]
    assert statuses(run(changes, exit_code=1)) == ["unknown"]
    assert statuses(run(changes, exit_code=0, rose=True)) == ["applied"]
    assert statuses(run(changes, exit_code=0, rose=False)) == ["unknown"]


def test_interrupted_runs_and_rubbish() -> None:
    """An interruption is noticed, what is not known or not JSON is passed over, dumped state is never kept."""
    tracker = OutcomeTracker(planned(("aws_instance.create_forget", ("create", "forget"))), REDACTOR)
    for line in fixture("interrupted.apply.jsonl").splitlines():
        tracker.feed(line)
    outcome = tracker.finish(exit_code=1, serial_rose=False)
    assert outcome.interrupted
    assert outcome.engine_version == "1.14.0"
    assert statuses(outcome) == ["unknown"]
    assert "canary" not in repr(outcome)


def test_action_invocations_have_outcomes() -> None:
    """A provider action that failed is errored, with its words; snippets and absolute paths are not kept."""
    tracker = OutcomeTracker(
        planned(("aws_instance.a", ("create",)), ("action.aws_lambda_invoke.warm", ("invoke",))), REDACTOR
    )
    for line in fixture("action-invocations.apply.jsonl").splitlines():
        tracker.feed(line)
    outcome = tracker.finish(exit_code=1, serial_rose=True)
    assert statuses(outcome) == ["applied", "errored"]
    assert outcome.outcomes[1].error == "Invoke failed: password=[redacted] was refused"
    (diagnostic,) = outcome.diagnostics
    assert (diagnostic.file, diagnostic.line) == ("main.tf", 7)
    assert "canary" not in repr(outcome)


def test_a_failing_provisioner_is_told() -> None:
    """The object exists all the same; provisioner output is not kept."""
    tracker = OutcomeTracker(
        planned(
            ("terraform_data.fails", ("create",)),
            ("terraform_data.waits", ("create",)),
            ("terraform_data.works", ("create",)),
        ),
        REDACTOR,
    )
    for line in fixture("failing-provisioner.apply.jsonl").splitlines():
        tracker.feed(line)
    outcome = tracker.finish(exit_code=1, serial_rose=True)
    assert statuses(outcome) == ["errored", "not-reached", "applied"]
    assert outcome.outcomes[0].provisioner == "local-exec"
    assert outcome.change_summary is None
    assert "Creation errored" not in (outcome.outcomes[0].error or "")


def test_what_the_plan_does_not_list_is_told() -> None:
    """An address that the engine touched without a planned change is unplanned; reads are not."""
    outcome = run([], hook("apply_start", "a.b", "create"), hook("apply_start", "data.x.y", "read"))
    assert outcome.unplanned == ("a.b",)


def test_the_engines_own_summary_is_kept() -> None:
    """The last words of a finished apply are kept as numbers."""
    said = {"type": "change_summary", "changes": {"add": 1, "change": 0, "operation": "apply", "odd": "x"}}
    assert run([], json.dumps(said).encode()).change_summary == {"add": 1, "change": 0, "operation": "apply"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["addr", "action", "resource", "start", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = [
    "apply_start",
    "apply_complete",
    "apply_errored",
    "action_start",
    "provision_errored",
    "diagnostic",
    "change_summary",
    "log",
]


@given(st.lists(st.tuples(st.sampled_from(KINDS), JSON), max_size=6), st.binary(max_size=30))
def test_no_message_breaks_the_tracker(messages: list[tuple[str, Any]], junk: bytes) -> None:
    """Messages of any shape, and bytes of any kind, never fail the tracker."""
    lines = [
        json.dumps(
            {"type": kind, "hook": value, "diagnostic": value, "changes": value, "@message": value, "@timestamp": value}
        ).encode()
        for kind, value in messages
    ]
    outcome = run(planned(("a.b", ("delete", "create")), ("x", ("odd",))), *lines, junk, exit_code=1)
    assert len(outcome.outcomes) == 2
