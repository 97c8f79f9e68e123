"""Which key may sign which record, and how a set of keys is written."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace

import ledgerkit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import canonical, schema
from tfaudit.errors import ConfigError, InputError
from tfaudit.ledger import genesis, ids, keyset
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.ledger.store import read
from tfaudit.ledger.verify import verify
from tfaudit.signing.signer import create_key_file


@pytest.fixture
def place(tmp_path):
    """A ledger that accepts a second key, a CI system's, for one team's stacks."""
    place = ledgerkit.make(tmp_path / "place")
    place.ci = create_key_file(tmp_path / "ci.pem", algorithm="ecdsa-p256")
    ledger = place.open()
    keys = ledger.keys()
    limited = AcceptedSigner(public=place.ci.public, writers=("ci",), stacks=("acme/net/*", "acme/one:prod"))
    ledger.change_keys(replace(keys, generation=1, signers=(*keys.signers, limited)), place.root, {})
    return place


def report(place):
    """Return what verify finds, as (code, severity) pairs."""
    result = verify(place.evidence, place.working, now=ids.milliseconds(place.clock()) + 7_200_000)
    return {(finding.code, finding.severity) for finding in result.findings}


@pytest.mark.parametrize("stack", ["acme/net/a:default", "acme/net/", "acme/one:prod"])
def test_a_limited_signer_writes_its_stacks(place, stack):
    """A record of a stack that matches a pattern is appended, and verifies."""
    ledgerkit.add(place.open(signer=place.ci, writer="ci"), events=0, stack=stack)
    assert len(place.whole()) == 2
    assert report(place) == set()


@pytest.mark.parametrize("stack", ["acme/other", "acme/net", "acme/one:prod2", "xacme/net/a", "", 7, None])
def test_a_limited_signer_writes_no_other_stack(place, stack):
    """A record of another stack, or of none, is refused before anything is written."""
    facts = {} if stack is None else {"stack": stack}
    with pytest.raises(ConfigError, match="does not accept") as caught:
        ledgerkit.add(place.open(signer=place.ci, writer="ci"), **facts)
    assert "not for this stack" in str(caught.value)
    assert len(place.staged()) == 1


def test_a_limited_signers_stray_record_stays_out(place):
    """What it staged all the same is foreign to whoever commits."""
    stage = place.open(signer=place.ci, writer="ci", log_signer=None)
    with stage.draft("plan") as draft:
        sealed = draft.seal(
            {"stack": "acme/other"},
            subjects=(),
            origin=stage.origin,
            writer="ci",
            time=ids.milliseconds(place.clock()),
            seen=None,
            previous=None,
            spooled=None,
            signer=place.ci,
        )
        place.evidence.create(sealed.record.key, sealed.line + b"\n")
    place.open().sequence()
    assert [line.record_id for line in place.whole()] != [sealed.record.record_id]
    assert ("foreign", "warning") in report(place)


def test_a_commit_that_adopted_it_is_reported(place, monkeypatch):
    """A committer that broke the rule does not make the record good: verify knows no such signer."""
    ledger = place.open(signer=place.ci, writer="ci")
    with monkeypatch.context() as patch:
        # A writer of another make, which adopts whatever an accepted key signed.
        patch.setattr(AcceptedSigner, "may_sign", lambda _self, _stack: True)
        ledgerkit.add(ledger, stack="acme/other")
    assert ("unknown-signer", "error") in report(place)


def test_a_limited_signer_may_commit_for_others(place):
    """The limit is on the records that it signs, not on commits."""
    staged = ledgerkit.add(place.open(log_signer=None), stack="acme/other")
    ledgerkit.add(place.open(signer=place.ci, writer="ci"), stack="acme/one:prod")
    assert staged.record_id in {line.record_id for line in place.whole()}


def test_an_unlimited_set_is_written_as_before(tmp_path):
    """A set without limits has no `stacks`, so that files of earlier days read and write the same."""
    place = ledgerkit.make(tmp_path / "place")
    raw = read(place.evidence, ids.GENESIS_KEY, limit=1 << 20)
    assert b"stacks" not in raw
    document = canonical.decode(raw[:-1], what="genesis")
    assert genesis.parse(raw).keys.document() == document["keys"]
    schema.validate("genesis.v1", document)


def test_a_limited_set_reads_back(place):
    """A set with limits is what it was after writing and reading."""
    keys = place.open().keys()
    assert keyset.parse(keys.document(), what="x") == keys
    limited = genesis.create(origin="x", keys=replace(keys, generation=0), nonce=bytes(32), time=0)
    schema.validate("genesis.v1", canonical.decode(limited[:-1], what="x"))


@pytest.mark.parametrize(
    "stacks", [[], [""], ["a\nb"], ["a" * 301], [1], "abc", None, {"a": 1}], ids=lambda stacks: repr(stacks)[:20]
)
def test_unusable_patterns_are_refused(place, stacks):
    """Limits that are empty, too long or no texts make the whole set unreadable."""
    document = place.open().keys().document()
    document["signers"][1]["stacks"] = stacks
    with pytest.raises(InputError):
        keyset.parse(document, what="x")


def test_a_signer_stands_once(place):
    """A set that names a key twice is refused: which limits would count?"""
    document = place.open().keys().document()
    document["signers"].append({"key": document["signers"][1]["key"], "writers": []})
    with pytest.raises(InputError, match="twice"):
        keyset.parse(document, what="x")


@given(st.text("ab*/", max_size=12), st.text("ab/", max_size=12))
def test_a_star_stands_for_any_characters(pattern, name):
    """Patterns match as a shell's would whose only special character is the star."""
    assert keyset.matches(pattern, name) == bool(re.fullmatch(fnmatch.translate(pattern), name))


def test_nothing_else_is_special():
    """Question marks, brackets and backslashes stand for themselves."""
    assert keyset.matches("a?[b]\\*", "a?[b]\\c")
    assert not keyset.matches("a?", "ab")
