"""What the gate decides: one attack, or one mishap, a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from decidekit import (
    ALICE,
    BOB,
    CAROL,
    CLEAN,
    HOUR,
    MINUTE,
    NOW,
    PLANNED,
    REQUEST,
    RULES,
    about,
    approver,
    asks,
    codes,
    decided,
    found,
    hexes,
    ruled,
    view,
    vote,
)

from tfaudit.config.gating import BreakGlass, Freeze
from tfaudit.gate.decide import decide
from tfaudit.policy.model import Finding

OTHER = PLANNED.replace("-7000-", "-7111-")
PINNED = "019ca8ed-0000-7000-8000-0000000000cf"


def test_one_approval_of_the_same_changes_lets_a_new_plan_be_applied() -> None:
    """The plan file and the commit may be others: the changes are those that were approved."""
    decision = decided(vote())
    assert (codes(decision), decision.required, [one.approver for one in decision.counted]) == (set(), 1, [ALICE])


def test_nobody_has_approved() -> None:
    """Without any vote the reason says so."""
    assert codes(decided()) == {"no-approval"}


@pytest.mark.parametrize("missing", range(4))
def test_any_absent_input_denies(missing: int) -> None:
    """What is not known is not allowed."""
    given = [REQUEST, RULES, (CLEAN,), view(vote())]
    given[missing] = None
    reason = {"no-plan", "no-rules", "policy-error", "no-ledger"}
    assert codes(decide(*given, NOW)) & reason == {["no-plan", "no-rules", "policy-error", "no-ledger"][missing]}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ({"change_digest": hexes("else")}, "other-plan"),
        ({"plan_record": OTHER}, "other-plan"),
        ({"origin": "ledger.example/other"}, "other-plan"),
        ({"stack": "network/dev"}, "other-stack"),
        ({"state_key": hexes("elsewhere")}, "state-moved"),
        ({"state_key": None}, "state-moved"),
        ({"lineage": "ffff"}, "state-moved"),
        ({"serial": 6}, "state-moved"),
        ({"backend": "local"}, "other-target"),
        ({"target": "210987654321"}, "other-target"),
        ({"target": None}, "other-target"),
        ({"policy": hexes("lax")}, "other-policy"),
    ],
)
def test_an_approval_of_something_else_is_refused(subject: dict[str, object], code: str) -> None:
    """Each field that an approval binds has its reason."""
    assert codes(decided(vote(subject=about(**subject)))) == {code, "no-approval"}


def test_an_approval_counts_for_its_very_plan_file() -> None:
    """Applying the approved file needs no key to compare its changes with."""
    request = asks(subject={"plan_sha256": hexes("file")}, under={})
    assert codes(decided(vote(), request=request)) == set()


def test_a_swapped_plan_file_is_refused_where_the_file_is_bound() -> None:
    """With bind = planfile the same changes in another file are another plan."""
    assert codes(decided(vote(), rules=ruled(bind="planfile"))) == {"other-plan", "no-approval"}
    same_file = asks(subject={"plan_sha256": hexes("file")})
    assert codes(decided(vote(), request=same_file, rules=ruled(bind="planfile"))) == set()


def test_a_first_plan_wants_the_very_file() -> None:
    """From no state the same changes could be made again elsewhere, so the digest of the changes is not enough."""
    first = {"lineage": "", "serial": 0}
    again = vote(subject=about(**first))
    assert codes(decided(again, request=asks(subject=first, first=True))) == {"other-plan", "no-approval"}
    file = asks(subject={**first, "plan_sha256": hexes("file")}, first=True)
    assert codes(decided(again, request=file)) == set()


def test_a_first_plan_is_not_applied_onto_a_state_that_is_there_by_now() -> None:
    """A plan that starts from nothing is stale as soon as there is something."""
    first = {"lineage": "", "serial": 0, "plan_sha256": hexes("file")}
    request = asks(subject=first, first=False)
    assert "state-moved" in codes(decided(vote(subject=about(**first)), request=request))


def test_another_record_than_the_one_that_was_shown_is_refused() -> None:
    """The leaf and the event root are what the approver saw."""
    own = asks(subject={"plan_record": PLANNED, "leaf": hexes("leaf"), "event_root": hexes("root")}, under={})
    own = replace(own, subject=replace(own.subject, change_digest=hexes("change")))
    assert codes(decided(vote(), request=own)) == set()
    assert "other-plan" in codes(decided(vote(subject=about(leaf=hexes("x"))), request=own))
    assert "other-plan" in codes(decided(vote(subject=about(event_root=hexes("x"))), request=own))


def test_unsettling_texts_do_not_break_the_comparison() -> None:
    """A digest that is no ASCII text is just another digest."""
    assert "other-plan" in codes(decided(vote(subject=about(change_digest="\ud800é"))))


def test_an_expired_approval_is_refused() -> None:
    """Both the approver's own limit and the rules' count, to the millisecond."""
    assert codes(decided(vote(expires=NOW))) == {"expired", "no-approval"}
    assert codes(decided(vote(expires=NOW + 1))) == set()
    old = vote(made=NOW - 24 * HOUR, expires=NOW + HOUR, subject=about(plan_record="", plan_sha256=hexes("new")))
    assert "expired" in codes(decided(old))


def test_an_approval_that_was_kept_in_a_file_ages_from_when_it_was_made() -> None:
    """Carrying it in late does not make it younger."""
    rules = ruled(expires=timedelta(minutes=20))
    assert "expired" in codes(decided(vote(at=NOW, position=None), rules=rules))


def test_clocks_may_disagree_by_five_minutes() -> None:
    """An approval from a clock that is ahead counts within the tolerance and not beyond."""
    assert codes(decided(vote(made=NOW + 5 * MINUTE, at=NOW))) == set()
    assert codes(decided(vote(made=NOW + 5 * MINUTE + 1, at=NOW))) == {"not-yet-valid", "no-approval"}


def test_an_approval_older_than_the_plan_it_names_is_refused() -> None:
    """Nobody approves what is not there yet, five minutes of clock aside."""
    assert codes(decided(vote(made=NOW - HOUR - 5 * MINUTE))) == set()
    assert codes(decided(vote(made=NOW - HOUR - 6 * MINUTE))) == {"not-yet-valid", "no-approval"}


def test_a_used_approval_is_refused() -> None:
    """The first intent that names it has consumed it."""
    assert codes(decided(vote(), used=(vote(),))) == {"already-used", "no-approval"}


def test_a_replayed_document_is_the_same_vote() -> None:
    """Carrying the same word in twice makes neither two votes nor a new one."""
    twice = (vote(), vote(record="019ca8ed-0000-7000-8000-000000000009", position=45))
    assert "quorum" in codes(decided(*twice, rules=ruled(approvals=2)))
    assert "already-used" in codes(decided(*twice, used=(vote(),)))


def test_a_copy_by_a_shared_key_makes_no_vote_worth_less() -> None:
    """The same document signed again, by a key that two people hold, does not take the first signature's place."""
    keys = (approver(ALICE), approver(ALICE, "SHA256:shared"), approver(BOB, "SHA256:shared"), approver(BOB))
    rules = ruled(approvals=2, approvers=keys)
    copy = vote(key="SHA256:shared")
    assert codes(decided(vote(), vote(BOB), rules=rules)) == set()
    assert codes(decided(copy, vote(), vote(BOB), rules=rules)) == set()


