"""Verifying SSH signatures: those that OpenSSH makes, those by the specification of security tokens, and none else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "gate"))

from opensshkit import KINDS, a_key, needs_openssh, new_key, public, public_text, run, signature

from tfaudit.canonical import frame
from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.signing import b64, sshkeys, sshsig
from tfaudit.signing.sshkeys import Verified

NAMESPACE = "tfaudit-approval"
MESSAGE = b"a message"


def mpint(number):
    """Return a number in SSH's wire form, without its length."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def blob(public_key, raw_signature, *, namespace=NAMESPACE, digest=b"sha512", reserved=b"", version=1):
    """Return the bytes of an SSHSIG of these parts."""
    parts = frame(public_key, namespace.encode(), reserved, digest, raw_signature)
    return b"SSHSIG" + version.to_bytes(4, "big") + parts


def signed_bytes(message=MESSAGE, *, namespace=NAMESPACE, digest="sha512", reserved=b""):
    """Return what the key signs for this message, by PROTOCOL.sshsig."""
    hashed = hashlib.new(digest, message).digest()
    return b"SSHSIG" + frame(namespace.encode(), reserved, digest.encode(), hashed)


class Token:
    """A security token made of software, after OpenSSH's PROTOCOL.u2f."""

    def __init__(self, kind="ed25519", application=b"ssh:"):
        """Make a key on it."""
        self.application = application
        if kind == "ed25519":
            self.kind, self._private = sshkeys.SK_ED25519, ed25519.Ed25519PrivateKey.generate()
            self.public = frame(self.kind.encode(), self._private.public_key().public_bytes_raw(), application)
        else:
            self.kind, self._private = sshkeys.SK_ECDSA, ec.generate_private_key(ec.SECP256R1())
            point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            self.public = frame(self.kind.encode(), b"nistp256", point, application)

    def sign(self, message, *, flags=1, counter=7, tail=b""):
        """Return a signature in the wire form: what an authenticator signs is its own digest of things."""
        count = counter.to_bytes(4, "big")
        given = hashlib.sha256(self.application).digest() + bytes([flags]) + count + hashlib.sha256(message).digest()
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            raw = self._private.sign(given)
        else:
            r, s = decode_dss_signature(self._private.sign(given, ec.ECDSA(hashes.SHA256())))
            raw = frame(mpint(r), mpint(s))
        return frame(self.kind.encode(), raw) + bytes([flags]) + count + tail

    def armored(self, message=MESSAGE, **how):
        """Return the armored SSHSIG of a message."""
        return sshsig.armored(blob(self.public, self.sign(signed_bytes(message), **how)))


def checked(armored, message=MESSAGE, namespace=NAMESPACE):
    """Parse and verify."""
    return sshsig.parse(armored, what="signature").verified(message, namespace)


@needs_openssh
@pytest.mark.parametrize("kind", KINDS)
def test_opensshs_signatures_verify(kind):
    """A signature of each kind of key verifies, over this message and for this namespace alone."""
    path = a_key(kind)
    armored = signature(path, MESSAGE)
    found = sshsig.parse(armored, what="signature")
    assert (found.key.fingerprint, found.namespace) == (public(path).fingerprint, NAMESPACE)
    assert found.verified(MESSAGE, NAMESPACE) == Verified(touched=None)
    assert found.verified(MESSAGE + b".", NAMESPACE) is None
    assert found.verified(MESSAGE, "git") is None
    assert checked(signature(path, MESSAGE, "git")) is None


@needs_openssh
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_either_digest_of_the_message_is_taken(digest):
    """OpenSSH can hash by SHA-256 or SHA-512 first."""
    command = ("ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", a_key(), f"-Ohashalg={digest}")
    assert checked(run(*command, stdin=MESSAGE)) is not None


@needs_openssh
def test_what_is_armored_here_openssh_reads(tmp_path):
    """The armor and the frame are OpenSSH's: it accepts a signature that was taken apart and put together again."""
    path = a_key()
    armored = signature(path, MESSAGE)
    found = sshsig.parse(armored, what="signature")
    again = sshsig.armored(blob(found.key.blob, found.signature, digest=found.digest.encode()))
    assert again == armored
    (tmp_path / "sig").write_text(again)
    run("ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", tmp_path / "sig", stdin=MESSAGE)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize(("flags", "touched"), [(0, False), (1, True), (5, True), (4, False)])
def test_a_tokens_signature_says_whether_it_was_touched(kind, flags, touched):
    """The user-presence bit of a FIDO2 signature counts, not the user-verification one."""
    assert checked(Token(kind).armored(flags=flags)) == Verified(touched=touched)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_tokens_flags_and_counter_are_signed(kind):
    """Setting the presence flag, or another counter, afterwards breaks the signature."""
    token = Token(kind)
    raw = bytearray(token.sign(signed_bytes(), flags=0))
    raw[-5] = 1
    assert checked(sshsig.armored(blob(token.public, bytes(raw)))) is None
    raw = bytearray(token.sign(signed_bytes()))
    raw[-1] ^= 1
    assert checked(sshsig.armored(blob(token.public, bytes(raw)))) is None


