"""The human apply of a saved plan, edited to the second half of one run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.applyview import ApplyText
from tfaudit.engine.human import Diagnostic

EVENTS = b"x.y: Creating...\nx.y: Creation complete after 0s [id=1]\n"
WARNING = b'\nWarning: of the apply\n\n  on main.tf line 9, in check "c":\n   9: x\n\nbad\n'
SUMMARY = b"\nApply complete! Resources: 0 added, 0 changed, 2 destroyed.\n"
OUTPUTS = b"\nOutputs:\n\no = 1\n"
HELD = Diagnostic(severity="warning", summary="of the plan", printed="\nWarning: of the plan\n\ntext\n")


def edited(text: ApplyText, data: bytes, size: int = 7, code: int = 0) -> bytes:
    """All that is shown of the data, fed in pieces of a size."""
    shown = [text.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*shown, text.close(exit_code=code)])


def test_an_apply_is_left_as_it_is() -> None:
    """Without anything held, an apply's text is its own."""
    data = EVENTS + WARNING + SUMMARY + OUTPUTS
    assert edited(ApplyText(colour=False), data) == data


def test_held_warnings_come_before_the_summary() -> None:
    """The plan's warnings stand above those of the apply that have a place."""
    shown = edited(ApplyText(colour=False, held=(HELD,)), EVENTS + WARNING + SUMMARY)
    assert shown == EVENTS + b"\nWarning: of the plan\n\ntext\n" + WARNING + SUMMARY


def test_destroy_has_its_own_end() -> None:
    """The summary counts what is gone, and no outputs follow."""
    shown = edited(ApplyText(colour=False, destroy=True), EVENTS + SUMMARY + OUTPUTS)
    assert shown == EVENTS + b"\nDestroy complete! Resources: 2 destroyed.\n"


def test_colours_of_the_summary_stay() -> None:
    """In colour the summary begins on the line above; sequences stay where they are."""
    summary = b"\x1b[0m\x1b[1m\x1b[32m\nApply complete! Resources: 0 added, 0 changed, 2 destroyed.\n\x1b[0m"
    shown = edited(ApplyText(destroy=True), summary)
    assert shown == b"\x1b[0m\x1b[1m\x1b[32m\nDestroy complete! Resources: 2 destroyed.\n\x1b[0m"


def test_a_failure_tells_the_held_warnings_in_full() -> None:
    """With errors, compact or not, warnings are told in full; an engine that was killed tells none."""
    failed = ApplyText(colour=False, held=(HELD,), compact_warnings=True)
    assert edited(failed, EVENTS, code=1) == EVENTS + b"\nWarning: of the plan\n\ntext\n"
    assert edited(ApplyText(colour=False, held=(HELD,)), EVENTS, code=137) == EVENTS


def test_what_was_told_with_the_plan_is_not_repeated() -> None:
    """A warning that both processes give is told once."""
    text = ApplyText(colour=False, told=(HELD,))
    assert edited(text, b"\nWarning: of the plan\n\ntext\n" + EVENTS + SUMMARY) == EVENTS + SUMMARY


def test_progress_is_not_held_back() -> None:
    """Lines about resources are shown as they end."""
    text = ApplyText(colour=False)
    assert text.feed(EVENTS) == EVENTS
    assert text.feed(WARNING + EVENTS) == WARNING + EVENTS


@given(st.binary(max_size=300), st.booleans(), st.integers(0, 200))
def test_nothing_of_an_apply_is_lost(data: bytes, colour: bool, code: int) -> None:
    """Whatever is printed, without warnings in it, comes out."""
    assert edited(ApplyText(colour=colour), data, 3, code) == data
