"""What the tests of pinned configuration share: people with keys, configurations, bundles."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tfaudit import config
from tfaudit.config.gating import GateSettings
from tfaudit.gate import bundle as bundles
from tfaudit.gate.bundle import Bundle, Pinned
from tfaudit.signing import keys, sshkeys

RECORD = "01940000-0000-7000-8000-000000000001"


@cache
def line(name: str, options: str = "") -> str:
    """Return the line of an approvers file for a person, the same key in all tests."""
    private = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))
    key = sshkeys.of_public(keys.public_key(private.public_key())).text
    return f"{name}@example.com {options}{' ' if options else ''}{key}\n"


PEOPLE = line("alice") + line("bob")


def whole(**members) -> GateSettings:
    """Return a gate that leaves nothing to its defaults."""
    return bundles.whole(GateSettings(**members))


def bundle(approvers: str | None = PEOPLE, **members) -> Bundle:
    """Return a bundle for the ledger ``o``."""
    return Bundle(**{"origin": "o", "gate": whole(), "approvers": approvers, **members})


def pinned(approvers: str | None = PEOPLE, **members) -> Pinned:
    """Return such a bundle as one that is in force."""
    found = bundle(approvers, **members)
    return Pinned(record_id=RECORD, position=0, bundle=bundles.parse(bundles.build(found)))


def configured(folder: Path, text: str = "", *, machine: str | None = None, environ=None) -> config.Config:
    """Return the configuration of a repository's tfaudit.toml, and of a machine's."""
    (folder / "tfaudit.toml").write_text(text)
    file = folder / "machine.toml"
    if machine is not None:
        file.write_text(machine)
    return config.load(cwd=folder, environ=environ or {}, machine_file=file)
