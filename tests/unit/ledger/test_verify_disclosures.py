"""Does verify hold disclosures against the digests in lines and statements, and forgive only recorded erasures?"""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgerkit import make
from verifykit import Copy, append, copy, two_runs

from tfaudit import canonical
from tfaudit.events import commitment
from tfaudit.events.lines import LineWriter
from tfaudit.events.model import EventLine
from tfaudit.ledger import ids, merkle
from tfaudit.ledger.verify import events, values, verify
from tfaudit.ledger.verify.disclosures import Disclosures
from tfaudit.ledger.verify.lines import Lines
from tfaudit.plan.outcome import Diagnostic, Outcome

RECORD = "019ca8f2-a441-732f-8b12-24083fd22f89"


def erased(ledger: Copy, key: str, *, count: int = 1) -> bytes:
    """Return the file with the first ``count`` values of its first line erased, in the way that an erasure does."""
    first, rest = (ledger.working[key] or b"").split(b"\n", 1)
    found = commitment.decode_disclosure(first)
    values = [value._replace(salt=None, text=None) if at < count else value for at, value in enumerate(found.values)]
    return commitment.rewrite_disclosure(found._replace(values=tuple(values))) + b"\n" + rest


def with_erasure(tmp_path: Path) -> tuple[Copy, str]:
    """Return a ledger that records the erasure of its first record's disclosures, and their key."""
    place = make(tmp_path)
    receipt = append(place.open(), "plan")
    append(place.open(), "erasure", refers=receipt.leaf)
    return copy(place), ids.disclosure_key(receipt.record_id)


def test_a_recorded_erasure_may_empty_or_remove_a_file(tmp_path: Path) -> None:
    """What an erasure record names may be gone as a whole or in part."""
    ledger, key = with_erasure(tmp_path)
    whole = ledger.verify().values
    ledger.working[key] = erased(ledger, key, count=2)
    report = ledger.verify()
    assert (report.findings, report.values) == ((), whole - 2)
    del ledger.working[key]
    assert ledger.verify().findings == ()


def test_an_erasure_excuses_no_other_value(tmp_path: Path) -> None:
    """What is left after an erasure must still open its digests."""
    ledger, key = with_erasure(tmp_path)
    ledger.working[key] = erased(ledger, key).replace(b'"octocat"', b'"mallory"')
    assert ledger.codes() == {"altered-disclosure"}


def test_an_erasure_of_another_record_excuses_nothing(tmp_path: Path) -> None:
    """A file may go only with an erasure of that very record."""
    ledger, key = with_erasure(tmp_path)
    other = next(one for one in ledger.working if one.startswith(ids.DISCLOSURES) and one != key)
    ledger.working[other] = erased(ledger, other, count=0).replace(b"octocat", b"mallory")
    assert ledger.codes() == {"altered-disclosure"}
    del ledger.working[other]
    assert ledger.codes() == {"missing-disclosure"}


def test_an_unrecorded_erasure_is_an_alteration(tmp_path: Path) -> None:
    """Values taken out of a file without a record of it are reported."""
    ledger = copy(two_runs(tmp_path))
    key = next(key for key in ledger.working if key.startswith(ids.DISCLOSURES))
    ledger.working[key] = erased(ledger, key)
    assert ledger.codes() == {"altered-disclosure"}


def test_without_a_working_store_the_rest_still_verifies(tmp_path: Path) -> None:
    """An auditor who may see no values checks everything else."""
    place = two_runs(tmp_path)
    report = verify(place.evidence, None, now=ids.milliseconds(place.clock.now))
    assert (report.ok, report.findings, report.values, report.events) == (True, (), None, 5)


def test_an_unreadable_disclosure_is_reported(tmp_path: Path) -> None:
    """Something in a disclosure file's place is an error of its own."""
    place = two_runs(tmp_path)
    path = next((place.working.root / "disclosures").iterdir())
    path.unlink()
    path.mkdir()
    report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now))
    assert [(finding.code, finding.where) for finding in report.findings] == [
        ("unreadable", f"disclosures/{path.name}")
    ]