def test_a_forged_approval_is_refused() -> None:
    """Of a vote whose signature does not verify, nothing else is said."""
    assert codes(decided(vote(signed=False, subject=about(stack="x")))) == {"bad-signature", "no-approval"}


@pytest.mark.parametrize(
    "stranger",
    [vote("mallory@example.com"), vote(key="SHA256:other"), vote(ALICE, key=f"SHA256:{BOB}"), vote(ALICE.upper())],
)
def test_a_stranger_is_refused(stranger: object) -> None:
    """The principal and the key have to stand in one line of the approvers file."""
    assert codes(decided(stranger)) == {"unknown-approver", "no-approval"}  # type: ignore[arg-type]


def test_a_removed_key_is_refused() -> None:
    """Whoever was taken out of the file since approves nothing."""
    assert "unknown-approver" in codes(decided(vote(), rules=ruled(approvers=(approver(BOB),))))


def test_a_key_is_judged_at_the_time_of_the_store() -> None:
    """A key that expired after the approval still counts; one that expired before, or is valid only later, does not."""

    def with_key(**limits: int) -> set[str]:
        return codes(decided(vote(), rules=ruled(approvers=(approver(ALICE, **limits),))))

    at = vote().at
    assert with_key(valid_before=at) == set()
    assert with_key(valid_before=at - 1) == {"unknown-approver", "no-approval"}
    assert with_key(valid_after=at) == set()
    assert with_key(valid_after=at + 1) == {"not-yet-valid", "no-approval"}


