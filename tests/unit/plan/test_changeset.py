"""The change digest: the same for plans that would do the same, another one for any difference that matters."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import FIXTURES, change

from tfaudit.canonical import frame
from tfaudit.errors import InputError, InternalError
from tfaudit.plan import canonicalform, exactjson
from tfaudit.plan.changeset import change_digest, new_key, summarise
from tfaudit.plan.detect import unwrapped
from tfaudit.plan.modules import SourceDigest
from tfaudit.plan.parse import read_plan

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"
SOURCES = (SourceDigest("", "", "", "0" * 64), SourceDigest("m", "./m", "", "1" * 64))


class Number(NamedTuple):
    """A number as it is spelled."""

    text: str


def render(value: Any, *, html: bool = False, reverse: bool = False, space: str = "") -> str:
    """Return JSON text: with Go's escapes for HTML or without, keys as they come or backwards, spaces or none."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        for char in "<>&\u2028\u2029" if html else "":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return text

    def again(inner: Any) -> str:
        return render(inner, html=html, reverse=reverse, space=space)

    comma, colon = f",{space}", f":{space}"
    if isinstance(value, dict):
        members = list(value.items())
        members = members[::-1] if reverse else members
        return "{" + comma.join(again(name) + colon + again(member) for name, member in members) + "}"
    if isinstance(value, list):
        return "[" + comma.join(map(again, value)) + "]"
    return json.dumps(value)


def summary(document: Any, **more: Any) -> bytes:
    """Return the summary of a plan, given as the object that its JSON spells."""
    given_facts = {
        "engine": "terraform",
        "engine_version": "1.11.4",
        "lock_sha256": None,
        "providers": {"a/b": "1.0.0"},
        "sources": SOURCES,
    }
    spelled = document if isinstance(document, bytes) else render(document, **more).encode()
    return summarise(read_plan(spelled), **given_facts)  # type: ignore[arg-type]


def plan(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a plan as an object."""
    return {"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": list(entries), **members}


# --- made-up plans ---------------------------------------------------------------------------------------------------

TEXTS = st.text('ab<>&"\\/é\u2028\U00010000\n\x7f', max_size=4)
NUMBERS = st.sampled_from(
    ["0", "-0", "1", "1.0", "1.00", "1e2", "1E2", "100", "-7.25", "12345678901234567890", "9" * 40]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.builds(Number, NUMBERS) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
ACTIONS = st.sampled_from([["create"], ["update"], ["delete", "create"], ["create", "delete"], ["delete"], ["odd"]])


@st.composite
def entries(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw a resource change."""
    entry = change(f"t.a[{number}]", tuple(draw(ACTIONS)), draw(st.none() | OBJECTS), draw(st.none() | OBJECTS))
    entry["index"] = Number(str(number))
    entry["change"] |= {"after_unknown": draw(OBJECTS), "after_sensitive": draw(st.booleans() | OBJECTS)}
    if draw(st.booleans()):
        entry["deposed"] = draw(st.text("0123456789abcdef", min_size=8, max_size=8))
    return entry


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a plan."""
    changes = [draw(entries(number)) for number in range(draw(st.integers(1, 3)))]
    outputs = draw(st.dictionaries(st.text("op", min_size=1, max_size=2), OBJECTS, max_size=2))
    return plan(
        *changes,
        output_changes={name: {"actions": ["update"], "after": after} for name, after in outputs.items()},
        action_invocations=draw(st.lists(OBJECTS, max_size=2)),
        deferred_changes=[{"reason": "unknown", "resource_change": draw(OBJECTS)}],
        variables={"v": {"value": draw(JSON)}},
        configuration={"root_module": draw(OBJECTS)},
    )


COVERED = (
    "resource_changes",
    "output_changes",
    "action_invocations",
    "deferred_changes",
    "variables",
    "configuration",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a value."""
    if isinstance(value, Number) or not isinstance(value, dict | list):
        return [path]
    members = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, member in members for place in places(member, (*path, key)))]


