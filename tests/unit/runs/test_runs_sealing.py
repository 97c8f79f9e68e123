"""A sealed plan is read by whom it is sealed for, and by nobody else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfaudit.engine import argv
from tfaudit.engine.scratch import Scratch
from tfaudit.errors import ConfigError, InputError, TfauditError, UsageError
from tfaudit.runs import sealing

PLAN = b"PK\x03\x04 a plan that holds hunter2-canary " * 5000


@pytest.fixture
def key(tmp_path):
    """A key for sealed plans, and the environment of who seals and who opens."""
    path = tmp_path / "seal.key"
    return {sealing.TO: sealing.new_identity(path), sealing.KEY: str(path)}


def sealed(folder: Path, environ: dict[str, str], plan: bytes = PLAN) -> Path:
    """Return the file that ``plan`` is sealed into."""
    path = folder / "next.tfplan"
    with Scratch("plan") as scratch:
        os.write(scratch.fd, plan)
        scratch.seal()
        sealing.seal(scratch, path, sealing.recipients(environ, folder))
    return path


def opened(path: Path, environ: dict[str, str]) -> bytes:
    """Return what the apply would read."""
    with Scratch("plan") as scratch:
        sealing.unseal(path, scratch, sealing.identities(environ, path.parent))
        return Path(f"/proc/self/fd/{scratch.fd}").read_bytes()


def test_what_was_sealed_comes_out(tmp_path, key):
    """The plan that was sealed is the one that is opened, byte for byte."""
    assert opened(sealed(tmp_path, key), key) == PLAN


def test_nothing_in_clear_is_on_disk(tmp_path, key):
    """No file of the folder holds a word of the plan, and the sealed one is for its owner alone."""
    path = sealed(tmp_path, key)
    assert not any(b"hunter2" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["next.tfplan", "seal.key"]


def test_a_plan_in_clear_is_replaced(tmp_path, key):
    """What lay there under the name, in clear and readable by all, is gone; a link leads to the sealed file."""
    real = tmp_path / "real"
    real.write_bytes(PLAN)
    real.chmod(0o644)
    (tmp_path / "next.tfplan").symlink_to(real)
    path = sealed(tmp_path, key)
    assert path.is_symlink()
    assert sealing.is_sealed(real)
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_what_was_opened_cannot_be_changed(tmp_path, key):
    """The plan that was opened is sealed against writing: what is looked into is what is applied."""
    path = sealed(tmp_path, key)
    with Scratch("plan") as scratch:
        sealing.unseal(path, scratch, sealing.identities(key, tmp_path))
        with pytest.raises(OSError, match="not permitted"):
            os.pwrite(scratch.fd, b"x", 0)


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_an_ssh_key_opens_a_plan(tmp_path, passphrase):
    """An OpenSSH Ed25519 key works like an age identity, unless it has a passphrase."""
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "ci, apply", "-f", path], check=True)
    environ = {sealing.TO: f"{path}.pub", sealing.KEY: "id"}
    file = sealed(tmp_path, environ)
    if not passphrase:
        assert opened(file, environ) == PLAN
        return
    with pytest.raises(ConfigError, match="holds no key that opens"):
        opened(file, environ)


def test_several_can_open_it(tmp_path, key):
    """Each of the recipients, given as keys and in a file with comments, opens the plan alone."""
    second, third = tmp_path / "second", tmp_path / "third"
    listed = tmp_path / "recipients"
    listed.write_text(f"# on call\n\n{sealing.new_identity(second)}\n{sealing.new_identity(third)}\n")
    path = sealed(tmp_path, {sealing.TO: f" {key[sealing.TO]} , recipients,"})
    for file in (key[sealing.KEY], str(second), str(third)):
        assert opened(path, {sealing.KEY: file}) == PLAN


def test_the_age_format_is_spoken(tmp_path, key):
    """What age writes is opened, armoured too, and what is sealed can be opened by age's own library."""
    path = tmp_path / "armoured"
    recipient = pyrage.x25519.Recipient.from_str(key[sealing.TO])
    path.write_bytes(pyrage.encrypt(PLAN, [recipient], armored=True))
    assert opened(path, key) == PLAN
    identity = pyrage.x25519.Identity.from_str(Path(key[sealing.KEY]).read_text().splitlines()[-1])
    assert pyrage.decrypt(sealed(tmp_path, key).read_bytes(), [identity]) == PLAN


def test_another_key_does_not_open_it(tmp_path, key):
    """A plan sealed for somebody else is a matter of configuration, said in one line."""
    path = sealed(tmp_path, key)
    other = tmp_path / "other"
    sealing.new_identity(other)
    with pytest.raises(ConfigError, match=r"^the key in TFAUDIT_SEAL_KEY doesn't open .*next\.tfplan \(it must"):
        opened(path, {sealing.KEY: str(other)})


