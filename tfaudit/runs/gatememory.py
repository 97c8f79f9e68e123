"""May a run go on without its ledger: what did this machine last see of the gate that is pinned there?

Whether a gate is pinned only the ledger can tell. So a run that can't reach it goes on only where the ledger was seen
to gate nothing, or this state not; what was seen is kept outside of the repository, under the ledger's genesis and the
state's key, neither of which a repository can choose for another's. On a machine that knows nothing, whoever set up the
environment may decide, and the repository's authors may not.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.errors import TfauditError

_LEDGER: Final = "ledger"
_PINNED: Final = b"a gate is pinned\n"
_NOTHING: Final = b"nothing is pinned\n"
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def remember(environ: Mapping[str, str], genesis: str, state_key: str | None, *, pinned: bool, gated: bool) -> None:
    """Keep what the ledger says: whether anything is ``pinned``, and whether that gates the state.

    Costs a look at two small files where nothing has changed. Where there is no place to keep it, nothing is kept.
    """
    folder = _folder(environ, genesis)
    if folder is None:
        return
    with suppress(OSError):
        _write(folder / _LEDGER, _PINNED if pinned else _NOTHING)
        if pinned and state_key is not None:
            mark = folder / state_key
            if gated:
                mark.unlink(missing_ok=True)
            else:
                _write(mark, b"")


def may_go_on(environ: Mapping[str, str], genesis: str, state_key: str | None, *, trusted: bool) -> bool:
    """Tell whether a run on the state may go on unread; ``trusted`` where not only the repository wants it so."""
    folder = _folder(environ, genesis)
    said = _read(folder / _LEDGER) if folder is not None else None
    if said == _NOTHING:
        return True
    if said == _PINNED and folder is not None:
        return state_key is not None and _read(folder / state_key) is not None
    return trusted


def refusal(error: TfauditError) -> LedgerError:
    """Return what a run that may not go on ends with."""
    return LedgerError(
        f"the ledger can't be read, and a gate may be pinned in it: {error.message}",
        hint='on_ledger_failure = "spool" holds for what this machine has seen to be ungated; for a ledger that it has '
        "never read, only TFAUDIT_ON_LEDGER_FAILURE counts",
    )


def _folder(environ: Mapping[str, str], genesis: str) -> Path | None:
    from tfaudit.engine.brand import default_cache

    digest = genesis.removeprefix("sha256:")
    cache = default_cache(environ)
    return None if cache is None or not _HEX.fullmatch(digest) else cache.with_name("gates") / digest


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    """Write the file if it doesn't say so already, never half of it."""
    if _read(path) == content:
        return
    import tempfile  # loads much, for what is written once

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