@pytest.mark.parametrize(
    ("line", "values", "code"),
    [
        ({"kind": "note", "id": {"digest": "0" * 64}}, b'[["/id","value","AAAAAAAAAAAAAAAAAAAAAA==",1]]', "error"),
        ({"kind": "note"}, b'[["/id","value","AAAAAAAAAAAAAAAAAAAAAA==",1]]', "error"),
        ({"kind": "note"}, b'[["/id","side","AAAAAAAAAAAAAAAAAAAAAA==",1]]', "error"),
        ({"kind": "note"}, b'[["/id","value","AAAA",1]]', "error"),
        ({"kind": "note"}, b'[["/id","value",null,1]]', "error"),
        ({"kind": "note"}, b'[["/id","value",null,null]]', "error"),
        ({"kind": "note", "id": {"digest": "0" * 64}}, b"", "warning"),
        ({"kind": "note", "attributes": [{"path": "/a", "after": "0" * 64}]}, b"", "warning"),
    ],
    ids=["false", "uncommitted", "side", "salt", "no salt", "erased", "undisclosed", "undisclosed attribute"],
)
def test_wrong_disclosures_are_charged_to_whoever_signed_them(
    tmp_path: Path, line: dict[str, object], values: bytes, code: str
) -> None:
    """A file that is as it was signed can still be wrong, and one that keeps back a value is worth a warning."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("plan") as draft:
        draft.add(EventLine(canonical.encode(line), values))
        ledger.append(draft, {"actor": draft.disclose("/actor", b'"octocat"')})
    found = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now)).findings
    assert [(finding.code, finding.severity) for finding in found] == [
        ("altered-disclosure" if code == "error" else "missing-disclosure", code)
    ]
    assert place.signer.public.keyid[:16] in (found[0].who or "")


def test_a_statement_s_own_commitments_are_checked(tmp_path: Path) -> None:
    """What the statement commits to and nothing opens is worth a warning."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("plan") as draft:
        draft.disclose("/actor", b'"octocat"')
        ledger.append(draft, {"actor": {"digest": "0" * 64}})
    found = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now)).findings
    assert [(finding.code, finding.severity) for finding in found] == [("altered-disclosure", "error")]


