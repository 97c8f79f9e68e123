"""docs/format.md is enough: a verifier written from it alone, with nothing of tfaudit, agrees."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from ledgerkit import add, make


def sha(*parts: bytes) -> bytes:
    """Return the SHA-256 of the parts together."""
    return hashlib.sha256(b"".join(parts)).digest()


def tree(leaves: list[bytes]) -> bytes:
    """Return RFC 6962's root."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\x01", tree(leaves[:half]), tree(leaves[half:]))


def pae(kind: bytes, payload: bytes) -> bytes:
    """Return DSSE's encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def test_an_independent_verifier_agrees(tmp_path: Path) -> None:
    """Roots, signatures, chains and value digests recompute from the bytes by the published rules."""
    place = make(tmp_path)
    for number in range(6):
        add(place.open(log_signer=None), state={"key": "c" * 64})
        add(place.open(), state={"key": f"{number % 2:064x}"})
    ledger = tmp_path / "ledger"
    genesis = json.loads((ledger / "genesis.json").read_bytes())
    signers = {}
    for signer in genesis["keys"]["signers"]:
        der = base64.b64decode(signer["key"])
        signers[sha(der).hex()] = load_der_public_key(der)
    name, key_id, typed = genesis["keys"]["log"][0].split("+", 2)
    raw_key = base64.b64decode(typed)
    assert raw_key[:1] == b"\x01"
    assert sha(name.encode(), b"\n", raw_key)[:4].hex() == key_id
    log_key = Ed25519PublicKey.from_public_bytes(raw_key[1:])

    leaves: list[bytes] = []
    before: tuple[int, str] | None = None
    last_of_state: dict[str, dict[str, str]] = {}
    checkpoints = {None}
    for number, path in enumerate(sorted((ledger / "commits").iterdir())):
        assert path.name == f"{number:016x}"
        content = path.read_bytes()
        header, _, note = content.partition(b"\n\n")
        header += b"\n"
        fields = [line.split(" ") for line in header.decode().splitlines()]
        named = {words[0]: words[1:] for words in fields if words[0] not in ("record", "frontier")}
        assert fields[0] == ["tfaudit-commit/v1"]
        assert named["number"] == [str(number)]
        assert named["size"] == [str(len(leaves))]
        assert named["previous"] == ([str(before[0]), before[1]] if before else ["-"])
        staged_states: dict[str, dict[str, str]] = {}
        for _, leaf, key, kind, refers, state in (words for words in fields if words[0] == "record"):
            line, *events = (ledger / key).read_bytes().split(b"\n")[:-1]
            assert sha(b"\x00", line).hex() == leaf
            envelope = json.loads(line)
            payload = base64.b64decode(envelope["payload"])
            (signature,) = envelope["signatures"]
            signers[signature["keyid"]].verify(
                base64.b64decode(signature["sig"]), pae(envelope["payloadType"].encode(), payload)
            )
            predicate = json.loads(payload)["predicate"]
            root = tree([sha(b"\x00", event) for event in events])
            assert predicate["events"] == {"count": len(events), "root": root.hex()}
            assert json.loads(payload)["subject"][0] == {"name": "events", "digest": {"sha256": root.hex()}}
            assert (predicate["kind"], refers, predicate["state"]["key"]) == (kind, "-", state)
            assert predicate["seen"] in checkpoints
            staged_states[state] = {"record_id": predicate["record_id"], "leaf": leaf}
            disclosed = (tmp_path / "working/disclosures" / Path(key).name).read_bytes()
            assert predicate["disclosures"] == {"sha256": sha(disclosed).hex()}
            pointer, side, salt, value = json.loads(disclosed.splitlines()[-1])["values"][0]
            framed = b"".join(
                len(part).to_bytes(4, "big") + part
                for part in (predicate["record_id"].encode(), b"", b"", pointer.encode(), side.encode())
            )
            text = json.dumps(value).encode()
            digest = sha(b"tfaudit/value/v1\n", framed, base64.b64decode(salt), text)
            assert predicate["reason"] == {"digest": digest.hex()}
            leaves.append(bytes.fromhex(leaf))
            if state in last_of_state and state != "c" * 64:
                assert predicate["previous"] == last_of_state[state]
        last_of_state.update(staged_states)
        signed, _, signature_line = header[:-1].rpartition(b"\nsignature ")
        signers[named["committer"][0]].verify(
            base64.b64decode(signature_line), pae(b"application/vnd.tfaudit.commit.v1", signed + b"\n")
        )
        leaves.append(sha(b"\x00", header))
        text, _, lines = note.partition(b"\n\n")
        assert text.decode().split("\n") == [
            genesis["origin"],
            str(len(leaves)),
            base64.b64encode(tree(leaves)).decode(),
        ]
        _, _, blob = lines.decode().strip().split(" ")
        assert base64.b64decode(blob)[:4].hex() == key_id
        log_key.verify(base64.b64decode(blob)[4:], text + b"\n")
        before = (number, sha(content).hex())
        checkpoints.add(note.decode())
    assert len(leaves) == 12 + 6
