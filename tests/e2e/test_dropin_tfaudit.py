"""Is tfaudit a drop-in: does each command look and end as the engine's own, but for times, ids and tfaudit's lines?"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import support
from dropin import cases
from dropin.cases import Case
from dropin.twin import Twin

pytestmark = pytest.mark.engine


@pytest.fixture
def twin(tmp_path: Path, engine: support.Engine) -> Twin:
    """The engine on PATH, and tfaudit set up with a ledger of its own."""
    environment = support.environment_for(tmp_path / "home", engine)
    tfaudit = str(support.TFAUDIT)
    return Twin(
        engine=str(engine.path),
        stand_in=(tfaudit,),
        root=tmp_path,
        environment=environment,
        prepare=((tfaudit, "setup", "--yes"),),
    )


@pytest.mark.parametrize("case", [*cases.PIPES, *cases.ARGUMENTS_BY_ENVIRONMENT], ids=lambda case: case.name)
def test_tfaudit_on_pipes(twin: Twin, case: Case) -> None:
    """On pipes, tfaudit's stdout, stderr and exit code are the engine's."""
    twin.same(case)


@pytest.mark.parametrize("case", cases.TERMINAL, ids=lambda case: case.name)
def test_tfaudit_on_a_terminal(twin: Twin, case: Case) -> None:
    """On a terminal, the screen and the exit code are the engine's."""
    twin.same(case, terminal=True)


@pytest.mark.parametrize("case", cases.TERMINAL, ids=lambda case: case.name)
def test_tfaudit_on_a_terminal_without_a_width(twin: Twin, case: Case) -> None:
    """Nor does it tell the two apart where a pseudo-terminal has no size, as in some CI systems."""
    twin.same(case, terminal=True, columns=0)


@pytest.mark.parametrize("case", cases.JSON, ids=lambda case: case.name)
def test_tfaudit_as_json(twin: Twin, case: Case) -> None:
    """With -json, the stream and the exit code are the engine's."""
    twin.same(case)


@pytest.mark.parametrize("case", cases.NO_PLAN, ids=lambda case: case.name)
@pytest.mark.parametrize("terminal", [False, True], ids=["pipes", "terminal"])
def test_what_is_no_plan_file(twin: Twin, case: Case, terminal: bool) -> None:
    """The engine says what is wrong with a saved plan that is none; it is not given the path to say it of."""
    twin.same(case, terminal=terminal)


def test_what_some_engine_could_take_for_a_plan_is_not_given_to_it(project: support.Project) -> None:
    """An archive without a state, or a remote plan's bookmark that is spelled otherwise."""
    project.write('output "o" { value = 1 }')
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    with zipfile.ZipFile(project.folder / "archive", "w") as archive:
        archive.writestr("tfplan", "")
    (project.folder / "bookmark").write_text(' {"x": {}, "Remote_plan_format": 1, "run_id": "run-1", "hostname": "h"}')
    for name in ("archive", "bookmark"):
        result = project.tfaudit("apply", name, code=65)
        assert result.stdout == ""
        assert "is not a plan file" in result.stderr
