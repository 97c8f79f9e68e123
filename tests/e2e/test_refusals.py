"""What the engine refuses, it refuses itself, and a command line that tfaudit can't read changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import support

from tfaudit.engine import argv, process
from tfaudit.engine.scratch import Scratch
from tfaudit.engine.signals import Relay

pytestmark = pytest.mark.engine

CONFIGURATION = 'resource "terraform_data" "a" { input = "x" }\n'


@pytest.fixture
def relay() -> Iterator[Relay]:
    """The signals of a run."""
    with Relay() as relay:
        yield relay


def probe(project: support.Project, relay: Relay, *args: str, **environ: str) -> bytes:
    """Return what the engine says to the probe of a command line, nothing if it needs none."""
    env = {**project.environment, **environ}
    invocation = argv.parse([f"-chdir={project.folder}", *args], env)
    assert invocation.refusal is not None
    call = argv.probe_call(invocation, env)
    if call is None:
        return b""
    found = process.capture([str(project.engine.path)], call, relay=relay, limit=1 << 20)
    assert found.ended.code == 1
    return found.stdout + found.stderr


@pytest.mark.parametrize(
    "line",
    [
        "apply -auto-approve -bogus",
        "apply -bogus=1 -auto-approve",
        "apply -auto-approve -lock=maybe",
        "apply -auto-approve -parallelism=many",
        "apply -auto-approve -lock-timeout=soon",
        "apply -auto-approve -target",
        "apply -auto-approve one two",
        "apply -auto-approve ---x",
        "apply -json",
        "plan extra",
        "plan -bogus",
        "destroy -auto-approve -destroy",
        "destroy -auto-approve some.tfplan",
        "-input=false apply -auto-approve",
    ],
)
def test_what_the_engine_refuses(project: support.Project, relay: Relay, line: str) -> None:
    """The engine refuses the probe without reaching the guard, so the typed line, and nothing changes by either."""
    project.write(CONFIGURATION)
    assert argv.GUARD.encode() not in probe(project, relay, *line.split())
    assert project.run_engine(*line.split(), code=None).returncode != 0
    assert not (project.folder / "terraform.tfstate").exists()


def test_unsplittable_variable(project: support.Project, relay: Relay) -> None:
    """The engine reports the variable that can't be split."""
    project.write(CONFIGURATION)
    said = probe(project, relay, "apply", "-auto-approve", TF_CLI_ARGS="'x")
    assert b"TF_CLI_ARGS" in said
    assert argv.GUARD.encode() not in said


@pytest.mark.parametrize("option", ["-auto-approve", "-target=x", "-target"])
def test_an_option_that_only_the_engine_knows(project: support.Project, relay: Relay, option: str) -> None:
    """If the engine knows the option that we can't read, the guard stops it, whether it takes a value or not."""
    project.write(CONFIGURATION)
    words = (f"-chdir={project.folder}", "apply", "-auto-approve", option, argv.GUARD, argv.GUARD)
    call = argv.Call(args=words, env=project.environment)
    found = process.capture([str(project.engine.path)], call, relay=relay, limit=1 << 20)
    assert found.ended.code == 1
    assert argv.GUARD.encode() in found.stdout + found.stderr
    assert not (project.folder / "terraform.tfstate").exists()


def test_the_chain_of_calls(project: support.Project, relay: Relay) -> None:
    """Plan, show, apply and state pull by one sealed file come to a state with a serial."""
    project.write(CONFIGURATION)
    engine = [str(project.engine.path)]
    env = project.environment
    invocation = argv.parse([f"-chdir={project.folder}", "apply", "-auto-approve"], env)
    lines: list[bytes] = []
    with Scratch("plan") as plan, Scratch("json") as shown:
        planned = process.capture(
            engine, argv.plan_call(invocation, env, out=plan.path), relay=relay, limit=1 << 20, pass_fds=plan.fds
        )
        plan.seal()
        before = plan.digest()
        call = argv.show_call(invocation, env, plan_file=plan.path)
        process.capture(engine, call, relay=relay, limit=1 << 20, into=shown.fd, pass_fds=plan.fds)
        call = argv.apply_call(invocation, env, plan_file=plan.path, json=True)
        applied = process.run_lines(engine, call, relay=relay, on_line=lines.append, pass_fds=plan.fds)
        assert plan.digest() == before
        assert shown.size > 100
    state = process.capture(engine, argv.state_pull_call(invocation, env), relay=relay, limit=1 << 20)
    assert (planned.ended.code, applied.code, state.ended.code) == (0, 0, 0)
    assert any(b"apply_complete" in line for line in lines)
    assert b'"serial": 1' in state.stdout


@pytest.mark.parametrize("folder", ["nowhere", "main.tf"])
@pytest.mark.parametrize("command", ["plan", "apply -auto-approve", "refresh", "apply some.plan"])
def test_a_folder_that_is_none_is_told_of_by_the_engine(project: support.Project, folder: str, command: str) -> None:
    """With -chdir to no folder, all is the engine's own."""
    project.write(CONFIGURATION)
    line = (f"-chdir={folder}", *command.split())
    bare, own = project.run_engine(*line, code=1), project.tfaudit(*line, code=1)
    assert (own.stdout, own.stderr) == (bare.stdout, bare.stderr)
    assert "chdir" in own.stderr
