"""Which keys does the ledger accept, and how do they change: by ``config`` records that the root key signs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tfaudit import __version__
from tfaudit.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.config import Config
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.log import Ledger, Receipt
    from tfaudit.runs.run import World
    from tfaudit.signing.keys import PublicKey
    from tfaudit.signing.signer import Signer

Role = Literal["record", "log", "root"]
NEXT: Final = ".next"
"""What the name of a new key's file ends in until the ledger accepts the key."""
MIN_KEYID: Final = 8
"""Digits of a key's id that name it."""
MAX_PUBLIC: Final = 1 << 14
"""Bytes of a public key's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInForce:
    """One key of the ledger."""

    role: str
    """``root``, ``log``, ``record`` or ``approver``."""
    keyid: str
    algorithm: str
    writers: tuple[str, ...]
    stacks: tuple[str, ...]
    """The patterns of the stacks that a record key is limited to; none: no limit."""
    vkey: str | None
    """C2SP's text form, for log keys."""


def in_force(keys: KeySet) -> tuple[KeyInForce, ...]:
    """Return the keys that may sign the next commit's records."""
    found = [
        KeyInForce(role="root", keyid=keys.root.keyid, algorithm=keys.root.algorithm, writers=(), stacks=(), vkey=None)
    ]
    found += [
        KeyInForce(
            role="log", keyid=key.public.keyid, algorithm=key.public.algorithm, writers=(), stacks=(), vkey=key.vkey
        )
        for key in keys.log
    ]
    found += [
        KeyInForce(
            role="record",
            keyid=signer.public.keyid,
            algorithm=signer.public.algorithm,
            writers=signer.writers,
            stacks=signer.stacks,
            vkey=None,
        )
        for signer in keys.signers
    ]
    found += [
        KeyInForce(role="approver", keyid=key.keyid, algorithm=key.algorithm, writers=(), stacks=(), vkey=None)
        for key in keys.approvers
    ]
    return tuple(found)


def rotate(config: Config, world: World, role: Role, root_key: str, *, to: str | None = None) -> Receipt:
    """Replace this configuration's record or log key, or the root key, by a new one; return the record's receipt.

    ``root_key`` is the root key's URI, ``to`` that of the new key, which the configuration must name from then on;
    without it a key file is replaced by a new one of the same algorithm, and kept beside it, for no record can be
    signed by it any more. The present root key signs the record in any case. Raises :class:`ConfigError` when the root
    key is another ledger's or the present key is neither a file nor replaced by a named one, :class:`LedgerError` when
    the ledger can't be written: then the old key is still in force.
    """
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.signer import create_key_file, open_signer

    root = open_signer(root_key, base=world.cwd)
    uri, base = _kept(config, world, role, root_key)
    ledger = open_ledger(config, world)
    old = open_signer(uri, base=base)
    if to is not None:
        named = open_signer(to, base=base).public
        return _change(
            ledger, world, root, _replaced(ledger.keys(), role, old.public, named), "rotate", role, old.public, named
        )
    path = base / _path(uri)
    upcoming = path.with_name(path.name + NEXT)
    if upcoming.exists():
        known = open_signer(f"file:{upcoming}", base=base).public.keyid
        if any(each.role == role and each.keyid == known for each in in_force(ledger.keys())):
            # An earlier rotation was cut off after the ledger had taken the key: only the files are left to do.
            _swap(path, upcoming, old)
            raise ConfigError("an earlier rotation has been finished", hint="run keys rotate again for another new key")
        upcoming.unlink()
    new = create_key_file(upcoming, algorithm=old.public.algorithm).public
    receipt = _change(
        ledger, world, root, _replaced(ledger.keys(), role, old.public, new), "rotate", role, old.public, new
    )
    # A crash here: the ledger takes the new key only, and the next rotation finds it in the .next file.
    _swap(path, upcoming, old)
    return receipt


def _kept(config: Config, world: World, role: Role, root_key: str) -> tuple[str, Path]:
    """Return the URI of the key that is to be replaced, and where a relative path in it starts."""
    if role == "root":
        return root_key, world.cwd
    uri = config.signer_record if role == "record" else config.signer_log
    if uri is None:
        raise ConfigError("this configuration holds no log key", hint="rotate it where [signer] log is set")
    return uri, config.root


def add(
    config: Config, world: World, public: PublicKey, *, writers: Sequence[str], stacks: Sequence[str], root_key: str
) -> Receipt:
    """Let another key sign records, and return the receipt of the ``config`` record that says so.

    ``writers`` are the prefixes it is known for; it may sign records of stacks that match one of the patterns
    ``stacks`` only, of all where there is none. Raises :class:`ConfigError` for a key that is accepted already or an
    unusable name or pattern, and as :func:`rotate` does.
    """
    from tfaudit.config import stackpattern
    from tfaudit.ledger import ids, keyset
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.signer import open_signer

    for writer in writers:
        if not ids.is_writer(writer):
            raise ConfigError(f"{writer!r} can't be a writer's name", hint="lower-case letters, digits and hyphens")
    for pattern in stacks:
        if not stackpattern.is_pattern(pattern):
            raise ConfigError(f"{pattern!r} can't be a stack pattern", hint="a stack's name, * for any characters")
    if public.algorithm == "ml-dsa-44":
        raise ConfigError("records are signed by Ed25519 or ECDSA P-256 keys only")
    ledger = open_ledger(config, world)
    keys = ledger.keys()
    if keys.signer(public.keyid) is not None:
        raise ConfigError(f"the key {public.keyid} is accepted already", hint="remove it first to change its limits")
    signer = keyset.AcceptedSigner(public=public, writers=tuple(writers), stacks=tuple(stacks))
    changed = replace(keys, generation=keys.generation + 1, signers=(*keys.signers, signer))
    return _change(ledger, world, open_signer(root_key, base=world.cwd), changed, "add", "record", None, public)