def test_a_back_dated_approval_does_not_revive_a_key() -> None:
    """What the document claims of its own time does not count for the key."""
    rules = ruled(approvers=(approver(ALICE, valid_before=NOW - HOUR),))
    late = vote(made=NOW - HOUR, at=NOW - MINUTE)
    assert "unknown-approver" in codes(decided(late, rules=rules))


@pytest.mark.parametrize(
    ("identities", "names"),
    [
        ({}, {f"email:{ALICE}"}),
        ({}, {f"ssh:SHA256:{ALICE}"}),
        ({"alice": (f"email:{ALICE}", "github:583231")}, {"github:583231"}),
        ({"alice": (f"ssh:SHA256:{ALICE}", "os:al")}, {"os:al"}),
        ({"alice": (f"email:{ALICE}", "aws:arn:aws:iam::1:user/al")}, {"aws:arn:aws:iam::1:user/al", "github:9"}),
    ],
)
def test_approving_ones_own_is_refused_under_every_name(
    identities: dict[str, tuple[str, ...]], names: set[str]
) -> None:
    """Whoever asks, or wrote the change, is known by all of their names."""
    request = asks(identities=frozenset(names))
    rules = ruled(identities=identities)
    assert codes(decided(vote(), request=request, rules=rules)) == {"self-approval", "no-approval"}
    assert codes(decided(vote(), request=request, rules=replace(rules, allow_self_approval=True))) == set()


def test_a_key_that_is_listed_for_the_author_too_is_the_authors() -> None:
    """Whose hand held the shared key nobody can tell."""
    rules = ruled(approvers=(approver(ALICE), approver("author@example.com", f"SHA256:{ALICE}")))
    assert "self-approval" in codes(decided(vote(), rules=rules))


def test_an_unknown_actor_is_refused() -> None:
    """Who asks for the change has to be known, to be told from who approves it."""
    assert codes(decided(vote(), request=asks(identities=frozenset()))) == {"unknown-actor"}


def test_an_agents_change_needs_another_person_even_where_self_approval_is_allowed() -> None:
    """The person an agent acts for counts as the author of what it does."""
    request = asks(agent="claude", identities=frozenset({f"email:{ALICE}"}))
    rules = ruled(allow_self_approval=True)
    assert codes(decided(vote(), request=request, rules=rules)) == {"self-approval", "no-approval"}
    assert codes(decided(vote(BOB), request=request, rules=rules)) == set()
    assert codes(decided(vote(), request=request, rules=replace(rules, agents_need_person=False))) == set()


@pytest.mark.parametrize("name", ["agent:claude", "claude"])
def test_an_agent_approves_nothing(name: str) -> None:
    """A key that stands in the approvers file under an agent's name is no person's."""
    rules = ruled(approvers=(approver(name),))
    assert codes(decided(vote(name), request=asks(agent="claude"), rules=rules)) == {"agent-approval", "no-approval"}


