"""Which command lines the console script gives to the engine at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfaudit import entry


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def engines(line: str, *, shim: str | None = None, config: str | None = None) -> bool:
    """Return whether the engine alone runs this line, tfaudit's own options taken off."""
    return entry.is_engines(line.split(), config, shim)


@pytest.mark.parametrize(
    "line",
    [
        "version",
        "-version",
        "-help",
        "validate",
        "fmt -check",
        "unknown-command",
        "state",
        "-chdir=x get",
        "apply -help",
    ],
)
def test_engines_own(line: str) -> None:
    """What changes nothing, and what tfaudit doesn't know, is the engine's."""
    assert engines(line)
    assert engines(line, shim="terraform")


@pytest.mark.parametrize("line", ["plan", "apply", "destroy", "import a b", "state rm a", "-chdir=x apply", "test"])
def test_audited(line: str) -> None:
    """What may change something is tfaudit's."""
    assert not engines(line)
    assert not engines(line, shim="tofu")


@pytest.mark.parametrize(
    "line", ["setup", "log --json", "verify", "-chdir=x history a.b", "--help", "--version", "-h", ""]
)
def test_own_commands(line: str) -> None:
    """tfaudit's verbs, help and version are its own, but the engine's when it is called by the engine's name."""
    assert not engines(line)
    assert engines(line, shim="terraform")


def test_no_verb_is_an_engines() -> None:
    """Under neither engine is one of tfaudit's verbs a subcommand."""
    words = """
        apply console destroy env fmt force-unlock get graph import init login logout metadata modules output plan
        providers query refresh show stacks state taint test untaint validate version workspace
    """
    assert not entry.VERBS & set(words.split())


def test_reads_pass_unless_switched_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading commands are the engine's, until [audit] reads says otherwise."""
    assert engines("output -json")
    (here / "tfaudit.toml").write_text('ledger = "x"\n')
    assert engines("state pull")
    (here / "tfaudit.toml").write_text("[audit]\nreads = true\n")
    assert not engines("output -json")
    assert not engines("show", shim="terraform")
    assert engines("version")
    monkeypatch.setenv("TFAUDIT_AUDIT_READS", "false")
    assert engines("output -json")


def test_a_switch_for_reads_that_is_not_understood_is_not_an_off(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt TFAUDIT_AUDIT_READS goes to the CLI, which names it; an empty one leaves it to the file."""
    monkeypatch.setenv("TFAUDIT_AUDIT_READS", "yess")
    assert not engines("output")
    monkeypatch.setenv("TFAUDIT_AUDIT_READS", "")
    assert engines("output")
    (here / "tfaudit.toml").write_text("[audit]\nreads = true\n")
    assert not engines("output")


def test_configuration_is_found_upwards_from_chdir(here: Path) -> None:
    """The search for tfaudit.toml begins where the engine works."""
    (here / "a" / "b").mkdir(parents=True)
    (here / "a" / "tfaudit.toml").write_text("[audit]\nreads = true\n")
    assert engines("output")
    assert not engines("-chdir=a/b output")
    assert not engines("output", config=str(here / "a" / "tfaudit.toml"))


def test_a_broken_configuration_is_not_ignored(here: Path) -> None:
    """A configuration that can't be read leads to the CLI, which says why."""
    (here / "tfaudit.toml").write_text("reads = \n")
    assert not engines("output")
    assert not engines("output", config="missing.toml")


def test_init_without_backend_passes(here: Path) -> None:
    """An init is the engine's while there is nothing about backends anywhere."""
    (here / "main.tf").write_text('resource "x" "y" {}\n')
    assert engines("init -upgrade")
    assert not engines("init -reconfigure")
    (here / "main.tf").write_text('terraform {\n  backend "s3" {}\n}\n')
    assert not engines("init")


def test_init_with_an_initialised_backend_is_looked_at(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a backend was initialised, taking it out of the configuration is a change."""
    (here / "data").mkdir()
    (here / "data" / "terraform.tfstate").write_text("{}")
    assert engines("init")
    monkeypatch.setenv("TF_DATA_DIR", "data")
    assert not engines("init")


@pytest.mark.parametrize(
    ("argv", "rest", "config"),
    [
        (["--reason", "x y", "apply"], ["apply"], None),
        (["--reason=x", "-v", "--break-glass", "apply", "-v"], ["apply", "-v"], None),
        (["--config", "c", "log", "--config", "d"], ["log", "--config", "d"], "c"),
        (["--config"], [], ""),
        (["--bogus", "apply"], ["--bogus", "apply"], None),
        (["-chdir=x", "--reason", "y"], ["-chdir=x", "--reason", "y"], None),
    ],
)
def test_own_options(argv: list[str], rest: list[str], config: str | None) -> None:
    """tfaudit's own options come before the command and are taken off."""
    assert entry.own_options(argv) == (rest, config)
