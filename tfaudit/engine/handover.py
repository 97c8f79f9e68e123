"""How does tfaudit step aside: the engine takes over this process, with its streams, signals and exit code.

Only ``os`` is imported: the pass-through path reads this module on every start.
"""

from __future__ import annotations

import os

from tfaudit.engine import find

TYPE_CHECKING = False  # typing itself would cost 7 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn


def become(args: Sequence[str], environ: Mapping[str, str], *, name: str | None, own: str) -> NoReturn:
    """Replace this process by the engine with ``args``.

    ``name`` is the engine's name that tfaudit was called under, ``own`` the real path of tfaudit. Raises
    :class:`~tfaudit.errors.UnavailableError` when there is no engine or it can't be started, and
    :class:`~tfaudit.errors.InternalError` when it is a wrapper that came back here.
    """
    find.check_loop(environ, args)
    command = find.command(environ, name=name, own=own)
    marked = find.marked(environ, args, own=own)
    _restore_signals()
    try:
        os.execve(command[0], [find.called(command), *command[1:], *args], marked)  # noqa: S606 - no shell is wanted
    except OSError as error:
        from tfaudit.errors import UnavailableError

        raise UnavailableError(f"the engine {command[0]} can't be started: {error.strerror}") from error


def _restore_signals() -> None:
    """Undo what Python does at its start: an ignored SIGPIPE would be inherited through ``exec``."""
    import _signal  # type: ignore[import-not-found]  # the core of signal, which itself costs 3 ms

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
