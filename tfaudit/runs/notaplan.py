"""What does the engine say of a plan file to apply that is none? Its own words are shown, and it can apply nothing.

It is never given the path that was typed: a plan could have come to lie there meanwhile, and would be applied without a
record. It gets the very bytes that were looked at, if they can be no plan to any engine, or something of its own that
can be opened as little; in what it says of that, the path is the typed one.
"""

from __future__ import annotations

import errno
import json
import mmap
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.engine import brand, process
from tfaudit.engine.argv import apply_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfaudit.engine.human import Piece
    from tfaudit.engine.scratch import Scratch
    from tfaudit.errors import InputError
    from tfaudit.runs.stage import Stage

_END_OF_ZIP: Final = b"PK\x05\x06"
"""What every zip archive has, and so every plan file."""
_SPACE: Final = b" \t\r\n\v\f"
_GO: Final = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def told(stage: Stage, error: InputError) -> int:
    """Let the engine say what is wrong with the plan file to apply, and return its exit code.

    ``error`` is what tfaudit has against it: raised where nothing harmless can be put in the file's place.
    """
    engine = stage.run.engine
    if not brand.has_stream(engine):
        raise error
    with _stand_in(stage.scratch, error) as path:
        if path is None:
            raise error
        ended = _shown(stage, path, stage.run.invocation.plan_file or "")
    if ended == 0:
        raise error
    return ended


@contextmanager
def _stand_in(scratch: Scratch, error: InputError) -> Iterator[str | None]:
    """Yield a path at which there is surely no plan, and of which the same is to be said; None where there is none."""
    cause = error.__cause__
    if cause is None:
        yield scratch.path if is_surely_none(scratch) else None
        return
    with tempfile.TemporaryDirectory(prefix="tfaudit-") as name:
        folder = Path(name)
        match cause.errno if isinstance(cause, OSError) else None:
            case errno.ENOENT:
                yield str(folder / "none")
            case errno.EISDIR:
                yield str(folder)
            case errno.ENOTDIR:
                (folder / "file").touch()
                yield str(folder / "file" / "none")
            case errno.EACCES:
                (folder / "file").touch(mode=0o000)
                yield str(folder / "file")
            case _:
                yield None


def is_surely_none(scratch: Scratch) -> bool:
    """Tell whether no engine can take these bytes for a plan: neither for an archive nor for a remote plan's JSON."""
    if scratch.size == 0:
        return True
    with mmap.mmap(scratch.fd, 0, access=mmap.ACCESS_READ) as content:
        if content.find(_END_OF_ZIP) >= 0:
            return False
        first = re.match(rb"[%b]*" % re.escape(_SPACE), content)
        start = first.end() if first is not None else 0
        return content[start : start + 1] != b"{"


def _shown(stage: Stage, path: str, typed: str) -> int:
    """Run the engine's apply of ``path`` and show what it says, of ``typed``; return its exit code."""
    run, screen = stage.run, stage.screen
    call = apply_call(run.invocation, run.world.environ, plan_file=path, json=True)
    edit = _naming(path, typed)
    lines: list[bytes] = []
    ended = process.run_lines(
        run.engine.command,
        call,
        relay=stage.relay,
        on_line=lambda line: lines.append(edit(line)),
        pass_fds=stage.scratch.fds,
    )
    if run.invocation.json:
        screen.out.write(b"".join(line + b"\n" for line in lines))
        return ended.code
    for piece in _rendered(stage, lines):
        (screen.out if piece.stream == "stdout" else screen.err).write(piece.data)
    return ended.code


def _rendered(stage: Stage, lines: list[bytes]) -> Iterator[Piece]:
    from tfaudit.engine.human import Options, Renderer

    screen = stage.screen
    renderer = Renderer(
        Options(
            brand=screen.brand,
            colour=screen.colour,
            width=screen.width,
            error_width=screen.error_width,
            compact_warnings=screen.compact_warnings,
        )
    )
    for line in lines:
        yield from renderer.feed(line)
    yield from renderer.close()


def _naming(path: str, typed: str) -> Callable[[bytes], bytes]:
    """Return what names the typed path in a line of the stream: in Go's quotes where the other one stands in some."""
    plain = _inside_json(typed.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    quoted = _inside_json(f'"{_in_go(typed)}"')
    return lambda line: line.replace(_inside_json(f'"{path}"'), quoted).replace(_inside_json(path), plain)


def _inside_json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _in_go(text: str) -> str:
    """Return the text as Go's ``%q`` writes it, without the quotes around it."""
    return "".join(map(_in_go_one, text))


def _in_go_one(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if character in _GO:
        return _GO[character]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
