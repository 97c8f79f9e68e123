"""Is tfaudit a drop-in: does each command look and end as the engine's own, but for times, ids and tfaudit's lines?"""

from __future__ import annotations

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


@pytest.mark.parametrize("case", cases.JSON, ids=lambda case: case.name)
def test_tfaudit_as_json(twin: Twin, case: Case) -> None:
    """With -json, the stream and the exit code are the engine's."""
    twin.same(case)


def test_what_is_no_plan_file_is_refused_by_tfaudit(project: support.Project) -> None:
    """A saved plan that is none is refused before the engine sees it: by then another file might be at its path."""
    project.write('output "o" { value = 1 }')
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    result = project.tfaudit("apply", "main.tf", code=65)
    assert result.stdout == ""
    assert result.stderr.startswith("tfaudit: ")
    assert "is not a plan file" in result.stderr
