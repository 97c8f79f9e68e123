"""Which inputs no plan binds: they are found wherever they can be given, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tfaudit.engine import argv
from tfaudit.engine.clifile import has_override
from tfaudit.engine.unbound import Inputs, always, inputs

KEY = b"k" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def found(home: Path, *args: str, brand: str = "terraform", **environ: str) -> tuple[str, ...]:
    """Return what is always refused of a command line."""
    world = {"HOME": str(home), **environ}
    return always(argv.parse(args, world), world, brand=brand, cwd=home)


def brought(root: Path, *args: str, ephemeral: tuple[str, ...] = ("pin",), **environ: str) -> Inputs:
    """Return what a command line brings."""
    return inputs(argv.parse(args, environ), environ, root=root, ephemeral=ephemeral)


def differing(apply: Inputs, plan: Inputs) -> tuple[str, ...]:
    """Return what an apply brings that its plan did not."""
    return apply.differing(KEY, plan.digests(KEY))


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        (("apply", "-state=elsewhere"), {}),
        (("apply", "-state", "elsewhere", "plan"), {}),
        (("apply", "--state-out=elsewhere", "plan"), {}),
        (("apply",), {"TF_CLI_ARGS": "-state=elsewhere"}),
        (("apply", "plan"), {"TF_CLI_ARGS_apply": "-no-color -state-out=elsewhere"}),
        (("destroy",), {"TF_CLI_ARGS_destroy": "'-state=else where'"}),
        (("-chdir=x", "apply"), {"TF_CLI_ARGS": "-state=elsewhere"}),
    ],
)
def test_another_place_for_the_state(home: Path, args: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """A state option is found on the command line and in the variables that extend it."""
    (line,) = found(home, *args, **environ)
    assert line.startswith("-state")
    assert "elsewhere" not in line.split(";")[0].removesuffix("puts the state elsewhere")


def test_what_is_no_input(home: Path) -> None:
    """Switches for showing, locking and copies, and a configuration without overrides, are none."""
    (home / ".terraformrc").write_text('plugin_cache_dir = "/cache" # dev_overrides\n/* dev_overrides { } */\n')
    assert found(home, "apply", "-backup=b", "-no-color", "-lock=false", "-parallelism=3", "plan") == ()
    assert found(home, "apply", TF_CLI_ARGS_plan="-state=elsewhere", TF_REATTACH_PROVIDERS="") == ()


def test_a_running_program_as_provider(home: Path) -> None:
    """TF_REATTACH_PROVIDERS is found, and its value is not repeated."""
    (line,) = found(home, "apply", TF_REATTACH_PROVIDERS='{"x":"secret"}')
    assert "TF_REATTACH_PROVIDERS" in line
    assert "secret" not in line


OVERRIDE = 'provider_installation {\n  dev_overrides {\n    "hashicorp/aws" = "/home/me/aws"\n  }\n  direct {}\n}\n'


@pytest.mark.parametrize(
    ("place", "brand", "environ"),
    [
        (".terraformrc", "terraform", {}),
        (".terraformrc", "opentofu", {}),
        (".tofurc", "opentofu", {}),
        (".tofurc", "unknown", {}),
        (".terraform.d/mine.tfrc", "terraform", {}),
        (".config/opentofu/tofurc", "opentofu", {}),
        ("xdg/terraform.d/mine.tfrc", "terraform", {"XDG_CONFIG_HOME": "xdg"}),
        ("named.rc", "terraform", {"TF_CLI_CONFIG_FILE": "named.rc"}),
        ("old.rc", "terraform", {"TERRAFORM_CONFIG": "old.rc"}),
    ],
)
def test_overrides_wherever_the_engine_reads_them(home: Path, place: str, brand: str, environ: dict[str, str]) -> None:
    """A provider override is found in every file that this engine may read."""
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OVERRIDE)
    if "XDG_CONFIG_HOME" in environ:
        environ = {"XDG_CONFIG_HOME": str(home / environ["XDG_CONFIG_HOME"])}
    (line,) = found(home, "apply", brand=brand, **environ)
    assert line.startswith(f"dev_overrides in {path} ")


def test_a_named_configuration_is_the_only_one(home: Path) -> None:
    """With TF_CLI_CONFIG_FILE, what lies in the home is not read by the engine."""
    (home / ".terraformrc").write_text(OVERRIDE)
    (home / "named.rc").write_text("disable_checkpoint = true\n")
    assert found(home, "apply", TF_CLI_CONFIG_FILE="named.rc") == ()
    assert found(home, "apply", TF_CLI_CONFIG_FILE="missing.rc") == ()


def test_terraform_reads_no_tofurc(home: Path) -> None:
    """OpenTofu's own file means nothing to Terraform."""
    (home / ".tofurc").write_text(OVERRIDE)
    assert found(home, "apply") == ()


def test_a_configuration_that_is_no_file(home: Path) -> None:
    """What can't be looked into is refused, not taken for harmless."""
    (home / ".terraformrc").mkdir()
    (line,) = found(home, "apply")
    assert "can't be read" in line


