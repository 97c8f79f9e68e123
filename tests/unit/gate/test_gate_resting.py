"""Which votes carry a run: those that its intent names, of people who were shown what is to be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from decidekit import ALICE, BOB, CAROL, CLEAN, NOW, REQUEST, RULES, codes, ruled, view, vote

from tfaudit.config.gating import BreakGlass
from tfaudit.gate.model import Decision, Request, Rules, Vote
from tfaudit.gate.resting import decide_on

GLASS = BreakGlass(groups=("on-call",), review_within=timedelta(hours=48))


def rests(
    *votes: Vote,
    named: tuple[Vote, ...],
    lied_to: tuple[str, ...] = (),
    rules: Rules = RULES,
    request: Request = REQUEST,
) -> Decision:
    """Return what is decided on what the intent names, where some people were shown something else."""
    return decide_on(
        request,
        rules,
        (CLEAN,),
        view(*votes),
        NOW,
        named=[one.id for one in named],
        objection=lambda one: "of a.b something else was shown" if one.approver in lied_to else None,
    )


def test_a_vote_on_what_was_not_shown_takes_no_other_with_it() -> None:
    """Enough people saw the right thing: nobody can hold the run back by having been lied to."""
    both = (vote(ALICE), vote(BOB))
    decision = rests(*both, named=both, lied_to=(BOB,))
    assert (decision.allowed, [one.approver for one in decision.counted]) == (True, [ALICE])


def test_where_the_others_are_too_few_it_is_said_who_was_shown_something_else() -> None:
    """And what is missing now."""
    both = (vote(ALICE), vote(BOB))
    decision = rests(*both, named=both, lied_to=(BOB,), rules=ruled(approvals=2))
    assert codes(decision) == {"other-plan", "quorum"}
    assert BOB in decision.reasons[0].message
    assert "of a.b something else was shown" in decision.reasons[0].message


def test_a_vote_that_the_intent_does_not_name_carries_nothing() -> None:
    """One that came between the first decision and the intent is left for another run."""
    early, late = vote(ALICE), vote(BOB)
    decision = rests(early, late, named=(early,))
    assert [one.approver for one in decision.counted] == [ALICE]
    assert codes(rests(early, late, named=(early,), rules=ruled(approvals=2))) == {"quorum"}


def test_a_rejection_counts_whoever_names_it() -> None:
    """Nobody asks an intent whether somebody said no."""
    yes, no = vote(ALICE), vote(BOB, kind="rejection", id="sha256:no", position=41)
    assert codes(rests(yes, no, named=(yes,))) == {"rejected"}


def test_an_approval_of_what_was_not_shown_lifts_no_rejection() -> None:
    """Who was lied to has not taken back their no."""
    no = vote(BOB, kind="rejection", id="sha256:no", position=30, made=NOW - 3000)
    yes = vote(BOB, position=41, made=NOW - 2000)
    assert rests(no, yes, named=(yes,)).allowed
    assert "rejected" in codes(rests(no, yes, named=(yes,), lied_to=(BOB,)))


def test_what_broke_the_glass_still_does_where_approvals_came_meanwhile() -> None:
    """The intent says that it did, and uses no approval."""
    rules = replace(RULES, break_glass=GLASS, pinned="019ca8ed-0000-7000-8000-0000000000cf")
    word = vote(CAROL, kind="break-glass")
    decision = rests(word, vote(ALICE), named=(word,), rules=rules, request=replace(REQUEST, break_glass=True))
    assert (decision.allowed, decision.break_glass) == (True, True)


def test_the_glass_is_not_broken_by_a_word_that_the_intent_does_not_name() -> None:
    """An intent that rests on approvals does not become a break-glass run by their being used up."""
    rules = replace(RULES, break_glass=GLASS, pinned="019ca8ed-0000-7000-8000-0000000000cf")
    gone, word = vote(ALICE), vote(CAROL, kind="break-glass")
    decision = rests(word, named=(gone,), rules=rules, request=replace(REQUEST, break_glass=True))
    assert not decision.allowed