@pytest.mark.parametrize("touched", [None, False])
def test_a_key_that_was_not_touched_is_refused_where_touch_is_required(touched: bool | None) -> None:
    """Neither a FIDO2 key without the flag nor any other key counts."""
    rules = ruled(require_touch=True)
    assert codes(decided(vote(touched=touched), rules=rules)) == {"no-touch", "no-approval"}
    assert codes(decided(vote(touched=True), rules=rules)) == set()


def test_a_rejection_stands_against_any_number_of_approvals() -> None:
    """One who may approve says no: nothing is applied until they take it back."""
    assert codes(decided(vote(), vote(BOB), vote(CAROL, kind="rejection"))) == {"rejected"}


def test_a_staged_rejection_counts() -> None:
    """A rejection need not wait for a commit to hold it."""
    staged = vote(CAROL, kind="rejection", position=None, made=NOW - 1, at=NOW)
    assert codes(decided(vote(), staged)) == {"rejected"}


@pytest.mark.parametrize(
    ("subject", "stands"),
    [
        ({}, True),
        ({"plan_record": OTHER}, True),
        ({"plan_record": OTHER, "serial": 6}, False),
        ({"plan_record": OTHER, "plan_sha256": hexes("new")}, True),
        ({"change_digest": hexes("else")}, False),
        ({"stack": "network/dev"}, False),
    ],
)
def test_a_rejection_is_held_against_the_same_changes(subject: dict[str, object], stands: bool) -> None:
    """Of the same stack; where the key to compare with is gone, a plan from the same state counts as the same."""
    decision = decided(vote(), vote(BOB, kind="rejection", subject=about(**subject)))
    assert codes(decision) == ({"rejected"} if stands else set())


def test_rejected_after_approved_by_the_same_person() -> None:
    """The last word of a person counts, and a later approval takes a rejection back."""
    early, late = {"made": NOW - 20 * MINUTE, "position": 41}, {"made": NOW - 10 * MINUTE, "position": 42}
    assert codes(decided(vote(**early), vote(kind="rejection", **late))) == {"rejected"}
    assert codes(decided(vote(kind="rejection", **early), vote(**late))) == set()
    assert codes(decided(vote(BOB), vote(kind="rejection", **early))) == {"rejected"}


def test_the_last_of_two_staged_words_counts() -> None:
    """Where no commit holds either, the person's own clock says which came last."""
    early = {"made": NOW - 20 * MINUTE, "position": None, "at": NOW}
    late = {"made": NOW - 10 * MINUTE, "position": None, "at": NOW}
    assert codes(decided(vote(**early), vote(kind="rejection", **late))) == {"rejected"}
    assert codes(decided(vote(kind="rejection", **early), vote(**late))) == set()
    assert codes(decided(vote(kind="rejection", **early), vote(BOB, **late))) == {"rejected"}


def test_an_earlier_approval_that_is_carried_in_again_takes_no_rejection_back() -> None:
    """Only an approval that the person signed after their rejection does."""
    rejection = vote(kind="rejection", made=NOW - 10 * MINUTE, position=42)
    replayed = vote(made=NOW - 20 * MINUTE, at=NOW - MINUTE, position=43)
    assert codes(decided(rejection, replayed)) == {"rejected"}


@pytest.mark.parametrize(
    "void",
    [
        vote("mallory@example.com", kind="rejection"),
        vote(BOB, kind="rejection", signed=False),
        vote(BOB, kind="rejection", expires=NOW - 1),
    ],
)
def test_a_rejection_that_means_nothing_does_not_block(void: object) -> None:
    """By a stranger, forged, or expired."""
    assert codes(decided(vote(), void)) == set()  # type: ignore[arg-type]


def test_a_rejection_that_was_made_unreadable_stands() -> None:
    """Erasing what the working store discloses of it takes nothing back."""
    decision = decide(REQUEST, RULES, (CLEAN,), view(vote(), undisclosed=("019ca8ed",)), NOW)
    assert codes(decision) == {"rejected"}


