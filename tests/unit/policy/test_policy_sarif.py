"""Tests of other scanners' findings."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policykit import hits, judged

from tfaudit.config.gating import PolicySettings
from tfaudit.policy import sarif

NOTHING = PolicySettings(defaults=False)


def log(*results, driver=None, **run):
    """Return a SARIF log of one run."""
    tool = {"driver": {"name": "Checkov", "version": "3.2.1", "rules": [{"id": "A"}, {"id": "B"}], **(driver or {})}}
    return {"version": "2.1.0", "$schema": "x", "runs": [{"tool": tool, "results": list(results), **run}]}


def result(rule="A", text="no", **more):
    """Return one result."""
    return {"ruleId": rule, "message": {"text": text}, "level": "error", **more}


def evaluated(folder, document):
    """Return what a document says."""
    path = folder / "results.sarif"
    path.write_text(json.dumps(document), "utf-8")
    return sarif.evaluate(path, redact=str)


def test_results_warn(tmp_path):
    """Rule, message and the resource that it names come over; the file's digest is told."""
    where = [{"logicalLocations": [{"fullyQualifiedName": "aws_s3_bucket.a"}]}]
    one = evaluated(tmp_path, log(result(text="not\n  encrypted", locations=where)))
    assert (one.engine, one.version, one.rules, one.error) == ("sarif", "Checkov 3.2.1", 2, None)
    assert one.digest == hashlib.sha256((tmp_path / "results.sarif").read_bytes()).hexdigest()
    (finding,) = one.findings
    assert (finding.rule, finding.severity, finding.message) == ("A", "warn", "not encrypted")
    assert finding.address == "aws_s3_bucket.a"


def test_a_file_stands_in_for_a_resource(tmp_path):
    """Where no resource is named, the file is."""
    where = [{"physicalLocation": {"artifactLocation": {"uri": "main.tf"}, "region": {"startLine": 3}}}]
    assert hits(evaluated(tmp_path, log(result(locations=where)))) == [("A", "main.tf")]


@pytest.mark.parametrize(
    "more", [{"level": "note"}, {"level": "none"}, {"kind": "pass"}, {"suppressions": [{"kind": "inSource"}]}]
)
def test_what_is_quiet_is_passed_over(tmp_path, more):
    """Notes, passed checks and suppressed results are no findings."""
    assert hits(evaluated(tmp_path, log(result(**more)))) == []


def test_a_clean_run_has_looked_at_something(tmp_path):
    """A scanner that lists only broken rules has not evaluated none."""
    assert evaluated(tmp_path, log(driver={"rules": []})).rules == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"version": "2.0.0", "runs": []},
        {"version": "2.1.0", "runs": []},
        {"version": "2.1.0", "runs": [{}]},
        {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": 3}}, "results": []}]},
        log(results=None),
        log({"message": 3}),
        log(invocations=[{"executionSuccessful": False}]),
    ],
)
def test_what_is_no_finished_scan_denies(tmp_path, document):
    """Another format, and a scanner that did not finish, are errors."""
    one = evaluated(tmp_path, document)
    assert one.error is not None
    assert (one.findings, one.rules) == ((), 0)


def test_a_pipe_is_refused(tmp_path):
    """A FIFO is not waited for."""
    os.mkfifo(tmp_path / "x.sarif")
    assert "is not a file" in (sarif.evaluate(tmp_path / "x.sarif", redact=str).error or "")


def test_control_characters_are_spelled_out(tmp_path):
    """What a scanner says can't steer a terminal."""
    (finding,) = evaluated(tmp_path, log(result(rule="\x1b[31m", text="a\u202eb"))).findings
    assert finding.rule == "\\x1b[31m"
    assert finding.message == "a\\u202eb"


def test_very_many_results_are_limited(tmp_path):
    """Beyond a limit only the number is told."""
    one = evaluated(tmp_path, log(*(result(text=f"{number}") for number in range(600))))
    assert len(one.findings) == sarif.MAX_FINDINGS + 1
    assert one.findings[-1].message == "and 100 more"


def test_the_plans_secrets_are_taken_out_of_what_a_scanner_says(tmp_path):
    """Rule, message, resource and tool, and before anything is cut off: half a secret would not be found."""
    where = [{"logicalLocations": [{"fullyQualifiedName": 'aws_x.a["hunter2"]'}]}]
    said = result(rule="hunter2", text="x" * 5000 + " hunter2", locations=where)
    path = tmp_path / "results.sarif"
    path.write_text(json.dumps(log(said, driver={"version": "hunter2"})))
    one = sarif.evaluate(path, redact=lambda text: text.replace("hunter2", "[redacted]").replace("x" * 5000, "long"))
    (finding,) = one.findings
    assert (finding.rule, finding.message, finding.address) == (
        "[redacted]",
        "long [redacted]",
        'aws_x.a["[redacted]"]',
    )
    assert one.version == "Checkov [redacted]"


def test_evidence_stands_beside_the_policy(tmp_path):
    """A file given with --evidence is an evaluation of its own."""
    (tmp_path / "a.sarif").write_text(json.dumps(log(result())))
    found = judged(NOTHING, evidence=(tmp_path / "a.sarif", tmp_path / "b.sarif"))
    assert [one.error is None for one in found] == [True, False]


@given(st.binary(max_size=200))
def test_any_bytes_are_sarif_or_an_error(tmp_path_factory, data):
    """No file makes it fail in another way."""
    path = tmp_path_factory.mktemp("x") / "x.sarif"
    path.write_bytes(data)
    assert sarif.evaluate(path, redact=str).error is not None
