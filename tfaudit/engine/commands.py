"""Which subcommand a command line means, and what tfaudit does with it.

Only :mod:`tfaudit.engine.words` is imported: the pass-through path reads this module on every start. The rules are
those of the engines' ``main.go`` and of mitchellh/cli.
"""

from __future__ import annotations

from tfaudit.engine import words

TYPE_CHECKING = False  # typing itself would cost 7 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLAN = "plan"
APPLY = "apply"
OPERATION = "operation"
INIT = "init"
READ = "read"
PASS = "pass"  # noqa: S105 - the engine passes through, there is no password

_ROLES = {
    "plan": PLAN,
    "apply": APPLY,
    "destroy": APPLY,
    "init": INIT,
    "refresh": OPERATION,
    "import": OPERATION,
    "taint": OPERATION,
    "untaint": OPERATION,
    "state mv": OPERATION,
    "state rm": OPERATION,
    "state push": OPERATION,
    "state replace-provider": OPERATION,
    "state migrate": OPERATION,
    "workspace new": OPERATION,
    "workspace delete": OPERATION,
    "force-unlock": OPERATION,
    "test": OPERATION,
    "test cleanup": OPERATION,
    "output": READ,
    "show": READ,
    "state pull": READ,
    "state list": READ,
    "state show": READ,
    "console": READ,
}

# Other two-word commands that an engine has: their first word alone is only a help page.
_PASSED = ("workspace select", "workspace list", "workspace show")

# Spellings that the engines keep as aliases (env: hidden in both; move, remove, ls: OpenTofu).
_ALIASES = {
    "env new": "workspace new",
    "env delete": "workspace delete",
    "env select": "workspace select",
    "env list": "workspace list",
    "state move": "state mv",
    "state remove": "state rm",
    "state ls": "state list",
}

_HELP = ("-h", "-help", "--help")
_VERSION = ("-v", "-version", "--version")
_COMPLETION = ("-install-autocomplete", "--install-autocomplete", "-uninstall-autocomplete", "--uninstall-autocomplete")


def role(command: str, rest: Sequence[str]) -> str:
    """Return what tfaudit does with ``command``: one of PLAN, APPLY, OPERATION, INIT, READ, PASS."""
    if command == "workspace select":
        # With -or-create it may make a workspace, and with it a state.
        return OPERATION if any(word.lstrip("-").startswith("or-create") for word in rest) else PASS
    return _ROLES.get(command, PASS)


def canonical(command: str) -> str:
    """Return the engine's main name of ``command``."""
    return _ALIASES.get(command, command)


def split_chdir(args: list[str]) -> tuple[str | None, list[str]]:
    """Return the directory of ``-chdir=DIR`` before the subcommand and the arguments without it.

    As in the engines, of several only the last is taken out; what is left makes the engine refuse the line.
    """
    found = None
    for position, word in enumerate(args):
        if not word.startswith("-"):
            break
        if word.startswith("-chdir=") and word != "-chdir=":
            found = position
    if found is None:
        return None, args
    return args[found].removeprefix("-chdir="), args[:found] + args[found + 1 :]


def subcommand(args: Sequence[str]) -> tuple[str, int]:
    """Return the subcommand as spelled ("" when there is none) and the position of the first argument after it."""
    for position, word in enumerate(args):
        if word == "--":
            break
        if not word or word.startswith("-"):
            continue
        if " " in word:
            break
        if position + 1 < len(args):
            both = f"{word} {args[position + 1]}"
            if _known(both):
                return both, position + 2
        return word, position + 1
    return "", len(args)


def _known(command: str) -> bool:
    return command in _ROLES or command in _ALIASES or command in _PASSED


def expand(args: list[str], environ: Mapping[str, str]) -> list[str]:
    """Return ``args`` (without ``-chdir``) with ``TF_CLI_ARGS`` and ``TF_CLI_ARGS_<command>`` put in their place.

    That place is after the first argument that equals the subcommand's last word. Raises
    :class:`~tfaudit.engine.words.WordsError` where the engine reports that it can't split the variable.
    """
    command, _ = subcommand(args)
    specific = "TF_CLI_ARGS_" + command.replace("-", "_").replace(" ", "_")
    last = command.rpartition(" ")[2]
    # First the general variable, then the specific one before it: so the engines do it.
    for name in ("TF_CLI_ARGS", specific):
        value = environ.get(name)
        if value:
            at = args.index(last) + 1 if last in args else 0
            args = [*args[:at], *words.split(value), *args[at:]]
    return args


def asks_for_help(args: Sequence[str]) -> bool:
    """Whether the engine would only print help or its version, or set up completion, and do nothing else."""
    if any(word in _VERSION for word in args):
        return True
    for word in args:
        if word == "--":
            return False
        if word in _HELP or word in _COMPLETION:
            return True
    return False


def find(args: list[str], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the canonical subcommand of a whole command line and its role.

    A ``TF_CLI_ARGS`` that can't be split changes nothing here: the caller finds that out when it expands it, and lets
    the engine say so.
    """
    _, rest = split_chdir(args)
    try:
        rest = expand(rest, environ)
    except words.WordsError:
        rest = list(rest)
    if environ.get("COMP_LINE") or asks_for_help(rest):
        return "", PASS
    spelled, after = subcommand(rest)
    command = canonical(spelled)
    return command, role(command, rest[after:])
