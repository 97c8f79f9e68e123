"""What the tests of votes in the ledger share: people with keys, a planned change, and runs that decide as runs do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from ledgerkit import Place

from tfaudit import canonical
from tfaudit.events import commitment
from tfaudit.events.model import EventLine
from tfaudit.gate import basis, document
from tfaudit.gate.decide import decide
from tfaudit.gate.document import Word
from tfaudit.gate.model import ApproverKey, Decision, LedgerView, Request, Rules, Subject, VoteKind
from tfaudit.ledger import ids, votes
from tfaudit.ledger.log import Ledger, Receipt
from tfaudit.ledger.reader import Reader
from tfaudit.policy.model import Evaluation
from tfaudit.signing import keys, sshkeys
from tfaudit.signing.person import Signature

STATE = "5a" * 32
STACK = "network/prod"
LINEAGE = "6f1f5bd2-8b9e-4b4c-a1de-0c7f2d3f9a55"
POLICY = (Evaluation(engine="cel", version="1", digest="8" * 64, rules=3, findings=()),)
HOUR = 60 * 60 * 1000


@dataclass(frozen=True)
class Person:
    """Somebody with a key."""

    name: str

    @property
    def key(self) -> ed25519.Ed25519PrivateKey:
        """Their key, always the same."""
        return ed25519.Ed25519PrivateKey.from_private_bytes(self.name.encode().ljust(32)[:32])

    @property
    def ssh(self) -> sshkeys.SshKey:
        """Its public half."""
        return sshkeys.of_public(keys.public_key(self.key.public_key()))

    @property
    def line(self) -> ApproverKey:
        """Their line of the approvers file."""
        return ApproverKey(principals=(self.name,), key=self.ssh.fingerprint, public=self.ssh.text)

    def sign(self, word: Word) -> bytes:
        """Return the envelope of a word."""
        payload = document.build(word)
        plain = self.key.sign(document.signed_bytes(payload))
        return document.seal(payload, Signature(key=self.ssh, plain=plain))


ALICE, BOB = Person("alice@example.com"), Person("bob@example.com")
RULES = Rules(
    approvals=1,
    allow_self_approval=False,
    expires=timedelta(hours=24),
    bind="changes",
    agents_need_person=True,
    require_touch=False,
    approvers=(ALICE.line, BOB.line),
    groups={},
    freezes=(),
    break_glass=None,
    identities={},
)


@dataclass
class Election:
    """A ledger in which plans are made, voted on and applied."""

    place: Place
    serial: int = 1
    rules: Rules = RULES
    nonces: int = 0
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Open the ledger."""
        self.ledger = self.place.open()

    @property
    def now(self) -> int:
        """The store's time."""
        return ids.milliseconds(self.place.clock())

    def reader(self) -> Reader:
        """Return a reader of the log as it is now."""
        return Reader.open(evidence=self.place.evidence, working=self.place.working, genesis_digest=None)

    def subject(self, **fields: Any) -> Subject:
        """Return what is planned, without a record."""
        values: dict[str, Any] = {
            "plan_record": "",
            "leaf": "",
            "event_root": "",
            "plan_sha256": "3" * 64,
            "change_digest": "4" * 64,
            "key_commitment": "",
            "origin": self.place.genesis().origin,
            "stack": STACK,
            "state_key": STATE,
            "lineage": LINEAGE,
            "serial": self.serial,
            "backend": "local",
            "target": None,
            "commit": None,
            "policy": "8" * 64,
        }
        return Subject(**{**values, **fields})

    def plan(self, *, shows: str = "small", **fields: Any) -> Subject:
        """Append a plan's record and return what an approval of it binds."""
        subject = self.subject(**fields)
        with self.ledger.draft("plan") as draft:
            draft.add(changed(draft.record_id, shows))
            change = {"digest": subject.change_digest, "key": draft.disclose("/change/key", b'{"key":"k"}')}
            facts = {"stack": STACK, "state": self.state(), "change": change}
            receipt = self.ledger.append(draft, facts)
        root = self.reader().record(self.reader().find(receipt.record_id).line).event_root.hex()  # type: ignore[union-attr]
        return replace(
            subject,
            plan_record=receipt.record_id,
            leaf=receipt_leaf(self, receipt),
            event_root=root,
            key_commitment=change["key"]["digest"],
        )

    def state(self, after: int | None = None) -> dict[str, Any]:
        """Return a record's ``state``."""
        told: dict[str, Any] = {"key": STATE, "before": {"lineage": LINEAGE, "serial": self.serial}}
        return told if after is None else {**told, "after": {"lineage": LINEAGE, "serial": after}}

    def word(self, who: Person, subject: Subject, kind: VoteKind = "approval", **fields: Any) -> bytes:
        """Return the envelope of somebody's word on a plan."""
        self.nonces += 1
        made = fields.pop("made", self.now)
        word = Word(
            kind=kind,
            subject=subject,
            approver=who.name,
            reason=None,
            made=made,
            expires=made + 24 * HOUR,
            nonce=f"{self.nonces:032x}",
            shown="a" * 64,
            intent=subject.plan_record if kind == "review" else None,
        )
        return who.sign(replace(word, **fields))

    def vote(self, who: Person, subject: Subject, kind: VoteKind = "approval", **fields: Any) -> Receipt:
        """Append somebody's word on a plan, carried by the ledger's own key."""
        return self.carry(self.word(who, subject, kind, **fields), kind, subject)

    def carry(self, envelope: bytes, kind: VoteKind, subject: Subject, *, stack: str | None = STACK) -> Receipt:
        """Append a signed word."""
        with self.ledger.draft("approval" if kind == "break-glass" else kind) as draft:
            facts: dict[str, Any] = {"vote": draft.disclose("/vote", envelope), "refers": subject.leaf}
            if stack is not None:
                facts["stack"] = stack
            return self.ledger.append(draft, {**facts, "carrier": True})

    def view(self, **options: Any) -> LedgerView:
        """Return what the log says of this stack's votes now."""
        values = {"stack": STACK, "state_key": STATE, "since": self.now - 24 * HOUR, "now": self.now, **options}
        return votes.view(values.pop("reader", None) or self.reader(), **values)

    def request(self, approved: Subject, **fields: Any) -> Request:
        """Return what an apply of the same changes asks for."""
        values: dict[str, Any] = {
            "subject": self.subject(plan_sha256="d3" * 32, change_digest="d4" * 32),
            "under": {approved.plan_record: approved.change_digest},
            "changes": True,
            "first": False,
            "unknown_actions": (),
            "unbound": (),
            "identities": frozenset({"os:dora"}),
            "agent": None,
            "planned": self.now,
        }
        return Request(**{**values, **fields})

    def decide(self, approved: Subject, **fields: Any) -> tuple[Decision, bytes]:
        """Decide on the log as it is now; return the decision and the text that it rests on."""
        view, now = self.view(), self.now
        request = self.request(approved, **fields)
        decision = decide(request, self.rules, POLICY, view, now)
        text = basis.encode(
            decided=now, request=request, rules=self.rules, evaluations=POLICY, votes=view.votes, decision=decision
        )
        return decision, text

    def intend(
        self,
        approved: Subject,
        *,
        claim: dict[str, Any] | None = None,
        text: bytes | None = None,
        does: str = "small",
    ) -> Receipt:
        """Append the intent of an apply, which decides on the log as it is now; ``claim`` says otherwise."""
        decision, own = self.decide(approved)
        with self.ledger.draft("intent") as draft:
            draft.add(changed(draft.record_id, does))
            said: dict[str, Any] = {
                "decision": "allow",
                "reasons": [],
                "required": decision.required,
                "approvals": [vote.id for vote in decision.counted],
                "plan_record": approved.plan_record,
                "change_digest": approved.change_digest,
                "rules": basis.digest(self.rules),
                "bundle": self.rules.pinned,
                "policy": [
                    {
                        "engine": "cel",
                        "version": "1",
                        "digest": "8" * 64,
                        "rules": 3,
                        "denied": 0,
                        "required": 0,
                        "warned": 0,
                    }
                ],
                "basis": draft.disclose("/decision/basis", text or own),
            }
            facts = {
                "stack": STACK,
                "command": {"name": "apply", "options": []},
                "state": self.state(),
                "plan": {"sha256": "d3" * 32},
                "change_digest": "d4" * 32,
                "decision": {**said, **(claim or {})},
            }
            return self.ledger.append(draft, facts)

    def close(self, intent: Receipt, status: str = "applied", **facts: Any) -> Receipt:
        """Append the outcome, the state a serial on where something was applied."""
        moved = self.state(self.serial + 1) if status == "applied" else self.state()
        with self.ledger.draft("outcome") as draft:
            told = {"intent": intent.record_id, "stack": STACK, "state": moved, "result": {"status": status}, **facts}
            receipt = self.ledger.append(draft, told)
        self.serial += status == "applied"
        return receipt

    def apply(self, approved: Subject, **options: Any) -> Receipt:
        """Append an intent and its outcome; return the intent."""
        intent = self.intend(approved, **options)
        self.close(intent)
        return intent


