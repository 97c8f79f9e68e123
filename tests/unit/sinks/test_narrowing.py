"""The documents that a server does not take are found by asking for ever smaller parts."""

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.sinks.model import Accepted, Encoded, Later, Misconfigured, Refused
from tfaudit.sinks.narrowing import MAX_REQUESTS, Doubtful, narrowed

YES = Accepted(receipt="r")


def batch_of(count):
    """A batch of so many documents, known by their number."""
    return [Encoded(str(number), 0, b"x") for number in range(count)]


class Strict:
    """A server that takes a part only where all of it is good."""

    def __init__(self, bad, *, names=lambda part, number: None):
        self.bad, self.names = bad, names
        self.asked = []
        self.taken = []

    def __call__(self, part):
        """Take the part or doubt it."""
        numbers = [int(one.id) for one in part]
        self.asked.append(numbers)
        wrong = [at for at, number in enumerate(numbers) if number in self.bad]
        if wrong:
            return Doubtful(reason="bad", at=self.names(numbers, wrong[0]))
        self.taken += numbers
        return YES


@given(st.integers(1, 40), st.sets(st.integers(0, 39), max_size=2), st.booleans())
def test_just_the_bad_ones_are_refused(count, bad, named):
    """Each bad one is refused, each other one is taken once, all in order."""
    server = Strict(bad, names=(lambda _, at: at) if named else (lambda *_: None))
    answers = narrowed(batch_of(count), server)
    assert answers == [Refused(reason="bad") if number in bad else YES for number in range(count)]
    assert server.taken == [number for number in range(count) if number not in bad]


@given(st.integers(-5, 60))
def test_a_wrong_number_is_not_believed(at):
    """The one that the server names is tried alone before it is refused."""
    answers = narrowed(batch_of(20), Strict({13}, names=lambda *_: at))
    assert answers == [Refused(reason="bad") if number == 13 else YES for number in range(20)]


def test_one_bad_one_of_many_costs_few_requests():
    """Halving finds it."""
    server = Strict({321})
    narrowed(batch_of(500), server)
    assert len(server.asked) <= 20


def test_where_all_are_bad_the_requests_are_limited():
    """What is still doubtful then is tried again; what was found out stands."""
    server = Strict(set(range(500)))
    answers = narrowed(batch_of(500), server)
    assert len(server.asked) == MAX_REQUESTS
    found = [answer for answer in answers if isinstance(answer, Refused)]
    assert found
    assert answers[: len(found)] == found
    assert all(isinstance(answer, Later) and answer.after == 0 for answer in answers[len(found) :])


def test_nothing_is_asked_after_a_server_that_is_busy():
    """Its answer stands for all that is left, so that nothing overtakes."""
    said = iter([Doubtful(reason="bad"), YES, Later(reason="busy")])
    asked = []

    def ask(part):
        asked.append(len(part))
        return next(said)

    answers = narrowed(batch_of(8), ask)
    assert answers == [YES] * 4 + [Later(reason="busy")] * 4
    assert asked == [8, 4, 4]


def test_nothing_is_asked_after_a_wrong_configuration():
    """Nor after one that somebody must change."""
    wrong = Misconfigured(reason="token")
    said = iter([Doubtful(reason="bad"), Doubtful(reason="bad"), wrong])
    assert narrowed(batch_of(8), lambda _: next(said)) == [wrong] * 8


def test_answers_of_each_document_stand():
    """A server that tells of each document apart is not asked again."""
    answers = [YES, Refused(reason="x"), YES]
    assert narrowed(batch_of(3), lambda _: answers) == answers


def test_an_empty_batch_asks_for_nothing():
    """There is nothing to be asked."""
    assert narrowed([], Strict(set())) == []