@pytest.mark.parametrize(
    ("text", "is_override"),
    [
        ('{"provider_installation":[{"dev_overrides":{"a/b":"/x"}}]}', True),
        ('{"provider_installation":[{"dev\\u005foverrides":{"a/b":"/x"}}]}', True),
        ('credentials "http://x" {}\nprovider_installation { dev_overrides {} }', True),
        ('plugin_cache_dir = "//" dev_overrides {}', True),
        ("# dev_overrides\n// dev_overrides\n/* dev_overrides\n dev_overrides */", False),
        ('plugin_cache_dir = "/srv/dev_overrides_cache"', False),
        ('x = "\\"#" dev_overrides', True),
        ("/* never closed dev_overrides", False),
    ],
)
def test_where_an_override_counts(text: str, is_override: bool) -> None:
    """A key counts in both syntaxes and however it is escaped; a comment and a part of another text don't."""
    assert has_override(text) is is_override


def test_the_same_ephemeral_value(tmp_path: Path) -> None:
    """The same value is no difference, though it is given by the environment once and by option later."""
    plan = brought(tmp_path, "plan", TF_VAR_pin="0815")
    assert differing(brought(tmp_path, "apply", "-var=pin=0815", "p"), plan) == ()
    assert "0815" not in str(plan.digests(KEY))


@pytest.mark.parametrize("args", [(), ("-var=pin=0816",), ("-var", "pin=")])
def test_another_ephemeral_value(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Another value, an empty one, or none is a difference, which names the variable and no value."""
    plan = brought(tmp_path, "plan", TF_VAR_pin="0815")
    (line,) = differing(brought(tmp_path, "apply", *args, "p"), plan)
    assert line.endswith("than at the plan: pin")


def test_the_last_giver_of_a_variable(tmp_path: Path) -> None:
    """Environment, automatic files and options override each other as in the engine."""
    (tmp_path / "terraform.tfvars").write_text('pin = "1"\n')
    (tmp_path / "a.auto.tfvars").write_text('other = 1\npin="2"\n')
    (tmp_path / "mine.tfvars.json").write_text('{"pin": "3"}')
    assert brought(tmp_path, "plan", TF_VAR_pin="0").ephemeral["pin"] == b'other = 1\npin="2"\n'
    assert brought(tmp_path, "plan", "-var=pin=4", "-var-file=mine.tfvars.json").ephemeral["pin"] == b'{"pin": "3"}'
    assert brought(tmp_path, "plan", "-var-file=mine.tfvars.json", "-var=pin=4").ephemeral["pin"] == b"4"


def test_a_variable_file_that_changed(tmp_path: Path) -> None:
    """A file that sets an ephemeral variable is compared as a whole."""
    file = tmp_path / "secret.tfvars"
    file.write_text('pin = "1"\n')
    plan = brought(tmp_path, "plan", "-var-file=secret.tfvars")
    assert differing(brought(tmp_path, "apply", "-var-file=secret.tfvars", "p"), plan) == ()
    file.write_text('pin = "2"\n')
    assert differing(brought(tmp_path, "apply", "-var-file=secret.tfvars", "p"), plan) != ()


def test_a_value_that_cannot_be_read_again(tmp_path: Path) -> None:
    """A value typed at the prompt, in whichever of the two, is never the same."""
    typed, given = brought(tmp_path, "plan"), brought(tmp_path, "apply", "-var=pin=1", "p")
    assert typed.digests(KEY) == {}
    assert differing(typed, typed) != ()
    assert differing(given, typed) != ()
    assert differing(typed, given) != ()


def test_no_ephemeral_variables(tmp_path: Path) -> None:
    """Where the plan holds all its variables, nothing is compared."""
    plan = brought(tmp_path, "plan", "-var=a=1", ephemeral=())
    assert differing(brought(tmp_path, "apply", "-var=a=2", "p", ephemeral=()), plan) == ()


def test_the_key_hides_the_value(tmp_path: Path) -> None:
    """Another record's key gives another digest of the same value."""
    given = brought(tmp_path, "plan", TF_VAR_pin="0815", TF_CLI_ARGS="-var=x=1")
    assert given.digests(KEY) != given.digests(b"l" * 32)
    assert set(given.digests(KEY)) == {"ephemeral", "cli_args"}


@pytest.mark.parametrize(
    ("plan", "apply", "is_same"),
    [
        ({}, {"TF_CLI_ARGS_apply": "-parallelism=3 -no-color -lock-timeout 5m"}, True),
        ({}, {"TF_CLI_ARGS_apply": "-var-file=x.tfvars"}, False),
        ({}, {"TF_CLI_ARGS": "-target=a.b"}, False),
        ({"TF_CLI_ARGS": "-target=a.b"}, {"TF_CLI_ARGS": "-target a.b -no-color"}, True),
        ({"TF_CLI_ARGS_plan": "-var x=1"}, {"TF_CLI_ARGS_apply": "-var=x=1"}, True),
        ({"TF_CLI_ARGS_plan": "-var x=1 -out=p"}, {}, True),
        ({"TF_CLI_ARGS": "-var=x=1"}, {"TF_CLI_ARGS": "-var=x=2"}, False),
        ({"TF_CLI_ARGS": "-var=x=1"}, {"TF_CLI_ARGS": "-var=x=1", "TF_CLI_ARGS_apply": "-var=y=1"}, False),
        ({}, {"TF_CLI_ARGS_apply": "other.plan"}, False),
        ({}, {"TF_CLI_ARGS": "'-var=x=1"}, False),
    ],
)
def test_options_from_the_environment(
    tmp_path: Path, plan: dict[str, str], apply: dict[str, str], is_same: bool
) -> None:
    """Options that matter and come from TF_CLI_ARGS must have been there at the plan."""
    planned = brought(tmp_path, "plan", ephemeral=(), **plan)
    lines = differing(brought(tmp_path, "apply", ephemeral=(), **apply), planned)
    assert (lines == ()) is is_same
