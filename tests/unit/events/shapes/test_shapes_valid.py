"""Every document is valid in every schema: each kind of them, every plan of the corpus, whatever hypothesis makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from shapekit import (
    bodies,
    check_cloudevent,
    check_cloudtrail,
    check_ecs,
    check_ocsf,
    events_of,
    every_kind,
    wild_bodies,
)

from tfaudit.errors import InputError
from tfaudit.events import shapes
from tfaudit.plan.parse import read_plan

ROOT = Path(__file__).resolve().parents[4]
PLANS = sorted((*(ROOT.parent / "shared" / "corpus").glob("plan/*"), *ROOT.glob("fixtures/*/*.plan.json")))
KINDS = every_kind()
CHECKS = {"ocsf": check_ocsf, "ecs": check_ecs, "cloudtrail": check_cloudtrail, "cloudevents": check_cloudevent}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("body", KINDS.values(), ids=KINDS)
def test_every_kind_is_valid(body, check):
    """A document of every kind is valid in each schema."""
    check(body)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name[-70:])
def test_every_plan_is_valid(path):
    """Every event of every plan, foreign and our own, is valid in each schema."""
    try:
        events = list(events_of(read_plan(path.read_bytes())))
    except InputError:
        pytest.skip("no plan that can be read")
    for event in events:
        body = shapes.of_event(event)
        for check in CHECKS.values():
            check(body)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=150, deadline=None)
@given(body=bodies)
def test_whatever_is_drawn_is_valid(check, body):
    """No document that can be made is refused or comes out invalid."""
    check(body)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=150, deadline=None)
@given(body=wild_bodies)
def test_members_of_any_type_are_valid(check, body):
    """A record's key may have signed anything: a member of another type neither fails nor comes out invalid."""
    check(body)


def test_the_schemas_inside_a_cloudevent():
    """A CloudEvent can carry the document in either of the other schemas."""
    body = KINDS["change-update"]
    assert check_cloudevent(body, "ocsf")["data"]["class_uid"] == 6003
    assert check_cloudevent(body, "ecs")["data"]["event"]["id"] == body["id"]


def test_the_corpus_is_gone_through(corpus: Path) -> None:
    """The corpus, where it is present, is among the plans above."""
    assert len(list(corpus.glob("plan/*"))) > 150
    assert sum("corpus" in path.parts for path in PLANS) > 150