def others(value: Any) -> list[Any]:
    """Return values that are not the same as ``value``, as near to it as can be."""
    match value:
        case Number(text):
            return [Number(f"{text}.0" if text.isdigit() else f"{text}0"), text, None]
        case bool():
            return [not value, Number(str(int(value))), str(value).lower()]
        case None:
            return [False, [], {}, "", "null"]
        case str():
            return [f"{value} ", value + "\u0301", [value], None]
        case list():
            return [[*value, None], {"0": value}, value[:-1] if value else {}, None]
        case dict():
            return [{**value, "new key": None}, [value] if value else [], None]
    raise AssertionError(value)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a plan and the same plan with one thing in it changed, or one member taken away."""
    before = draw(plans())
    # An empty part, null and none are the same.
    part = draw(st.sampled_from([name for name in COVERED if before[name]]))
    path = draw(st.sampled_from([place for place in places(before[part], (part,)) if len(place) > 1]))
    after = copy.deepcopy(before)
    holder = after
    for key in path[:-1]:
        holder = holder[key]
    if len(path) > 2 and isinstance(holder, dict) and draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = draw(st.sampled_from(others(holder[path[-1]])))
    return before, after


@given(plans(), st.randoms())
def test_order_and_spelling_say_nothing(document: dict[str, Any], random: Any) -> None:
    """Order of keys and entries, HTML escapes and spaces leave the summary as it is."""
    expected = summary(document)
    assert summary(document, html=True) == expected
    assert summary(document, reverse=True, space="\n  ") == expected
    for name in ("resource_changes", "action_invocations"):
        random.shuffle(document[name])
    assert summary(document, html=True, reverse=True) == expected


@given(mutations())
def test_any_difference_is_seen(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Whatever one thing is changed, added or taken away in a covered part gives another summary, or no plan."""
    before, after = pair
    try:
        changed = summary(after)
    except InputError:
        return
    assert changed != summary(before)


@given(plans(), JSON)
def test_what_may_differ(document: dict[str, Any], value: Any) -> None:
    """What only tells how the plan came about, or repeats it, is not covered."""
    noise = {
        "timestamp": "2026-01-01T00:00:00Z",
        "prior_state": {"values": {"outputs": {"x": {"value": value}}}},
        "planned_values": value,
        "relevant_attributes": [{"resource": "t.a", "attribute": ["id"]}],
        "resource_drift": [change("t.a", ("update",), {"x": value}, {})],
        "applyable": True,
        "complete": True,
        "errored": False,
        "resource_changes": [*document["resource_changes"], change("t.same", ("no-op",), {"x": value}, {"x": value})],
        "output_changes": {**document["output_changes"], "same": {"actions": ["no-op"], "after": value}},
    }
    assert summary({**document, **noise}) == summary(document)


# --- one difference each ---------------------------------------------------------------------------------------------

BASE = plan(
    change("t.a", ("update",), {"x": "1", "s": "k"}, {"x": "2", "s": "l"}, after_marks={"s": True}),
    change("t.b", ("delete", "create"), {"x": []}, {"x": []}, replace_paths=[["x"], ["y", 0]]),
    output_changes={"o": {"actions": ["create"], "before": None, "after": "v"}},
    variables={"v": {"value": "1"}},
    configuration={"root_module": {"module_calls": {"m": {"source": "./m"}}}},
    checks=[{"address": {"kind": "check", "to_display": "check.c"}, "status": "pass"}],
)


def edited(edit: Callable[[Any], None]) -> dict[str, Any]:
    """Return the plan with an edit to it."""
    document = copy.deepcopy(BASE)
    edit(document)
    return document


def first(document: Any) -> Any:
    """Return the first resource's change."""
    return document["resource_changes"][0]["change"]


