"""Does verify see changes past tfaudit, runs without an end, and runs that nothing allowed?"""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgerkit import Place, make
from verifykit import append, run, state

from tfaudit.ledger import ids
from tfaudit.ledger.log import Ledger, Receipt
from tfaudit.ledger.verify import Report, verify

ALLOWED = {"decision": {"decision": "not-gated", "reasons": []}}
OTHER = "0e0a4a4e-27a5-4c3c-9d59-6a4d6f0b1c11"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty ledger."""
    return make(tmp_path)


@pytest.fixture
def ledger(place: Place) -> Ledger:
    """Return it, open to append to."""
    return place.open()


def check(place: Place) -> Report:
    """Verify the ledger in its folder."""
    return verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now))


def codes(place: Place) -> list[str]:
    """Return the codes of the findings."""
    return [finding.code for finding in check(place).findings]


def test_serials_that_records_left_behind_are_fine(place: Place, ledger: Ledger) -> None:
    """From no state on, each run starts where one ended; plans see any of it."""
    append(ledger, "plan", state=state(None))
    run(ledger, None, 3)
    append(ledger, "plan", state=state(3))
    run(ledger, 3, 9)
    append(ledger, "plan", state=state(6))
    append(ledger, "operation", state=state(9, 10), result={"status": "succeeded"}, **ALLOWED)
    run(ledger, 10, 10)
    assert codes(place) == []


@pytest.mark.parametrize("lineage", [state(4)["before"]["lineage"], OTHER], ids=["serial", "lineage"])  # type: ignore[index]
def test_a_serial_that_nobody_left_is_an_unrecorded_change(place: Place, ledger: Ledger, lineage: str) -> None:
    """A run that meets another serial, or another lineage, than the last one left tells of a change between."""
    run(ledger, None, 3)
    seen = append(ledger, "plan", state=state(4, lineage=lineage))
    append(ledger, "plan", state=state(4, lineage=lineage))
    report = check(place)
    assert [(finding.code, finding.where) for finding in report.findings] == [("unrecorded-change", seen.key)]
    assert not report.ok


def test_a_run_does_not_explain_its_own_start(place: Place, ledger: Ledger) -> None:
    """A run from a serial that nobody left to the next one is no excuse for the first."""
    run(ledger, None, 3)
    run(ledger, 4, 5)
    assert codes(place) == ["unrecorded-change"]


def test_a_run_that_changed_nothing_does_not_explain_its_own_start(place: Place, ledger: Ledger) -> None:
    """A run that leaves the serial it met leaves the question open."""
    run(ledger, None, 3)
    run(ledger, 4, 4)
    assert codes(place) == ["unrecorded-change"]


def test_the_first_sight_of_a_state_needs_no_explanation(place: Place, ledger: Ledger) -> None:
    """A state may have existed before tfaudit."""
    append(ledger, "plan", state=state(41))
    run(ledger, 41, 42)
    assert codes(place) == []


def test_an_adopted_state_needs_no_explanation(place: Place, ledger: Ledger) -> None:
    """An adopt record takes the state as it is then."""
    run(ledger, None, 3)
    append(ledger, "adopt", state=state(7))
    run(ledger, 7, 8)
    assert codes(place) == []


def test_states_are_told_apart(place: Place, ledger: Ledger) -> None:
    """What one state's records explain does not explain another's, though the lineage be the same."""
    run(ledger, None, 3)
    other = state(None, 5, key="c3" * 32)
    append(ledger, "operation", state=other, **ALLOWED)
    append(ledger, "plan", state=state(5))
    assert codes(place) == ["unrecorded-change"]


def test_runs_side_by_side_may_come_in_any_order(place: Place, ledger: Ledger) -> None:
    """An outcome that comes into the log after that of the run which followed it is no gap."""
    run(ledger, None, 1)
    first = append(ledger, "intent", state=state(1), **ALLOWED)
    second = append(ledger, "intent", state=state(2), **ALLOWED)
    append(ledger, "outcome", intent=second.record_id, state=state(2, 3))
    append(ledger, "outcome", intent=first.record_id, state=state(1, 2))
    assert codes(place) == []


@pytest.mark.parametrize("command", ["init", "state push", "workspace new"])
def test_a_recorded_move_of_the_state_is_fine(place: Place, ledger: Ledger, command: str) -> None:
    """A migration, a push or a workspace operation puts another lineage or an older serial there."""
    run(ledger, None, 9)
    moved = {"key": state(9)["key"], "before": state(9)["before"], "after": {"lineage": OTHER, "serial": 4}}
    append(ledger, "operation", command={"name": command, "options": []}, state=moved, **ALLOWED)
    append(ledger, "plan", state=state(4, lineage=OTHER))
    back = {**moved, "before": moved["after"], "after": {"lineage": OTHER, "serial": 2}}
    append(ledger, "operation", command={"name": command, "options": []}, state=back, **ALLOWED)
    append(ledger, "plan", state=state(2, lineage=OTHER))
    assert codes(place) == []


def test_a_run_closed_by_recover_explains_one_gap(place: Place, ledger: Ledger) -> None:
    """Nobody saw where a killed run left the state; the next run's start is forgiven, a second gap is not."""
    run(ledger, None, 3)
    intent = append(ledger, "intent", state=state(3), **ALLOWED)
    append(ledger, "outcome", intent=intent.record_id, state=state(3), result={"status": "unknown"})
    append(ledger, "plan", state=state(6))
    assert codes(place) == []
    run(ledger, 6, 7)
    append(ledger, "plan", state=state(9))
    assert codes(place) == ["unrecorded-change"]


