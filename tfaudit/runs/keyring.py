"""Which keys does the ledger accept, and how is one replaced: a ``config`` record signed by the root key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tfaudit import __version__
from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.log import Receipt
    from tfaudit.runs.run import World
    from tfaudit.signing.signer import Signer

Role = Literal["record", "log"]
NEXT: Final = ".next"
"""What the name of a new key's file ends in until the ledger accepts the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInForce:
    """One key of the ledger."""

    role: str
    """``root``, ``log``, ``record`` or ``approver``."""
    keyid: str
    algorithm: str
    writers: tuple[str, ...]
    vkey: str | None
    """C2SP's text form, for log keys."""


def in_force(keys: KeySet) -> tuple[KeyInForce, ...]:
    """Return the keys that may sign the next commit's records."""
    found = [KeyInForce(role="root", keyid=keys.root.keyid, algorithm=keys.root.algorithm, writers=(), vkey=None)]
    found += [
        KeyInForce(role="log", keyid=key.public.keyid, algorithm=key.public.algorithm, writers=(), vkey=key.vkey)
        for key in keys.log
    ]
    found += [
        KeyInForce(
            role="record",
            keyid=signer.public.keyid,
            algorithm=signer.public.algorithm,
            writers=signer.writers,
            vkey=None,
        )
        for signer in keys.signers
    ]
    found += [
        KeyInForce(role="approver", keyid=key.keyid, algorithm=key.algorithm, writers=(), vkey=None)
        for key in keys.approvers
    ]
    return tuple(found)


def rotate(config: Config, world: World, role: Role, root_key: str) -> Receipt:
    """Replace this machine's record or log key by a new one and return the receipt of the ``config`` record.

    ``root_key`` is the root key's URI. The old key's file is kept beside the new one, for no record can be signed by
    it any more. Raises :class:`ConfigError` when the root key is another ledger's or the present key isn't a file,
    :class:`LedgerError` when the ledger can't be written: then the old key is still in force.
    """
    from tfaudit.ledger.keyset import AcceptedSigner
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.note import NoteKey
    from tfaudit.signing.signer import create_key_file, open_signer

    path = _path(config, role)
    ledger = open_ledger(config, world)
    keys = ledger.reader().state.keys
    old = open_signer(f"file:{path}", base=config.root)
    root = open_signer(root_key, base=world.cwd)
    upcoming = path.with_name(path.name + NEXT)
    if upcoming.exists():
        new: Signer = open_signer(f"file:{upcoming}", base=config.root)
        if _accepts(keys, role, new.public.keyid):
            # An earlier rotation was cut off after the ledger had taken the key: only the files are left to do.
            _swap(path, upcoming, old)
            raise ConfigError("an earlier rotation has been finished", hint="run keys rotate again for another new key")
        upcoming.unlink()
    new = create_key_file(upcoming, algorithm=old.public.algorithm)
    if role == "record":
        entries = [each for each in keys.signers if each.public.keyid == old.public.keyid]
        if not entries:
            raise ConfigError(f"the ledger does not accept the key in {path} (any more)", hint="tfaudit keys list")
        signers = tuple(
            AcceptedSigner(public=new.public, writers=each.writers) if each in entries else each
            for each in keys.signers
        )
        changed = replace(keys, generation=keys.generation + 1, signers=signers)
    else:
        log = tuple(
            NoteKey(name=key.name, public=new.public) if key.public.keyid == old.public.keyid else key
            for key in keys.log
        )
        changed = replace(keys, generation=keys.generation + 1, log=log)
    with ledger.draft("config") as draft:
        predicate = {
            "keys": changed.document(),
            "tfaudit": {"version": __version__},
            "config": {"action": "rotate", "role": role, "old": old.public.keyid, "new": new.public.keyid},
        }
        receipt = ledger.append(draft, predicate, signer=root)
    # A crash here: the ledger takes the new key only, and the next rotation finds it in the .next file.
    _swap(path, upcoming, old)
    return receipt


def _path(config: Config, role: Role) -> Path:
    uri = config.signer_record if role == "record" else config.signer_log
    if uri is None:
        raise ConfigError("this configuration holds no log key", hint="rotate it where [signer] log is set")
    scheme, _, rest = uri.partition(":")
    if scheme != "file":
        raise ConfigError(f"{uri} is not a key file", hint="rotate it where it is kept, then push the new public key")
    return Path(rest)


def _accepts(keys: KeySet, role: Role, keyid: str) -> bool:
    return any(each.role == role and each.keyid == keyid for each in in_force(keys))


def _swap(path: Path, upcoming: Path, old: Signer) -> None:
    """Put the new key in the old one's place; at any moment one of the two files holds it."""
    try:
        path.rename(path.with_name(f"{path.name}.{old.public.keyid[:8]}.old"))
        upcoming.rename(path)
    except OSError as error:
        raise ConfigError(
            f"the new key is in force but can't be put in place: {error.strerror}", hint=f"move {upcoming} to {path}"
        ) from error
