"""Whether two records tell of the same changes: salts, order and drift may differ, nothing that is done may."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "export"))

from readkit import change, plan

from tfaudit.errors import InputError
from tfaudit.events import commitment
from tfaudit.events.build import plan_events
from tfaudit.events.sameness import differing, shown
from tfaudit.plan.names import NameRules
from tfaudit.plan.parse import read_plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets

IDS = ("01938b5c-1111-7aaa-8bbb-0123456789ab", "01938b5c-2222-7aaa-8bbb-0123456789ab")
WEB = change("aws_x.web", before={"size": 1, "name": "a"}, after={"size": 2, "name": "a"})
DB = change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "14"})
USER = change('aws_x.user["eve@example.com"]', ("create",), after={"role": "admin"})


def record(
    record_id, *changes, redactor=None, spoil=lambda _number, line, values: (line, values), drift=(), counts=False
):
    """Return what a record of these changes tells."""
    document = json.loads(plan(*changes))
    document["resource_drift"] = list(drift)
    read = read_plan(json.dumps(document).encode(), redactor=redactor or Redactor())
    lines, disclosures = [], []
    entropy = random.Random(record_id).randbytes
    for number, event in enumerate(plan_events(read, record_id=record_id, entropy=entropy, workers=1), start=1):
        values = commitment.encode_disclosure(number, event.disclosure) if event.disclosure else b""
        line, values = spoil(number, event.line, values)
        lines.append((number, line))
        if values:
            disclosures.append(commitment.decode_disclosure(values))
    disclosures.append(commitment.Disclosure(0, ()))
    return shown(record_id, lines, disclosures, drift=counts)


def compared(ones, others, **how):
    """Compare two records of these changes."""
    return differing(record(IDS[0], *ones), record(IDS[1], *others, **how))


def test_two_records_of_the_same_plan_are_the_same():
    """Salts and digests differ, order may; hidden instance keys are looked up."""
    assert compared([WEB, DB, USER], [WEB, DB, USER]) is None
    assert compared([WEB, DB, USER], [USER, DB, WEB]) is None
    assert compared([], []) is None


def test_drift_is_of_the_moment():
    """What changed outside of the engine meanwhile is nothing that is done, but where that is all that is written."""
    assert compared([WEB], [WEB], drift=[DB]) is None
    ones = [record(IDS[0], drift=[DB], counts=True), record(IDS[0], drift=[WEB], counts=True)]
    assert differing(ones[0], record(IDS[1], drift=[DB], counts=True)) is None
    assert differing(ones[1], record(IDS[1], drift=[DB], counts=True)) == "aws_x.web"


@pytest.mark.parametrize(
    ("other", "where"),
    [
        ([WEB], "aws_x.db"),
        ([WEB, DB, change("aws_x.more", ("create",), after={"a": 1})], "aws_x.more"),
        ([WEB, change("aws_x.db", ("delete",), before={"engine": "13"})], "aws_x.db"),
        ([WEB, change("aws_x.db", ("create", "delete"), before={"engine": "13"}, after={"engine": "14"})], "aws_x.db"),
        ([WEB, change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "15"})], "aws_x.db"),
        ([WEB, change("aws_x.db", ("delete", "create"), before={"engine": "12"}, after={"engine": "14"})], "aws_x.db"),
        (
            [WEB, change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "14", "b": 1})],
            "aws_x.db",
        ),
        ([change("aws_x.web", before={"size": 1}, after={"size": None}), DB], "aws_x.web"),
        ([WEB, {**DB, "deposed": "ab12"}], "aws_x.db"),
        ([WEB, {**DB, "previous_address": "aws_x.old"}], "aws_x.db"),
    ],
)
def test_any_change_more_less_or_other_is_named(other, where):
    """The first resource in which they differ, whichever of the two is the odd one."""
    assert compared([WEB, DB], other) == where
    assert compared(other, [WEB, DB]) == where


def test_an_unknown_value_is_not_a_known_one():
    """Known after apply is another thing to see than a value."""
    unknown = json.loads(json.dumps(DB))
    unknown["change"]["after"] = {}
    unknown["change"]["after_unknown"] = {"engine": True}
    assert compared([DB], [unknown]) == "aws_x.db"


def test_a_value_that_only_one_shows_marked_is_another():
    """Where one record says sensitive, the other must."""
    marked = json.loads(json.dumps(DB))
    marked["change"]["after_sensitive"] = {"engine": True}
    assert compared([DB], [marked]) == "aws_x.db"


def test_a_secret_that_only_one_machine_knew_is_passed_over():
    """A text with a part withheld can't be compared, and need not."""
    secret = change("aws_x.web", before={"note": "a"}, after={"note": "login hunter2hunter2"})
    knowing = Redactor(secrets=KnownSecrets(["hunter2hunter2"]), names=NameRules())
    assert compared([secret], [secret], redactor=knowing) is None
    other = change("aws_x.web", before={"note": "a"}, after={"note": "login hunter2hunter2", "more": 1})
    assert compared([secret], [other], redactor=knowing) == "aws_x.web"


def test_values_that_are_not_disclosed_are_passed_over():
    """Erased or withheld as a whole: addresses, actions and paths are still compared."""
    other = change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "99"})
    assert compared([DB], [other], spoil=lambda _number, line, _values: (line, b"")) is None


def test_a_value_put_in_its_place_afterwards_counts_as_withheld():
    """A disclosure that does not open the digest proves nothing, for or against."""
    harmless = change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "ok"})

    def forge(_number, line, values):
        return line, values.replace(b'"99"', b'"ok"')

    real = change("aws_x.db", ("delete", "create"), before={"engine": "13"}, after={"engine": "99"})
    assert compared([harmless], [real], spoil=forge) is None
    assert compared([harmless], [real]) == "aws_x.db"


def test_nothing_stands_there_twice():
    """Two lines of one resource on one side don't cancel each other out."""
    assert compared([DB, DB], []) == "aws_x.db"
    assert compared([DB, DB], [DB]) == "aws_x.db"
    assert compared([DB, DB, WEB], [WEB, DB, DB]) == "aws_x.db"


def test_a_broken_line_is_an_input_error():
    """What is no event line is not passed over."""
    with pytest.raises(InputError):
        list(shown(IDS[0], [(1, b"{")], []))


_values = st.none() | st.integers(0, 3) | st.sampled_from(["a", "b"])
_maps = st.dictionaries(st.sampled_from("pqr"), _values, max_size=3)
_changes = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from([("create",), ("update",), ("delete",)]), _maps, _maps),
    max_size=4,
    unique_by=lambda one: one[0],
)


def _made(changes):
    return [change(f"aws_x.{name}", actions, before=before, after=after) for name, actions, before, after in changes]


@given(one=_changes, order=st.randoms(use_true_random=False))
def test_any_order_of_the_same_is_the_same(one, order):
    """Whatever the plan is."""
    other = list(one)
    order.shuffle(other)
    assert compared(_made(one), _made(other)) is None


@given(one=_changes, other=_changes)
def test_whether_two_differ_does_not_depend_on_which_is_first(one, other):
    """Comparing is symmetric."""
    assert (compared(_made(one), _made(other)) is None) is (compared(_made(other), _made(one)) is None)