DIFFERENCES: dict[str, Callable[[Any], Any]] = {
    "a value": lambda it: first(it)["after"].update(x="3"),
    "the value before": lambda it: first(it)["before"].update(x="0"),
    "a sensitive value": lambda it: first(it)["after"].update(s="m"),
    "an unknown": lambda it: first(it).update(after_unknown={"x": True}),
    "a mark": lambda it: first(it).update(after_sensitive={}),
    "null against absent": lambda it: first(it)["after"].update(y=None),
    "an empty map for an empty list": lambda it: it["resource_changes"][1]["change"]["after"].update(x={}),
    "another number": lambda it: it["variables"].update(v={"value": Number("1")}),
    "a number spelled differently": lambda it: it["variables"].update(v={"value": Number("1.0")}),
    "composed and decomposed letters": lambda it: first(it)["after"].update(x="\u00e9"),
    "decomposed letters": lambda it: first(it)["after"].update(x="e\u0301"),
    "the order of a replacement": lambda it: it["resource_changes"][1]["change"].update(actions=["create", "delete"]),
    "what forces it": lambda it: it["resource_changes"][1]["change"].update(replace_paths=[["x"]]),
    "the address": lambda it: it["resource_changes"][0].update(address="t.c"),
    "a deposed key": lambda it: it["resource_changes"][0].update(deposed="0123abcd"),
    "a move": lambda it: it["resource_changes"][0].update(previous_address="t.old"),
    "an import": lambda it: first(it).update(importing={"id": "i"}),
    "the provider": lambda it: it["resource_changes"][0].update(provider_name="evil.example/a/b"),
    "one change less": lambda it: it["resource_changes"].pop(),
    "one change twice": lambda it: it["resource_changes"].append(it["resource_changes"][0]),
    "a move alone": lambda it: it["resource_changes"].append(
        change("t.m", ("no-op",), {}, {}, entry={"previous_address": "t.n"})
    ),
    "an import alone": lambda it: it["resource_changes"].append(
        change("t.i", ("no-op",), {}, {}, importing={"id": "i"})
    ),
    "an output": lambda it: it["output_changes"]["o"].update(after="w"),
    "an output's name": lambda it: it.update(output_changes={"p": it["output_changes"]["o"]}),
    "a variable": lambda it: it["variables"]["v"].update(value="2"),
    "a variable more": lambda it: it["variables"].update(w={"value": None}),
    "the configuration": lambda it: it["configuration"]["root_module"].update(outputs={}),
    "a module's source": lambda it: it["configuration"]["root_module"]["module_calls"]["m"].update(source="./n"),
    "a check less": lambda it: it["checks"].pop(),
    "an action": lambda it: it.update(action_invocations=[{"address": "action.x.y"}]),
    "a deferred action": lambda it: it.update(deferred_action_invocations=[{"reason": "r"}]),
    "a deferred change": lambda it: it.update(deferred_changes=[{"reason": "r"}]),
}


def test_each_of_these_matters() -> None:
    """Each of these differences gives a summary that none of the others gives."""
    found = {name: summary(edited(edit)) for name, edit in DIFFERENCES.items()} | {"none": summary(BASE)}
    assert len(set(found.values())) == len(DIFFERENCES) + 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda it: it["resource_changes"][1]["change"]["replace_paths"].reverse(),
        lambda it: it["resource_changes"].reverse(),
        lambda it: it["checks"][0].update(status="fail", instances=[{"status": "fail"}]),
        lambda it: it.update(format_version="1.9", terraform_version="9.9.9"),
    ],
    ids=["order of paths", "order of changes", "outcome of a check", "versions in the document"],
)
def test_none_of_these_matters(edit: Callable[[Any], None]) -> None:
    """Each of these leaves the summary as it is."""
    assert summary(edited(edit)) == summary(BASE)


@pytest.mark.parametrize(
    "fact",
    [
        {"engine": "opentofu"},
        {"engine_version": "1.11.5"},
        {"lock_sha256": "2" * 64},
        {"providers": {"a/b": "1.0.1"}},
        {"providers": {"a/b": "1.0.0", "c/d": "1"}},
        {"sources": SOURCES[:1]},
        {"sources": (SOURCES[0], SOURCES[1]._replace(sha256="3" * 64))},
        {"sources": (SOURCES[0], SOURCES[1]._replace(version="1.0.0"))},
    ],
    ids=lambda fact: next(iter(fact)),
)
def test_what_comes_from_outside_the_document(fact: dict[str, Any]) -> None:
    """Engine, lock file, providers and sources are covered."""
    facts = {
        "engine": "terraform",
        "engine_version": "1.11.4",
        "lock_sha256": None,
        "providers": {"a/b": "1.0.0"},
        "sources": SOURCES,
    }
    read = read_plan(render(BASE).encode())
    assert summarise(read, **{**facts, **fact}) != summarise(read, **facts) == summary(BASE)  # type: ignore[arg-type]


def test_the_order_of_sources_says_nothing() -> None:
    """Sources and providers are sets."""
    read = read_plan(render(BASE).encode())
    facts: dict[str, Any] = {"engine": "terraform", "engine_version": "1.11.4", "lock_sha256": None}
    found = summarise(read, **facts, providers={"b": "1", "a": "2"}, sources=SOURCES)
    assert summarise(read, **facts, providers={"a": "2", "b": "1"}, sources=reversed(SOURCES)) == found


