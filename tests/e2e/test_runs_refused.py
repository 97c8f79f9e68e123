"""An apply that the engine refuses takes no change of others upon itself."""

from __future__ import annotations

import json

import pytest
import support

pytestmark = pytest.mark.engine
ONE = 'resource "terraform_data" "one" {{\n  input = "{}"\n}}\n'


def test_a_stale_plan_hides_no_unrecorded_change(project: support.Project) -> None:
    """A change past tfaudit between a plan and its refused apply is found by verify all the same."""
    project.write(ONE.format("first"))
    project.tfaudit("setup", "--yes")
    project.tfaudit("apply", "-auto-approve")
    project.write(ONE.format("second"))
    project.tfaudit("plan", "-out=saved")
    project.write(ONE.format("third"))
    project.run_engine("apply", "-auto-approve")
    refused = project.tfaudit("apply", "-no-color", "saved", code=1)
    assert "Saved plan is stale" in refused.stderr
    report = json.loads(project.tfaudit("verify", "--json", code=76).stdout)
    assert [finding["code"] for finding in report["findings"]] == ["unrecorded-change"]