def errored(ledger: Ledger, before: int | None, after: int, *, lineage: str | None = None, **counts: int) -> Receipt:
    """Append a run that ended with an error, its changes as counted."""
    intent = append(ledger, "intent", state=state(before), **ALLOWED)
    left = state(before, after)
    if lineage is not None:
        left["after"] = {"lineage": lineage, "serial": after}
    result = {"status": "errored", "exit_code": 1, "counts": counts}
    return append(ledger, "outcome", intent=intent.record_id, state=left, result=result)


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (3, 4, {"not-reached": 2}),
        (3, 3, {"not-reached": 2}),
        (None, 1, {"not-reached": 2, "applied": 0}),
        (3, 9, {"not-reached": 2, "applied": 1}),
        (3, 9, {"not-reached": 2, "unknown": 1}),
        (3, 9, {}),
    ],
    ids=["written once", "not written", "the first time", "some applied", "some unknown", "not said"],
)
def test_what_a_failed_apply_can_have_written(
    place: Place, ledger: Ledger, before: int | None, after: int, counts: dict[str, int]
) -> None:
    """An apply that failed before its first change saves the state once; one that got further, after each."""
    if before is not None:
        run(ledger, None, before)
    errored(ledger, before, after, **counts)
    append(ledger, "plan", state=state(after))
    assert codes(place) == []


def test_a_change_beside_an_apply_that_changed_nothing(place: Place, ledger: Ledger) -> None:
    """Of two serials, one that reached nothing can't have written both: somebody else did."""
    run(ledger, None, 3)
    outcome = errored(ledger, 3, 5, **{"not-reached": 2})
    append(ledger, "plan", state=state(5))
    report = check(place)
    assert [(finding.code, finding.where) for finding in report.findings] == [("unrecorded-change", outcome.key)]


def test_a_recorded_run_beside_an_apply_that_changed_nothing(place: Place, ledger: Ledger) -> None:
    """Where the other one was a recorded run, that explains it."""
    run(ledger, None, 3)
    run(ledger, 3, 5)
    errored(ledger, 3, 5, **{"not-reached": 2})
    assert codes(place) == []


def test_an_apply_that_ends_with_another_lineage(place: Place, ledger: Ledger) -> None:
    """No apply changes the state's lineage: somebody put another state there."""
    run(ledger, None, 3)
    errored(ledger, 3, 7, lineage=OTHER, applied=1)
    assert codes(place) == ["unrecorded-change"]


@pytest.mark.parametrize("status", ["not-started", "declined"])
def test_a_run_that_never_started_explains_nothing(place: Place, ledger: Ledger, status: str) -> None:
    """What was not started has left the state nowhere."""
    run(ledger, None, 3)
    intent = append(ledger, "intent", state=state(3), **ALLOWED)
    append(ledger, "outcome", intent=intent.record_id, state=state(3), result={"status": status})
    append(ledger, "plan", state=state(6))
    assert codes(place) == ["unrecorded-change"]