def changed(record_id: str, size: str) -> EventLine:
    """Return the line of a change of one attribute, its values disclosed."""
    before = commitment.commit(record_id, "a.b", None, "/size", b'"none"', os.urandom(16), "before")
    after = commitment.commit(record_id, "a.b", None, "/size", b'"%b"' % size.encode(), os.urandom(16), "after")
    line = {
        "kind": "resource-change",
        "address": "a.b",
        "action": "update",
        "actions": ["update"],
        "attributes": [{"path": "/size", "before": before.digest, "after": after.digest}],
    }
    return EventLine(canonical.encode(line), commitment.encode_values((before.member, after.member)))


def receipt_leaf(election: Election, receipt: Receipt) -> str:
    """Return the leaf hash of a record."""
    found = election.reader().find(receipt.record_id)
    assert found is not None
    return found.line.leaf.hex()


def erase(place: Place, record_id: str, pointer: str) -> None:
    """Erase a value of a record's statement from the working store, as nobody may without saying so."""
    key = ids.disclosure_key(record_id)
    stream = place.working.open(key)
    assert stream is not None
    with stream:
        *lines, own = stream.read().splitlines()
    found = commitment.decode_disclosure(own)
    gone = [
        commitment.Disclosed(one.pointer, one.side, None, None) if one.pointer == pointer else one
        for one in found.values
    ]
    lines.append(commitment.rewrite_disclosure(commitment.Disclosure(0, tuple(gone))))
    place.working.replace(key, b"".join(line + b"\n" for line in lines))
