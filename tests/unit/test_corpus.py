"""Every foreign plan and stream, and every fixture of our own, comes to valid event lines or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from plankit import RECORD_ID, salts

from tfaudit import canonical, schema
from tfaudit.errors import InputError
from tfaudit.events.build import plan_events
from tfaudit.events.commitment import decode_disclosure, encode_disclosure
from tfaudit.events.index import ChangeIndex
from tfaudit.events.lines import LineWriter
from tfaudit.events.model import EventLine
from tfaudit.events.native import RecordFacts, change_event, encode
from tfaudit.plan.outcome import OutcomeTracker
from tfaudit.plan.parse import read_plan
from tfaudit.plan.redact import Redactor

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
PLANS = sorted((*CORPUS.glob("plan/*"), *CORPUS.glob("bad/*"), *ROOT.glob("fixtures/*/*.plan.json")))
STREAMS = sorted((*CORPUS.glob("ui/*"), *ROOT.glob("fixtures/*/*.jsonl")))
FACTS = RecordFacts(
    record_id=RECORD_ID, run_id="r", time="2026-01-01T00:00:00.000Z", stack="s", outcome_record_id=RECORD_ID
)

# What can't be read at all: each says by name what it is instead.
REFUSED = {
    "Scalr+sample": "is not plan JSON",
    "6-terragrunt-multiplan": "is followed by another document",
    "plan-bookmark": "is the bookmark of a remote plan",
    "artificial__full": "has the unknown format 'test_format_version'",
    "tf1_0plan.applied": "has the same key twice",
    "tfplan-summary-go": "has no format_version",
}


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the messages of a stream, which some keep as a JSON array."""
    data = path.read_bytes()
    if data.lstrip().startswith(b"["):
        yield from (json.dumps(message).encode() for message in json.loads(data))
    else:
        yield from data.splitlines()


def check(event: EventLine, validators: tuple[object, object], number: int) -> None:
    """Assert that an event line and its disclosure have their formats, and that every value opens its digest."""
    line, disclosure = validators
    parsed = canonical.decode(event.line, what="an event line")
    line.validate(parsed)  # type: ignore[attr-defined]
    digests = event.line.count(b'"before":"') + event.line.count(b'"after":"') + event.line.count(b'"digest":"')
    pseudonyms = event.line.count(b'address":"') if b'["~' in event.line.replace(b"\\", b"") else 0
    opened = None
    if event.disclosure:
        raw = encode_disclosure(number, event.disclosure)
        disclosure.validate(json.loads(raw))  # type: ignore[attr-defined]
        opened = decode_disclosure(raw)
        assert digests <= len(opened.values) <= digests + pseudonyms
    else:
        assert digests == 0
    joined = change_event(event.line, opened, number=number, facts=FACTS)
    schema.validator("change-event.v1").validate(json.loads(encode(joined)))
    for attribute in joined["attributes"]:
        assert attribute["withheld"] == attribute["sensitive"]


@pytest.fixture(scope="module")
def validators() -> tuple[object, object]:
    """Return the validators of event and disclosure lines."""
    return schema.validator("event-line.v1"), schema.validator("disclosure.v1")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name[-70:])
def test_plan_files(path: Path, validators: tuple[object, object]) -> None:
    """A plan file comes to valid event lines whose disclosures open, or is refused by name in one line."""
    reason = next((words for name, words in REFUSED.items() if name in path.name), None)
    if reason is not None:
        with pytest.raises(InputError, match=reason) as caught:
            list(plan_events(read_plan(path.read_bytes()), record_id=RECORD_ID, entropy=salts()))
        assert "\n" not in str(caught.value)
        return
    plan = read_plan(path.read_bytes())
    events = list(plan_events(plan, record_id=RECORD_ID, entropy=salts()))
    for number, event in enumerate(events, 1):
        check(event, validators, number)
    kinds = [json.loads(event.line)["kind"] for event in events]
    assert kinds.count("resource-change") == plan.size
    assert kinds.count("drift") == plan.counts.drift


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[-70:])
def test_streams(path: Path, validators: tuple[object, object]) -> None:
    """A stream of any command never fails the tracker, and its diagnostics come to valid lines."""
    tracker = OutcomeTracker(ChangeIndex(), Redactor())
    for line in lines_of(path):
        tracker.feed(line)
    outcome = tracker.finish(exit_code=0, serial_rose=True)
    writer = LineWriter(RECORD_ID, salts())
    for number, diagnostic in enumerate(outcome.diagnostics, 1):
        check(writer.diagnostic(diagnostic), validators, number)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("state/*")), ids=lambda path: path.name[-70:])
def test_state_files(path: Path) -> None:
    """A state in place of a plan is refused as what it is."""
    with pytest.raises(InputError, match=r"is (state JSON|a state file)"):
        read_plan(path.read_bytes())


def test_the_corpus_is_here(corpus: Path) -> None:
    """The corpus, where it is present, has the files that the tests above went through."""
    assert len(list(corpus.glob("plan/*"))) > 150
