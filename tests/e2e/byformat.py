"""A verifier of gated ledgers, written from docs/format.md alone: nothing of tfaudit is imported.

It reads a ledger in folders. Whatever does not hold is an :class:`AssertionError`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_ssh_public_key,
)

NAMESPACE = "tfaudit-approval"
APPROVAL = b"application/vnd.tfaudit.approval.v1+json"
CONTEXT = re.compile(r"tfconfig/m-([^/]*)/(.+)")


class Number(str):
    """A number as it was spelled."""


def sha(*parts: bytes) -> bytes:
    """Return the SHA-256 of the parts together."""
    return hashlib.sha256(b"".join(parts)).digest()


def frame(*parts: bytes) -> bytes:
    """Return each part after its length."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def pae(kind: bytes, payload: bytes) -> bytes:
    """Return DSSE's encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def tree(leaves: list[bytes]) -> bytes:
    """Return RFC 6962's root."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\x01", tree(leaves[:half]), tree(leaves[half:]))


def read(data: bytes) -> Any:
    """Read JSON, numbers as they are spelled."""
    return json.loads(data, parse_int=Number, parse_float=Number)


def text(value: Any) -> bytes:
    """Return the JSON text of a value that :func:`read` returned; of one without fractions, its canonical JSON."""
    if isinstance(value, Number):
        return value.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(text(name) + b":" + text(value[name]) for name in sorted(value)) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(text, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode()


def milliseconds(time: str) -> int:
    """Return a time as milliseconds since the epoch."""
    moment = datetime.fromisoformat(time)
    return round(moment.timestamp() * 1000)


@dataclass(frozen=True)
class Record:
    """A record of the log, its envelope checked."""

    position: int
    commit: int
    """The number of its commit."""
    leaf: str
    signer: str
    predicate: Mapping[str, Any]
    subject: Mapping[str, str]
    """Name to SHA-256."""

    @property
    def id(self) -> str:
        """Its record id."""
        return str(self.predicate["record_id"])

    @property
    def kind(self) -> str:
        """What it is of."""
        return str(self.predicate["kind"])


@dataclass
class Ledger:
    """A ledger's records in the log's order, with what is disclosed of them."""

    evidence: Path
    working: Path
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.genesis = json.loads((self.evidence / "genesis.json").read_bytes())
        self.records = list(self._read())

    def _read(self) -> Iterator[Record]:
        keys, leaves, before = self.genesis["keys"], [], "-"
        config = "-"
        for number, path in enumerate(sorted((self.evidence / "commits").iterdir())):
            content = path.read_bytes()
            header, _, note = content.partition(b"\n\n")
            lines = [line.split(" ") for line in header.decode().splitlines()]
            said = {words[0]: words[1:] for words in lines if words[0] not in ("record", "frontier", "passed")}
            assert said["previous"] == before.split(" ")
            assert said["keys"] == [config]
            changed = keys
            for _, leaf, key, kind, refers, state in (words for words in lines if words[0] == "record"):
                found = self._record(key, leaf, keys, len(leaves), number)
                assert (found.kind, found.predicate.get("refers", "-")) == (kind, refers)
                assert (found.predicate.get("state") or {}).get("key", "-") == state
                if kind == "config":
                    changed = found.predicate.get("keys", keys)
                    config = str(number)
                leaves.append(bytes.fromhex(leaf))
                yield found
            signed, _, signature = header.rpartition(b"\nsignature ")
            committers = {sha(base64.b64decode(one["key"])).hex(): one["key"] for one in keys["signers"]}
            _verify(
                committers[said["committer"][0]], pae(b"application/vnd.tfaudit.commit.v1", signed + b"\n"), signature
            )
            leaves.append(sha(b"\x00", header + b"\n"))
            root = base64.b64encode(tree(leaves)).decode()
            assert note.decode().split("\n")[:3] == [self.genesis["origin"], str(len(leaves)), root]
            before = f"{number} {sha(content).hex()}"
            keys = changed

    def _record(self, key: str, leaf: str, keys: Mapping[str, Any], position: int, commit: int) -> Record:
        line, *events = (self.evidence / key).read_bytes().split(b"\n")[:-1]
        assert sha(b"\x00", line).hex() == leaf
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        statement = json.loads(payload)
        predicate = statement["predicate"]
        (signature,) = envelope["signatures"]
        known = [keys["root"]] if predicate["kind"] == "config" else [one["key"] for one in keys["signers"]]
        if predicate["kind"] in ("approval", "rejection", "review"):
            known += keys["approvers"]
        by_id = {sha(base64.b64decode(one)).hex(): one for one in known}
        _verify(by_id[signature["keyid"]], pae(envelope["payloadType"].encode(), payload), signature["sig"].encode())
        subject = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        assert subject["events"] == predicate["events"]["root"] == tree([sha(b"\x00", one) for one in events]).hex()
        return Record(position, commit, leaf, signature["keyid"], predicate, subject)

    def file(self, record: Record) -> bytes:
        """Return the disclosure file of a record."""
        return (self.working / f"disclosures/{record.id}.jsonl").read_bytes()

    def disclosed(self, record: Record, pointer: str) -> bytes | None:
        """Return the text that a member of the predicate commits to; None where it was erased."""
        member: Any = record.predicate
        for step in pointer.split("/")[1:]:
            member = member[step]
        assert set(member) == {"digest"}
        lines = [read(line) for line in self.file(record).splitlines()]
        (own,) = (line["values"] for line in lines if line["line"] == "0")
        (value,) = (value for value in own if value[0] == pointer)
        assert value[1] == "value"
        if value[2] is None:
            assert value[3] is None
            return None
        salt, content = base64.b64decode(value[2]), text(value[3])
        assert len(salt) == 16
        framed = frame(record.id.encode(), b"", b"", pointer.encode(), b"value")
        assert sha(b"tfaudit/value/v1\n", framed, salt, content).hex() == member["digest"]
        return content

    def one(self, record_id: str) -> Record:
        """Return the record of this id."""
        (found,) = (record for record in self.records if record.id == record_id)
        return found


@dataclass(frozen=True)
class Word:
    """A person's word in a record, its signature checked."""

    id: str
    key: str
    public: str
    """``TYPE BASE64``"""
    document: Mapping[str, Any]
    record: Record


def word_of(ledger: Ledger, record: Record, scratch: Path) -> Word:
    """Return the word that a record of the kinds approval, rejection and review holds."""
    envelope_text = ledger.disclosed(record, "/vote")
    assert envelope_text is not None
    envelope = json.loads(envelope_text)
    assert len(envelope_text) <= 64 * 1024
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    assert envelope["payloadType"].encode() == APPROVAL
    payload = base64.b64decode(envelope["payload"])
    document = json.loads(payload)
    assert text(read(payload)) == payload
    assert document["format"] == "tfaudit-approval/v1"
    (signature,) = envelope["signatures"]
    signed = pae(APPROVAL, payload)
    if "sshsig" in signature:
        assert set(signature) == {"keyid", "sshsig"}
        public = _checked_by_openssh(signature["sshsig"], signed, document["approver"], scratch)
    else:
        assert set(signature) == {"keyid", "public", "sig"}
        public = signature["public"]
        _verify_ssh(public, signed, base64.b64decode(signature["sig"]))
    wire = base64.b64decode(public.split(" ")[1])
    fingerprint = f"SHA256:{base64.b64encode(sha(wire)).decode().rstrip('=')}"
    assert signature["keyid"] == fingerprint
    kinds = {"break-glass": "approval"}
    assert record.kind == kinds.get(document["kind"], document["kind"])
    assert record.predicate["refers"] == document["subject"]["leaf"]
    if document["kind"] != "review":
        assert record.predicate["plan_record"] == document["subject"]["plan_record"]
    # Whether somebody else signed the record around it is what `carrier` says.
    assert (record.signer == _key_id(public)) is not record.predicate.get("carrier", False)
    return Word(f"sha256:{sha(payload).hex()}", fingerprint, public, document, record)


def _verify(key: str, message: bytes, signature: bytes) -> None:
    public = load_der_public_key(base64.b64decode(key))
    _verified(public, message, base64.b64decode(signature))


def _verify_ssh(public: str, message: bytes, signature: bytes) -> None:
    _verified(load_ssh_public_key(public.encode()), message, signature)


def _verified(public: Any, message: bytes, signature: bytes) -> None:
    if isinstance(public, Ed25519PublicKey):
        public.verify(signature, message)
    else:
        public.verify(signature, message, ECDSA(SHA256()))


def _key_id(public: str) -> str:
    key = load_ssh_public_key(public.encode())
    return sha(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hex()


def _checked_by_openssh(armored: str, message: bytes, principal: str, scratch: Path) -> str:
    """Have ``ssh-keygen -Y verify`` check the signature, and return the key that it brings."""
    body = "".join(armored.split("\n")[1:-1] if armored.endswith("-----") else armored.split("\n")[1:-2])
    blob = base64.b64decode(body)
    assert blob[:6] == b"SSHSIG"
    size = int.from_bytes(blob[10:14], "big")
    wire = blob[14 : 14 + size]
    name = wire[4 : 4 + int.from_bytes(wire[:4], "big")].decode()
    public = f"{name} {base64.b64encode(wire).decode()}"
    (scratch / "signature").write_text(armored)
    (scratch / "allowed").write_text(f'{principal} namespaces="{NAMESPACE}" {public}\n')
    subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", principal, "-n", NAMESPACE, "-s", "signature"],
        cwd=scratch,
        input=message,
        check=True,
        capture_output=True,
    )
    return public


def check_bundles(ledger: Ledger) -> dict[int, str]:
    """Check what `config` records pin or name; return the bundle's record in force from each position on."""
    in_force: dict[int, str] = {}
    named: Record | None = None
    for record in ledger.records:
        if record.kind != "config":
            continue
        if "bundle" in record.predicate:
            content = ledger.disclosed(record, "/bundle")
            assert content is not None
            bundle = json.loads(content)
            assert text(read(content)) == content
            assert (bundle["format"], bundle["origin"]) == ("tfaudit-bundle/v1", ledger.genesis["origin"])
            named = record
        elif named is not None:
            told = record.predicate["bundle_record"]
            assert (told["record_id"], told["leaf"]) == (named.id, named.leaf)
            assert told["commit"] == named.commit
        else:
            assert "bundle_record" not in record.predicate
        if named is not None:
            in_force[record.position + 1] = named.id
    return in_force


def check_erased(ledger: Ledger) -> set[str]:
    """Check that each plan record's disclosures are as they were written, or as an outcome says; return the erased."""
    erased: dict[str, str] = {}
    for record in ledger.records:
        for one in record.predicate.get("erased", ()):
            assert (record.kind, one["pointer"]) == ("outcome", "/change/key")
            assert ledger.one(one["record"]).kind == "plan"
            erased[one["record"]] = one["disclosures"]
    for record in ledger.records:
        written = record.predicate["disclosures"]
        if written is not None:
            wanted = erased.get(record.id, written["sha256"])
            assert sha(ledger.file(record)).hex() == wanted
        if "change" in record.predicate:
            assert (ledger.disclosed(record, "/change/key") is None) is (record.id in erased)
    return set(erased)


def check_decision(ledger: Ledger, record: Record, words: Iterable[Word], in_force: Mapping[int, str]) -> bool:
    """Check what a plan's or an intent's record says of its decision; return whether it was allowed by approvals."""
    decision = record.predicate["decision"]
    content = ledger.disclosed(record, "/decision/basis")
    assert content is not None
    basis = json.loads(content)
    assert text(read(content)) == content
    assert set(basis) == {"decided", "evaluations", "reasons", "request", "rules", "votes"}
    assert sha(text(read(content)["rules"])).hex() == decision["rules"]
    assert sorted({one["code"] for one in basis["reasons"]}) == decision["reasons"]
    assert (decision["decision"] == "allow") is (basis["reasons"] == [])
    assert abs(basis["decided"] - milliseconds(record.predicate["time"])) <= 300_000
    places = [place for place in in_force if place <= record.position]
    assert decision["bundle"] == (in_force[max(places)] if places else None)
    subject = basis["request"]["subject"]
    assert subject["plan_sha256"] == record.subject["plan"]
    assert (subject["origin"], subject["stack"]) == (ledger.genesis["origin"], record.predicate["stack"])
    assert subject["state_key"] == record.predicate["state"]["key"]
    if record.kind == "plan":
        assert subject["change_digest"] == record.predicate["change"]["digest"]
        assert [subject[name] for name in ("plan_record", "leaf", "event_root", "key_commitment")] == [""] * 4
    else:
        assert subject["change_digest"] == record.predicate["change_digest"]
    counted = [word for word in words if word.id in decision["approvals"]]
    assert {word.id for word in counted} == set(decision["approvals"])
    assert set(decision["approvals"]) <= {vote["id"] for vote in basis["votes"]}
    for word in counted:
        _check_counted(ledger, record, word, basis)
    if counted:
        assert decision["plan_record"] == counted[0].document["subject"]["plan_record"]
    if decision["decision"] == "allow" and not decision.get("break_glass"):
        assert len({word.document["approver"] for word in counted}) >= decision["required"]
        assert len({word.key for word in counted}) >= decision["required"]
    return bool(counted) and decision["decision"] == "allow"


def _check_counted(ledger: Ledger, record: Record, word: Word, basis: Mapping[str, Any]) -> None:
    """Check that a word is a good one for the run of this record."""
    said, asked, decision = word.document["subject"], basis["request"]["subject"], record.predicate["decision"]
    assert word.record.position < record.position
    listed = [one for one in basis["rules"]["approvers"] if one["key"] == word.key]
    assert any(word.document["approver"] in one["principals"] and one["public"] == word.public for one in listed)
    (seen,) = (vote for vote in basis["votes"] if vote["id"] == word.id)
    assert seen["record"] == (word.record.id if seen["source"] == "ledger" else None)
    assert (seen["approver"], seen["key"]) == (word.document["approver"], word.key)
    assert (seen["signed"], seen["subject"]) == (True, said)
    assert basis["decided"] < milliseconds(word.document["expires"])
    # What was approved is that plan's record, and this run would do the same: its digest under that record's key.
    plan = ledger.one(said["plan_record"])
    assert (plan.leaf, plan.predicate["events"]["root"]) == (said["leaf"], said["event_root"])
    assert plan.predicate["change"] == {"digest": said["change_digest"], "key": {"digest": said["key_commitment"]}}
    assert plan.subject["plan"] == said["plan_sha256"]
    assert basis["request"]["under"][plan.id] == said["change_digest"]
    if decision["plan_record"] == plan.id:
        assert decision["change_digest"] == said["change_digest"]
    same = ("origin", "stack", "state_key", "lineage", "serial", "backend", "target", "policy")
    assert [said[name] for name in same] == [asked[name] for name in same]


def check_uses(ledger: Ledger) -> None:
    """Check that no two intents of a stack and state rest on the same vote."""
    used: set[tuple[str, str, str]] = set()
    for record in ledger.records:
        if record.kind == "intent":
            for vote in record.predicate["decision"].get("approvals", ()):
                use = (record.predicate["stack"], record.predicate["state"]["key"], vote)
                assert use not in used
                used.add(use)


def change_digest(key: bytes, stream: bytes) -> str:
    """Return the change digest of a change stream under a record's key."""
    return hmac.new(key, b"tfaudit/change/v1\n" + sha(stream), hashlib.sha256).hexdigest()


def change_stream(
    shown: bytes, engine: tuple[str, str], lock: bytes | None, sources: Iterable[tuple[str, ...]]
) -> bytes:
    """Return the change stream of a plan, of which ``shown`` is what ``show -json`` prints."""
    plan = read(shown)
    changes = plan.get("resource_changes", [])
    still = all(change["change"]["actions"] == ["no-op"] for change in changes)
    told = [change for change in changes if change["change"]["actions"] != ["no-op"] or _moves(change)]
    parts = {
        "engine": frame(engine[0].encode(), engine[1].encode()),
        "lock": sha(lock).hex().encode() if lock is not None else b"",
        "providers": b"".join(frame(name.encode(), version.encode()) for name, version in sorted(_locked(lock))),
        "sources": b"".join(frame(*(part.encode() for part in one)) for one in sorted(sources)),
        "resource_changes": _digests(map(_entry, told)),
        "resource_drift": _digests(map(_entry, plan.get("resource_drift", []))) if still else b"",
        "deferred_changes": _digests(map(_entry, plan.get("deferred_changes", []))),
        "output_changes": _digests(
            frame(name.encode(), text(change))
            for name, change in plan.get("output_changes", {}).items()
            if change["actions"] != ["no-op"]
        ),
        "action_invocations": _digests(map(_entry, plan.get("action_invocations", []))),
        "deferred_action_invocations": _digests(map(_entry, plan.get("deferred_action_invocations", []))),
        "checks": _digests(text(check["address"]) for check in plan.get("checks", [])),
        **{
            name: sha(text(plan[name])) if plan.get(name) is not None else b""
            for name in ("variables", "configuration")
        },
    }
    return b"tfaudit/change-stream/v1\n" + b"".join(frame(name.encode(), part) for name, part in parts.items())


def _moves(change: Mapping[str, Any]) -> bool:
    return "previous_address" in change or "importing" in change["change"]


def _entry(entry: Mapping[str, Any]) -> bytes:
    change = entry.get("change")
    if change and "replace_paths" in change:
        entry = {**entry, "change": {**change, "replace_paths": sorted(change["replace_paths"], key=text)}}
    return text(entry)


def _digests(texts: Iterable[bytes]) -> bytes:
    return b"".join(sorted(map(sha, texts)))


def _locked(lock: bytes | None) -> list[tuple[str, str]]:
    found = re.findall(r'^provider "([^"]+)" \{\n\s*version\s*=\s*"([^"]+)"', (lock or b"").decode(), re.MULTILINE)
    return [(name, version) for name, version in found]


def sources_of(plan_file: Path, root: Path) -> list[tuple[str, str, str, str]]:
    """Return module, source, version and digest of each module of a plan file's configuration."""
    with zipfile.ZipFile(plan_file) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if name.startswith("tfconfig/")}
    modules = json.loads(content["tfconfig/modules.json"])
    found = []
    for module in modules:
        key = module["Key"]
        own = {
            match[2]: data
            for name, data in content.items()
            if (match := CONTEXT.fullmatch(name)) is not None and match[1] == key
        }
        pairs = {name: sha(data).hex() for name, data in own.items()}
        if key:
            pairs |= {name: value for name, value in _below(root / module["Dir"], root) if name not in own}
        else:
            called = [root / one["Dir"] for one in modules if one["Key"]]
            pairs |= _named(own.values(), root, called)
        digest = sha(*(frame(name.encode(), value.encode()) for name, value in sorted(pairs.items()))).hex()
        found.append((key, module.get("Source", ""), module.get("Version", ""), digest))
    return found


