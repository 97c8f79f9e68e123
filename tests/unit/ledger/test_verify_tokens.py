"""Does verify check the tokens that records keep, each against its own run?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import RSAKey
from ledgerkit import ORIGIN, Place, make
from verifykit import state

from tfaudit.events import commitment
from tfaudit.identity.oidc import bound_audience
from tfaudit.ledger import ids
from tfaudit.ledger.verify import verify

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
RUN = "019ca8ed-0000-7000-8000-0000000000aa"
DIGEST = "d" * 64


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty ledger."""
    return make(tmp_path)


def kept(place: Place, audience: str, *, signed_by: RSAKey = KEY, ahead: int = 0, lasts: int = 300) -> str:
    """Return the disclosed text of a token that was issued now, or some seconds ahead."""
    now = ids.milliseconds(place.clock.now) // 1000 + ahead
    issuer = "https://issuer.example"
    said = {"iss": issuer, "sub": "job", "aud": audience, "iat": now, "nbf": now, "exp": now + lasts}
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    token = jws.serialize_compact(header, json.dumps(said).encode(), signed_by, algorithms=["RS256"])
    keys = json.dumps({"keys": [{**KEY.as_dict(private=False), "use": "sig"}]})
    return json.dumps({"issuer": issuer, "audience": audience, "token": token, "jwks": keys})


def append(place: Place, kind: str, text: str, **facts: Any) -> None:
    """Append a record that keeps a token."""
    ledger = place.open()
    with ledger.draft(kind) as draft:
        token = draft.disclose("/token", commitment.json_text(json.loads(text)))
        ledger.append(draft, {"run_id": RUN, "token": token, "state": state(None), **facts})


def claimed(principal: str, level: str = "verified") -> dict[str, Any]:
    """Return an actor as a run records it."""
    evidence = {"source": "oidc", "level": level, "principal": principal, "claims": {"sub": "job"}, "identities": []}
    return {"principal": principal, "level": level, "evidence": [evidence]}


def act(place: Place, actor: dict[str, Any], token: str | None = None) -> None:
    """Append a plan's record by an actor, with a token to prove it or without."""
    ledger = place.open()
    with ledger.draft("plan") as draft:
        facts = {"run_id": RUN, "actor": draft.disclose("/actor", commitment.json_text(actor)), "state": state(None)}
        if token is not None:
            facts["token"] = draft.disclose("/token", commitment.json_text(json.loads(token)))
        ledger.append(draft, facts)


def test_nobody_is_verified_without_a_token(place: Place) -> None:
    """A record may claim, and may not call that verified."""
    act(place, claimed("github:1", "claimed"))
    assert codes(place) == []
    act(place, claimed("github:1"))
    assert codes(place) == ["bad-token"]


def test_somebody_elses_token_proves_nothing(place: Place) -> None:
    """The actor that a record names has to be the one that the token names."""
    act(place, claimed("github:1"), kept(place, bound_audience(ORIGIN, RUN, None)))
    assert codes(place) == ["bad-token"]


def codes(place: Place) -> list[str]:
    """Return the codes of the findings."""
    report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now), processes=1)
    return [finding.code for finding in report.findings]


def test_a_token_that_is_bound_to_its_run_is_fine(place: Place) -> None:
    """To the run alone, and under a gate to its change."""
    append(place, "plan", kept(place, bound_audience(ORIGIN, RUN, None)))
    change = {"digest": DIGEST, "key": {"digest": "e" * 64}}
    append(place, "plan", kept(place, bound_audience(ORIGIN, RUN, DIGEST)), change=change)
    assert codes(place) == ["missing-disclosure"]  # of the change key, which this test does not disclose


def test_a_token_may_have_ended_when_the_run_does(place: Place) -> None:
    """An outcome hours later keeps the token that was checked at the start."""
    text = kept(place, bound_audience(ORIGIN, RUN, DIGEST))
    place.clock.advance(hours=3)
    append(place, "outcome", text, result={"status": "not-started"})
    assert codes(place) == []


@pytest.mark.parametrize(
    ("audience", "options"),
    [
        (bound_audience(ORIGIN, "another run", None), {}),
        (bound_audience(ORIGIN, RUN, DIGEST), {}),
        (bound_audience("ledger.example/other", RUN, None), {}),
        ("tfaudit", {}),
        (bound_audience(ORIGIN, RUN, None), {"signed_by": OTHER}),
        (bound_audience(ORIGIN, RUN, None), {"ahead": 3600}),
    ],
)
def test_a_token_that_proves_something_else_is_told_of(place: Place, audience: str, options: dict[str, Any]) -> None:
    """Of another run, change or ledger, by another key, or from a time to come."""
    append(place, "plan", kept(place, audience, **options))
    assert codes(place) == ["bad-token"]


def test_an_outcomes_token_is_of_this_ledger_at_least(place: Place) -> None:
    """The change that it is bound to stands in the intent."""
    append(place, "outcome", kept(place, bound_audience("o", RUN, None)), result={"status": "not-started"})
    assert codes(place) == ["bad-token"]


@pytest.mark.parametrize("text", ['"token"', "{}", '{"token":"a.b.c","jwks":"{}"}', '{"token":"..","jwks":1}'])
def test_what_is_no_token_is_told_of(place: Place, text: str) -> None:
    """Any other value in its place."""
    append(place, "plan", text)
    assert codes(place) == ["bad-token"]
