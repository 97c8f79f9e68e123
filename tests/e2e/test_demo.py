"""Does the demo play its story to the end, and is what it says to type next to be typed?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import support

pytestmark = pytest.mark.engine


def test_the_story_ends_with_a_forgery_that_shows(project: support.Project) -> None:
    """In a folder with a space, tfaudit not on PATH: the commands it ends with work as they are printed."""
    parts = project.environment["PATH"].split(os.pathsep)
    project.environment["PATH"] = os.pathsep.join(part for part in parts if not (Path(part) / "tfaudit").exists())
    story = project.folder / "a story"
    told = project.tfaudit("demo", "--folder", str(story)).stdout
    assert "error altered-events at records/" in told
    assert "correct-horse" not in told
    (further,) = (line.removeprefix("$ ") for line in told.splitlines() if line.startswith("$ ") and "cd " in line)
    done = subprocess.run(
        ["/bin/sh", "-c", further.replace("&& tfaudit doctor", "| head -n 1")],
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("TIME (UTC)")
