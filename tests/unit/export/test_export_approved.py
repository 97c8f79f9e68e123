"""Who approved a run, as its change events tell it."""

from __future__ import annotations

from tfaudit import canonical
from tfaudit.events import commitment
from tfaudit.events.commitment import Disclosure, decode_disclosure, encode_disclosure, encode_values
from tfaudit.export.approved import approval

RECORD = "01920000-0000-7000-8000-000000000000"
VOTE = f"sha256:{'a' * 64}"
BASIS = {"votes": [{"id": VOTE, "approver": "alice@example.com"}, {"id": "sha256:other", "approver": "bob"}]}


def _decided(**more: object) -> tuple[dict[str, object], Disclosure]:
    opening = commitment.commit(RECORD, "", None, "/decision/basis", canonical.encode(BASIS), b"s" * 16)
    decision = {"decision": "allow", "approvals": [VOTE], "basis": {"digest": opening.digest}, **more}
    shown = decode_disclosure(encode_disclosure(0, encode_values([opening.member])))
    return {"decision": decision}, shown


def test_the_counted_approver_is_named() -> None:
    """Only who counted, not everybody who voted."""
    predicate, shown = _decided()
    assert approval(shown, RECORD, predicate) == {
        "approvals": [VOTE],
        "approved_by": ["alice@example.com"],
        "break_glass": False,
    }


def test_an_erased_basis_leaves_the_ids() -> None:
    """What the locked record says stays; the names are withheld."""
    predicate, _ = _decided()
    found = approval(None, RECORD, predicate)
    assert (found["approvals"], found["approved_by"]) == ([VOTE], None)


def test_a_run_without_a_gate_was_approved_by_nobody() -> None:
    """No names are not withheld names."""
    predicate = {"decision": {"decision": "not-gated", "reasons": []}}
    assert approval(None, RECORD, predicate)["approved_by"] == []


def test_broken_glass_is_marked() -> None:
    """On every event of the run."""
    predicate, shown = _decided(break_glass=True)
    assert approval(shown, RECORD, predicate)["break_glass"] is True
