"""What the wheel holds: it runs in an environment that has nothing but the dependencies it declares."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this repository."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, REPOSITORY], check=True, cwd=folder)
    return next(folder.glob("tfaudit-*.whl"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel):
    """The bin folder of a new environment with the wheel and links to its declared dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("plain") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for distribution in _dependencies("tfaudit"):
        for top in {Path(file.parts[0]) for file in distribution.files or () if file.parts[0] not in ("..", "/")}:
            source = Path(str(distribution.locate_file(top)))
            if source.exists() and not (packages / top).exists():
                (packages / top).symlink_to(source)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True, cwd=folder)
    return folder / "bin"


def test_the_installed_wheel_tells_its_version(installed, tmp_path):
    """The installed command starts, and names the version that is in pyproject.toml."""
    result = _run(installed / "tfaudit", "--version", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert metadata.version("tfaudit") in result.stdout


def test_the_installed_wheel_carries_the_schemas(installed, tmp_path):
    """From the wheel, not from the repository, every schema can be loaded and a document checked."""
    code = (
        "import tfaudit; from tfaudit import schema; [schema.load(name) for name in schema.names()];"
        "schema.validate('config.v1', {'ledger': 'x'}); print(tfaudit.__file__, *schema.names(), sep='\\n')"
    )
    result = _run(installed / "python", "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    where, *names = result.stdout.split()
    assert where.startswith(str(installed.parent))
    assert names == sorted(path.name.removesuffix(".schema.json") for path in (REPOSITORY / "schemas").iterdir())


def test_every_module_imports_with_the_declared_dependencies_alone(installed, tmp_path):
    """No module needs, at import, a package that only developers have."""
    code = (
        "import importlib, pkgutil, tfaudit\n"
        "for module in pkgutil.walk_packages(tfaudit.__path__, 'tfaudit.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)"
    )
    result = _run(installed / "python", "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def _run(*command, cwd):
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def _dependencies(name):
    """Return the distributions that a plain install of ``name`` brings, without ``name``, by what each declares."""
    found = {}
    waiting = [Requirement(name)]
    while waiting:
        wanted = waiting.pop()
        distribution = metadata.distribution(wanted.name)
        for text in distribution.requires or ():
            requirement = Requirement(text)
            extras = wanted.extras or {""}
            if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
                continue
            key = (requirement.name, frozenset(requirement.extras))
            if key not in found:
                found[key] = metadata.distribution(requirement.name)
                waiting.append(requirement)
    return found.values()
