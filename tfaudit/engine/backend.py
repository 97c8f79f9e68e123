"""Is this ``init`` about to change the backend, and so perhaps to move the state?

The engine decides that by a hash that only it can compute. Here the settings written in the configuration are compared
with those that the last ``init`` stored; what can't be compared counts as a change, for a record too many does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from tfaudit.engine.argv import Invocation
from tfaudit.engine.workdir import Workdir

_CHANGING: Final = ("migrate-state", "reconfigure", "force-copy")
_MAX_FILE: Final = 16 * 1024 * 1024
_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
      |(?P<heredoc><<-?(?P<tag>[\w-]+)[^\n]*\n.*?^[ \t]*(?P=tag)[ \t]*$)
      |(?P<string>"(?>\\.|\$\{(?>[^{}"]|"(?>\\.|[^"\\])*"|\{[^{}]*\})*\}|[^"\\\n])*")
      |(?P<name>[\w.-]+)
      |(?P<line>\n)
      |(?P<mark>[^\s])
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A backend as the configuration names it."""

    type: str
    settings: Mapping[str, object]
    """Dotted name to literal text; ``_UNKNOWN`` for what isn't a literal."""


def init_changes_backend(invocation: Invocation, workdir: Workdir) -> bool:
    """Whether this ``init`` may change the backend: where it differs from the initialised one, or asks for it.

    The first ``init`` of a configuration with a backend changes one only if there is a local state to move.
    """
    if not (invocation.switch("backend", default=True) and invocation.switch("cloud", default=True)):
        return False
    if any(invocation.switch(name, default=False) for name in _CHANGING):
        return True
    configured, stored = configured_backend(workdir.root), workdir.backend()
    if stored is None:
        return configured is not None and _has_local_state(workdir.root)
    if configured is None or configured.type != stored.type:
        return True
    wanted = {**configured.settings}
    for given in invocation.values("backend-config"):
        wanted |= _given(given, workdir.root)
    return wanted != dict(_flat(stored.config))


def _has_local_state(root: Path) -> bool:
    state = root / "terraform.tfstate"
    return (root / "terraform.tfstate.d").is_dir() or (state.is_file() and state.stat().st_size > 0)


def _given(value: str, root: Path) -> dict[str, object]:
    """Return the settings of one ``-backend-config``: ``name=value``, or a file of them."""
    name, equals, text = value.partition("=")
    if equals:
        return {name.strip(): text}
    path = root / value
    settings = {names[-1]: literal for blocks, names, literal in _attributes(_text(path)) if not blocks}
    return settings or {value: _UNKNOWN}


def configured_backend(root: Path) -> Configured | None:
    """Return the backend or cloud block of the configuration in ``root``; override files win."""
    found = None
    for path in sorted(_files(root), key=lambda path: path.name.split(".")[0].endswith("override")):
        reader = _from_json if path.name.endswith(".json") else _from_hcl
        found = reader(_text(path)) or found
    return found


def _files(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.name.endswith((".tf", ".tf.json", ".tofu", ".tofu.json"))]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""


def _from_hcl(text: str) -> Configured | None:
    kind = ""
    settings: dict[str, object] = {}
    for blocks, names, literal in _attributes(text):
        if len(blocks) < 2 or blocks[0] != ("terraform",) or blocks[1][0] not in ("backend", "cloud"):
            continue
        kind = blocks[1][1] if blocks[1][0] == "backend" and len(blocks[1]) > 1 else "cloud"
        if names:
            inner = [block[0] for block in blocks[2:]]
            settings[".".join([*inner, names[-1]])] = literal
    return Configured(type=kind, settings=settings) if kind else None


def _attributes(text: str) -> Iterator[tuple[list[tuple[str, ...]], list[str], object]]:
    """Yield each attribute of an HCL text: the blocks it stands in, its name, its literal text or ``_UNKNOWN``.

    The start of a block is yielded too, without a name. Only as much of HCL is understood as blocks and strings need.
    """
    blocks: list[tuple[str, ...]] = []
    words: list[str] = []
    value: list[str] | None = None
    depth = 0
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token.group()
        if kind == "comment" and not word.startswith("/*"):
            continue
        ends = kind == "line" or (kind == "mark" and word == "}" and depth == 0)
        if ends and value is not None and depth == 0:
            yield list(blocks), words, _literal(value)
            value, words = None, []
        if value is not None:
            depth += (word in "{[(") - (word in "}])") if kind == "mark" else 0
            if kind != "line":
                value.append(word)
        elif kind == "mark" and word == "=":
            value = []
        elif kind == "mark" and word == "{":
            blocks.append(tuple(words))
            words = []
            yield list(blocks), [], None
        elif kind == "mark" and word == "}":
            if blocks:
                blocks.pop()
            words = []
        elif kind == "line":
            words = []
        elif kind in ("name", "string"):
            words.append(word.strip('"'))
    if value is not None:
        yield list(blocks), words, _literal(value)


def _literal(words: list[str]) -> object:
    if len(words) != 1:
        return _UNKNOWN
    word = words[0]
    if word.startswith('"'):
        inner = word[1:-1]
        return _UNKNOWN if "\\" in inner or "${" in inner or "%{" in inner else inner
    return word if word in ("true", "false") or re.fullmatch(r"-?\d+", word) else _UNKNOWN


def _from_json(text: str) -> Configured | None:
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    for terraform in _members(whole, "terraform"):
        for backends in _members(terraform, "backend"):
            for kind in backends:
                settings = [dict(_flat(block)) for block in _members(backends, kind)]
                return Configured(type=kind, settings=settings[0] if settings else {})
        for cloud in _members(terraform, "cloud"):
            return Configured(type="cloud", settings=dict(_flat(cloud)))
    return None


def _members(value: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401 - someone's JSON
    """Return the objects under ``name``: JSON configuration allows one or a list of them."""
    found = value.get(name) if isinstance(value, dict) else None
    return [member for member in (found if isinstance(found, list) else [found]) if isinstance(member, dict)]


def _flat(config: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the settings that are set, nested ones under dotted names."""
    for name, value in config.items():
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            value = value[0]
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", found) for inner, found in _flat(value))
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif value is not None and value != []:
            yield name, str(value) if isinstance(value, str | int) else _UNKNOWN