def test_drift_counts_where_it_is_all_that_is_written() -> None:
    """An apply that changes no resource writes what the refresh found: then that is covered."""
    drift = change("t.a", ("update",), {"x": "1"}, {"x": "2"})
    alone, other = (
        plan(resource_drift=[drift]),
        plan(resource_drift=[change("t.a", ("update",), {"x": "1"}, {"x": "3"})]),
    )
    assert len({summary(alone), summary(other), summary(plan())}) == 3
    changing = change("t.b", ("create",), None, {})
    assert summary(plan(changing, resource_drift=[drift])) == summary(plan(changing))


def test_the_stream_as_documented() -> None:
    """The summary is what someone computes who has read the page on the format."""

    def text(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sha256(content: bytes) -> bytes:
        return hashlib.sha256(content).digest()

    changes = sorted(sha256(text(entry)) for entry in BASE["resource_changes"])
    parts = {
        "engine": frame(b"terraform", b"1.11.4"),
        "lock": b"",
        "providers": frame(b"a/b", b"1.0.0"),
        "sources": b"".join(frame(*(part.encode() for part in source)) for source in SOURCES),
        "resource_changes": b"".join(changes),
        "resource_drift": b"",
        "deferred_changes": b"",
        "output_changes": sha256(frame(b"o", text(BASE["output_changes"]["o"]))),
        "action_invocations": b"",
        "deferred_action_invocations": b"",
        "checks": sha256(text(BASE["checks"][0]["address"])),
        "variables": sha256(text(BASE["variables"])),
        "configuration": sha256(text(BASE["configuration"])),
    }
    stream = b"".join(frame(name.encode(), content) for name, content in parts.items())
    expected = sha256(b"tfaudit/change-stream/v1\n" + stream)
    assert summary(BASE) == expected
    key = bytes(range(32))
    signed = hmac.new(key, b"tfaudit/change/v1\n" + expected, hashlib.sha256).hexdigest()
    assert change_digest(key, expected) == signed


def test_the_key_makes_the_digest() -> None:
    """Two records of the same plan can't be linked: each has a key of its own."""
    found = summary(BASE)
    keys = [new_key(lambda count, byte=byte: bytes([byte]) * count) for byte in (1, 2)]
    assert change_digest(keys[0], found) != change_digest(keys[1], found)
    assert all(len(key) == 32 for key in keys)


@pytest.mark.parametrize(("key", "found"), [(b"", b"s" * 32), (b"k" * 31, b"s" * 32), (b"k" * 32, b"s" * 31)])
def test_no_digest_of_half_a_key(key: bytes, found: bytes) -> None:
    """A key or summary of another size is a mistake of ours, not a digest."""
    with pytest.raises(InternalError):
        change_digest(key, found)


def test_a_large_plan_has_the_summary_of_its_parts() -> None:
    """With several processes the summary is the one that a single process makes."""
    many = [change(f"t.a[{number}]", ("create",), None, {"n": Number(f"{number}.0")}) for number in range(20_001)]
    document = plan(*many)
    expected = b"".join(
        sorted(
            hashlib.sha256(canonicalform.change_text(render(entry).encode(), what="an entry")).digest()
            for entry in many
        )
    )
    stream = b"".join(
        frame(name.encode(), content)
        for name, content in [
            ("engine", frame(b"terraform", b"1.11.4")),
            ("lock", b""),
            ("providers", frame(b"a/b", b"1.0.0")),
            ("sources", b"".join(frame(*(part.encode() for part in source)) for source in SOURCES)),
            ("resource_changes", expected),
            *((name, b"") for name in ("resource_drift", "deferred_changes", "output_changes")),
            *((name, b"") for name in ("action_invocations", "deferred_action_invocations", "checks")),
            *((name, b"") for name in ("variables", "configuration")),
        ]
    )
    assert summary(document) == hashlib.sha256(b"tfaudit/change-stream/v1\n" + stream).digest()


# --- broken and foreign plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        plan({"address": "t.a", "change": {"actions": ["create"], "after": {"a": "x"}}}, variables=[]),
        plan(configuration=3),
    ],
)
def test_odd_shapes_have_a_summary(document: dict[str, Any]) -> None:
    """What has another shape than expected is covered as it is."""
    assert len(summary(document)) == 32