def test_a_token_is_bound_to_its_application():
    """A key that a web site was given on the same token is another key."""
    token = Token()
    raw = token.sign(signed_bytes())
    other = frame(
        token.kind.encode(), sshkeys.Wire(token.public[4 + len(token.kind) :]).string(), b"https://example.com"
    )
    assert checked(sshsig.armored(blob(token.public, raw))) is not None
    assert checked(sshsig.armored(blob(other, raw))) is None


def test_nothing_may_follow_a_tokens_signature():
    """Bytes after the counter are refused, as is a plain key's signature under a token's name."""
    token = Token()
    assert checked(token.armored(tail=b"\0")) is None
    plain = frame(b"ssh-ed25519", token._private.sign(signed_bytes()))
    assert checked(sshsig.armored(blob(token.public, plain))) is None
    assert checked(sshsig.armored(blob(token.public, plain + b"\1\0\0\0\7"))) is None


def _rsa(algorithm, digest):
    private = load_ssh_private_key(a_key("rsa").read_bytes(), None)
    return private, frame(algorithm, private.sign(signed_bytes(), padding.PKCS1v15(), digest))


@needs_openssh
@pytest.mark.parametrize(
    ("algorithm", "digest", "taken"),
    [
        (b"rsa-sha2-256", hashes.SHA256(), True),
        (b"rsa-sha2-512", hashes.SHA512(), True),
        (b"ssh-rsa", hashes.SHA1(), False),
        (b"rsa-sha2-256", hashes.SHA1(), False),
        (b"rsa-sha2-256", hashes.SHA512(), False),
        (b"ssh-rsa", hashes.SHA256(), False),
    ],
)
def test_rsa_signs_with_sha2_only(algorithm, digest, taken):
    """A signature by SHA-1, or by another digest than it names, is none."""
    _, raw = _rsa(algorithm, digest)
    assert (checked(sshsig.armored(blob(public(a_key("rsa")).blob, raw))) is not None) is taken


@needs_openssh
def test_what_is_reserved_is_signed_too():
    """A reserved field is ignored, as the protocol asks, but belongs to what is signed."""
    private = load_ssh_private_key(a_key().read_bytes(), None)
    raw = frame(b"ssh-ed25519", private.sign(signed_bytes(reserved=b"tag")))
    key = public(a_key()).blob
    assert checked(sshsig.armored(blob(key, raw, reserved=b"tag"))) is not None
    assert checked(sshsig.armored(blob(key, raw))) is None


@needs_openssh
def test_a_signature_under_another_key_is_none():
    """The key that stands in the signature is the one that must have signed."""
    found = sshsig.parse(signature(a_key(), MESSAGE), what="signature")
    other = public(a_key(name="two")).blob
    assert checked(sshsig.armored(blob(other, found.signature))) is None


def _bad():
    token = Token()
    good = blob(token.public, token.sign(signed_bytes()))
    return {
        "empty": "",
        "no armor": b64.encode(good),
        "no end": sshsig.armored(good).rpartition("-----END")[0],
        "text before it": "x\n" + sshsig.armored(good),
        "text after it": sshsig.armored(good) + "x\n",
        "not base64": sshsig.armored(good).replace("\nU1", "\n!!"),
        "another magic": sshsig.armored(b"SSHSIX" + good[6:]),
        "another version": sshsig.armored(blob(token.public, b"", version=2)),
        "another digest": sshsig.armored(blob(token.public, b"", digest=b"md5")),
        "cut off": sshsig.armored(good[:-1]),
        "too long": sshsig.armored(good + b"\0"),
        "huge": sshsig.armored(good + bytes(100_000)),
        "a key of another kind": sshsig.armored(blob(frame(b"ssh-dss", b"1"), b"")),
        "a key with bytes after it": sshsig.armored(blob(token.public + b"\0", b"")),
        "a namespace that is no text": sshsig.armored(good.replace(NAMESPACE.encode(), b"\xff" * len(NAMESPACE))),
    }


@pytest.mark.parametrize("name", _bad())
def test_a_broken_signature_is_an_input_error(name):
    """Each broken form is refused in one line that names what was read."""
    with pytest.raises(InputError, match=r"^signature is no usable SSH signature") as raised:
        sshsig.parse(_bad()[name], what="signature")
    assert raised.value.message.isprintable()


@given(st.data())
def test_one_flipped_byte_never_verifies(data):
    """Whatever single byte of a signature is changed, it is refused or does not verify."""
    token = Token()
    good = bytearray(blob(token.public, token.sign(signed_bytes())))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    with suppress(InputError):
        assert checked(sshsig.armored(bytes(good))) is None