def remove(config: Config, world: World, keyid: str, *, root_key: str) -> tuple[Receipt, str]:
    """Accept no more records of the signer whose key id starts with ``keyid``, from this place of the log on.

    What it signed before stays valid. Returns the receipt and the whole key id. Raises :class:`ConfigError` unless it
    is one signer and not the last, and as :func:`rotate` does.
    """
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.signer import open_signer

    ledger = open_ledger(config, world)
    keys = ledger.keys()
    found = [signer for signer in keys.signers if signer.public.keyid.startswith(keyid)]
    if len(found) != 1 or len(keyid) < MIN_KEYID:
        raise ConfigError(
            f"{keyid!r} is not the start of one accepted record key's id", hint="tfaudit keys list shows them"
        )
    rest = tuple(signer for signer in keys.signers if signer is not found[0])
    if not rest:
        raise ConfigError("this is the last key that may sign records", hint="add another first, or rotate this one")
    changed = replace(keys, generation=keys.generation + 1, signers=rest)
    root = open_signer(root_key, base=world.cwd)
    receipt = _change(ledger, world, root, changed, "remove", "record", found[0].public, None)
    return receipt, found[0].public.keyid


def read_public(text: str, *, base: Path) -> PublicKey:
    """Return the public key that ``text`` gives: a signer's URI, a PEM or OpenSSH file, or base64 of its DER.

    Raises :class:`ConfigError` for anything else, :class:`UnavailableError` when the signer can't be asked.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from tfaudit.signing import keys, ssh
    from tfaudit.signing.signer import SIGNERS, open_signer

    if text.partition(":")[0] in SIGNERS:
        return open_signer(text, base=base).public
    path = base / text
    content = None
    try:
        content = path.read_bytes()[:MAX_PUBLIC] if path.is_file() else None
        if content is None:
            return keys.from_text(text, what="this key")
        if content.lstrip().startswith(b"-----"):
            return keys.public_key(load_pem_public_key(content))
    except (OSError, ValueError, UnsupportedAlgorithm, InputError) as error:
        what = "is no public key and no file" if content is None else "is no public key"
        raise ConfigError(
            f"{text[:80]} {what}", hint="a PEM or .pub file, base64 of its DER, or a signer's URI"
        ) from error
    return ssh.public_line(content, what=text)[0]


def whoever(world: World) -> bytes:
    """Return the JSON text of who runs this, as far as the environment and the system say."""
    from tfaudit.events import commitment
    from tfaudit.identity import environment, machine
    from tfaudit.identity.actor import combine

    evidence = (environment.recognise(world.environ), machine.operating_system_user())
    return commitment.json_text(combine(each for each in evidence if each is not None).to_json())


def _change(
    ledger: Ledger,
    world: World,
    root: Signer,
    keys: KeySet,
    action: str,
    role: Role,
    old: PublicKey | None,
    new: PublicKey | None,
) -> Receipt:
    """Put ``keys`` in force and return the receipt of the record that does."""
    change = {"action": action, "role": role}
    change |= {"old": old.keyid} if old else {}
    change |= {"new": new.keyid} if new else {}
    facts = {"tfaudit": {"version": __version__}, "config": change}
    return ledger.change_keys(keys, root, facts, actor=whoever(world))


def _replaced(keys: KeySet, role: Role, old: PublicKey, new: PublicKey) -> KeySet:
    """Return the next generation, with the new key in the old one's place."""
    if not any(each.role == role and each.keyid == old.keyid for each in in_force(keys)):
        raise ConfigError(f"the ledger does not accept the {role} key {old.keyid[:16]}…", hint="tfaudit keys list")
    if role == "root":
        return replace(keys, generation=keys.generation + 1, root=new)
    if role == "record":
        signers = tuple(replace(each, public=new) if each.public.keyid == old.keyid else each for each in keys.signers)
        return replace(keys, generation=keys.generation + 1, signers=signers)
    log = tuple(replace(key, public=new) if key.public.keyid == old.keyid else key for key in keys.log)
    return replace(keys, generation=keys.generation + 1, log=log)


def _path(uri: str) -> Path:
    scheme, _, rest = uri.partition(":")
    if scheme != "file":
        raise ConfigError(f"{uri} is not a key file", hint="make a new key where it is kept, and name it by --to")
    return Path(rest)


def _swap(path: Path, upcoming: Path, old: Signer) -> None:
    """Put the new key in the old one's place; at any moment one of the two files holds it."""
    try:
        path.rename(path.with_name(f"{path.name}.{old.public.keyid[:8]}.old"))
        upcoming.rename(path)
    except OSError as error:
        raise ConfigError(
            f"the new key is in force but can't be put in place: {error.strerror}", hint=f"move {upcoming} to {path}"
        ) from error