def test_a_quorum_counts_persons() -> None:
    """Two persons by two keys are two; the reason says how many are missing."""
    rules = ruled(approvals=2)
    short = decided(vote(), rules=rules)
    assert codes(short) == {"quorum"}
    assert "1 more" in short.reasons[-1].message
    assert codes(decided(vote(), vote(BOB), rules=rules)) == set()


def test_two_keys_of_one_person_count_once() -> None:
    """Whether they stand under one principal or under two names of one person."""
    keys = (approver(ALICE, "SHA256:one"), approver(ALICE, "SHA256:two"), approver("al@home.example", "SHA256:three"))
    rules = ruled(approvals=2, approvers=keys, identities={"alice": (f"email:{ALICE}", "email:al@home.example")})
    votes = (
        vote(key="SHA256:one", id="a"),
        vote(key="SHA256:two", id="b"),
        vote("al@home.example", key="SHA256:three", id="c"),
    )
    assert codes(decided(*votes, rules=rules)) == {"quorum"}


def test_one_key_that_is_listed_for_two_people_counts_once() -> None:
    """Whoever holds it could speak as both, even beside another key of one of the two."""
    shared = (approver(ALICE, "SHA256:one"), approver(BOB, "SHA256:one"), approver(ALICE, "SHA256:own"))
    rules = ruled(approvals=2, approvers=shared)
    both = (vote(ALICE, key="SHA256:one", id="a"), vote(BOB, key="SHA256:one", id="b"))
    assert codes(decided(*both, rules=rules)) == {"quorum"}
    beside = (vote(ALICE, key="SHA256:own", id="a"), vote(BOB, key="SHA256:one", id="b"))
    assert codes(decided(*beside, rules=rules)) == {"quorum"}


def test_each_rule_is_satisfied_by_its_own_groups() -> None:
    """Two approvals from a group are two members of it, and serve the gate's own number too."""
    finding = Finding(rule="data", severity="require", message="m", approvals=2, groups=("dba",))
    lacking = decided(vote(), vote(CAROL), evaluations=found(finding))
    assert (codes(lacking), lacking.required) == ({"quorum"}, 2)
    assert "dba" in lacking.reasons[-1].message
    assert codes(decided(vote(), vote(BOB), evaluations=found(finding))) == set()


def test_a_group_that_is_not_defined_has_no_members() -> None:
    """A misspelt group denies."""
    finding = Finding(rule="data", severity="require", message="m", approvals=1, groups=("dbas",))
    assert codes(decided(vote(), evaluations=found(finding))) == {"quorum"}


def test_without_an_approvers_file_nobody_can_approve() -> None:
    """No list denies, as an empty one does."""
    for approvers in (None, ()):
        assert "no-approvers" in codes(decided(vote(), rules=ruled(approvers=approvers)))


def test_record_only_asks_for_nobody() -> None:
    """With no approvals required and no rule that asks for any, the plan may be applied."""
    assert codes(decided(rules=ruled(approvals=0, approvers=None))) == set()


def test_nothing_to_change_needs_no_approval() -> None:
    """A plan without changes uses up no approval either."""
    decision = decided(vote(), request=asks(changes=False), rules=ruled(approvals=2))
    assert (codes(decision), decision.required, decision.counted) == (set(), 0, ())


def test_unbound_inputs_and_unknown_actions_deny() -> None:
    """What the plan does not say can't have been approved."""
    request = asks(unbound=("-state=elsewhere",), unknown_actions=("aws_x.y",))
    assert codes(decided(vote(), request=request)) == {"unbound-input", "unknown-action"}


def test_the_policy_has_to_have_been_evaluated_and_to_agree() -> None:
    """An error, no rule at all and a rule that forbids deny; a warning does not."""
    assert codes(decided(vote(), evaluations=found(error="timed out"))) == {"policy-error"}
    assert codes(decided(vote(), evaluations=found(rules=0))) == {"policy-error"}
    forbids = Finding(rule="r", severity="deny", message="two\nlines \x1b[31m", address="a.b")
    denied = decided(vote(), evaluations=found(forbids))
    assert codes(denied) == {"policy-deny"}
    assert "\x1b" not in denied.reasons[0].message
    assert codes(decided(vote(), evaluations=found(replace(forbids, severity="warn")))) == set()


