"""How does a plan file get from one job to another without anybody in between reading it?

Encrypted with age (https://age-encryption.org/v1) to the apply job's key. The engine writes the plan into tfaudit's own
scratch, and the apply reads it from there: on Linux both are memory, and the disk sees the encrypted file alone.

Encryption says who can read a plan, not who made it: anybody who knows the recipient can seal one. What may be applied
is still for the gate to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

from tfaudit.engine.argv import Role
from tfaudit.engine.invocation import Invocation
from tfaudit.engine.scratch import Scratch
from tfaudit.errors import ConfigError, InputError, UsageError
from tfaudit.regular import NotAFileError, open_regular

TO: Final = "TFAUDIT_SEAL_TO"
KEY: Final = "TFAUDIT_SEAL_KEY"
MAX_SEALED: Final = 1 << 30
MAX_RECIPIENTS_FILE: Final = 1 << 20
_MAGIC: Final = (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")
_PRIVATE: Final = ("AGE-SECRET-KEY-", "-----BEGIN")


def check_use(invocation: Invocation, *, seal: bool, sealed: bool, remote: bool) -> None:
    """Raise :class:`UsageError` where ``--seal`` or ``--sealed`` stands before a command that it can't serve.

    ``remote``: the run takes place at a remote service, which keeps the plan and leaves only a bookmark here.
    """
    if seal and (invocation.role is not Role.PLAN or invocation.out is None):
        raise UsageError("--seal needs a plan that is saved", hint="tfaudit --seal plan -out=FILE")
    if seal and remote:
        raise UsageError("--seal can't seal a plan that a remote service keeps", hint="leave --seal away")
    if sealed and (invocation.role is not Role.APPLY or invocation.plan_file is None):
        raise UsageError("--sealed needs a plan file to apply", hint="tfaudit --sealed apply FILE")


# --- to whom, and by whom --------------------------------------------------------------------------------------------


def recipients(environ: Mapping[str, str], cwd: Path) -> tuple[object, ...]:
    """Return those who can open what is sealed, by ``TFAUDIT_SEAL_TO``: keys, or files of them, with commas between.

    A key is ``age1…`` or an OpenSSH public key ``ssh-ed25519 …``. Raises :class:`ConfigError` where there is none, or
    one of them is not such a key.
    """
    pyrage = _pyrage()
    texts: list[str] = []
    for item in environ.get(TO, "").split(","):
        word = item.strip()
        texts += [word] if word.startswith(("age1", "ssh-")) else _read_recipients(cwd / word) if word else []
    if not texts:
        raise ConfigError("there is nobody to seal the plan for", hint=f"set {TO} to the apply job's public key")
    return tuple(_recipient(pyrage, text) for text in texts)


def _read_recipients(path: Path) -> list[str]:
    """Return the keys of a recipients file as ``age -R`` takes it: one a line, ``#`` before a comment."""
    try:
        with open_regular(path) as file:
            content = file.read(MAX_RECIPIENTS_FILE + 1)
        lines = content.decode().splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the recipients file {path} can't be read", hint=f"{TO} takes age1… and ssh-ed25519 keys, or files of them"
        ) from error
    if len(content) > MAX_RECIPIENTS_FILE:
        raise ConfigError(f"the recipients file {path} is too large")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _recipient(pyrage: ModuleType, text: str) -> object:
    # Somebody's secret in place of the public key must not come back on the screen.
    shown = f"{text[:16]}…" if text.startswith(("age1", "ssh-")) else "something else"
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        if text.startswith("ssh-ed25519 "):
            return pyrage.ssh.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigError(f"{TO} holds {shown}, which is no valid key") from error
    raise ConfigError(f"{TO} holds {shown}", hint="a recipient is an age1… or an ssh-ed25519 public key")