@pytest.mark.parametrize(
    "line", [b"[]", b"{}", b'{"kind":1}', b"\xff", b"[" * 100_000, b'{"kind":"a"', b"", b"1e999999"]
)
def test_a_line_that_is_no_event_is_reported(tmp_path: Path, line: bytes) -> None:
    """Broken, deep or foreign JSON under a sound root is charged to its signer, and breaks nothing."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("plan") as draft:
        draft.add(EventLine(b'{"kind":"note"}', b""))
        draft.add(EventLine(line, b""))
        ledger.append(draft, {})
    report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now))
    assert [finding.code for finding in report.findings] == ["altered-events"]
    assert "line 2" in report.findings[0].message
    assert report.findings[0].message.isprintable()


def test_hostile_disclosures_break_nothing(tmp_path: Path) -> None:
    """Deep nesting, endless lines, bad UTF-8 and no lines at all are alterations."""
    ledger = copy(two_runs(tmp_path))
    key = next(key for key in ledger.working if key.startswith(ids.DISCLOSURES))
    deep = b'{"line":1,"values":[["/a","after","AAAAAAAAAAAAAAAAAAAAAA==",' + b"[" * 200_000 + b"\n"
    for content in (b"", b"\n" * 3_000_000, b"\xff\n", b"x" * (70 << 20), deep, b"null\n", b'{"line":1,"values":[]}'):
        ledger.working[key] = content
        assert ledger.codes() == {"altered-disclosure"}


def test_every_kind_of_line_that_a_run_writes_opens(tmp_path: Path) -> None:
    """Outcomes, diagnostics, checks, outputs and personal addresses are opened by the disclosures made with them."""
    place = make(tmp_path)
    ledger = place.open()
    with ledger.draft("outcome") as draft:
        writer = LineWriter(draft.record_id, place.entropy)
        address = 'aws_iam_user.u["joe@example.test"]'
        told = Diagnostic(severity="error", address=address, summary="no", detail="it failed", file="main.tf", line=3)
        outcome = Outcome(
            event_id=f"{RECORD}/1",
            address="a.b",
            deposed="ab12",
            status="errored",
            started=None,
            elapsed_seconds=None,
            id="i-1",
            error="no",
            inferred=False,
            steps=(),
            provisioner=None,
        )
        draft.add(writer.diagnostic(told))
        draft.add(writer.outcome(outcome))
        draft.add(writer.note("lock-file-changed"))
        ledger.append(draft, {})
    report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock.now))
    assert report.findings == ()
    assert report.values == 5


def test_the_fast_tree_is_the_tree() -> None:
    """The tree by the thousand has the root that RFC 6962 says, whatever the batches."""
    for count in (0, 1, 2, 3, 1023, 1024, 1025, 5000):
        leaves = [merkle.leaf_hash(b"%d" % number) for number in range(count)]
        for step in (1, 7, 1024, 6000):
            tree = events.Tree()
            for start in range(0, count, step):
                tree.add(leaves[start : start + step])
            assert tree.root() == merkle.root_of(leaves)


def test_a_value_that_looks_like_the_end_of_another_is_read_right() -> None:
    """Quotes, brackets and separators inside a value do not end it."""
    text = json.dumps(['],["/b","after","AAAAAAAAAAAAAAAAAAAAAA==",1', {"line": 2}]).encode()
    one = commitment.commit(RECORD, "x.y", None, "/a", text, bytes(16), "after")
    line = canonical.encode({"kind": "note", "address": "x.y", "attributes": [{"path": "/a", "after": one.digest}]})
    file = commitment.encode_disclosure(1, commitment.encode_values([one.member])) + b"\n"
    disclosures = Disclosures(io.BytesIO(file), RECORD, erased=False)
    checked = events.check(
        Lines(io.BytesIO(line + b"\n"), longest=1 << 20), count=1, root=merkle.leaf_hash(line), disclosures=disclosures
    )
    assert (checked.altered, disclosures.finish({})) == (None, sha256(file).hexdigest())
    assert (disclosures.opened, disclosures.unopened, disclosures.undisclosed) == (1, None, None)


TEXTS = st.sampled_from([b'"web"', b"20", b"null", b'[1,{"digest":"x"}]', b'"],[\\"/b\\",\\"after\\""'])
PATHS = st.sampled_from(["/a", "/b", "/a/0"])
ADDRESSES = st.sampled_from(["x.y", 'x.y["digest"]', ""])


@st.composite
def disclosed_lines(draw: st.DrawFn) -> tuple[bytes, bytes, str]:
    """Draw an event line, its disclosure line, and the address; in most of them something is not as it should be."""
    address, deposed = draw(ADDRESSES), draw(st.sampled_from([None, "deadbeef"]))
    document: dict[str, object] = {"kind": "resource-change", "address": address}
    if deposed is not None:
        document["deposed"] = deposed
    members: list[bytes] = []

    def commit(pointer: str, side: commitment.Side) -> str:
        text, salt = draw(TEXTS), draw(st.sampled_from([bytes(16), b"s" * 16]))
        one = commitment.commit(RECORD, address, deposed, pointer, text, salt, side)
        members.append(one.member)
        return one.digest

    attributes = []
    for path in draw(st.lists(PATHS, unique=True, max_size=3)):
        sides: tuple[commitment.Side, ...] = draw(st.sampled_from([("before", "after"), ("after",), ("before",)]))
        attributes.append({"path": path, **{side: commit(path, side) for side in sides}})
    if attributes:
        document["attributes"] = attributes
    for key in draw(st.lists(st.sampled_from(["id", "error", "importing", "facts"]), unique=True, max_size=1)):
        document[key] = {"digest": commit(f"/{key}", "value")}
    document.update(draw(st.sampled_from([{}, {"index": 3}, {"source": {"file": "main.tf", "line": 1}}])))
    match draw(st.sampled_from(["", "", "drop", "swap", "again", "other"])):
        case "drop" if members:
            members.pop(draw(st.integers(0, len(members) - 1)))
        case "swap":
            members.reverse()
        case "again" if members:
            members.append(members[0])
        case "other":
            members[-1:] = [commitment.encode_value("/a", draw(st.sampled_from(["before", "after"])), bytes(16), b"1")]
        case _:
            pass
    disclosure = commitment.encode_disclosure(1, commitment.encode_values(members)) + b"\n" if members else b""
    return canonical.encode(document), disclosure, address


@given(disclosed_lines())
def test_the_fast_way_finds_what_the_slow_one_finds(drawn: tuple[bytes, bytes, str]) -> None:
    """The loop that bounds verify's speed says of any line what the one without hurry says."""
    line, disclosure, address = drawn
    fast = Disclosures(io.BytesIO(disclosure), RECORD, erased=False)
    events.check(
        Lines(io.BytesIO(line + b"\n"), longest=1 << 20), count=1, root=merkle.leaf_hash(line), disclosures=fast
    )
    found = commitment.decode_disclosure(disclosure).values if disclosure else ()
    slow = values.check(json.loads(line), RECORD, found, erased=False, address=address)
    assert (fast.opened, fast.unopened is None, fast.undisclosed is None) == (
        slow.opened,
        slow.unopened is None,
        slow.undisclosed is None,
    )


