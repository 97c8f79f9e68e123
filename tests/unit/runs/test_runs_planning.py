"""Whether a plan has anything to apply, by the engine's word or, where it gives none, by what is in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "export"))

from readkit import change

from tfaudit.plan.parse import read_plan
from tfaudit.plan.redact import Redactor
from tfaudit.runs.planning import Planned

WEB = change("aws_x.web", before={"size": 1}, after={"size": 2})
SAME = change("aws_x.web", ("no-op",), before={"size": 1}, after={"size": 1})


def planned(*, changes=(), drift=(), may_refresh=False, **said):
    """Return what is known of a plan."""
    document = {"format_version": "1.2", "resource_changes": list(changes), "resource_drift": list(drift), **said}
    plan = read_plan(json.dumps(document).encode())
    return Planned(sha256="0" * 64, file=None, plan=plan, problem=None, may_refresh=may_refresh, redactor=Redactor())


@pytest.mark.parametrize("said", [True, False])
def test_the_engines_word_counts(said):
    """Whatever is in it: the engine knows its plan."""
    assert planned(changes=[WEB], applyable=said).applyable is said
    assert planned(drift=[WEB], may_refresh=True, applyable=said).applyable is said


def test_without_its_word_changes_count():
    """OpenTofu, and Terraform before 1.7, say nothing."""
    assert planned(changes=[WEB]).applyable
    assert not planned(changes=[SAME]).applyable
    assert not planned().applyable


def test_without_its_word_drift_counts_where_the_state_may_be_all_that_changes():
    """apply -refresh-only would write it, ungated and unasked; an ordinary plan is not about it."""
    assert planned(changes=[SAME], drift=[WEB], may_refresh=True).applyable
    assert not planned(changes=[SAME], drift=[WEB]).applyable


def test_what_nobody_looked_into_is_not_applyable():
    """There is no plan to tell by."""
    assert not Planned(sha256=None, file=None, plan=None, problem="none", redactor=Redactor()).applyable


def test_the_gate_does_not_take_the_word_that_there_is_nothing_to_apply():
    """That word stands in a plan file, which somebody may have written; so do the changes."""
    assert planned(changes=[WEB], applyable=False).may_change
    assert planned(drift=[WEB], may_refresh=True, applyable=True).may_change
    assert not planned(changes=[SAME], applyable=False).may_change
