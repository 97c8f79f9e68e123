"""A command that isn't audited is the engine's: same process, same bytes, same exit code."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import support

CONFIGURATION = """\
variable "n" { default = "x" }
resource "terraform_data" "a" { input = var.n }
output "n" { value = terraform_data.a.input }
"""


def fake_engine(folder: Path, script: str, name: str = "terraform") -> Path:
    """Write an engine that is a shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run tfaudit in a clean environment."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environ}
    command = [str(support.TFAUDIT), *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.mark.engine
@pytest.mark.parametrize(
    "line",
    [
        "version",
        "version -json",
        "-version",
        "-help",
        "apply -help",
        "validate",
        "validate -json",
        "fmt -check -diff",
        "fmt -bogus",
        "bogus",
        "output",
        "output -json",
        "show -no-color",
        "state list",
        "state bogus",
        "workspace list",
        "-chdir=missing validate",
        "-chdir=sub validate",
        "graph",
        "providers",
    ],
)
def test_same_as_the_engine(project: support.Project, line: str) -> None:
    """Exit code, stdout and stderr are the engine's."""
    project.write(CONFIGURATION + "locals {\n a=1\n}\n")
    project.write("", "sub/main.tf")
    expected = project.run_engine(*line.split(), code=None)
    found = project.tfaudit(*line.split(), code=None)
    assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)


@pytest.mark.engine
def test_init_without_a_backend(project: support.Project) -> None:
    """An everyday init passes through."""
    project.write(CONFIGURATION)
    assert "successfully initialized" in project.tfaudit("init", "-no-color").stdout


@pytest.mark.engine
def test_stdin_is_the_engines(project: support.Project) -> None:
    """What is piped in reaches the engine."""
    project.write(CONFIGURATION)
    assert project.tfaudit("console", input="1 + 2\n").stdout == "3\n"


def test_it_is_the_same_process(tmp_path: Path) -> None:
    """The engine takes tfaudit's place: its process id is the one that was started."""
    engine = fake_engine(tmp_path, "echo $$")
    env = {"TFAUDIT_ENGINE": str(engine), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([support.TFAUDIT, "version"], stdout=subprocess.PIPE, env=env)
    stdout, _ = process.communicate(timeout=60)
    assert int(stdout) == process.pid


def test_arguments_and_environment_arrive_as_they_are(tmp_path: Path) -> None:
    """Awkward words and bytes that are no text reach the engine unchanged; only the marker is new."""
    engine = fake_engine(tmp_path, 'printf "%s|" "$@"; env')
    words = ["fmt", "a b", "", "é", "\udcff", "--reason", "'\"\n"]
    command = [os.fsencode(word) for word in [str(support.TFAUDIT), *words]]
    env = {"TFAUDIT_ENGINE": str(engine), "X": "a b", "PATH": "/usr/bin:/bin"}
    stdout = subprocess.run(command, capture_output=True, env=env, timeout=60, check=True).stdout
    assert stdout.startswith(os.fsencode("|".join(words) + "|"))
    seen = {line.partition(b"=")[0] for line in stdout.rpartition(b"|")[2].splitlines()}
    assert seen - {b"PWD", b"SHLVL", b"_", b"OLDPWD"} == {b"TFAUDIT_ENGINE", b"X", b"PATH", b"TFAUDIT_WRAPPER"}


def test_broken_pipe_is_the_engines(tmp_path: Path) -> None:
    """SIGPIPE, which Python ignores, is the default again for the engine."""
    engine = fake_engine(tmp_path, "kill -PIPE $$; echo survived")
    found = run("version", TFAUDIT_ENGINE=str(engine))
    assert (found.returncode, found.stdout) == (-13, "")


def test_own_options_are_taken_off(tmp_path: Path) -> None:
    """tfaudit's own options before the command aren't the engine's; after it they are."""
    engine = fake_engine(tmp_path, 'echo "$@"')
    found = run("--reason", "because", "-v", "fmt", "--reason", "x", TFAUDIT_ENGINE=str(engine))
    assert found.stdout == "fmt --reason x\n"


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """On the way to the engine only a handful of small modules is loaded."""
    engine = fake_engine(tmp_path, "exit 0")
    code = "import sys; sys.argv = ['tfaudit', 'version']; from tfaudit.entry import main; main()"
    env = {"TFAUDIT_ENGINE": str(engine), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-X", "importtime", "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=True).stderr
    loaded = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    ours = {"tfaudit"} | {f"tfaudit.{name}" for name in ("entry", "engine")}
    ours |= {f"tfaudit.engine.{name}" for name in ("commands", "find", "handover", "words")}
    assert {name for name in loaded if name.split(".")[0] == "tfaudit"} == ours
    assert not loaded & {"typing", "pathlib", "re", "dataclasses", "subprocess", "click", "msgspec", "cryptography"}


def test_no_engine(tmp_path: Path) -> None:
    """Without an engine it ends with 69 and says what to do."""
    found = run("version", TFAUDIT_ENGINE=str(tmp_path / "missing"))
    assert found.returncode == 69
    assert found.stderr.startswith("tfaudit: no engine found")


def test_an_engine_that_does_not_start(tmp_path: Path) -> None:
    """A program of another machine ends with 69, not with a traceback."""
    engine = fake_engine(tmp_path, "")
    engine.write_bytes(b"\x7fELF nonsense")
    found = run("version", TFAUDIT_ENGINE=str(engine))
    assert found.returncode == 69
    assert "can't be started" in found.stderr


@pytest.mark.parametrize("how", ['exec {tfaudit} "$@"', '{tfaudit} "$@"; exit $?', '{tfaudit} -chdir=. "$@"'])
def test_a_wrapper_of_ourselves_does_not_loop(tmp_path: Path, how: str) -> None:
    """An engine that is a script around tfaudit stops with 70, however it calls it."""
    script = how.format(tfaudit=shlex.quote(str(support.TFAUDIT)))
    fake_engine(tmp_path, script)
    found = run("version", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert found.returncode == 70
    assert "TFAUDIT_ENGINE" in found.stderr


def test_tfaudit_inside_a_provisioner_is_no_loop(tmp_path: Path) -> None:
    """An engine that runs tfaudit for something else goes on."""
    tfaudit = shlex.quote(str(support.TFAUDIT))
    fake_engine(tmp_path, f'if [ "$1" = graph ]; then {tfaudit} version; else echo inner "$@"; fi')
    found = run("graph", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (found.returncode, found.stdout) == (0, "inner version\n")
