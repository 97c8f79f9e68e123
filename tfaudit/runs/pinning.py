"""What is pinned in the ledger, and how does this configuration become so: by a ``config`` record of the root key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit import __version__
from tfaudit.errors import ConfigError, LedgerError, TfauditError
from tfaudit.gate import bundle as bundles
from tfaudit.gate import bundlechange, loosening
from tfaudit.gate.bundle import Bundle
from tfaudit.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfaudit.config import Config
    from tfaudit.gate.bundle import Pinned
    from tfaudit.gate.comparing import Change
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.runs.run import World
    from tfaudit.signing.keys import PublicKey

MAX_APPROVERS_FILE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a push would put in force."""

    bundle: Bundle
    digest: str
    before: Pinned | None
    """The bundle in force; None where none is, or its content is lost."""
    lost: TfauditError | None
    """Why the content of the bundle in force can't be shown."""
    changes: tuple[Change, ...]
    """Against the one in force."""
    approvers: tuple[PublicKey, ...]
    """The keys that may sign approvals as records of their own."""

    @property
    def same(self) -> bool:
        """Whether the bundle in force is this very one."""
        return self.before is not None and bundles.digest(self.before.bundle) == self.digest

    @property
    def loosens(self) -> bool:
        """Whether less is asked for than before, as far as that is known."""
        return self.lost is not None or any(change.loosens for change in self.changes)


def propose(config: Config, *, origin: str, before: Pinned | None, lost: TfauditError | None = None) -> Proposal:
    """Return the bundle that the present configuration makes, and what it changes.

    Raises :class:`ConfigError` where there is no ``[gate]``, a file can't be read or the parts don't fit together.
    """
    found = bundle_of(config, origin=origin)
    return Proposal(
        bundle=found,
        digest=bundles.digest(found),
        before=before,
        lost=lost,
        changes=() if before is None else tuple(bundlechange.changes(before.bundle, found)),
        approvers=_record_keys(found),
    )


def push(config: Config, world: World, root_key: str, *, agree: Callable[[Proposal], bool]) -> Receipt | None:
    """Put the present configuration in force for all stacks, and return the receipt of the record that does.

    None where ``agree`` says no. Raises :class:`ConfigError` where there is nothing to pin or ``root_key`` is not the
    ledger's, :class:`LedgerError` when the ledger can't be read or written.
    """
    from tfaudit.ledger import pinned
    from tfaudit.runs.keyring import whoever
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.signer import open_signer

    ledger = open_ledger(config, world)
    reader = ledger.reader()
    before: Pinned | None = None
    lost: TfauditError | None = None
    try:
        before = pinned.in_force(reader)
    except LedgerError as error:
        # Its content is gone: pinning anew is the way out, so it must be possible.
        lost = error
    proposal = propose(config, origin=ledger.origin, before=before, lost=lost)
    if not agree(proposal):
        return None
    keys = _changed(reader.state.keys, proposal)
    facts = {"tfaudit": {"version": __version__}, "config": {"action": "push"}}
    root = open_signer(root_key, base=world.cwd)
    return ledger.change_keys(keys, root, facts, bundle=bundles.build(proposal.bundle), actor=whoever(world))


def bundle_of(config: Config, *, origin: str) -> Bundle:
    """Return the bundle that the configuration makes for the ledger ``origin``; errors as :func:`propose`."""
    if config.gate is None:
        raise ConfigError(
            f"there is no [gate] in {config.file or 'the configuration'}, so there is nothing to pin",
            hint="write the gate of all stacks into tfaudit.toml, and [[gate.stack]] for some of them",
        )
    gate = bundles.whole(config.gate)
    identity = config.identity
    if identity.jwks is not None and Path(identity.jwks).is_relative_to(config.root):
        raise ConfigError(
            f"identity.jwks is the file {identity.jwks}, which the repository's authors can change",
            hint="name a URL, or a file outside of the repository",
        )
    found = Bundle(
        origin=origin,
        gate=gate,
        on_ledger_failure=config.on_ledger_failure,
        approvers=None if config.gate.approvers is None else _text(config.gate.approvers),
        identities=config.identities,
        identity=identity,
        policies=() if config.policy is None else (loosening.policy_digest(config.policy),),
    )
    bundles.build(found)
    return found


def _changed(keys: KeySet, proposal: Proposal) -> KeySet:
    from tfaudit.ledger.keyset import MAX_KEYS

    changed = replace(keys, generation=keys.generation + 1, approvers=proposal.approvers)
    if len(changed.log) + len(changed.signers) + len(changed.approvers) > MAX_KEYS:
        raise ConfigError(
            f"{len(changed.approvers)} approvers' keys are more than a ledger takes, which is {MAX_KEYS} keys in all",
            hint="take out those that are no longer needed",
        )
    return changed


def _record_keys(bundle: Bundle) -> tuple[PublicKey, ...]:
    """Return the approvers' keys that can sign a record's very bytes; the others' words are carried by somebody."""
    from tfaudit.signing import sshkeys

    found: dict[str, PublicKey] = {}
    for key in bundle.keys() or ():
        public = sshkeys.record_key(sshkeys.parse_text(key.public, what="approver's key"))
        if public is not None:
            found.setdefault(public.keyid, public)
    return tuple(found.values())


def _text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_APPROVERS_FILE + 1)
    except OSError as error:
        raise ConfigError(f"the approvers file {path} can't be read: {error.strerror}") from error
    if len(content) > MAX_APPROVERS_FILE:
        raise ConfigError(f"the approvers file {path} is larger than {MAX_APPROVERS_FILE} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"the approvers file {path} is not UTF-8") from error
