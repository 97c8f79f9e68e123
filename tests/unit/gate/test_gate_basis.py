"""What a decision rests on, written down and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from decidekit import CLEAN, NOW, REQUEST, RULES, decided, ruled, vote

from tfaudit.config.gating import BreakGlass, Freeze
from tfaudit.errors import InputError
from tfaudit.gate import basis
from tfaudit.gate.model import Reason, Request, Rules, Vote


def _written() -> bytes:
    decision = decided(vote())
    return basis.encode(
        decided=NOW, request=REQUEST, rules=RULES, evaluations=(CLEAN,), votes=(vote(),), decision=decision
    )


def test_absent_parts_stay_absent() -> None:
    """None is not the same as nothing found."""
    decision = decided()
    text = basis.encode(decided=NOW, request=None, rules=None, evaluations=None, votes=None, decision=decision)
    read = basis.decode(text)
    assert (read.request, read.rules, read.evaluations, read.votes) == (None, None, None, None)
    assert read.reasons == decision.reasons


def test_freezes_and_spans_read_back() -> None:
    """Moments and spans keep their value."""
    rules = ruled(
        freezes=(Freeze(name="f", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, 3, tzinfo=UTC)),),
        break_glass=BreakGlass(groups=("g",), review_within=timedelta(hours=36, seconds=1)),
    )
    assert basis.from_json(basis.to_json(rules), Rules) == rules


def test_the_digest_of_rules_is_of_all_of_them() -> None:
    """Any other setting gives another digest; the order of groups does not matter."""
    assert basis.digest(RULES) != basis.digest(replace(RULES, approvals=2))
    turned = replace(RULES, groups=dict(reversed(list(RULES.groups.items()))))
    assert basis.digest(RULES) == basis.digest(turned)


def _altered(*path: str | int, value: Any) -> bytes:
    document = json.loads(_written())
    here = document
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        _written() + b"\n",
        _written().replace(b'"decided":', b'"decided": '),
        _altered("more", value=1),
        _altered("request", "more", value=1),
        _altered("request", "subject", "serial", value="7"),
        _altered("request", "subject", "serial", value=True),
        _altered("rules", "bind", value="nothing"),
        _altered("rules", "break_glass", value={"groups": [], "review_within": "PT1H", "more": 1}),
        _altered("rules", "expires", value=3600),
        _altered("votes", 0, "kind", value="abstention"),
        _altered("reasons", value=[{"code": "because", "message": "m"}]),
        _altered("evaluations", 0, "findings", value={}),
    ],
)
def test_whatever_would_be_written_otherwise_is_refused(text: bytes) -> None:
    """Unknown members, other types and other spellings are errors."""
    with pytest.raises(InputError):
        basis.decode(text)


def test_a_huge_basis_is_not_read() -> None:
    """The limit is looked at first."""
    with pytest.raises(InputError, match="more than"):
        basis.decode(b" " * (basis.MAX_BASIS + 1))


def test_each_value_alone_reads_back() -> None:
    """Requests, votes and reasons have a form of their own."""
    assert basis.from_json(basis.to_json(REQUEST), Request) == REQUEST
    assert basis.from_json(basis.to_json(vote()), Vote) == vote()
    reason = Reason(code="quorum", message="m")
    assert basis.from_json(basis.to_json(reason), Reason) == reason


def test_a_member_that_came_later_may_be_absent() -> None:
    """What an older version wrote is read with the default."""
    document = basis.to_json(vote())
    del document["source"]
    assert basis.from_json(document, Vote) == vote()
    del document["signed"]
    with pytest.raises(InputError):
        basis.from_json(document, Vote)
