"""Signed notes and verifier keys are C2SP's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfaudit.errors import InputError
from tfaudit.signing import note
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import create_key_file

# The published example of the note format.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def test_the_published_example_verifies() -> None:
    """A note and key made by the format's authors verify here."""
    key = note.parse_vkey(VKEY)
    text, (line,) = note.split(NOTE)
    assert key.vkey == VKEY
    assert line.claims(key)
    assert key.public.verify(line.signature, text)
    assert note.join(text, (line,)) == NOTE


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256", "ml-dsa-44"])
def test_verifier_keys_read_back(tmp_path: Path, algorithm: str) -> None:
    """Each type's vkey is the same key again, and its key ID depends on the name (but for ECDSA's)."""
    public = create_key_file(tmp_path / "key", algorithm=algorithm).public  # type: ignore[arg-type]
    key = NoteKey(name="example.com/log", public=public)
    assert note.parse_vkey(key.vkey) == key
    other = NoteKey(name="example.com/other", public=public)
    assert (other.key_id == key.key_id) == (algorithm == "ecdsa-p256")


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "name",
        "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("c74f20a3", "C74F20A3"),
        VKEY.replace("+AR", "+Ag"),
        VKEY.replace("+AR", "+/x"),
        VKEY[:-4],
        VKEY + "\n",
    ],
)
def test_broken_verifier_keys_are_refused(broken: str) -> None:
    """Another key ID, type, length or spelling is not the key."""
    with pytest.raises(InputError):
        note.parse_vkey(broken)


@pytest.mark.parametrize(
    "broken",
    [b"text\n", b"text\n\n", b"\x01\n\n" + NOTE.partition(b"\n\n")[2], NOTE + b"x\n", b"x" * (note.MAX_NOTE + 1)],
)
def test_broken_notes_are_refused(broken: bytes) -> None:
    """No signature, control characters, trailing lines, too many bytes."""
    with pytest.raises(InputError):
        note.split(broken)