@given(st.text(max_size=300) | st.binary(max_size=300).map(sshsig.armored))
def test_any_text_is_parsed_or_refused(text):
    """No text raises anything but the one error."""
    with suppress(InputError):
        sshsig.parse(text, what="signature")


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_has_one_spelling():
    """A compressed point, or a number with a zero too many, would give the same key another fingerprint."""
    handle = ec.generate_private_key(ec.SECP256R1()).public_key()
    compressed = handle.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    with pytest.raises(InputError, match="one spelling"):
        sshkeys.parse_blob(frame(b"ecdsa-sha2-nistp256", b"nistp256", compressed), what="key")
    with pytest.raises(InputError, match="shortest"):
        sshkeys.parse_blob(frame(b"ssh-rsa", mpint(65537), b"\0" + mpint(1 << 2047 | 1)), what="key")
    with pytest.raises(InputError, match="exponent of 65 bits"):
        sshkeys.parse_blob(frame(b"ssh-rsa", mpint(1 << 64 | 1), mpint(1 << 2047 | 1)), what="key")
    with pytest.raises(InputError, match="another curve"):
        sshkeys.parse_blob(frame(b"ecdsa-sha2-nistp256", b"nistp384", compressed), what="key")
    with pytest.raises(InputError, match="no public key"):
        sshkeys.parse_blob(frame(b"ssh-ed25519", b"short"), what="key")


@needs_openssh
@pytest.mark.parametrize("kind", KINDS)
def test_only_ed25519_and_p256_can_sign_records(kind):
    """A record's outer signature is over its very bytes, which only these two make as the ledger checks them."""
    key = public(a_key(kind))
    found = sshkeys.record_key(key)
    assert (found is not None) is (kind in ("ed25519", "p256"))
    if found is not None:
        assert sshkeys.of_public(found) == key
    assert sshkeys.record_key(sshkeys.parse_blob(Token().public, what="key")) is None


@needs_openssh
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_read_as_openssh_writes_it(kind):
    """Type and base64 come back as they were."""
    assert public(a_key(kind)).text == public_text(a_key(kind))


# --- signing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A real agent of this test's own, its socket in SSH_AUTH_SOCK."""
    path = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield str(path)
    process.terminate()
    process.wait()


@needs_openssh
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_file_signs(kind):
    """ssh-keygen signs with a private key's file, or the public one's beside it."""
    path = a_key(kind)
    for given_path in (path, Path(f"{path}.pub")):
        assert checked(sshsig.sign(MESSAGE, given_path, NAMESPACE)) is not None


@needs_openssh
def test_an_agents_key_signs(tmp_path, agent):
    """A public key's file is enough where the agent has the other half."""
    path = new_key(tmp_path / "id", "ed25519", passphrase="pass phrase")
    run("ssh-add", path, stdin=b"", SSH_ASKPASS=str(_askpass(tmp_path)), SSH_ASKPASS_REQUIRE="force", DISPLAY=":0")
    path.unlink()
    assert checked(sshsig.sign(MESSAGE, Path(f"{path}.pub"), NAMESPACE)) is not None


def _askpass(folder):
    program = folder / "askpass"
    program.write_text("#!/bin/sh\necho 'pass phrase'\n")
    program.chmod(0o700)
    return program


@needs_openssh
def test_a_passphrase_is_asked_for(tmp_path, monkeypatch):
    """An encrypted key's passphrase is ssh-keygen's business; a wrong one is one line."""
    path = new_key(tmp_path / "id", "ed25519", passphrase="pass phrase")
    monkeypatch.setenv("SSH_ASKPASS", str(_askpass(tmp_path)))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    assert checked(sshsig.sign(MESSAGE, path, NAMESPACE)) is not None
    assert sshsig.public_of(path).fingerprint == public(path).fingerprint
    (tmp_path / "askpass").write_text("#!/bin/sh\necho wrong\n")
    with pytest.raises(ConfigError, match="passphrase") as raised:
        sshsig.sign(MESSAGE, path, NAMESPACE)
    assert raised.value.message.isprintable()


@needs_openssh
def test_a_key_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    """A missing key, or a public one whose private half is nowhere, is an error that names it."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(ConfigError, match=str(tmp_path / "none")):
        sshsig.sign(MESSAGE, tmp_path / "none", NAMESPACE)
    lonely = tmp_path / "lonely.pub"
    lonely.write_text(public_text(a_key(name="two")) + "\n")
    with pytest.raises(ConfigError, match="No private key"):
        sshsig.sign(MESSAGE, lonely, NAMESPACE)


def test_without_openssh_nothing_is_signed(tmp_path, monkeypatch):
    """Where there is no ssh-keygen the error says what else can sign."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="ssh-keygen can't be run"):
        sshsig.sign(MESSAGE, tmp_path / "id", NAMESPACE)
