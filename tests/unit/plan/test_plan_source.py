"""In which file and line a resource is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfaudit.plan.hclscan import scan
from tfaudit.plan.source import Source, SourceMap, SourceScan

MAIN = """# resource "not" "this" {}
resource "a_b" "c" {
  text = <<-END
    resource "nor" "this" {
    }
  END
}

module "m" {
  for_each = toset(["x"])
  source   = "./inner"
}

data "d_e" "f" {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root module that calls a local module twice removed, and a downloaded one."""
    root = tmp_path / "repository" / "root"
    (root / "inner" / "deep").mkdir(parents=True)
    (root / ".terraform" / "modules" / "net" / "sub").mkdir(parents=True)
    (root / "main.tf").write_text(MAIN)
    (root / "net.tf").write_text('module "net" {\n  source = "registry/net"\n}\n')
    (root / "inner" / "a.tf").write_text('\nresource "a_b" "in" {}\nmodule "deep" {\n  source = "./deep"\n}\n')
    (root / "inner" / "deep" / "x.tf.json").write_text(
        json.dumps({"resource": {"a_b": {"j": {"x": 1}, "k": [{}]}}, "data": {"d_e": {"j": {}}}}, indent=1)
    )
    (root / ".terraform" / "modules" / "net" / "sub" / "n.tf").write_text('resource "a_b" "n" {}\n')
    manifest = {"Modules": [{"Key": "", "Dir": "."}, {"Key": "net", "Dir": ".terraform/modules/net/sub"}]}
    (root / ".terraform" / "modules" / "modules.json").write_text(json.dumps(manifest))
    return root


def test_blocks_are_found_through_modules(root: Path) -> None:
    """Local modules are followed by their directory, downloaded ones by the manifest; JSON files count too."""
    places = scan(root, root / ".terraform", None)
    assert places == {
        "a_b.c": ("main.tf", 2),
        "data.d_e.f": ("main.tf", 14),
        "module.m.a_b.in": ("inner/a.tf", 2),
        "module.m.module.deep.a_b.j": ("inner/deep/x.tf.json", 4),
        "module.m.module.deep.a_b.k": ("inner/deep/x.tf.json", 7),
        "module.m.module.deep.data.d_e.j": ("inner/deep/x.tf.json", 14),
        "module.net.a_b.n": (".terraform/modules/net/sub/n.tf", 1),
    }


def test_paths_are_relative_to_the_repository(root: Path) -> None:
    """With the repository's root known, paths begin there; outside both they climb, never absolute."""
    assert scan(root, root / ".terraform", root.parent)["a_b.c"] == ("root/main.tf", 2)
    other = root.parent.parent / "shared"
    other.mkdir()
    (other / "s.tf").write_text('resource "a_b" "s" {}\n')
    (root / "net.tf").write_text('module "s" {\n  source = "../../shared"\n}\n')
    assert scan(root, root / ".terraform", root)["module.s.a_b.s"] == ("../../shared/s.tf", 1)


@pytest.mark.parametrize(
    "content", [b'resource "x" {{{', b"\xff\xfe resource", b"resource" * 1_000_000, b"resource " + b"[" * 5000]
)
def test_a_file_that_cant_be_parsed_costs_its_lines_only(root: Path, content: bytes) -> None:
    """Broken, binary, huge and deeply nested files are passed over."""
    (root / "broken.tf").write_bytes(content)
    (root / "broken.tf.json").write_bytes(b'{"resource":' + content)
    assert scan(root, root / ".terraform", None)["a_b.c"] == ("main.tf", 2)


def test_modules_that_call_each_other_end(root: Path) -> None:
    """A module that calls itself is followed only so far."""
    (root / "inner" / "loop.tf").write_text('module "loop" {\n  source = "../inner"\n}\n')
    assert scan(root, root / ".terraform", None)["module.m.module.loop.a_b.in"] == ("inner/a.tf", 2)


def test_instances_share_their_blocks_place() -> None:
    """Instance keys, whatever they hold, do not matter."""
    places = SourceMap({"module.m.a_b.c": ("x.tf", 3)})
    for address in ("module.m.a_b.c", "module.m[0].a_b.c[1]", 'module.m["a.b]\\"["].a_b.c["x"]', "module.m.a_b.c[*]"):
        assert places.find(address) == Source("x.tf", 3)
    assert places.find("module.m.a_b.d") is None


def test_the_scan_runs_beside(root: Path) -> None:
    """A child process reads the configuration while others work."""
    with SourceScan(root, data_dir=root / ".terraform") as running:
        running.begin()
        places = running.result(60)
    assert places.find('module.m["x"].a_b.in') == Source("inner/a.tf", 2)


def test_a_scan_that_takes_too_long_costs_the_lines(root: Path) -> None:
    """A result that is not there in time is an empty map; the child is stopped."""
    running = SourceScan(root, data_dir=root / ".terraform")
    assert len(running.result(0)) == 0
    assert len(running.result(0)) == 0
    running.stop()


def test_no_configuration_is_an_empty_map(tmp_path: Path) -> None:
    """A folder that is not there has no blocks."""
    assert len(SourceScan(tmp_path / "none", data_dir=tmp_path).result(60)) == 0


def test_a_stopped_scan_starts_nothing(root: Path) -> None:
    """A run that has ended begins no scan any more."""
    scan = SourceScan(root, data_dir=root / ".terraform")
    scan.stop()
    assert len(scan.result(60)) == 0
