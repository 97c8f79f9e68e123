"""Is the Terraform that comes as a Python package an engine like any other?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import support

from tfaudit.engine import find
from tfaudit.errors import UnavailableError


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No engine on PATH, but the like of another Python under the name of ours."""
    try:
        find.command({"PATH": "/nonexistent"}, name=None, own=str(support.TFAUDIT))
    except UnavailableError:
        pytest.skip("there is no embedded engine here")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    for program in (name, Path(sys.executable).name):
        (other / "bin" / program).touch(0o755)
    (other / "lib" / name / "lib-dynload").mkdir(parents=True)
    (other / "lib" / name / "os.py").touch()
    path = os.pathsep.join([str(other / "bin"), "/usr/bin", "/bin"])
    return {"PATH": path, "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"}


def test_another_python_on_path_is_not_taken(environment: dict[str, str], tmp_path: Path) -> None:
    """Neither where the engine takes over the process, nor where it is a child."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "main.tf").write_text('resource "terraform_data" "a" {}\n')

    def run(*words: str) -> str:
        done = subprocess.run(
            [support.TFAUDIT, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("version").startswith("Terraform v")
    run("setup", "--yes")
    assert "Apply complete! Resources: 1 added" in run("apply", "-auto-approve", "-no-color")