@pytest.mark.parametrize(
    "text",
    [
        b'{"format_version":"1.2","resource_changes":[],"configuration":{"a":1,"a":2}}',
        b'{"format_version":"1.2","resource_changes":[{"address":"a","change":{"actions":["create"],"after":{"x":1,"x":1}}}]}',
        b'{"format_version":"1.2","resource_changes":[{"address":"a","change":{"actions":["create"],"after":"\\ud800"}}]}',
        b'{"format_version":"1.2","resource_changes":[],"output_changes":{"o":[]}}',
        b'{"format_version":"1.2","resource_changes":[],"checks":{}}',
        b'{"format_version":"1.2","resource_changes":[],"configuration":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["key twice", "key twice in a change", "lone surrogate", "output", "checks", "nested"],
)
def test_what_two_readers_could_read_differently(text: bytes) -> None:
    """What has no one meaning has no summary; it is refused in one line."""
    with pytest.raises(InputError) as caught:
        summary(text)
    assert "\n" not in str(caught.value)


@given(JSON)
def test_the_text_of_a_value(value: Any) -> None:
    """A value's text reads back as the value, sorted by code point, and is its own text."""
    _, text = canonicalform.read(render(value, html=True, reverse=True).encode(), what="a value")
    assert canonicalform.read(text, what="a value")[1] == text
    assert text == canonicalform.read(render(value).encode(), what="a value")[1]


def test_keys_are_sorted_by_code_point() -> None:
    """A key beyond the basic plane comes after every key in it, unlike in UTF-16."""
    _, text = canonicalform.read('{"\U00010000":1,"\uff5e":2,"a":3,"B":4}'.encode(), what="a value")
    assert text.decode() == '{"B":4,"a":3,"\uff5e":2,"\U00010000":1}'


PLANS = sorted((*CORPUS.glob("plan/*"), *CORPUS.glob("bad/*"), *FIXTURES.glob("*/*.plan.json")))


def test_no_two_foreign_plans_agree() -> None:
    """Every plan has a summary or is refused in one line; two plans with the same one would do the same."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of foreign plan files is not here")
    found: dict[bytes, list[Path]] = {}
    refused: list[str] = []
    for path in PLANS:
        try:
            found.setdefault(summary(path.read_bytes()), []).append(path)
        except InputError as error:
            refused.append(str(error))
    assert len(PLANS) - len(refused) > 180
    assert not any("\n" in reason for reason in refused)
    for same in found.values():
        assert len({covered(path) for path in same}) == 1


def covered(path: Path) -> bytes:
    """Return what a plan file says in the covered parts, read by another reader."""
    document = json.loads(bytes(unwrapped(path.read_bytes())))
    entries = document.get("resource_changes") or []
    changes = [entry.get("change", {}) for entry in entries]
    changing = [change for change in changes if change.get("actions") != ["no-op"]]
    listed = [
        entry
        for entry, change in zip(entries, changes, strict=True)
        if change in changing or entry.get("previous_address") is not None or change.get("importing") is not None
    ]
    outputs = document.get("output_changes") or {}
    checks = [check.get("address") for check in document.get("checks") or []]
    return msgspec.json.encode(
        [
            sorted(listed, key=lambda entry: json.dumps(entry, sort_keys=True)),
            {name: each for name, each in outputs.items() if each["actions"] != ["no-op"]},
            checks,
            [] if changing else document.get("resource_drift") or [],
            [document.get(name) for name in (*COVERED[2:], "deferred_action_invocations")],
        ],
        order="sorted",
    )


@pytest.mark.parametrize("path", PLANS[:40] + PLANS[-25:], ids=lambda path: path.name[-60:])
def test_foreign_plans_in_another_order(path: Path) -> None:
    """A real plan's summary stays when every object in it is written backwards."""
    data = path.read_bytes()
    try:
        expected = summary(data)
        document = exactjson.decode(data.strip(), what="a plan")
    except InputError:
        return
    assert summary(msgspec.json.encode(backwards(document))) == expected


def backwards(value: Any) -> Any:
    """Return a value with the keys of each object the other way round."""
    if isinstance(value, dict):
        return {name: backwards(member) for name, member in reversed(value.items())}
    return [backwards(member) for member in value] if isinstance(value, list) else value
