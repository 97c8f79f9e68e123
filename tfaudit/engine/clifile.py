"""Does the engine's own configuration put somebody's build in a provider's place?

A ``dev_overrides`` in a CLI configuration file makes the engine start a provider that neither the lock file nor the
plan knows. The files are read where the engines read them; any ``dev_overrides`` outside a comment counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tfaudit.engine.brand import TERRAFORM
from tfaudit.regular import open_regular

_MAX_FILE: Final = 1 << 20
_LEXEME: Final = re.compile(
    r'"(?P<text>(?:[^"\\\n]|\\.)*)"|(?P<word>[\w-]+)|#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3}))")


def overrides(environ: Mapping[str, str], *, brand: str, cwd: Path) -> tuple[str, ...]:
    """Return one line for each CLI configuration file that overrides a provider, or that can't be looked into."""
    found = []
    for path in _files(environ, brand, cwd):
        try:
            with open_regular(path) as file:
                text = file.read(_MAX_FILE + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found.append(
                f"the engine's configuration {path} can't be read ({error.strerror or error}): is there an override?"
            )
            continue
        if len(text) > _MAX_FILE:
            found.append(f"the engine's configuration {path} is larger than {_MAX_FILE} bytes")
        elif has_override(text.decode("utf-8", "replace")):
            found.append(f"dev_overrides in {path} puts a build of its own in a provider's place; remove it")
    return tuple(found)


def has_override(text: str) -> bool:
    """Return whether a CLI configuration, HCL or JSON, says ``dev_overrides`` anywhere but in a comment."""
    for lexeme in _LEXEME.finditer(text):
        word = lexeme["word"] or _ESCAPE.sub(_unescaped, lexeme["text"] or "")
        if word == "dev_overrides":
            return True
    return False


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2] or match[3]
    code = int(hexadecimal, 16) if hexadecimal else int(match[4], 8)
    return chr(code) if code < 0x110000 else ""


def _files(environ: Mapping[str, str], brand: str, cwd: Path) -> Iterator[Path]:
    """Yield every file that an engine of that brand, whichever version, may read (internal/command/cliconfig)."""
    named = environ.get("TF_CLI_CONFIG_FILE") or environ.get("TERRAFORM_CONFIG")
    if named:
        yield cwd / named
        return
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    places = [home / ".config"]
    if environ.get("XDG_CONFIG_HOME"):
        places.append(Path(environ["XDG_CONFIG_HOME"]))
    yield home / ".terraformrc"
    yield from (place / "terraformrc" for place in places)
    folders = [home / ".terraform.d", *(place / "terraform.d" for place in places)]
    if brand != TERRAFORM:
        yield home / ".tofurc"
        yield from (place / "opentofu" / "tofurc" for place in places)
        folders += [place / "opentofu" for place in places]
    for folder in folders:
        yield from sorted((*folder.glob("*.tfrc"), *folder.glob("*.tfrc.json")))