def test_all_reasons_are_given() -> None:
    """Who mends one does not find the next by trying."""
    freeze = Freeze(name="f", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))
    decision = decided(
        vote(expires=NOW - 1, subject=about(serial=6)),
        vote(BOB, kind="rejection"),
        request=asks(unbound=("x",)),
        rules=ruled(freezes=(freeze,)),
        evaluations=found(Finding(rule="r", severity="deny", message="m")),
    )
    expected = {"expired", "state-moved", "rejected", "unbound-input", "freeze", "policy-deny", "no-approval"}
    assert codes(decision) == expected


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def test_a_freeze_that_straddles_daylight_saving_is_of_instants() -> None:
    """From before to after the change of clocks: what the wall clock shows twice, or never, does not matter."""
    rome = ZoneInfo("Europe/Rome")
    # In the night to 25 October 2026 02:30 comes twice: first at +02:00, then at +01:00.
    freeze = Freeze(
        name="dst",
        start=datetime(2026, 10, 25, 2, 30, tzinfo=rome),
        end=datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1))),
    )
    rules = ruled(freezes=(freeze,), approvals=0)
    for text, frozen in (
        ("2026-10-25T00:29:59+00:00", False),
        ("2026-10-25T00:30:00+00:00", True),
        ("2026-10-25T01:29:59+00:00", True),
        ("2026-10-25T01:30:00+00:00", False),
    ):
        assert codes(decided(rules=rules, now=_at(text))) == ({"freeze"} if frozen else set()), text


GLASS = ruled(
    approvals=2,
    break_glass=BreakGlass(groups=("on-call",), review_within=timedelta(hours=48)),
    pinned=PINNED,
    freezes=(Freeze(name="f", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC)),),
)
HURRY = asks(break_glass=True)
WORD = vote(CAROL, kind="break-glass")


def test_breaking_the_glass_goes_past_approvals_and_freezes() -> None:
    """It is marked, consumed as any vote, and somebody has to review it in time."""
    decision = decided(WORD, request=HURRY, rules=GLASS)
    assert (codes(decision), decision.break_glass, decision.counted) == (set(), True, (WORD,))
    assert decision.review_by == NOW + 48 * HOUR
    assert len(decision.warnings) == 2


def test_breaking_ones_own_glass_is_what_it_is_for() -> None:
    """Whoever is on call may be the one who acts; a software agent may not use its person's word."""
    mine = asks(break_glass=True, identities=frozenset({f"email:{CAROL}"}))
    assert codes(decided(WORD, request=mine, rules=GLASS)) == set()
    assert "self-approval" in codes(decided(WORD, request=replace(mine, agent="claude"), rules=GLASS))


def test_break_glass_is_not_marked_where_it_was_not_needed() -> None:
    """With all approvals and no freeze it is a usual run."""
    decision = decided(vote(), vote(BOB), WORD, request=HURRY, rules=replace(GLASS, freezes=()))
    assert (codes(decision), decision.break_glass, len(decision.counted)) == (set(), False, 2)


@pytest.mark.parametrize(
    ("word", "rules", "request_"),
    [
        (WORD, replace(GLASS, break_glass=None), HURRY),
        (WORD, replace(GLASS, pinned=None), HURRY),
        (WORD, GLASS, REQUEST),
        (WORD, GLASS, asks(break_glass=True, identities=frozenset())),
        (vote(ALICE, kind="break-glass"), GLASS, HURRY),
        (replace(WORD, made=NOW - HOUR, at=NOW - HOUR), GLASS, HURRY),
        (replace(WORD, signed=False), GLASS, HURRY),
        (replace(WORD, subject=about(change_digest=hexes("else"))), GLASS, HURRY),
        (vote(CAROL), GLASS, HURRY),
    ],
)
def test_break_glass_is_refused(word: object, rules: object, request_: object) -> None:
    """Not enabled, pinned or asked for, by nobody known, outside the group, an hour old, forged, for other changes."""
    assert not decided(word, request=request_, rules=rules).allowed  # type: ignore[arg-type]


