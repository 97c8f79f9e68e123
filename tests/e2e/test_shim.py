"""Called by the engine's name, tfaudit is the engine to everyone, and finds the real one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import support


def engine(folder: Path, name: str) -> Path:
    """Write an engine that says its name and arguments."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text('#!/bin/sh\necho "$0" "$@"\n')
    path.chmod(0o755)
    return path


def shim(folder: Path, name: str, *, how: str = "link") -> Path:
    """Put tfaudit there under an engine's name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    if how == "link":
        path.symlink_to(support.TFAUDIT)
    elif how == "links":
        (folder / "elsewhere").symlink_to(support.TFAUDIT)
        path.symlink_to("elsewhere")
    else:
        shutil.copy(support.TFAUDIT, path)
    return path


def run(program: Path | str, *args: str, path: list[Path], **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these folders first on PATH."""
    env = {"PATH": ":".join([*map(str, path), "/usr/bin", "/bin"]), "HOME": "/nonexistent", **environ}
    return subprocess.run([str(program), *args], capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.mark.parametrize("how", ["link", "links", "copy"])
@pytest.mark.parametrize("name", ["terraform", "tofu"])
def test_finds_the_engine_of_its_name_behind_itself(tmp_path: Path, name: str, how: str) -> None:
    """The engine of the shim's own name is run, never the shim again."""
    bin_folder, real = tmp_path / "bin", tmp_path / "real"
    program = shim(bin_folder, name, how=how)
    for other in ("terraform", "tofu"):
        engine(real, other)
    found = run(program, "validate", "-json", path=[bin_folder, real])
    assert (found.returncode, found.stdout) == (0, f"{real / name} validate -json\n")


@pytest.mark.parametrize("args", [[], ["-help"], ["--help"], ["-version"], ["--version"], ["log"], ["--config", "x"]])
def test_has_no_options_of_its_own(tmp_path: Path, args: list[str]) -> None:
    """No arguments, help, version and everything that tfaudit would understand are the engine's."""
    program = shim(tmp_path / "bin", "terraform")
    real = engine(tmp_path / "real", "terraform")
    found = run(program, *args, path=[tmp_path / "bin", tmp_path / "real"])
    assert found.stdout.split() == [str(real), *args]


def test_shims_of_both_names_beside_each_other(tmp_path: Path) -> None:
    """Where only the other engine is there, the shim doesn't take it for its own."""
    bin_folder = tmp_path / "bin"
    shim(bin_folder, "terraform")
    program = shim(bin_folder, "tofu")
    engine(tmp_path / "real", "terraform")
    found = run(program, "version", path=[bin_folder, tmp_path / "real"])
    assert found.returncode == 69


def test_named_engine_wins(tmp_path: Path) -> None:
    """TFAUDIT_ENGINE says which engine a shim runs."""
    program = shim(tmp_path / "bin", "terraform")
    real = engine(tmp_path / "real", "terraform-1.5")
    found = run(program, "version", path=[tmp_path / "bin"], TFAUDIT_ENGINE=str(real))
    assert found.stdout == f"{real} version\n"


@pytest.mark.engine
def test_real_engine_behind_the_shim(project: support.Project, tmp_path: Path) -> None:
    """With a real engine the shim's bytes are the engine's."""
    program = shim(tmp_path / "bin", "terraform")
    for args in ([], ["version"], ["-help"], ["validate", "-json"], ["bogus"]):
        expected = project.run_engine(*args, code=None)
        found = subprocess.run(
            [program, *args], capture_output=True, text=True, cwd=project.folder, env=project.environment, check=False
        )
        assert (found.returncode, found.stdout, found.stderr) == (
            expected.returncode,
            expected.stdout,
            expected.stderr,
        )
