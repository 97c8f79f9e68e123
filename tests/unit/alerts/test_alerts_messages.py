"""Which facts an alert tells of, and in which words."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import schema
from tfaudit.alerts import facts, message, rules
from tfaudit.alerts.facts import Subject
from tfaudit.alerts.widening import Widening
from tfaudit.config.delivering import AlertSettings

SUBJECT = Subject(
    run_id="01a21112-3dbc-7ed0-a720-1cdfa670e3cb",
    stack="example.test/team/project",
    workspace="default",
    command="apply",
    actor="github:583231",
    level="verified",
    agent="claude-code",
    commit="4f" * 20,
    record_id="01a21112-3f9f-73b5-99da-071eab541378",
    origin="tfaudit/p",
    position=12,
    counts="2 to create, 1 to delete",
)


def _alert(**settings: object) -> AlertSettings:
    return AlertSettings(**{"name": "ops", "to": ("env:HOOK",), **settings})  # type: ignore[arg-type]


def test_a_message_says_who_did_what_where_and_what_shows_more() -> None:
    """The whole text, as a person reads it."""
    destroys = facts.destroys(SUBJECT, ["aws_db_instance.a", 'aws_iam_user.u["bob@example.com"]'], 14)
    widening = Widening(address="aws_security_group.web", why=("ingress from anywhere",), certain=True)
    told = message.compose(SUBJECT, [destroys, facts.widens(SUBJECT, [widening])])
    assert told.title == "tfaudit: widening on example.test/team/project"
    assert told.events == ("widening", "destroy")
    assert told.text.splitlines() == [
        "Widens access in 1 resource",
        "- aws_security_group.web: ingress from anywhere",
        "Destroys 14 resources",
        "- aws_db_instance.a",
        '- aws_iam_user.u["…"]',
        "- and 12 more",
        "who: github:583231 (verified), by the agent claude-code",
        "stack: example.test/team/project, workspace default",
        "apply: 2 to create, 1 to delete",
        f"run: {SUBJECT.run_id}, commit {SUBJECT.commit}",
        f"record: {SUBJECT.record_id} at 12 of tfaudit/p",
        f"more: tfaudit inspect {SUBJECT.run_id}",
    ]


@pytest.mark.parametrize(
    ("fact", "urgency"),
    [
        (facts.break_glass(SUBJECT, None), "failure"),
        (facts.unrecorded("records/x"), "failure"),
        (facts.unverified([("gap", 1)], ["commits/1"], digest="0"), "failure"),
        (facts.logging_failure("sink a: refused 3 documents", key="a"), "failure"),
        (facts.destroys(SUBJECT, [], 1), "warning"),
        (facts.denied(SUBJECT, ["quorum"], None), "warning"),
        (facts.first_time(SUBJECT, "k", whole=True, looked=3), "info"),
        (facts.outside_hours(SUBJECT, "07:00-19:00"), "info"),
    ],
)
def test_each_kind_has_its_urgency(fact: facts.Fact, urgency: str) -> None:
    """In apprise's words, which colour it."""
    told = message.compose(SUBJECT, [fact])
    assert told.urgency == urgency
    schema.validate("alert.v1", told.to_json())


def test_a_broken_glass_comes_first() -> None:
    """Whatever else is told with it."""
    told = message.compose(
        SUBJECT, [facts.denied(SUBJECT, [], None), facts.break_glass(SUBJECT, "2026-11-27 12:00 UTC")]
    )
    assert told.title.startswith("tfaudit: break-glass")
    assert told.text.startswith("BREAK-GLASS apply goes past approvals and freezes, to be reviewed by 2026-11-27")


@given(st.text(max_size=300))
def test_a_text_from_outside_can_neither_call_nor_link_nor_format(text: str) -> None:
    """One printable line without markup, mentions or links, however it is made."""
    line = facts.shown(text)
    assert len(line) <= 200
    assert "\n" not in line
    assert not set("<>`") & set(line)
    assert "://" not in line
    assert "@everyone" not in line.lower()
    assert "@here" not in line.lower()


@given(st.lists(st.text(min_size=1, max_size=50), max_size=60))
def test_a_message_is_never_too_long(addresses: list[str]) -> None:
    """The usual targets would cut it, or refuse it."""
    found = [facts.destroys(SUBJECT, addresses, len(addresses)) for _ in range(30)]
    assert len(message.compose(SUBJECT, found).text) <= message.MAX_TEXT


def test_an_alert_tells_of_what_it_asks_for() -> None:
    """By ``on``, with ``destroys`` as the least number."""
    found = [facts.destroys(SUBJECT, [], 4), facts.denied(SUBJECT, [], None)]
    assert rules.chosen(_alert(destroys=5), found) == (found[1],)
    assert rules.chosen(_alert(destroys=4, on=("destroy",)), found) == (found[0],)
    assert rules.chosen(_alert(on=()), found) == ()


def test_an_expression_is_its_own_alert_s_business() -> None:
    """Though two files give two alerts the same name."""
    mine, other = _alert(when="true", on=()), _alert(when="false", on=())
    found = [facts.matched(rules.ident(mine), mine.name, "r", "intent", [], 0)]
    assert rules.chosen(mine, found) == tuple(found)
    assert rules.chosen(other, found) == ()


@pytest.mark.parametrize(
    ("hours", "at", "is_outside"),
    [
        ("07:00-19:00", "2026-11-25T07:00", False),
        ("07:00-19:00", "2026-11-25T18:59", False),
        ("07:00-19:00", "2026-11-25T19:00", True),
        ("07:00-19:00", "2026-11-25T06:59", True),
        ("07:00-19:00", "2026-11-28T12:00", True),
        ("22:00-06:00", "2026-11-27T23:00", False),
        ("22:00-06:00", "2026-11-28T05:00", False),
        ("22:00-06:00", "2026-11-28T23:00", True),
        ("22:00-06:00", "2026-11-30T05:00", True),
        ("22:00-06:00", "2026-11-25T12:00", True),
        ("00:00-00:00", "2026-11-25T03:00", False),
        ("00:00-00:00", "2026-11-29T03:00", True),
    ],
)
def test_usual_hours_are_those_of_a_working_week(hours: str, at: str, is_outside: bool) -> None:
    """A night that begins on Friday belongs to Friday, one that ends on Monday to Sunday."""
    assert rules.is_outside(hours, datetime.fromisoformat(at)) is is_outside


def test_a_summary_counts_what_was_held_back() -> None:
    """One message in place of fifty."""
    told = message.summary("ops", ["tfaudit: denied on a"] * 49 + ["tfaudit: destroy on b"], "12:00", "12:10")
    assert told.title == "tfaudit: 50 alerts in summary"
    schema.validate("alert.v1", told.to_json())
    assert "- 49 of tfaudit: denied on a" in told.text
