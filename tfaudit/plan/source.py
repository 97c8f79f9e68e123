"""In which file, on which line, is the block of this resource written?

The configuration is read by python-hcl2 in a child process, so that it overlaps with the engine's plan and can be
stopped; through local modules by their directories, through downloaded ones by ``modules.json``. What was found is kept
for the next run of the same files. A file that can't be parsed costs its lines, not the run; so does a scan that takes
too long.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

_INDEX: Final = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[\d+\]|\[\*\]')


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
    """A scan of the root module in ``root``; downloaded modules are found by ``data_dir``'s ``modules.json``.

    Paths in the result are relative to ``base`` (the repository's root) where the file lies below it, else to ``root``.
    ``cache`` is the folder for what was found before. Nothing is read before :meth:`begin`; without a ``root`` nothing
    ever is.
    """

    def __init__(
        self,
        root: Path | None,
        *,
        data_dir: Path | None = None,
        base: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self._root = root
        self._data_dir = data_dir or Path(".terraform")
        self._base = base
        self._cache = cache
        self._lock = threading.Lock()
        self._begun = root is None
        self._known: SourceMap | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SourceScan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def begin(self) -> None:
        """Look what is known of these files, and start to read them in a child process if nothing is; at most once.

        Where no child process can be started, nothing is found.
        """
        with self._lock:
            if self._begun or self._root is None:
                return
            self._begun = True
            from tfaudit.plan import scancache

            root, data_dir = self._root.absolute(), self._data_dir.absolute()
            entry = scancache.entry(self._cache, root, data_dir, self._base) if self._cache else None
            known = scancache.recall(entry, data_dir) if entry else None
            if known is not None:
                self._known = SourceMap(known)
                return
            places = (root, data_dir, self._base or "", entry or "")
            command = [sys.executable, "-I", "-m", "tfaudit.plan.hclscan", *(os.fspath(each) for each in places)]
            with suppress(OSError):
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # the terminal's Ctrl-C is for the engine
                )

    def result(self, timeout: float) -> SourceMap:
        """Return what was found, waiting at most ``timeout`` seconds; an empty map where it failed or took longer."""
        self.begin()
        if self._known is None:
            self._known = self._answer(timeout)
        return self._known

    def _answer(self, timeout: float) -> SourceMap:
        if self._process is None:
            return SourceMap()
        import msgspec

        try:
            output, _ = self._process.communicate(timeout=timeout)
            places = msgspec.json.decode(output, type=dict[str, tuple[str, int]]) if output else {}
        except (subprocess.TimeoutExpired, msgspec.MsgspecError, UnicodeDecodeError, OSError, ValueError):
            self.stop()
            return SourceMap()
        self._process = None
        return SourceMap(places)

    def stop(self) -> None:
        """End the child process, and start none; harmless where it ended already."""
        with self._lock:
            self._begun = True
            process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
