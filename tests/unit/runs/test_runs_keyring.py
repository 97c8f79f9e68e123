"""Keys are added, removed and replaced by records that the root key signs."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from moto.server import ThreadedMotoServer

from tfaudit import config
from tfaudit.errors import ConfigError
from tfaudit.ledger import ids
from tfaudit.ledger.verify import verify
from tfaudit.runs import keyring, ledgers, setup
from tfaudit.runs.run import World, no_step
from tfaudit.signing import keys as keys_
from tfaudit.signing.signer import create_key_file


@pytest.fixture
def world(tmp_path):
    """A world with a plain environment."""
    return World(
        environ={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        cwd=tmp_path,
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=lambda _line: None,
        step=no_step,
    )


@pytest.fixture
def loaded(tmp_path, world):
    """The configuration of a new ledger."""
    setup.make(setup.propose(tmp_path, world), world)
    return config.load(cwd=tmp_path, environ={})


ROOT = "file:.tfaudit/keys/root.pem"


def record_keys(loaded):
    """Return the record keys in force."""
    return [key for key in keyring.in_force(ledgers.open_reader(loaded).state.keys) if key.role == "record"]


def append(loaded, world, **facts):
    """Append a small record."""
    ledger = ledgers.open_ledger(loaded, world)
    with ledger.draft("plan") as draft:
        return ledger.append(draft, {"run_id": draft.record_id, **facts})


def configured(loaded, tmp_path, **lines):
    """Return the configuration with other keys under [signer]."""
    path = tmp_path / "tfaudit.toml"
    text = path.read_text()
    for name, uri in lines.items():
        kept = [line for line in text.splitlines() if not line.startswith(f"{name} = ")]
        at = kept.index("[signer]") + 1
        text = "\n".join([*kept[:at], f'{name} = "{uri}"', *kept[at:]]) + "\n"
    path.write_text(text)
    return config.load(cwd=tmp_path, environ={})


def test_an_added_key_signs_its_stacks(tmp_path, world, loaded):
    """A second key is accepted from its record on, for the stacks that it is limited to."""
    new = create_key_file(tmp_path / "ci.pem")
    keyring.add(loaded, world, new.public, writers=["ci-github"], stacks=["acme/*"], root_key=ROOT)
    listed = record_keys(loaded)[-1]
    assert (listed.keyid, listed.writers, listed.stacks) == (new.public.keyid, ("ci-github",), ("acme/*",))
    other = configured(loaded, tmp_path, record="file:ci.pem")
    append(other, world, stack="acme/one")
    with pytest.raises(ConfigError, match="does not accept"):
        append(other, world, stack="other/one")


def test_a_removed_key_signs_no_more(tmp_path, world, loaded):
    """What it signed stays in the log; what it signs from then on is refused."""
    new = create_key_file(tmp_path / "ci.pem")
    keyring.add(loaded, world, new.public, writers=[], stacks=[], root_key=ROOT)
    other = configured(loaded, tmp_path, record="file:ci.pem")
    append(other, world)
    loaded = configured(loaded, tmp_path, record="file:.tfaudit/keys/record.pem")
    keyring.remove(loaded, world, new.public.keyid[:8], root_key=ROOT)
    assert new.public.keyid not in {key.keyid for key in record_keys(loaded)}
    with pytest.raises(ConfigError):
        append(configured(loaded, tmp_path, record="file:ci.pem"), world)


@pytest.mark.parametrize("keyid", ["", "00000000", "0123456"])
def test_only_one_known_key_is_removed(world, loaded, keyid):
    """A start of a key's id that is too short, or no key's, removes nothing."""
    with pytest.raises(ConfigError, match="not the start of one"):
        keyring.remove(loaded, world, keyid, root_key=ROOT)


def test_the_last_key_stays(world, loaded):
    """The ledger always accepts someone."""
    with pytest.raises(ConfigError, match="last key"):
        keyring.remove(loaded, world, record_keys(loaded)[0].keyid, root_key=ROOT)


def test_a_known_key_is_not_added_again(world, loaded, tmp_path):
    """To change what a key may do it is removed first."""
    present = create_key_file(tmp_path / "x.pem").public
    keyring.add(loaded, world, present, writers=[], stacks=[], root_key=ROOT)
    with pytest.raises(ConfigError, match="accepted already"):
        keyring.add(loaded, world, present, writers=[], stacks=[], root_key=ROOT)


@pytest.mark.parametrize(("writers", "stacks"), [(["UPPER"], []), ([], [""]), ([], ["a\n"])])
def test_unusable_names_are_refused(tmp_path, world, loaded, writers, stacks):
    """Writers and patterns that no key set may hold are refused before anything is signed."""
    with pytest.raises(ConfigError, match="can't be"):
        keyring.add(
            loaded, world, create_key_file(tmp_path / "x.pem").public, writers=writers, stacks=stacks, root_key=ROOT
        )


def test_only_the_root_key_adds(tmp_path, world, loaded):
    """The record key can't let another key in."""
    new = create_key_file(tmp_path / "x.pem").public
    with pytest.raises(ConfigError, match="config record"):
        keyring.add(loaded, world, new, writers=[], stacks=[], root_key="file:.tfaudit/keys/record.pem")


def test_a_public_key_is_read_in_every_form(tmp_path):
    """PEM, OpenSSH's line, base64 and a signer's URI give the same key."""
    signer = create_key_file(tmp_path / "x.pem")
    handle = load_der_public_key(signer.public.spki)
    (tmp_path / "pub.pem").write_bytes(handle.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "id.pub").write_bytes(handle.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@here\n")
    for text in ("pub.pem", "id.pub", keys_.to_text(signer.public), "file:x.pem"):
        assert keyring.read_public(text, base=tmp_path) == signer.public


@pytest.mark.parametrize("text", ["x.pem", "nonsense", "AAAA", "missing.pub", "ssh-ed25519 AAAA"])
def test_what_is_no_public_key_is_told(tmp_path, text):
    """A private key's file, and whatever is no key, end in one line."""
    create_key_file(tmp_path / "x.pem")
    with pytest.raises(ConfigError, match="is no public key"):
        keyring.read_public(text, base=tmp_path)


def test_a_ledger_is_written_with_keys_in_kms(tmp_path, world, loaded, monkeypatch):
    """Log and record key can both lie in KMS (here moto's): commits, checkpoints and records verify offline."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    kms = boto3.client("kms", region_name="eu-central-1")
    for role in ("log", "record"):
        key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        keyring.rotate(loaded, world, role, ROOT, to=f"awskms:{key}")
        loaded = configured(loaded, tmp_path, **{role: f"awskms:{key}"})
    append(loaded, world)
    server.stop()
    report = verify(ledgers.evidence_of(loaded), ledgers.working_of(loaded), now=ids.milliseconds(world.clock()))
    assert (report.ok, report.size, report.findings) == (True, 6, ())


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no OpenSSH here")
@pytest.mark.parametrize("role", ["record", "log"])
def test_a_key_is_replaced_by_a_named_one(tmp_path, world, loaded, role):
    """A new key that lies elsewhere takes the old one's place, with its writers and limits."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    keyring.rotate(loaded, world, role, ROOT, to="ssh:id")
    with pytest.raises(ConfigError):
        append(loaded, world)
    changed = configured(loaded, tmp_path, **{role: "ssh:id"})
    append(changed, world)
    with pytest.raises(ConfigError, match="is not a key file"):
        keyring.rotate(changed, world, role, ROOT)