@pytest.mark.parametrize("size", [0, 10, 21, 40, 150, 190, 70_000, -1])
def test_a_file_cut_off_is_refused(tmp_path, key, size):
    """However much of the file is missing, nothing of it is applied."""
    path = sealed(tmp_path, key)
    path.write_bytes(path.read_bytes()[:size])
    with Scratch("plan") as scratch:
        with pytest.raises((InputError, ConfigError)) as refused:
            sealing.unseal(path, scratch, sealing.identities(key, tmp_path))
        assert scratch.size == 0
    assert "\n" not in str(refused.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_file_is_refused(tmp_path, key, place, bit):
    """One bit changed anywhere, and the plan is refused in one line with one of tfaudit's own codes."""
    path = sealed(tmp_path, key, PLAN[:5000])
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(TfauditError) as refused:
        opened(path, key)
    assert refused.value.exit_code in (65, 78)
    assert "\n" not in str(refused.value)


def test_what_follows_the_file_is_refused(tmp_path, key):
    """Bytes after the end make the file a damaged one."""
    path = sealed(tmp_path, key)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match="damaged"):
        opened(path, key)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"age-encryption.org/v2\n"])
def test_a_plan_in_clear_is_not_opened(tmp_path, key, content):
    """--sealed takes sealed plans alone: one in clear may have been put there by somebody else."""
    path = tmp_path / "next.tfplan"
    path.write_bytes(content)
    assert not sealing.is_sealed(path)
    with pytest.raises(InputError, match="is not a sealed plan"):
        opened(path, key)


def test_a_huge_file_is_refused_unread(tmp_path, key):
    """A file over the limit is refused by its size."""
    path = tmp_path / "next.tfplan"
    with path.open("wb") as file:
        file.write(b"age-encryption.org/v1\n")
        file.truncate(sealing.MAX_SEALED + 1)
    with pytest.raises(InputError, match="larger than 1024 MiB"):
        opened(path, key)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path, key, kind):
    """Neither a folder nor a pipe is waited for."""
    path = tmp_path / "next.tfplan"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(InputError):
        opened(path, key)
    if kind != "missing":
        with pytest.raises(InputError, match="is no file"):
            sealed(tmp_path, key)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("", "nobody to seal"),
        (" , ", "nobody to seal"),
        ("age1junk", "no valid key"),
        ("ssh-ed25519 AAAA", "no valid key"),
        ("ssh-rsa AAAA", "an age1… or an ssh-ed25519"),
        ("absent", "can't be read"),
        ("listed", "something else"),
    ],
)
def test_recipients_that_are_none(tmp_path, named, message):
    """A missing, misspelt or unusable recipient stops the plan before it is made; a private key isn't shown."""
    (tmp_path / "listed").write_text("AGE-SECRET-KEY-1CANARY\n")
    with pytest.raises(ConfigError, match=message) as refused:
        sealing.recipients({sealing.TO: named}, tmp_path)
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o600, "is empty"),
        (b"# only a comment\n", 0o600, "is empty"),
        (b"AGE-SECRET-KEY-1CANARY\n", 0o600, "holds no key"),
        (b"\xff\xfe", 0o600, "holds no key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n", 0o600, "holds no key"),
        (b"AGE-SECRET-KEY-1CANARY\n", 0o640, "can be read or written by others"),
    ],
)
def test_keys_that_are_none(tmp_path, content, mode, message):
    """A key file that is empty, broken or open to others is refused, and nothing of it is shown."""
    path = tmp_path / "id"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=message) as refused:
        sealing.identities({sealing.KEY: "id"}, tmp_path)
    assert "CANARY" not in str(refused.value)


def test_a_key_in_the_environment_is_refused(tmp_path):
    """The variable names a file: a key in it would be handed to the engine and everything it starts."""
    with pytest.raises(ConfigError, match="holds a key itself") as refused:
        sealing.identities({sealing.KEY: "AGE-SECRET-KEY-1CANARY"}, tmp_path)
    assert "CANARY" not in str(refused.value)
    with pytest.raises(ConfigError, match="no key to open"):
        sealing.identities({}, tmp_path)


def test_a_key_is_never_overwritten(tmp_path, key):
    """A new key doesn't take the place of an old one: plans sealed for that could never be opened."""
    before = Path(key[sealing.KEY]).read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        sealing.new_identity(Path(key[sealing.KEY]))
    assert Path(key[sealing.KEY]).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "seal", "is_sealed", "remote"),
    [
        (["plan"], True, False, False),
        (["apply", "-out=x"], True, False, False),
        (["destroy"], True, False, False),
        (["plan", "-out=x"], True, False, True),
        (["plan", "-out=x"], False, True, False),
        (["apply"], False, True, False),
        (["state", "rm", "x"], False, True, False),
    ],
)
def test_the_options_stand_before_what_they_serve(words, seal, is_sealed, remote):
    """--seal and --sealed before a command that would ignore them are usage errors: nobody is left thinking it did."""
    with pytest.raises(UsageError):
        sealing.check_use(argv.parse(words, {}), seal=seal, sealed=is_sealed, remote=remote)


def test_the_options_where_they_serve():
    """--seal with a saved plan and --sealed with a plan file pass."""
    sealing.check_use(argv.parse(["plan", "-out=x"], {}), seal=True, sealed=False, remote=False)
    sealing.check_use(argv.parse(["apply", "x"], {}), seal=False, sealed=True, remote=False)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    """Without the package, sealing is refused in one line that says what to install."""
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(ConfigError, match=r"need the package pyrage \(pip install 'tfaudit\[seal\]'\)"):
        sealing.recipients({sealing.TO: "age1x"}, tmp_path)
