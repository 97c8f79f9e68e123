"""Variables that can be given again are found wherever they are given."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfaudit.engine import argv
from tfaudit.engine.variables import Variables
from tfaudit.errors import InputError
from tfaudit.runs import variables


@dataclass
class Fake:
    """As much of a run as these functions look at."""

    invocation: argv.Invocation
    world: SimpleNamespace
    workdir: SimpleNamespace


def run(folder: Path, *words: str, **environ: str) -> Fake:
    """Return a run of that command line in ``folder``."""
    return Fake(
        invocation=argv.parse(words, environ),
        world=SimpleNamespace(environ=environ),
        workdir=SimpleNamespace(root=folder),
    )


def test_every_way_of_giving_counts(tmp_path: Path) -> None:
    """Options, variable files, automatic files, JSON files and the environment."""
    (tmp_path / "given.tfvars").write_text('a = 1\n"b" = 2\n')
    (tmp_path / "terraform.tfvars").write_text("c = {\n  d = 1\n}\n")
    (tmp_path / "x.auto.tfvars.json").write_text('{"e": {"f": 1}}')
    found = variables.given(run(tmp_path, "apply", "-var=g=1", "-var-file=given.tfvars", TF_VAR_h="1"))  # type: ignore[arg-type]
    assert {"a", "b", "c", "e", "g", "h"} <= found
    assert "f" not in found


def test_a_variable_typed_at_the_prompt_is_refused_by_name(tmp_path: Path) -> None:
    """An ephemeral variable that nobody can give again stops the apply."""
    known = Variables(saved=frozenset(), at_apply=frozenset({"token"}))
    with pytest.raises(InputError, match='ephemeral variable "token"'):
        variables.check_repeatable(run(tmp_path, "apply"), known)  # type: ignore[arg-type]
    variables.check_repeatable(run(tmp_path, "apply", TF_VAR_token="x"), known)  # type: ignore[arg-type]
