"""Which blocks does a configuration hold, and where? The child process behind :mod:`tfaudit.plan.source`.

``python -m tfaudit.plan.hclscan ROOT DATA_DIR BASE ENTRY`` writes one JSON object to stdout: address without instance
keys to ``[file, line]``. BASE and ENTRY (where the next run looks first) may be empty. Files that python-hcl2 can't
read are passed over.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from tfaudit.plan import scancache
from tfaudit.plan.scancache import Places, Read

_BLOCKS: Final = {"resource": 2, "data": 2, "ephemeral": 2, "action": 2, "module": 1, "output": 1, "check": 1}
_MENTIONS: Final = re.compile(rb"\b(?:resource|data|module|ephemeral|action)\b")
_MAX_MODULES: Final = 2000


class Block(NamedTuple):
    """One top-level block: its kind, labels, line, and (for a module) its source."""

    kind: str
    labels: tuple[str, ...]
    line: int
    source: str | None


def scan(root: Path, data_dir: Path, base: Path | None, *, read: Read | None = None) -> Places:
    """Return the place of every block of the root module and of the modules that it calls, by address.

    ``read`` is told which files that took.
    """
    downloaded = _module_directories(root, scancache.manifest(data_dir))
    places: Places = {}
    seen: dict[Path, list[tuple[Path, Block]]] = {}
    pending: list[tuple[str, str, Path]] = [("", "", root)]
    for _ in range(_MAX_MODULES):
        if not pending:
            break
        prefix, key, directory = pending.pop()
        if directory not in seen:
            seen[directory] = list(blocks(directory, {} if read is None else read))
        for file, block in seen[directory]:
            place = (_shown(file, root, base), block.line)
            if block.kind == "module":
                name = block.labels[0]
                inner = f"{key}.{name}" if key else name
                below = downloaded.get(inner) or _local(directory, block.source)
                if below is not None:
                    pending.append((f"{prefix}module.{name}.", inner, below))
            else:
                kind = "" if block.kind == "resource" else f"{block.kind}."
                places.setdefault(f"{prefix}{kind}{'.'.join(block.labels)}", place)
    return places


def blocks(directory: Path, read: Read) -> Iterator[tuple[Path, Block]]:
    """Yield the top-level blocks of the configuration files in ``directory`` that mention any, file by file."""
    files = read[os.fspath(directory)] = {}
    for name, content in scancache.configuration(directory):
        files[name] = scancache.digest(content)
        if content is None or not _MENTIONS.search(content):
            continue
        try:
            found = _json_blocks(content) if name.endswith(".json") else _hcl_blocks(content.decode())
        except Exception:  # noqa: BLE001, S112 - whatever a parser says, it costs this file's lines only
            continue
        yield from ((directory / name, block) for block in found)


def _hcl_blocks(text: str) -> list[Block]:
    import hcl2

    found = []
    for block in hcl2.parses_to_tree(text).children[0].children:
        if getattr(block, "data", None) != "block":
            continue
        header = [child for child in block.children if getattr(child, "data", None) in ("identifier", "string")]
        kind, *labels = map(_words, header)
        if len(labels) == _BLOCKS.get(kind):
            source = _attribute(block, "source") if kind == "module" else None
            found.append(Block(kind, tuple(labels), block.meta.line, source))
    return found


def _attribute(block: Any, name: str) -> str | None:  # noqa: ANN401 - a lark Tree
    """Return the text of the block's attribute ``name``; None where there is none."""
    body = next((child for child in block.children if getattr(child, "data", None) == "body"), None)
    for member in body.children if body is not None else ():
        if getattr(member, "data", None) == "attribute" and _words(member.children[0]) == name:
            return _words(member.children[-1])
    return None


def _words(tree: Any) -> str:  # noqa: ANN401 - a lark Tree
    return "".join(tree.scan_values(lambda token: isinstance(token, str))).strip().strip('"')


def _json_blocks(content: bytes) -> list[Block]:
    """Return the blocks of a ``.tf.json`` file; its lines are found by the names, in order."""
    document = json.loads(content)
    text = content.decode()
    found = []
    for kind, depth in _BLOCKS.items():
        for labels, body in _labelled(document.get(kind), depth):
            source = body.get("source") if kind == "module" and isinstance(body, dict) else None
            found.append(Block(kind, labels, _json_line(text, (kind, *labels)), source))
    return found


def _labelled(value: object, depth: int) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, list):
        for member in value:
            yield from _labelled(member, depth)
    elif depth == 0:
        yield (), value
    elif isinstance(value, dict):
        for name, member in value.items():
            for labels, body in _labelled(member, depth - 1):
                yield (name, *labels), body


def _json_line(text: str, names: tuple[str, ...]) -> int:
    position = 0
    for name in names:
        match = re.compile(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:").search(text, position)
        position = match.start() if match else position
    return text.count("\n", 0, position) + 1


def _module_directories(root: Path, manifest: bytes | None) -> dict[str, Path]:
    """Return the directory of each installed module by its key (``network.subnets``)."""
    try:
        modules = json.loads(manifest or b"{}")["Modules"]
        return {entry["Key"]: Path(os.path.normpath(root / entry["Dir"])) for entry in modules if entry["Key"]}
    except (ValueError, KeyError, TypeError):
        return {}


def _local(directory: Path, source: str | None) -> Path | None:
    if source is None or not source.startswith(("./", "../")):
        return None
    return Path(os.path.normpath(directory / source))


def _shown(file: Path, root: Path, base: Path | None) -> str:
    """Return the file's path relative to ``base`` where it lies below, else to ``root``; never an absolute one."""
    for start in (base, root):
        if start is not None and file.is_relative_to(start):
            return file.relative_to(start).as_posix()
    return Path(os.path.relpath(file, root)).as_posix()


def main(arguments: list[str]) -> int:
    """Scan, write the result, and keep it for the next run; returns the exit code."""
    with suppress(OSError):
        # The processors are the engine's: nobody waits for the places before its plan is there.
        os.nice(5)
    root, data_dir, base, entry = (Path(os.path.abspath(each)) if each else None for each in arguments)  # noqa: PTH100 - keeps links
    if root is None or data_dir is None:
        return 64
    read: Read = {}
    # Before the scan: should another init change it meanwhile, the entry answers nothing.
    manifest = scancache.digest(scancache.manifest(data_dir))
    places = scan(root, data_dir, base, read=read)
    json.dump(places, sys.stdout)
    sys.stdout.flush()
    if entry is not None:
        scancache.remember(entry, places, read=read, manifest=manifest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