def test_every_member_that_may_commit_is_looked_at() -> None:
    """What the schema of an event line lets commit, beside attributes, leads a line to the slow way."""
    schema = json.loads((Path(__file__).parents[3] / "schemas" / "event-line.v1.schema.json").read_text())
    commits = {name for name, one in schema["properties"].items() if "#/$defs/commitment" in json.dumps(one)}
    assert commits >= {"id", "error", "instances"}
    assert commits | {"attributes", "facts"} <= set(events.Line.__struct_fields__)
    for name in commits:
        line = canonical.encode({"kind": "note", name: {"digest": "0" * 64}})
        fast = Disclosures(io.BytesIO(), RECORD, erased=False)
        events.check(
            Lines(io.BytesIO(line + b"\n"), longest=1 << 20), count=1, root=merkle.leaf_hash(line), disclosures=fast
        )
        assert fast.undisclosed is not None, name


def test_a_member_that_no_schema_names_is_held_to_what_was_disclosed_of_it() -> None:
    """What a newer writer discloses has to open, too; whether it discloses all, only a newer reader can know."""
    one = commitment.commit(RECORD, "a.b", None, "/odd", b"1", bytes(16))
    line = canonical.encode({"address": "a.b", "kind": "note", "odd": {"digest": one.digest}})

    def checked(disclosed: bytes) -> Disclosures:
        fast = Disclosures(io.BytesIO(disclosed), RECORD, erased=False)
        source = Lines(io.BytesIO(line + b"\n"), longest=1 << 20)
        events.check(source, count=1, root=merkle.leaf_hash(line), disclosures=fast)
        return fast

    whole = commitment.encode_disclosure(1, commitment.encode_values([one.member])) + b"\n"
    assert (checked(whole).opened, checked(whole).unopened) == (1, None)
    assert checked(whole.replace(b",1]", b",2]")).unopened is not None
    assert (checked(b"").unopened, checked(b"").undisclosed) == (None, None)
