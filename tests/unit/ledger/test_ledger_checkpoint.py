"""A checkpoint is a C2SP signed note in one exact form, and counts only under the log's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import InputError, VerificationError
from tfaudit.ledger import checkpoint
from tfaudit.ledger.checkpoint import Checkpoint
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import FileSigner, create_key_file

TREE = Checkpoint(origin="example.com/log", size=7, root=bytes(range(32)))
NOTE = (
    "example.com/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
    "— example.com/log AAAAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
).encode()


def named(signer: FileSigner, name: str = "example.com/log") -> tuple[NoteKey, FileSigner]:
    """Return the signer under a key name."""
    return NoteKey(name=name, public=signer.public), signer


@given(
    st.from_regex(r"[a-z0-9][a-z0-9./-]{0,30}", fullmatch=True),
    st.integers(0, checkpoint.MAX_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(st.binary(min_size=5, max_size=80), min_size=1, max_size=16),
)
def test_a_checkpoint_reads_back(origin: str, size: int, root: bytes, signatures: list[bytes]) -> None:
    """Text and parsed form are the same thing, signatures too."""
    tree = Checkpoint(origin=origin, size=size, root=root)
    lines = tuple(checkpoint.note.NoteSignature(name="a", key_id=one[:4], signature=one[4:]) for one in signatures)
    raw = checkpoint.note.join(tree.text(), lines)
    parsed = checkpoint.parse(raw)
    assert (parsed.checkpoint, parsed.signatures, parsed.note) == (tree, lines, raw)


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 255))
def test_a_changed_byte_changes_the_meaning_or_is_refused(at: int, byte: int) -> None:
    """No two byte strings are one checkpoint."""
    changed = NOTE[:at] + bytes([byte]) + NOTE[at + 1 :]
    try:
        parsed = checkpoint.parse(changed)
    except InputError:
        return
    assert checkpoint.note.join(parsed.checkpoint.text(), parsed.signatures) == changed


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        NOTE.replace(b"\n7\n", b"\n07\n"),
        NOTE.replace(b"\n7\n", b"\n-7\n"),
        NOTE.replace(b"\n7\n", b"\n9223372036854775808\n"),
        NOTE.replace(b"AAECAwQF", b"AAECAw", 1),
        NOTE.replace(b"Hh8=\n\n", b"Hh9=\n\n"),
        NOTE.replace(b"Hh8=\n\n", b"Hh8=\nextension\n\n"),
        NOTE.replace(b"Hh8=\n\n", b"Hh8=\r\n\n"),
        NOTE.replace(b"example.com/log\n", b"exam ple\n", 1),
        NOTE.replace(b"example.com/log\n", b"\n", 1),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE.partition(b"\n\n")[0] + b"\n\n",
        NOTE + b"\xff",
        NOTE + NOTE.partition(b"\n\n")[2] * 16,
        NOTE.replace("—".encode(), b"-"),
    ],
)
def test_other_spellings_are_refused(broken: bytes) -> None:
    """Leading zeros, extension lines, other ends of line, trailing bytes: not a checkpoint of ours."""
    with pytest.raises(InputError):
        checkpoint.parse(broken)


def test_signatures_of_the_log_count(tmp_path: Path) -> None:
    """One classical signature is enough, unknown ones are ignored, none or a false one is refused."""
    ours, other = named(create_key_file(tmp_path / "a")), named(create_key_file(tmp_path / "b"))
    p256 = named(create_key_file(tmp_path / "c", algorithm="ecdsa-p256"))
    for one in (ours, p256):
        checkpoint.verify(checkpoint.parse(checkpoint.sign(TREE, [other, one], seconds=0)), [one[0]])
    with pytest.raises(VerificationError, match="classical"):
        checkpoint.verify(checkpoint.parse(checkpoint.sign(TREE, [other], seconds=0)), [ours[0]])
    signed = checkpoint.sign(TREE, [ours], seconds=0).replace(b"\n7\n", b"\n8\n")
    with pytest.raises(VerificationError, match="false"):
        checkpoint.verify(checkpoint.parse(signed), [ours[0]])


def test_an_ml_dsa_key_demands_its_signature(tmp_path: Path) -> None:
    """The ML-DSA-44 signature is C2SP's cosignature: over name, time, origin, size and root."""
    classical = named(create_key_file(tmp_path / "a"))
    quantum = named(create_key_file(tmp_path / "b", algorithm="ml-dsa-44"))
    both = checkpoint.parse(checkpoint.sign(TREE, [classical, quantum], seconds=1_700_000_000))
    checkpoint.verify(both, [classical[0], quantum[0]])
    checkpoint.verify(both, [classical[0]])
    line = both.signatures[1]
    assert line.signature[:8] == (1_700_000_000).to_bytes(8, "big")
    message = (
        b"subtree/v1\n\0\x0fexample.com/log"
        + line.signature[:8]
        + b"\x0fexample.com/log"
        + bytes(8)
        + (7).to_bytes(8, "big")
        + TREE.root
    )
    assert quantum[1].public.verify(line.signature[8:], message)
    for alone, missing in ((classical, "post-quantum"), (quantum, "classical")):
        with pytest.raises(VerificationError, match=missing):
            checkpoint.verify(checkpoint.parse(checkpoint.sign(TREE, [alone], seconds=0)), [classical[0], quantum[0]])
