"""What an engine says it is, and what is kept of that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tfaudit.engine import brand
from tfaudit.errors import InternalError, UnavailableError

MIB = 1024 * 1024


def engine(folder: Path, text: str) -> Path:
    """Write a small engine, a shell script."""
    path = folder / "terraform"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def identify(path: Path, cache: Path | None = None, **environ: str) -> brand.Engine:
    """Return what the engine says."""
    return brand.identify((str(path),), {"PATH": "/usr/bin:/bin", **environ}, cache=cache)


@pytest.mark.parametrize(
    ("said", "name", "version"),
    [
        ("Terraform v1.11.4", "terraform", "1.11.4"),
        ("OpenTofu v1.10.0-rc1", "opentofu", "1.10.0-rc1"),
        ("[command]terraform version\nTerraform v1.5.7", "terraform", "1.5.7"),
        ("Pulumi v3", "unknown", ""),
    ],
)
def test_first_line(tmp_path: Path, said: str, name: str, version: str) -> None:
    """The product's name and version come from its own first line, noise before it apart."""
    found = identify(engine(tmp_path, f"echo '{said}'"))
    assert (found.brand, found.version) == (name, version)


def test_asked_quietly(tmp_path: Path) -> None:
    """Our own call is without the user's arguments and logs, and without a call home."""
    text = 'echo "Terraform v$CHECKPOINT_DISABLE.$#$TF_CLI_ARGS$TF_LOG"'
    assert identify(engine(tmp_path, text), TF_CLI_ARGS="-x", TF_LOG="trace").version == "1.1"


def test_no_program(tmp_path: Path) -> None:
    """What can't be started is unavailable."""
    with pytest.raises(UnavailableError):
        identify(tmp_path / "missing")


def test_a_loop_is_told(tmp_path: Path) -> None:
    """A wrapper of ourselves shows by our own exit code."""
    with pytest.raises(InternalError, match="wrapper"):
        identify(engine(tmp_path, "echo 'tfaudit: loop' >&2; exit 70"))


def test_version_switchers_are_asked_each_time(tmp_path: Path) -> None:
    """A small program isn't remembered: its answer may depend on the directory."""
    cache = tmp_path / "cache" / "engines.json"
    path = engine(tmp_path, "echo Terraform v1.0.0")
    identify(path, cache)
    assert not cache.exists()


def big(folder: Path) -> Path:
    """Write a file that looks like an engine's binary and isn't runnable."""
    path = folder / "terraform"
    with path.open("wb") as file:
        file.write(b"\x7fELF")
        file.truncate(40 * MIB)
    return path


def test_digest_is_kept_and_renewed(tmp_path: Path) -> None:
    """A binary's digest is computed once; another file at the same path is another engine."""
    path, cache = big(tmp_path), tmp_path / "cache" / "engines.json"
    found = brand.Engine(command=(str(path),), path=str(path), brand="terraform", version="1")
    first = brand.digest(found, cache=cache)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    assert first.encode() in cache.read_bytes()
    assert brand.digest(found, cache=cache) == first
    with path.open("r+b") as file:
        file.write(b"\x7fELFX")
    assert brand.digest(found, cache=cache) == hashlib.sha256(path.read_bytes()).hexdigest() != first


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x":1}', b"\xff", b"[" * 100_000])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, content: bytes) -> None:
    """The cache only saves time: whatever is in it, the answer is right."""
    path, cache = big(tmp_path), tmp_path / "engines.json"
    cache.write_bytes(content)
    found = brand.Engine(command=(str(path),), path=str(path), brand="terraform", version="1")
    assert brand.digest(found, cache=cache) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_place_for_the_cache(tmp_path: Path) -> None:
    """A cache that can't be written costs nothing but time."""
    (tmp_path / "file").write_text("")
    path = big(tmp_path)
    found = brand.Engine(command=(str(path),), path=str(path), brand="terraform", version="1")
    assert brand.digest(found, cache=tmp_path / "file" / "engines.json")
    assert brand.digest(found, cache=None)


def test_where_the_cache_is() -> None:
    """In the user's cache folder; nowhere without a home."""
    assert brand.default_cache({"HOME": "/h"}) == Path("/h/.cache/tfaudit/engines.json")
    assert brand.default_cache({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c/tfaudit/engines.json")
    assert brand.default_cache({"HOME": "/h", "XDG_CACHE_HOME": "c"}) == Path("/h/.cache/tfaudit/engines.json")
    assert brand.default_cache({}) is None


@pytest.mark.parametrize(("help_text", "able"), [("  -json-into=out.json  x", True), ("  -json  x", False)])
def test_json_into(tmp_path: Path, help_text: str, able: bool) -> None:
    """An OpenTofu says in its help whether it has -json-into; a Terraform is never asked."""
    path = engine(tmp_path, f'case "$1" in version) echo OpenTofu v1.12.0;; *) echo "{help_text}";; esac')
    found = identify(path)
    assert brand.json_into(found, {"PATH": "/bin"}, cache=None) is able
    terraform = brand.Engine(command=found.command, path=found.path, brand="terraform", version="1")
    assert not brand.json_into(terraform, {}, cache=None)


@pytest.mark.parametrize(
    ("name", "version", "has"),
    [
        ("terraform", "0.15.0", False),
        ("terraform", "0.15.3", True),
        ("terraform", "1.0.0-rc1", True),
        ("opentofu", "1.6.0", True),
        ("unknown", "", True),
    ],
)
def test_has_stream(name: str, version: str, has: bool) -> None:
    """Only the first releases of Terraform 0.15 have no apply -json."""
    assert brand.has_stream(brand.Engine(command=("x",), path="x", brand=name, version=version)) is has
