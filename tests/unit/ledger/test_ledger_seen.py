"""Whether what approvers saw is what the intent is going to do: by leaf, event root, and the events themselves."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "runs"))

from gatedplan import CHANGES, Place, change
from votekit import WORD, plain

from tfaudit.gate import document
from tfaudit.ledger import seen
from tfaudit.runs import ledgers, planrecord

NOW = 2**41


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A new ledger."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return Place(tmp_path / "project")


def vote_on(place, record_id, **subject):
    """Return a vote on a plan's record."""
    with place.view() as view:
        found = planrecord.find(view, record_id, "plan", cwd=place.folder)
    word = replace(WORD, subject=replace(found.subject, **subject))
    return document.vote_of(plain(word), at=1, position=0)


def objections(place, votes, intent):
    """Return why the votes are not about what the intent does."""
    line = place.reader().find(intent).line
    objection = seen.objections(place.reader(), line, now=NOW)
    return [why for vote in votes if (why := objection(vote)) is not None]


def test_the_same_events_are_what_was_seen(place):
    """Whoever planned, and however often."""
    plan = place.planned()
    assert (
        objections(place, [vote_on(place, plan), vote_on(place, place.planned())], place.planned(kind="intent")) == []
    )


def test_other_events_are_objected_to(place):
    """With the resource that is another one."""
    other = change("aws_x.web", before={"size": 1}, after={"size": 200})
    (said,) = objections(place, [vote_on(place, place.planned())], place.planned(other, CHANGES[1], kind="intent"))
    assert "of aws_x.web something else was shown than is to be done" in said


@pytest.mark.parametrize("name", ["leaf", "event_root"])
def test_another_record_of_the_same_id_is_objected_to(place, name):
    """The vote names leaf and event root: the log's record must be that one."""
    vote = vote_on(place, place.planned(), **{name: "0" * 64})
    (said,) = objections(place, [vote], place.planned(kind="intent"))
    assert "what was shown is not what that plan's record holds" in said


def test_a_record_that_is_not_there_is_objected_to(place):
    """Nobody can tell what was shown."""
    vote = vote_on(place, place.planned(), plan_record="01938b5c-1111-7aaa-8bbb-0123456789ab")
    (said,) = objections(place, [vote], place.planned(kind="intent"))
    assert "the ledger has no record 01938b5c-1111-7aaa-8bbb-0123456789ab" in said


def test_a_staged_record_is_looked_at(place):
    """A plan that no commit holds yet was shown all the same."""
    staged = place.planned(ledger=ledgers.open_ledger(place.config, place.world, stage_only=True))
    vote = vote_on(place, staged)
    intent = place.planned(kind="intent")
    assert objections(place, [vote], intent) == []


def test_drift_counts_where_nothing_else_is_done(place):
    """A refresh writes what was found: it must be what was shown."""
    nothing = {"plan": {"sha256": "0" * 64, "counts": {"drift": 1}}}
    vote = vote_on(place, place.planned(drift=CHANGES[:1]))
    others = [place.planned(kind="intent", drift=drift) for drift in (CHANGES[:1], CHANGES[1:])]
    assert [objections(place, [vote], intent) for intent in others] == [[], []]
    others = [place.planned(kind="intent", said=nothing, drift=drift) for drift in (CHANGES[:1], CHANGES[1:])]
    assert [len(objections(place, [vote], intent)) for intent in others] == [0, 1]


def test_a_platforms_word_saw_no_record(place):
    """It is about a commit."""
    vote = replace(vote_on(place, place.planned()), subject=replace(WORD.subject, plan_record=""))
    assert objections(place, [vote], place.planned(change("aws_x.y", ("create",), after={"a": 1}), kind="intent")) == []


def test_altered_events_can_not_be_compared(place):
    """What is no longer what was signed is no ground for anything; other votes may be."""
    plan = place.planned()
    vote = vote_on(place, plan)
    path = next(Path(place.config.ledger).rglob(f"{plan}.jsonl"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"mode":"managed"', b'"mode":"manager"'))
    intent = place.planned(kind="intent")
    (said,) = objections(place, [vote], intent)
    assert said.startswith("what was shown can't be read: ")
