"""Does the renderer give what the engine would have printed itself? Real engines decide, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
import support
from dropin import cases
from dropin.cases import Case
from dropin.twin import Twin, halves

pytestmark = pytest.mark.engine


@pytest.fixture
def twin(tmp_path: Path, engine: support.Engine) -> Twin:
    """The engine on PATH, and an apply in two halves of it."""
    path = str(engine.path)
    environment = support.environment_for(tmp_path / "home", engine)
    return Twin(engine=path, stand_in=halves(path), root=tmp_path, environment=environment)


@pytest.mark.parametrize("case", cases.PIPES, ids=lambda case: case.name)
def test_halves_on_pipes(twin: Twin, case: Case) -> None:
    """On pipes, plan text and rendered stream are what the engine prints in one run."""
    twin.same(case)


@pytest.mark.parametrize("case", cases.TERMINAL, ids=lambda case: case.name)
def test_halves_on_a_terminal(twin: Twin, case: Case) -> None:
    """On a terminal, plan text and rendered stream are what the engine prints in one run, at the terminal's width."""
    twin.same(case, terminal=True)


@pytest.mark.parametrize(
    "name", ["all outputs", "warnings unasked", "failing provisioner", "undeclared variable", "import, move, forget"]
)
def test_halves_without_colour(twin: Twin, name: str) -> None:
    """Without colour, diagnostics are plain paragraphs."""
    case = next(case for case in cases.PIPES if case.name == name)
    twin.same(case, more=["-no-color"])


@pytest.mark.parametrize("case", cases.JSON, ids=lambda case: case.name)
def test_halves_as_json(twin: Twin, case: Case) -> None:
    """The user's own JSON stream is one stream, of one run."""
    twin.same(case)


@pytest.mark.parametrize("case", cases.PIPES, ids=lambda case: case.name)
def test_halves_that_print_themselves(twin: Twin, case: Case) -> None:
    """Where the second half prints for people itself, its text is edited to that of one run."""
    twin.environment["HALVES"] = "human"
    twin.same(case)


@pytest.mark.parametrize("case", cases.TERMINAL, ids=lambda case: case.name)
def test_halves_that_print_themselves_on_a_terminal(twin: Twin, case: Case) -> None:
    """The same on a terminal, without colour where the case has it so."""
    twin.environment["HALVES"] = "human"
    twin.same(case, terminal=True)


@pytest.mark.parametrize("name", ["warnings unasked", "undeclared variable", "target unasked", "failing provisioner"])
def test_halves_that_print_themselves_without_colour(twin: Twin, name: str) -> None:
    """Plain warnings are recognised too."""
    twin.environment["HALVES"] = "human"
    twin.same(next(case for case in cases.PIPES if case.name == name), more=["-no-color"])
