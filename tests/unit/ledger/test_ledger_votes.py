"""What the log says of votes: who voted, on what, and which votes earlier runs have used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from electionkit import ALICE, BOB, HOUR, RULES, STACK, STATE, Election, erase
from ledgerkit import add, make

from tfaudit.errors import LedgerError
from tfaudit.gate import document
from tfaudit.gate.document import Word
from tfaudit.gate.model import Subject, Vote
from tfaudit.ledger import ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.store import Entry, read


@pytest.fixture
def election(tmp_path: Path) -> Election:
    """Return a ledger in which nothing was planned yet."""
    return Election(make(tmp_path))


def who(votes: tuple[Vote, ...]) -> list[tuple[str, str]]:
    """Return kind and approver of votes, sorted."""
    return sorted((vote.kind, vote.approver) for vote in votes)


def test_votes_are_found_with_their_places(election: Election) -> None:
    """Each vote with its record, its position and the time of the commit that took it."""
    subject = election.plan()
    receipt = election.vote(ALICE, subject)
    election.vote(BOB, subject, "rejection")
    view = election.view()
    assert who(view.votes) == [("approval", ALICE.name), ("rejection", BOB.name)]
    (vote,) = (one for one in view.votes if one.kind == "approval")
    assert (vote.record, vote.position, vote.signed) == (receipt.record_id, receipt.position, True)
    assert vote.subject == subject
    assert vote.at >= vote.made
    assert view.size == election.reader().state.size


def test_the_log_before_a_place_lacks_what_came_later(election: Election) -> None:
    """A view up to an intent's place does not know of a rejection after it."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.intend(subject)
    election.vote(BOB, subject, "rejection")
    view = election.view(before=intent.position, staged=False)
    assert (who(view.votes), view.uses) == ([("approval", ALICE.name)], ())
    assert view.size == intent.position


def test_an_intent_uses_the_votes_that_it_names(election: Election) -> None:
    """Uses name the vote, the intent and its place."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.intend(subject)
    (use,) = election.view().uses
    assert (use.intent, use.position) == (intent.record_id, intent.position)
    assert use.vote == election.view().votes[0].id


def test_votes_on_other_stacks_are_left_out(election: Election) -> None:
    """Those of this stack and this state count, and no others."""
    subject = election.plan()
    election.carry(election.word(ALICE, subject), "approval", subject, stack="network/dev")
    other = replace(subject, stack="network/dev", state_key="6" * 64)
    election.carry(election.word(BOB, other), "approval", other)
    election.carry(election.word(ALICE, subject), "approval", subject, stack=None)
    assert len(election.view().votes) == 1


def test_a_use_on_another_state_is_no_use_here(election: Election) -> None:
    """Nor one by another stack's run that names this state: its signer may be held to that other stack."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.intend(subject)
    assert election.view(state_key="6" * 64).uses == ()
    assert election.view(stack="network/dev").uses == ()
    assert len(election.view().uses) == 1


def test_a_staged_rejection_is_seen(election: Election) -> None:
    """A vote that no commit holds yet counts already."""
    subject = election.plan()
    people = election.place.open(log_signer=None)
    election.ledger = people
    election.vote(BOB, subject, "rejection")
    view = election.view()
    assert [(vote.kind, vote.position) for vote in view.votes] == [("rejection", None)]
    assert election.view(staged=False).votes == ()


def test_a_staged_rejection_is_seen_behind_any_number_of_other_records(election: Election) -> None:
    """Neither what one writer stages nor how many writers there are keeps it from being seen."""
    subject = election.plan()
    junk = [f"{ids.new_record_id(election.now - 1, election.place.entropy)}" for _ in range(1100)]
    for record_id in junk:
        election.place.evidence.create(ids.record_key("local", record_id), b"{}\n")
    for number in range(70):
        record_id = ids.new_record_id(election.now - 1, election.place.entropy)
        election.place.evidence.create(ids.record_key(f"a{number}", record_id), b"{}\n")
    election.ledger = election.place.open(log_signer=None, writer="people")
    election.vote(BOB, subject, "rejection")
    assert who(election.view().votes) == [("rejection", BOB.name)]


def test_a_staged_approval_lets_nothing_go_on_at_the_second_look(election: Election) -> None:
    """Nobody would find it when the log is read up to the intent's place; a staged rejection counts all the same."""
    subject = election.plan()
    place = add(election.ledger, "operation").position
    election.ledger = election.place.open(log_signer=None)
    election.vote(ALICE, subject)
    election.vote(BOB, subject, "rejection")
    assert who(election.view(before=place).votes) == [("rejection", BOB.name)]
    assert len(election.view().votes) == 2


def test_too_many_waiting_words_are_no_view(election: Election) -> None:
    """Where nobody can be sure to have seen every rejection, there is nothing to decide on."""
    for _ in range(1024):
        record_id = ids.new_record_id(election.now, election.place.entropy)
        election.place.evidence.create(ids.record_key("people", record_id), b"{}\n")
    with pytest.raises(LedgerError, match="wait under records/people/"):
        election.view()


