"""In which file, on which line, is the block of this resource written?

The configuration is read by python-hcl2 in a child process, so that it overlaps with the engine's plan and can be
stopped; through local modules by their directories, through downloaded ones by ``modules.json``. A file that can't be
parsed costs its lines, not the run; so does a scan that takes too long.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

import msgspec

_INDEX: Final = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[\d+\]|\[\*\]')
_MAX_OUTPUT: Final = 64 << 20


class Source(NamedTuple):
    """A place in the configuration; ``file`` is relative to the repository's root or the root module."""

    file: str
    line: int


class SourceMap:
    """The blocks of a configuration by their addresses without instance keys."""

    def __init__(self, places: Mapping[str, tuple[str, int]] | None = None) -> None:
        self._places: Final = places or {}

    def __len__(self) -> int:
        return len(self._places)

    def find(self, address: str) -> Source | None:
        """Return where the block of the resource (or instance) at ``address`` is written; None where unknown."""
        if not self._places:
            return None
        place = self._places.get(_INDEX.sub("", address) if "[" in address else address)
        return Source(*place) if place is not None else None


class SourceScan:
    """A scan that runs in a child process until its result is asked for, or it is stopped."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    def __enter__(self) -> SourceScan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def result(self, timeout: float) -> SourceMap:
        """Return what was found, waiting at most ``timeout`` seconds; an empty map where it failed or took longer."""
        if self._process is None:
            return SourceMap()
        try:
            output, _ = self._process.communicate(timeout=timeout)
            places = msgspec.json.decode(output, type=dict[str, tuple[str, int]]) if output else {}
        except (subprocess.TimeoutExpired, msgspec.MsgspecError, UnicodeDecodeError, OSError, ValueError):
            self.stop()
            return SourceMap()
        self._process = None
        return SourceMap(places)

    def stop(self) -> None:
        """End the child process; harmless where it ended already."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _give_way() -> None:
    """Leave the processors to the engine: nobody waits for the places before its plan is there."""
    os.nice(5)


def start_scan(root: Path, *, data_dir: Path, base: Path | None = None) -> SourceScan:
    """Start to read the root module in ``root``; downloaded modules are found by ``data_dir``'s ``modules.json``.

    Paths in the result are relative to ``base`` (the repository's root) where the file lies below it, else to ``root``.
    Returns at once, also where no child process can be started; then nothing is found.
    """
    command = [sys.executable, "-I", "-m", "tfaudit.plan.hclscan", os.fspath(root), os.fspath(data_dir)]
    command += [os.fspath(base)] if base is not None else []
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is for the engine
            preexec_fn=_give_way,
        )
    except OSError:
        return SourceScan(None)
    return SourceScan(process)
