"""Which command lines are the engine's own business, so that tfaudit only has to step aside?

The console script. A command that isn't audited is replaced by the engine (``exec``: same process, stdin, stdout,
stderr, signals, exit code) before anything but ``os`` and ``sys`` has been imported: the whole of tfaudit costs a
few milliseconds then. Everything else goes to :mod:`tfaudit.cli.main`.
"""

from __future__ import annotations

import os
import sys

from tfaudit.engine import commands, find, handover

_VALUE_OPTIONS = (
    "--config",
    "--ledger",
    "--working",
    "--reason",
    "--ticket",
    "--approval",
    "--evidence",
)
_FLAG_OPTIONS = ("--break-glass", "--seal", "--sealed", "-v", "--verbose")
# fmt: off
VERBS = frozenset((
    "setup", "doctor", "keys", "demo", "approve", "reject", "gate", "log", "inspect", "history", "verify", "export",
    "pack", "deliver", "recover", "sequence", "config", "serve", "whoami", "prove", "verify-proof", "review", "retain",
    "erase", "migrate", "policy",
))
# fmt: on
_BACKEND_FLAGS = ("migrate-state", "reconfigure", "force-copy", "backend-config")


def main() -> int:
    """Run tfaudit as its console script: replace this process by the engine, or return the exit code of a command."""
    argv = sys.argv[1:]
    shim = find.shim_name(sys.argv[0])
    rest, config = (argv, None) if shim else own_options(argv)
    if is_engines(rest, config, shim):
        return _become_engine(rest, shim)
    _open_standard_streams()
    from tfaudit.cli.main import main as cli

    code = cli(argv, shim=shim)
    import gc

    # Python looks through all its objects before it ends: tens of milliseconds, for what is gone with the process.
    gc.freeze()
    return code


def _open_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed: the next file that is opened would become it."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    # Python has no object for one that was closed when it started.
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)


def own_options(argv: list[str]) -> tuple[list[str], str | None]:
    """Return what follows tfaudit's own options, and the value of ``--config``."""
    config = None
    position = 0
    while position < len(argv):
        name, equals, value = argv[position].partition("=")
        if name in _VALUE_OPTIONS:
            if not equals:
                position += 1
                value = argv[position] if position < len(argv) else ""
            if name == "--config":
                config = value
        elif argv[position] not in _FLAG_OPTIONS:
            break
        position += 1
    return argv[position:], config


def is_engines(rest: list[str], config: str | None, shim: str | None) -> bool:
    """Whether the engine alone is to run: a subcommand that isn't audited, or one that tfaudit doesn't know."""
    _, words = commands.split_chdir(rest)
    if not shim and (not words or words[0] in VERBS or words[0].startswith("--") or words[0] == "-h"):
        # Two dashes are ours, and so is a mistyped option of ours: the engine spells its global options with one.
        return False
    _, role = commands.find(rest, os.environ)
    if role == commands.READ:
        return not _audits_reads(rest, config)
    if role == commands.INIT:
        return not _may_change_backend(rest)
    return role == commands.PASS


def _become_engine(args: list[str], shim: str | None) -> int:
    """Replace this process by the engine; return only when that can't be done, with the exit code for it."""
    try:
        handover.become(args, os.environ, name=shim, own=find.own_path())
    except Exception as error:  # noqa: BLE001 - naming TfauditError would import it, and typing with it, on every start
        return _refuse(error)


def _refuse(error: Exception) -> int:
    from tfaudit.errors import TfauditError

    if not isinstance(error, TfauditError):
        raise error
    sys.stderr.write(f"tfaudit: {error}\n")
    return error.exit_code


def _root(args: list[str]) -> str:
    chdir, _ = commands.split_chdir(args)
    return os.path.realpath(chdir or os.curdir)


def _audits_reads(args: list[str], config: str | None) -> bool:
    """Whether ``[audit] reads`` is on. A configuration that can't be read goes to the CLI, which says why."""
    switch = os.environ.get("TFAUDIT_AUDIT_READS")
    if switch:
        # What is neither yes nor no goes to the CLI too: a misspelt switch must not silently audit less.
        return switch.lower() not in ("0", "false")
    path = config or os.environ.get("TFAUDIT_CONFIG") or _found_upwards(_root(args))
    if not path:
        return False
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return True
    if b"reads" not in text:
        return False
    import tomllib

    try:
        audit = tomllib.loads(text.decode()).get("audit")
    except ValueError:
        return True
    return bool(isinstance(audit, dict) and audit.get("reads"))


def _found_upwards(folder: str) -> str | None:
    while True:
        path = os.path.join(folder, "tfaudit.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _may_change_backend(args: list[str]) -> bool:
    """Whether an ``init`` needs the closer look of :func:`tfaudit.engine.backend.init_changes_backend`.

    Only what can be said without parsing: an option about backends, an initialised backend, or the word ``backend`` or
    ``cloud`` in a configuration file.
    """
    if any(word.lstrip("-").startswith(_BACKEND_FLAGS) for word in args) or "TF_CLI_ARGS_init" in os.environ:
        return True
    root = _root(args)
    data = os.path.join(root, os.environ.get("TF_DATA_DIR") or ".terraform", "terraform.tfstate")
    if os.path.exists(data):
        return True
    try:
        names = [name for name in os.listdir(root) if name.endswith((".tf", ".tf.json", ".tofu", ".tofu.json"))]
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                text = file.read()
            if b"backend" in text or b"cloud" in text:
                return True
    except OSError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
