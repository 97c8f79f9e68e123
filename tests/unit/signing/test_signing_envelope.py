"""Envelopes are DSSE with one signature, statements are in-toto's, and both have one spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import InputError
from tfaudit.signing import envelope, statement
from tfaudit.signing.signer import create_key_file
from tfaudit.signing.statement import Statement


def test_pae_is_dsse_s() -> None:
    """The pre-authentication encoding is the one of the specification's example."""
    assert envelope.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256", "ml-dsa-44"])
def test_a_sealed_payload_verifies(tmp_path: Path, algorithm: str) -> None:
    """The key that signed verifies, another key and another payload type do not."""
    signer = create_key_file(tmp_path / "key", algorithm=algorithm)  # type: ignore[arg-type]
    other = create_key_file(tmp_path / "other", algorithm=algorithm)  # type: ignore[arg-type]
    parsed = envelope.parse(envelope.seal(b"payload", signer))
    assert (parsed.payload, parsed.payload_type, parsed.keyid) == (b"payload", envelope.IN_TOTO, signer.public.keyid)
    assert parsed.signed_by(signer.public)
    assert not parsed.signed_by(other.public)
    typed = envelope.parse(envelope.seal(b"payload", signer).replace(b"in-toto", b"in-tota"))
    assert not typed.signed_by(signer.public)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    """A stored line with one byte changed is out of form, or does not verify, or names another key."""
    signer = create_key_file(tmp_path / "key")
    line = envelope.seal(b"payload", signer)
    for at in range(len(line)):
        changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        try:
            parsed = envelope.parse(changed)
        except InputError:
            continue
        assert parsed.keyid != signer.public.keyid or not parsed.signed_by(signer.public)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{}",
        b"[]",
        b'{"payload":"","payloadType":"","signatures":[]}',
        b'{"payload":"","payloadType":"","signatures":[{"keyid":"","sig":""},{"keyid":"","sig":""}]}',
        b'{"payload":"","payloadType":"","signatures":[{"keyid":"","sig":"","x":1}]}',
        b'{"payload":"","payloadType":"","signatures":[{"keyid":"","sig":""}],"x":1}',
        b'{"payload": "","payloadType":"","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"x","payloadType":"","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"","payloadType":"","payloadType":"","signatures":[{"keyid":"","sig":""}]}',
        b'{"a":' * 5000,
        b"\xff\xfe",
    ],
)
def test_broken_envelopes_are_refused(broken: bytes) -> None:
    """More or fewer fields, none or two signatures, white space, duplicate keys, other bytes."""
    with pytest.raises(InputError):
        envelope.parse(broken)


def test_large_statements_are_refused(tmp_path: Path) -> None:
    """An envelope is at most 64 KiB, written and read."""
    signer = create_key_file(tmp_path / "key")
    with pytest.raises(InputError):
        envelope.seal(b"x" * 49_000, signer)
    with pytest.raises(InputError):
        envelope.parse(b" " * (envelope.MAX_ENVELOPE + 1))


@given(
    st.lists(st.tuples(st.text(max_size=9), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=9), st.integers(-5, 5))),
)
def test_statements_read_back(subjects: list[tuple[str, str]], predicate: dict[str, object]) -> None:
    """A statement is the same after writing and reading."""
    one = Statement(subjects=tuple(subjects), predicate_type="urn:x", predicate=predicate)
    assert statement.parse(statement.build(one)) == one


@pytest.mark.parametrize(
    "broken",
    [
        b"{}",
        b'{"_type":"https://in-toto.io/Statement/v0.1","predicate":{},"predicateType":"","subject":[]}',
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":[],"predicateType":"","subject":[]}',
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"","subject":[],"x":1}',
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"","subject":[{}]}',
        b'{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"",'
        b'"subject":[{"digest":{"sha256":"xyz"},"name":"a"}]}',
    ],
)
def test_broken_statements_are_refused(broken: bytes) -> None:
    """Another version, an extra field, a subject without a SHA-256."""
    with pytest.raises(InputError):
        statement.parse(broken)