def test_a_staged_intent_counts_before_a_later_one(election: Election) -> None:
    """Where nobody but a sequencer commits, the ids' order decides."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.ledger = election.place.open(log_signer=None)
    first = election.intend(subject)
    second = election.intend(subject)
    assert election.view(own=first.record_id).uses == ()
    assert [use.intent for use in election.view(own=second.record_id).uses] == [first.record_id]


def test_old_votes_are_not_read(election: Election) -> None:
    """What is older than an approval may be stays closed, however long the ledger is."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.place.clock.advance(hours=25)
    add(election.ledger, "operation")
    election.vote(BOB, subject)
    assert [vote.approver for vote in election.view().votes] == [BOB.name]


class Counting:
    """A store that counts what is opened."""

    def __init__(self, real: FolderStore) -> None:
        self.real = real
        self.opened: list[str] = []

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open, and count it."""
        self.opened.append(key)
        return self.real.open(key, limit=limit, settled=settled)

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create."""
        return self.real.create(key, head, tail)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List."""
        return self.real.list(prefix, after=after, shallow=shallow)


def test_the_look_up_reads_what_lies_in_the_window_alone(election: Election) -> None:
    """With forty commits before the window no more is opened than with one."""

    def opened() -> int:
        election.place.clock.advance(days=3)
        election.vote(ALICE, election.plan())
        evidence = Counting(election.place.evidence)
        found = Reader.open(evidence=evidence, working=election.place.working, genesis_digest=None)
        evidence.opened.clear()
        assert len(election.view(reader=found).votes) == 1
        return len(evidence.opened)

    add(election.ledger, "operation", events=0)
    few = opened()
    for _ in range(40):
        add(election.ledger, "operation", events=0)
    assert opened() == few


def test_a_commit_that_claims_to_be_old_does_not_hide_what_lies_before(election: Election) -> None:
    """Whoever may commit can't cut the view short by the time that they write."""
    subject = election.plan()
    election.vote(BOB, subject, "rejection")
    election.place.clock.advance(days=-20)
    add(election.ledger, "operation")
    election.place.clock.advance(days=20)
    assert who(election.view().votes) == [("rejection", BOB.name)]


def test_an_erased_approval_does_not_count_and_an_erased_rejection_stands(election: Election) -> None:
    """Nobody can bring in or take back a word by erasing what it was."""
    subject = election.plan()
    approval, rejection = election.vote(ALICE, subject), election.vote(BOB, subject, "rejection")
    erase(election.place, approval.record_id, "/vote")
    election.place.working.remove(ids.disclosure_key(rejection.record_id))
    view = election.view()
    assert (view.votes, view.undisclosed) == ((), (rejection.record_id,))


def test_a_document_that_was_exchanged_is_not_believed(election: Election) -> None:
    """What the working store holds has to open the record's commitment."""
    subject = election.plan()
    one, other = election.vote(ALICE, subject), election.vote(BOB, subject, "rejection")
    stolen = read(election.place.working, ids.disclosure_key(one.record_id), limit=1 << 20)
    election.place.working.replace(ids.disclosure_key(other.record_id), stolen or b"")
    view = election.view()
    assert (who(view.votes), view.undisclosed) == ([("approval", ALICE.name)], (other.record_id,))


def test_disclosures_without_end_are_not_read(election: Election) -> None:
    """Whoever can write there can't have every gate read gigabytes: an approval so hidden does not count."""
    subject = election.plan()
    receipt = election.vote(ALICE, subject)
    key = ids.disclosure_key(receipt.record_id)
    whole = read(election.place.working, key, limit=1 << 20) or b""
    lines = b'{"line":1,"values":[]}\n' * 20_000
    election.place.working.replace(key, lines + whole)
    assert election.view().votes == ()
    election.place.working.replace(key, b'{"line":1,"values":[]}\n' + whole)
    assert len(election.view().votes) == 1


def test_a_forged_word_is_marked(election: Election) -> None:
    """A signature by another key than the one it names is not verified."""
    subject = election.plan()
    forged = BOB.sign(_word(election, subject))
    election.carry(forged, "approval", subject)
    (vote,) = election.view().votes
    assert (vote.approver, vote.key) == (ALICE.name, BOB.ssh.fingerprint)
    assert RULES.approvers is not None
    assert vote.key not in {line.key for line in RULES.approvers if vote.approver in line.principals}


def _word(election: Election, subject: Subject) -> Word:
    return document.open_envelope(election.word(ALICE, subject)).word


def test_a_record_without_a_word_is_no_vote(election: Election) -> None:
    """An approval record that holds anything else is passed over."""
    subject = election.plan()
    with election.ledger.draft("approval") as draft:
        election.ledger.append(draft, {"stack": STACK, "vote": draft.disclose("/vote", b'"yes"')})
    with election.ledger.draft("approval") as draft:
        election.ledger.append(draft, {"stack": STACK})
    election.vote(ALICE, subject)
    assert len(election.view().votes) == 1


def test_the_window_may_lie_anywhere(election: Election) -> None:
    """A view as it was at another time is asked for by its place and its start."""
    subject = election.plan()
    first = election.vote(ALICE, subject)
    election.place.clock.advance(days=10)
    election.vote(BOB, subject)
    view = election.view(before=(first.position or 0) + 1, since=election.now - 11 * 24 * HOUR, staged=False)
    assert [vote.approver for vote in view.votes] == [ALICE.name]
    assert view.votes[0].subject.state_key == STATE