def identities(environ: Mapping[str, str], cwd: Path) -> tuple[object, ...]:
    """Return the keys of the file that ``TFAUDIT_SEAL_KEY`` names: age identities, or one OpenSSH private key.

    Raises :class:`ConfigError` where there is none, others may read it, or it has a passphrase.
    """
    from tfaudit.signing.signer import read_key_file

    pyrage = _pyrage()
    named = environ.get(KEY, "")
    if not named:
        raise ConfigError("there is no key to open the plan with", hint=f"set {KEY} to the path of the private key")
    if named.startswith(_PRIVATE):
        raise ConfigError(f"{KEY} holds a key itself", hint="put the key into a file of mode 0600 and name that file")
    path = cwd / named
    content = read_key_file(path)
    try:
        if content.startswith(b"-----BEGIN"):
            return (pyrage.ssh.Identity.from_buffer(content),)
        lines = [line.strip() for line in content.decode().splitlines()]
        found = tuple(pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#"))
    except (pyrage.IdentityError, ValueError) as error:
        raise ConfigError(
            f"the key file {path} holds no key that opens sealed plans",
            hint="an age identity (tfaudit keys seal), or an OpenSSH Ed25519 key without a passphrase",
        ) from error
    if not found:
        raise ConfigError(f"the key file {path} is empty")
    return found


def new_identity(path: Path) -> str:
    """Make a key for sealed plans in ``path``, mode 0600, durable on return; return its recipient, ``age1…``.

    Raises :class:`ConfigError` when anything is there already, or it can't be written: then nothing is left.
    """
    pyrage = _pyrage()
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"the key file {path} exists already", hint="a key is never overwritten") from error
    except OSError as error:
        raise ConfigError(f"can't create the key file {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"# public key: {recipient}\n{identity}\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise ConfigError(f"can't write the key file {path}: {error.strerror}") from error
    return recipient


# --- the file --------------------------------------------------------------------------------------------------------


def seal(scratch: Scratch, path: Path, to: Sequence[object]) -> None:
    """Write the plan in ``scratch`` to ``path``, encrypted for ``to``: whole or not at all, mode 0600.

    What was at ``path`` before, even in clear, is replaced. Raises :class:`InputError` where it can't be written.
    """
    from tfaudit.export.whole import whole_file

    pyrage = _pyrage()
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise InputError(f"{path} is no file that a sealed plan could be written to")
    try:
        with whole_file(target, force=True) as file, _reading(scratch) as source:
            pyrage.encrypt_io(source, file, list(to))
    except pyrage.EncryptError as error:
        # What the file said while it was written comes back through the library, as a text.
        raise InputError(f"the sealed plan {path} can't be written") from error


def unseal(path: Path, scratch: Scratch, keys: Sequence[object]) -> None:
    """Decrypt the file at ``path`` into ``scratch`` and seal that against writing.

    Raises :class:`InputError` where it is missing, no sealed plan, or damaged, and :class:`ConfigError` where it is
    sealed for somebody else; ``scratch`` is empty then.
    """
    pyrage = _pyrage()
    try:
        with _sealed_file(path) as source, os.fdopen(os.dup(scratch.fd), "wb") as target:
            pyrage.decrypt_io(source, target, list(keys))
    except pyrage.DecryptError as error:
        os.ftruncate(scratch.fd, 0)
        if "No matching keys" in str(error):
            raise ConfigError(
                f"the key in {KEY} doesn't open {path}", hint=f"it must be one of those in {TO} when it was sealed"
            ) from error
        raise InputError(f"the sealed plan {path} is damaged", hint="plan again") from error
    except OSError as error:
        # The library's own finding, part of the way through, or ours that memory is full.
        os.ftruncate(scratch.fd, 0)
        why = f"can't be opened: {error.strerror}" if error.strerror else "is damaged or cut off"
        raise InputError(f"the sealed plan {path} {why}", hint="plan again") from error
    scratch.seal()


def is_sealed(path: Path) -> bool:
    """Whether the file at ``path`` begins like one that age encrypted; False where it can't be read."""
    try:
        with open_regular(path) as file:
            return file.read(len(_MAGIC[1])).startswith(_MAGIC)
    except OSError:
        return False


@contextmanager
def _sealed_file(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open_regular(path)
    except NotAFileError as error:
        raise InputError(f"the plan file {path} is not a file", hint="give the path that plan -out wrote") from error
    except OSError as error:
        raise InputError(f"the plan file {path} can't be read: {error.strerror}") from error
    with file:
        if os.fstat(file.fileno()).st_size > MAX_SEALED:
            raise InputError(f"the plan file {path} is larger than {MAX_SEALED >> 20} MiB")
        if not file.read(len(_MAGIC[1])).startswith(_MAGIC):
            raise InputError(f"{path} is not a sealed plan", hint="apply it without --sealed")
        file.seek(0)
        yield file


@contextmanager
def _reading(scratch: Scratch) -> Iterator[BinaryIO]:
    with os.fdopen(os.dup(scratch.fd), "rb") as file:
        file.seek(0)
        yield file


def _pyrage() -> ModuleType:
    try:
        import pyrage
    except ImportError as error:
        raise ConfigError("sealed plans need the package pyrage", hint="pip install 'tfaudit[seal]'") from error
    found: ModuleType = pyrage
    return found
