"""Does the demo play its story to the end in an S3 of this machine's own?"""

from __future__ import annotations

import json

import pytest
import support

from tfaudit import schema

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("aws")]


def test_the_story_ends_with_what_verify_finds(project: support.Project) -> None:
    """Setup, two changes, an attack on the bucket: the history stands, and verify names both deeds."""
    story = project.folder / "story"
    done = project.tfaudit("demo", "--s3", "--json", "--folder", str(story))
    told = done.stderr
    assert told.index("update  applied") > told.index("aws s3 rm")
    assert "error deleted at records/" in told
    assert "error overwritten at records/" in told
    assert "correct-horse" not in told
    report = json.loads(done.stdout)
    schema.validate("demo.v1", report)
    assert report["folder"] == str(story.resolve())
    assert report["steps"][-1]["exit_code"] == 76
    assert sum("apply" in step["arguments"] for step in report["steps"]) == 2


def test_without_the_emulator_it_says_what_is_missing(project: support.Project, tmp_path_factory) -> None:
    """Where moto can't be imported: 69 and the command that installs it."""
    hiding = tmp_path_factory.mktemp("hiding")
    (hiding / "sitecustomize.py").write_text("import sys\nsys.modules['moto'] = None\n")
    project.environment["PYTHONPATH"] = str(hiding)
    done = project.tfaudit("demo", "--s3", "--folder", str(project.folder / "story"), code=69)
    assert "pip install 'moto[server]'" in done.stderr
