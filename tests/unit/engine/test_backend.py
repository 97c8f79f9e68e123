"""Whether an init is about to change the backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import argv
from tfaudit.engine.backend import configured_backend, init_changes_backend
from tfaudit.engine.workdir import Workdir

S3 = 'terraform {\n  backend "s3" {\n    bucket = "b"\n    key    = "k"\n  }\n}\n'


def changes(root: Path, line: str = "init") -> bool:
    """Return whether an init there may change the backend."""
    invocation = argv.parse(line.split(), {})
    return init_changes_backend(invocation, Workdir.of(invocation, {}, root))


def initialise(root: Path, kind: str, **config: object) -> None:
    """Write what init stores of a backend."""
    (root / ".terraform").mkdir(exist_ok=True)
    backend = {"type": kind, "config": config, "hash": 1}
    (root / ".terraform" / "terraform.tfstate").write_text(json.dumps({"version": 3, "backend": backend}))


def configure(root: Path, text: str, name: str = "main.tf") -> None:
    """Write a configuration file."""
    (root / name).write_text(text)


def test_no_backend_at_all(tmp_path: Path) -> None:
    """Without a backend an init is everyday."""
    configure(tmp_path, 'resource "x" "y" {}\n')
    assert not changes(tmp_path)


def test_first_init(tmp_path: Path) -> None:
    """The first init of a fresh checkout moves nothing; with a local state beside it, it may."""
    configure(tmp_path, S3)
    assert not changes(tmp_path)
    (tmp_path / "terraform.tfstate").write_text("{}")
    assert changes(tmp_path)


def test_same_settings(tmp_path: Path) -> None:
    """Settings equal to the stored ones change nothing, whatever is null there."""
    configure(tmp_path, S3)
    initialise(tmp_path, "s3", bucket="b", key="k", region=None)
    assert not changes(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        S3.replace('"k"', '"other"'),
        S3.replace('"k"', "var.key"),
        S3.replace('"k"', '"${var.key}"'),
        S3.replace('    key    = "k"\n', ""),
        S3.replace('"k"', '"k"\n    encrypt = true'),
        S3.replace("s3", "gcs"),
        "terraform {\n  cloud {}\n}\n",
        "",
    ],
)
def test_other_settings(tmp_path: Path, text: str) -> None:
    """Another value, one that can't be compared, one more, one less, another type, none: each may be a change."""
    configure(tmp_path, text)
    initialise(tmp_path, "s3", bucket="b", key="k")
    assert changes(tmp_path)


@pytest.mark.parametrize("flag", ["-migrate-state", "-reconfigure", "-force-copy", "--reconfigure=true"])
def test_options_that_ask_for_it(tmp_path: Path, flag: str) -> None:
    """An option that is about changing the backend is enough."""
    assert changes(tmp_path, f"init {flag}")
    assert not changes(tmp_path, f"init -backend=false {flag}")


def test_backend_config_option(tmp_path: Path) -> None:
    """Settings given by option count like those written, by value or in a file."""
    configure(tmp_path, S3.replace('    key    = "k"\n', ""))
    initialise(tmp_path, "s3", bucket="b", key="k")
    assert not changes(tmp_path, "init -backend-config=key=k")
    assert changes(tmp_path, "init -backend-config=key=other")
    configure(tmp_path, 'key = "k"\n', "backend.hcl")
    assert not changes(tmp_path, "init -backend-config=backend.hcl")
    assert changes(tmp_path, "init -backend-config=missing.hcl")


def test_nested_and_typed_settings(tmp_path: Path) -> None:
    """Nested blocks, switches and numbers are compared too."""
    configure(
        tmp_path,
        'terraform {\n  backend "s3" {\n    bucket = "b"\n    encrypt = true\n    max_retries = 3\n'
        '    assume_role {\n      role_arn = "r"\n    }\n  }\n}\n',
    )
    initialise(tmp_path, "s3", bucket="b", encrypt=True, max_retries=3, assume_role={"role_arn": "r"})
    assert not changes(tmp_path)
    initialise(tmp_path, "s3", bucket="b", encrypt=False, max_retries=3, assume_role={"role_arn": "r"})
    assert changes(tmp_path)


def test_cloud_block(tmp_path: Path) -> None:
    """A cloud block is stored as the backend cloud."""
    configure(
        tmp_path, 'terraform {\n  cloud {\n    organization = "o"\n    workspaces {\n      name = "w"\n    }\n  }\n}\n'
    )
    initialise(tmp_path, "cloud", organization="o", hostname=None, workspaces={"name": "w", "tags": None})
    assert not changes(tmp_path)


def test_awkward_hcl(tmp_path: Path) -> None:
    """Comments, heredocs, braces in strings and one-line blocks don't lead astray."""
    configure(
        tmp_path,
        '# terraform { backend "gcs" {} }\n/* backend { */\n'
        'resource "x" "y" {\n  a = <<-EOT\n    } } terraform {\n    EOT\n  b = "${f("{")} }"\n  c = { d = "}" }\n}\n'
        'terraform {\n  required_providers {\n    backend = { source = "x/y" }\n  }\n'
        '  backend "local" { path = "p" }\n}\n',
    )
    found = configured_backend(tmp_path)
    assert found is not None
    assert (found.type, found.settings) == ("local", {"path": "p"})


def test_json_configuration(tmp_path: Path) -> None:
    """The JSON form says the same, also as lists."""
    configure(tmp_path, '{"terraform":[{"backend":{"s3":{"bucket":"b"}}}]}', "main.tf.json")
    initialise(tmp_path, "s3", bucket="b")
    assert not changes(tmp_path)


def test_override_wins(tmp_path: Path) -> None:
    """An override file has the last word."""
    configure(tmp_path, S3, "z.tf")
    configure(tmp_path, 'terraform {\n  backend "local" {}\n}\n', "backend_override.tf")
    found = configured_backend(tmp_path)
    assert found is not None
    assert found.type == "local"


@given(st.text(st.sampled_from('terraform backend "s3" {}=\n<<EOT#/*${\\')))
def test_any_text_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text makes the reader fail or hang."""
    root = tmp_path_factory.mktemp("any")
    configure(root, text)
    configure(root, text, "x.tf.json")
    configured_backend(root)
