"""The plan's text as half of an apply, and the question for approval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import planview
from tfaudit.engine.planview import PlanText

PLAN = b"""
Terraform used the selected providers to generate the following execution
plan. Resource actions are indicated with the following symbols:
  + create

Terraform will perform the following actions:

  # terraform_data.a will be created

Plan: 1 to add, 0 to change, 0 to destroy.
"""
RULE = "─" * 77
TAIL = f"""
{RULE}

Saved the plan to: /proc/self/fd/7

To perform exactly these actions, run the following command to apply:
    terraform apply "/proc/self/fd/7"
""".encode()
NOTE = f"""
{RULE}

Note: You didn't use the -out option to save this plan, so Terraform can't
guarantee to take exactly these actions if you run "terraform apply" now.
""".encode()
WARNING = b"""
Warning: Something

  on main.tf line 5, in resource "a" "b":
   5: resource "a" "b" {

The text.

(and 2 more similar warnings elsewhere)
"""
CHECK = b"""
Warning: Check block assertion failed

  on main.tf line 9, in check "c":
   9:   condition = false

bad
"""
BOX = (
    "\x1b[33m╷\x1b[0m\x1b[0m\n"
    "\x1b[33m│\x1b[0m \x1b[0m\x1b[1m\x1b[33mWarning: \x1b[0m\x1b[0m\x1b[1mSomething\x1b[0m\n"
    "\x1b[33m│\x1b[0m \x1b[0m\n"
    "\x1b[33m│\x1b[0m \x1b[0m\x1b[0mtext\n"
    "\x1b[33m╵\x1b[0m\x1b[0m\n"
).encode()
FAILED = b"\nPlanning failed. Terraform encountered an error while generating this plan.\n\n"


def apply_text(*, colour: bool = False) -> PlanText:
    """The text of an apply's plan."""
    return PlanText(mode="apply", colour=colour)


def edited(text: PlanText, data: bytes, size: int | None = None, **end: object) -> bytes:
    """All that is shown of the data, fed in pieces of a size."""
    step = size or max(len(data), 1)
    shown = [text.feed(data[at : at + step]) for at in range(0, len(data), step)]
    settings = {"exit_code": 0, "asked": True, "recorded": True, **end}
    return b"".join([*shown, text.close(**settings)])


@pytest.mark.parametrize("size", [None, 1, 7])
def test_an_apply_does_not_tell_of_the_saved_plan(size: int | None) -> None:
    """The rule and the hint about the plan file go, however the text is cut into pieces."""
    assert edited(apply_text(), PLAN + TAIL, size) == PLAN


@pytest.mark.parametrize("size", [None, 1, 7])
def test_a_plan_without_out_tells_of_it(size: int | None) -> None:
    """A plain plan has its note in place of the hint."""
    assert edited(PlanText(mode="plan", colour=False, note=True), PLAN + TAIL, size) == PLAN + NOTE


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("colour", [False, True])
def test_a_terminal_without_a_width_has_no_rule(size: int | None, colour: bool) -> None:
    """There the engine writes a blank line in the rule's place, as pseudo-terminals of CI systems make it do."""
    saved = b"\n\n" + TAIL.split(RULE.encode() + b"\n")[1]
    reset = b"\x1b[0m" if colour else b""
    shown = edited(PlanText(mode="apply", colour=colour, width=0), PLAN + b"\n\nmore\n" + reset + saved, size)
    assert shown == PLAN + b"\n\nmore\n" + reset
    note = edited(PlanText(mode="plan", colour=colour, note=True, width=0), PLAN + reset + saved, size)
    assert note.startswith(PLAN + reset + b"\n\n\nNote: You didn't use the -out option")


def test_the_note_in_automation() -> None:
    """Where the engine left its hint out, the note is given if it is wanted and there is something to apply."""
    for note, applyable, expected in ((True, True, PLAN + NOTE), (True, False, PLAN), (False, True, PLAN)):
        text = PlanText(mode="plan", colour=False, note=note)
        assert edited(text, PLAN, applyable=applyable) == expected


def test_a_plan_with_its_own_file_is_left_alone() -> None:
    """With the user's own ``-out`` the hint is the engine's."""
    assert edited(PlanText(mode="plan", colour=False), PLAN + TAIL) == PLAN + TAIL


def test_a_rule_within_the_plan_stays() -> None:
    """The rule that ends a section about drift is no end of the plan."""
    text = f"\nNote: Objects have changed outside of Terraform\n\n{RULE}\n".encode() + PLAN
    assert edited(apply_text(), text + TAIL) == text


def test_the_note_names_generated_configuration() -> None:
    """What stands under the rule besides the hint stays there."""
    told = "\nTerraform has generated configuration and written it to gen.tf. Please review\nit.\n"
    tail = f"\n{RULE}\n{told}".encode() + TAIL.split(RULE.encode() + b"\n")[1]
    head, _, note = NOTE.partition(RULE.encode() + b"\n")
    shown = edited(PlanText(mode="plan", colour=False, note=True), PLAN + tail)
    assert shown == PLAN + head + RULE.encode() + b"\n" + told.encode() + note


@pytest.mark.parametrize("size", [None, 1, 11])
def test_warnings_before_a_question_are_shown(size: int | None) -> None:
    """When approval is asked for, the warnings of the plan come first, as they were."""
    text = apply_text()
    assert edited(text, PLAN + WARNING + CHECK + TAIL, size) == PLAN + WARNING + CHECK
    assert text.held == ()


def test_warnings_without_a_question_are_held() -> None:
    """When nothing is asked, they are told after the apply; those of check blocks not at all."""
    text = apply_text()
    assert edited(text, PLAN + WARNING + CHECK + TAIL, asked=False) == PLAN
    (held,) = text.held
    assert (held.summary, held.filename, held.line, held.similar) == ("Something", "main.tf", 5, 2)
    assert held.printed == WARNING.decode().replace("\n(and 2 more similar warnings elsewhere)\n", "")


def test_boxes_are_held_too() -> None:
    """In colour, warnings are boxes; the reset before the first belongs to the plan."""
    text = apply_text(colour=True)
    assert edited(text, PLAN + b"\x1b[0m" + BOX + BOX, asked=False) == PLAN + b"\x1b[0m"
    assert [one.printed for one in text.held] == [BOX.decode()] * 2


def test_the_line_ends_of_a_terminal_do_not_matter() -> None:
    """Carriage returns before line feeds change nothing."""
    text = apply_text()
    assert edited(text, (PLAN + WARNING + TAIL).replace(b"\n", b"\r\n"), asked=False) == PLAN.replace(b"\n", b"\r\n")
    assert "\r" not in (text.held[0].printed or "")


def test_early_warnings_are_shown_at_once_and_remembered() -> None:
    """A warning above the plan is shown where it stands, and is not to be repeated by the second process."""
    text = apply_text()
    assert edited(text, WARNING + PLAN + TAIL, asked=False) == WARNING + PLAN
    assert text.held == ()
    assert [one.summary for one in text.told] == ["Something"]


def test_compact_warnings_are_made_here() -> None:
    """The internal plan prints warnings in full; the user's wish for compact ones is met at the end."""
    text = PlanText(mode="apply", colour=False, compact_warnings=True)
    shown = edited(text, PLAN + WARNING + TAIL)
    assert shown.startswith(PLAN + b"\nWarnings:\n\n- Something\n  on main.tf line 5 (and 2 more)\n")


@pytest.mark.parametrize("size", [None, 1])
def test_a_failed_plan_with_nothing_in_it_is_silent(size: int | None) -> None:
    """An apply does not say that planning failed when there is nothing of a plan; errors follow all the same."""
    error = b"\nError: no\n\n"
    assert edited(apply_text(), FAILED + error, size, exit_code=1, recorded=False) == error
    assert edited(apply_text(), FAILED + error, size, exit_code=1, recorded=True) == FAILED + error
    assert edited(PlanText(mode="plan", colour=False, note=True), FAILED, size, exit_code=1) == FAILED


def test_warnings_of_a_failed_plan_are_shown() -> None:
    """A failed plan's warnings are shown as they are."""
    assert edited(apply_text(), PLAN + WARNING, exit_code=1) == PLAN + WARNING


def test_questions_come_through_at_once() -> None:
    """The engine's question is shown before its line ends, and so is what is typed at it."""
    text = apply_text(colour=True)
    question = b"\x1b[0m\x1b[1mvar.asked\x1b[0m\n\n  \x1b[1mEnter a value:\x1b[0m \x1b[0m"
    assert text.feed(question) == question
    assert text.feed(b"t") == b"t"
    assert text.feed(b"yped\r\n") == b"yped\r\n"


def test_plain_questions_come_through_after_a_warning() -> None:
    """A question ends what might have been the end of the plan."""
    text = apply_text()
    data = WARNING + b"\nvar.asked\n  Enter a value: "
    assert text.feed(data) == data


@given(st.lists(st.sampled_from([PLAN, TAIL, WARNING, BOX, FAILED, b"\n", b"x", RULE.encode()])), st.booleans())
def test_nothing_is_lost_in_a_plan_of_ones_own(parts: list[bytes], colour: bool) -> None:
    """With the user's own plan file, every byte comes out, in order."""
    data = b"".join(parts)
    assert edited(PlanText(mode="plan", colour=colour), data, 5) == data


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_of_a_failed_plan_come_out(data: bytes, colour: bool) -> None:
    """Whatever an engine that fails has printed is shown."""
    assert edited(apply_text(colour=colour), data, 3, exit_code=1) == data


def test_the_question() -> None:
    """The words are the engine's, with the workspace when it is not the default one."""
    assert planview.prompt(brand="terraform", colour=False, mode="normal", workspace="default") == (
        b"\nDo you want to perform these actions?\n"
        b"  Terraform will perform the actions described above.\n"
        b"  Only 'yes' will be accepted to approve.\n"
        b"\n"
        b"  Enter a value: "
    )
    destroy = planview.prompt(brand="tofu", colour=False, mode="destroy", workspace="w")
    assert b'destroy all resources in workspace "w"?\n  OpenTofu will destroy' in destroy
    refresh = planview.prompt(brand="terraform", colour=False, mode="refresh-only", workspace="w")
    assert b'update the Terraform state for "w" to reflect' in refresh
    actions = planview.prompt(brand="terraform", colour=False, mode="refresh-only", workspace="w", actions=True)
    assert b"invoke the specified actions?" in actions


def test_the_question_in_colour() -> None:
    """Question and invitation are bold."""
    shown = planview.prompt(brand="terraform", colour=True, mode="normal", workspace="default")
    assert shown.startswith(b"\x1b[0m\x1b[1m\nDo you want")
    assert shown.endswith(b"\n\n  \x1b[1mEnter a value:\x1b[0m \x1b[0m")


@pytest.mark.parametrize(
    ("answer", "approved"), [(b"yes\n", True), (b"yes \r\n", True), (b"Yes\n", False), (b" yes\n", False)]
)
def test_only_yes_approves(answer: bytes, approved: bool) -> None:
    """Only the very word, whatever white space follows it."""
    assert planview.approves(answer) is approved


def test_the_words_after_the_question() -> None:
    """Declined, no answer, interrupted."""
    assert planview.declined(mode="destroy") == b"Destroy cancelled.\n"
    assert planview.declined(mode="refresh-only") == b"Apply cancelled.\n"
    assert planview.ask_failed(reason="EOF", colour=False) == b"\nError: error asking for approval: EOF\n\n"
    assert planview.interrupted(brand="tofu").startswith(b"\nInterrupt received.\nPlease wait for OpenTofu to exit")