@pytest.mark.parametrize("status", ["not-started", "declined", "denied"])
@pytest.mark.parametrize("of_intent", [True, False])
def test_a_run_that_never_started_left_the_state_as_it_was(
    place: Place, ledger: Ledger, status: str, *, of_intent: bool
) -> None:
    """Whoever says to have changed nothing can't have left another version behind."""
    run(ledger, None, 3)
    intent = {"intent": append(ledger, "intent", state=state(3), **ALLOWED).record_id} if of_intent else {}
    append(ledger, "outcome", state=state(3, 4), result={"status": status}, **intent)
    append(ledger, "plan", state=state(4))
    assert codes(place) == ["unrecorded-change"]


def test_a_run_that_says_it_was_denied_explains_nothing(place: Place, ledger: Ledger) -> None:
    """Nor where it says nothing of the state."""
    run(ledger, None, 3)
    intent = append(ledger, "intent", state=state(3), **ALLOWED)
    append(ledger, "outcome", intent=intent.record_id, state=state(3), result={"status": "denied"})
    append(ledger, "plan", state=state(6))
    assert codes(place) == ["unrecorded-change"]


def test_an_intent_without_an_outcome_is_an_open_run(place: Place, ledger: Ledger) -> None:
    """It may still be running: a warning, and the state it leaves behind is not held against anybody."""
    run(ledger, None, 3)
    intent = append(ledger, "intent", state=state(3), **ALLOWED)
    append(ledger, "plan", state=state(5))
    report = check(place)
    assert [(finding.code, finding.severity, finding.where) for finding in report.findings] == [
        ("open-run", "warning", intent.key)
    ]
    assert report.ok


@pytest.mark.parametrize("kind", ["outcome", "operation"])
def test_an_outcome_or_operation_closes_its_intent(place: Place, ledger: Ledger, kind: str) -> None:
    """Either may tell how a run ended, and it must name the intent."""
    intent = append(ledger, "intent", **ALLOWED)
    append(ledger, kind, intent="01900000-0000-7000-8000-000000000000")
    assert codes(place) == ["open-run"]
    append(ledger, kind, intent=intent.record_id)
    assert codes(place) == []


def test_a_run_without_a_gate_is_fine(place: Place, ledger: Ledger) -> None:
    """Without a pinned configuration there need be no gate."""
    run(ledger, None, 1, decision={"decision": "not-gated", "reasons": []})
    assert codes(place) == []


GROUNDLESS = {"decision": "allow", "reasons": []}


@pytest.mark.parametrize(
    "decision", [{"decision": "deny", "reasons": []}, {"decision": "perhaps"}, {}, "allow", None, GROUNDLESS]
)
def test_a_run_that_nothing_allowed_is_reported(place: Place, ledger: Ledger, decision: object) -> None:
    """An apply whose intent has no decision, or a denial, went past the gate."""
    intent, _ = run(ledger, None, 1, decision=decision)
    assert [(finding.code, finding.where) for finding in check(place).findings] == [("unapproved-change", intent.key)]


def test_a_denied_run_that_did_not_start_is_fine(place: Place, ledger: Ledger) -> None:
    """A gate that says no after the intent leaves an outcome that says so."""
    intent = append(ledger, "intent", decision={"decision": "deny", "reasons": []})
    append(ledger, "outcome", intent=intent.record_id, result={"status": "not-started"})
    assert codes(place) == []


@pytest.mark.parametrize("last", ["not-started", "applied"])
def test_a_run_that_says_both_is_reported(place: Place, ledger: Ledger, last: str) -> None:
    """A second outcome that takes the first one back takes nothing back, in either order."""
    intent = append(ledger, "intent", decision={"decision": "deny", "reasons": []})
    for status in ("applied", "not-started") if last == "not-started" else ("not-started", "applied"):
        append(ledger, "outcome", intent=intent.record_id, result={"status": status})
    assert codes(place) == ["unapproved-change"]


def test_a_denied_run_that_recover_closed_too_is_fine(place: Place, ledger: Ledger) -> None:
    """Its own outcome came late, from the spool of its machine."""
    intent = append(ledger, "intent", decision={"decision": "deny", "reasons": []})
    for status in ("unknown", "not-started"):
        append(ledger, "outcome", intent=intent.record_id, result={"status": status})
    assert codes(place) == []


def test_a_denied_operation_is_reported(place: Place, ledger: Ledger) -> None:
    """An operation that carries its own decision is held to it."""
    append(ledger, "operation", decision={"decision": "deny", "reasons": []}, result={"status": "succeeded"})
    assert codes(place) == ["unapproved-change"]