LEFT_OUT = {
    ".git", ".hg", ".svn", ".terraform", ".terragrunt-cache", ".DS_Store", ".terraform.lock.hcl", "crash.log",
}  # fmt: skip


def _left_out(name: str) -> bool:
    return name in LEFT_OUT or name.endswith(".tfstate") or ".tfstate." in name


def _below(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder, by their paths in it."""

    def walk(place: Path) -> Iterator[Path]:
        for path in sorted(place.iterdir()):
            if _left_out(path.name) or path == root:
                continue
            if path.is_dir() and not path.is_symlink():
                yield from walk(path)
            else:
                yield path

    for path in walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.is_file():
            yield name, f"link {path.readlink()}"
        elif stat.S_ISREG(path.stat().st_mode):
            yield name, sha(path.read_bytes()).hex()


def _named(configuration: Iterable[bytes], root: Path, called: Iterable[Path]) -> dict[str, str]:
    """Return the files beside a root module that its configuration names."""
    names: set[str] = set()
    elsewhere = [folder.resolve() for folder in called]
    for data in configuration:
        plain = re.sub(rb"\$\{\s*path\.(module|root|cwd)\s*\}/", b" ", data)
        names |= {name.decode() for name in re.findall(rb"[A-Za-z0-9._\-/@+~]{1,255}", plain)}
    found: dict[str, str] = {}
    for name in (name for name in names if not name.startswith("/")):
        path = Path(os.path.normpath(root / name))
        own = path.parent == root and path.suffix in (".tf", ".tofu", ".json")
        if own or path in elsewhere or _left_out(path.name):
            continue
        if path.is_file() and not _is_plan(path):
            found[name] = sha(path.read_bytes()).hex()
        elif "/" in name and path.is_dir() and root in path.parents:
            found |= {f"{name.rstrip('/')}/{below}": value for below, value in _below(path, root)}
    return found


def _is_plan(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "tfplan" in archive.namelist()