def test_break_glass_is_used_once() -> None:
    """A second run needs a second word."""
    assert "already-used" in codes(decided(WORD, request=HURRY, rules=GLASS, used=(WORD,)))


@pytest.mark.parametrize(
    ("votes", "evaluations", "request_", "code"),
    [
        ((), found(Finding(rule="r", severity="deny", message="m")), HURRY, "policy-deny"),
        ((), None, HURRY, "policy-error"),
        ((vote(ALICE, kind="rejection"),), (CLEAN,), HURRY, "rejected"),
        ((), (CLEAN,), replace(HURRY, unbound=("x",)), "unbound-input"),
        ((), (CLEAN,), replace(HURRY, unknown_actions=("x",)), "unknown-action"),
    ],
)
def test_break_glass_overrides_nothing_else(votes: object, evaluations: object, request_: object, code: str) -> None:
    """Neither rules that forbid, nor a rejection, nor what nobody can know."""
    decision = decided(WORD, *votes, request=request_, rules=GLASS, evaluations=evaluations)  # type: ignore[misc,arg-type]
    assert codes(decision) == {code}


def test_a_fetched_review_counts_through_the_persons_names() -> None:
    """Where the rules take the platform's word and its reviewer is a person of the approvers file."""
    subject = replace(REQUEST.subject, commit="f00d")
    review = vote("github:583231", key="", source="github-review", subject=subject, position=None)
    rules = ruled(evidence=("github-review",), identities={"alice": (f"email:{ALICE}", "github:583231")})
    assert codes(decided(review, rules=rules)) == set()
    assert "unknown-approver" in codes(decided(review, rules=replace(rules, evidence=())))
    assert "unknown-approver" in codes(decided(review, rules=replace(rules, identities={})))
    stale = replace(review, subject=replace(subject, commit="beef"))
    assert "other-plan" in codes(decided(stale, rules=rules))
    assert "quorum" in codes(decided(review, vote(), rules=replace(rules, approvals=2)))
    assert codes(decided(replace(review, kind="rejection"), vote(BOB), rules=rules)) == {"rejected"}
    grouped = found(Finding(rule="data", severity="require", message="m", approvals=1, groups=("dba",)))
    assert codes(decided(review, rules=rules, evaluations=grouped)) == set()


def test_used_votes_for_other_plans_are_not_spoken_of() -> None:
    """After some weeks there are many; one that was for these very changes is worth a word."""
    old = vote(BOB, id="old", subject=about(change_digest=hexes("old"), plan_record=OTHER, serial=6))
    assert codes(decided(old, used=(old,))) == {"no-approval"}
    again = vote(BOB, id="again", subject=about(serial=6))
    assert codes(decided(again, used=(again,))) == {"already-used", "state-moved", "no-approval"}


def test_a_fetched_review_is_of_no_plan_file() -> None:
    """Where approvals are for the very file, what a platform knows of a commit is not enough."""
    review = vote("github:583231", key="", source="github-review", subject=REQUEST.subject, position=None)
    rules = ruled(
        evidence=("github-review",), identities={"alice": (f"email:{ALICE}", "github:583231")}, bind="planfile"
    )
    assert codes(decided(review, rules=rules)) == {"other-plan", "no-approval"}


def test_votes_for_old_plans_are_not_spoken_of_where_this_plan_has_some() -> None:
    """Only what stands between this plan and its apply is worth reading."""
    old = vote(BOB, id="old", subject=about(change_digest=hexes("old"), plan_record=PLANNED))
    assert codes(decided(old, vote(expires=NOW))) == {"expired", "no-approval"}
