"""How are ``opa`` and ``conftest`` asked, and what do they answer?

Command lines are built apart from what runs them; answers are parsed strictly. Of an error only its code and place are
told: the engine's own words may quote the input.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from tfaudit.errors import ConfigError
from tfaudit.policy.child import ChildError
from tfaudit.policy.rulefiles import RegoFile

Name = Literal["opa", "conftest", "regorus"]

_CODE: Final = re.compile(r"(?:rego|eval)_[a-z_]{1,30}_error")
_FILE: Final = re.compile(r"[\w./+@ -]{1,300}")
_VERSION: Final = re.compile(rb"(?:Version|Conftest):\s*v?([\w.+-]{1,60})")


@dataclass(frozen=True, slots=True)
class Engine:
    """What evaluates Rego, and where it is."""

    name: Name
    path: str
    """The program; empty for the Python package."""


class Message(msgspec.Struct):
    """One result of conftest's."""

    msg: str = ""
    metadata: dict[str, Any] = {}


class Result(msgspec.Struct):
    """What conftest says of one file in one namespace; newer keys are passed over."""

    namespace: str
    successes: int = 0
    warnings: list[Message] = []
    failures: list[Message] = []
    exceptions: list[Message] = []
    skipped: list[Message] = []


_decode_results: Final = msgspec.json.Decoder(list[Result]).decode


def find(wanted: Name | None, environ: Mapping[str, str]) -> Engine:
    """Return the engine that is wanted, else the first there is: ``opa``, ``conftest``, the package.

    Raises :class:`ConfigError` where there is none.
    """
    names: tuple[Name, ...] = ("opa", "conftest", "regorus") if wanted is None else (wanted,)
    for name in names:
        if name == "regorus":
            if importlib.util.find_spec("regorus") is not None:
                return Engine(name, "")
        elif (path := shutil.which(name, path=environ.get("PATH", ""))) is not None:
            return Engine(name, str(Path(path).absolute()))
    missing = wanted if wanted in ("opa", "conftest") else "engine for Rego"
    raise ConfigError(f"there is no {missing}", hint="put opa or conftest on PATH, or install tfaudit[rego]")


def opa(engine: Engine, root: Path, query: str, *, v0: bool) -> list[str]:
    """Return the command that asks ``opa`` for a query's value, the input on stdin."""
    compatible = "--v0-compatible" if v0 else "--v1-compatible"
    return [
        *(engine.path, "eval", "--format", "json", "--stdin-input", "--strict-builtin-errors", compatible),
        *("--data", str(root), query),
    ]


def conftest(engine: Engine, root: Path, *, v0: bool, data: bool) -> list[str]:
    """Return the command that has ``conftest`` test its stdin by the rules of all namespaces."""
    return [
        *(engine.path, "test", "--no-fail", "--all-namespaces", "--output", "json", "--parser", "json"),
        *("--rego-version", "v0" if v0 else "v1", "--policy", str(root)),
        *(("--data", str(root)) if data else ()),
        "-",
    ]


def opa_value(output: bytes, code: int) -> object:
    """Return the value that ``opa eval`` found; raises :class:`ChildError` for an error or any other answer."""
    answer = decoded(output)
    match answer:
        case {"errors": [{} as first, *_]}:
            raise ChildError(f"opa can't evaluate the policy: {_explained(first)}")
        case {"result": [{"expressions": [{"value": value}]}]} if code == 0:
            return value
    raise ChildError(f"opa did not answer what it was asked (exit code {code})")


def conftest_results(output: bytes, code: int) -> list[Result]:
    """Return conftest's results; raises :class:`ChildError` for any other answer."""
    if code != 0:
        raise ChildError(f"conftest failed with exit code {code}; conftest test shows why")
    try:
        return _decode_results(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ChildError("conftest did not answer what it was asked") from error


def decoded(output: bytes) -> Any:  # noqa: ANN401 - foreign JSON
    """Return what the engine wrote; raises :class:`ChildError` where that is no JSON."""
    try:
        return msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ChildError("the engine's answer is no JSON") from error


def version_in(output: bytes) -> str:
    """Return the version in what ``opa version`` or ``conftest --version`` prints; ``unknown`` if it isn't there."""
    found = _VERSION.search(output[:10_000])
    return found[1].decode() if found else "unknown"


def rooted(file: RegoFile) -> str:
    """Return a data file's text as an object under the names of its folders, where OPA puts it."""
    value = decoded(file.content)
    if not isinstance(value, dict):
        raise ConfigError(f"{file.path} is not an object")
    for folder in reversed(file.path.split("/")[:-1]):
        value = {folder: value}
    return msgspec.json.encode(value).decode()


def _explained(error: Mapping[str, Any]) -> str:
    code, location = error.get("code"), error.get("location")
    text = code if isinstance(code, str) and _CODE.fullmatch(code) else "an error"
    if isinstance(location, dict):
        file, row = location.get("file"), location.get("row")
        if isinstance(file, str) and _FILE.fullmatch(file) and isinstance(row, int):
            text += f" at {file.rpartition('/policy/')[2]}:{row}"
    return text
