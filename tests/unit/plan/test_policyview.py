"""What rules see of a plan: everything but its secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import ABSENT, FIXTURES, change, plan_json, plan_of

from tfaudit.errors import InputError
from tfaudit.plan import exactjson, found_secrets, policyview
from tfaudit.plan.detect import unwrapped
from tfaudit.plan.names import NameRules
from tfaudit.plan.parse import read_plan
from tfaudit.plan.policyview import Wanted
from tfaudit.plan.redact import Redactor
from tfaudit.plan.redactedplan import redacted_json
from tfaudit.plan.secrets import KnownSecrets

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"

# Planted where each of the ways to tell a secret finds it; the short ones are found by their place alone.
MARKED, SHORT, NAMED, TOKEN = "canary-marked-1", "cnry1", "canary-named-1", "ghp_" + "c4n4" * 9
VARIABLE, GIVEN, MODULE, OUTPUT = "canary-variable", "cnry2", "canary-module", "canary-output"
CANARIES = (MARKED, SHORT, NAMED, TOKEN, VARIABLE, GIVEN, MODULE, OUTPUT, "cnry3", "cnry4", "cnry5", "cnry6", "cnry7")


def output_change(after: str, mark: bool) -> dict[str, Any]:
    """Return an output that comes to be, marked or not."""
    side = {"actions": ["create"], "before": None, "after": after, "after_unknown": False}
    return {**side, "before_sensitive": mark, "after_sensitive": mark}


def planted() -> bytes:
    """Return a plan with a secret in every part of it."""
    values = {"pin": SHORT, "note": f"say {MARKED}", "nested": [{"code": MARKED, "plain": 1}], "password": NAMED}
    marks = {"pin": True, "nested": [{"code": True}]}
    script = f"curl -H 'Authorization: Bearer {TOKEN}'"
    resource = {"address": "x_y.a", "type": "x_y", "name": "a", "mode": "managed", "values": values}
    state = {
        "outputs": {"o": {"sensitive": True, "value": OUTPUT}, "api_token": {"sensitive": False, "value": "cnry3"}},
        "root_module": {
            "resources": [{**resource, "sensitive_values": marks}],
            "child_modules": [
                {"address": "module.m", "resources": [{**resource, "sensitive_values": marks}], "child_modules": []}
            ],
        },
    }
    entry = change(
        "x_y.a",
        before=values,
        after={**values, "note": script},
        before_marks=marks,
        after_marks=marks,
        importing={"id": f"id/{MARKED}"},
    )
    keyed = change(
        f'x_y.a["{MARKED}"]', after={"k": 1}, entry={"index": MARKED, "module_address": f'module.m["{MARKED}"]'}
    )
    invoked = {
        "address": "action.x_z.b",
        "type": "x_z",
        "name": "b",
        "config_values": {"pin": "cnry4"},
        "config_sensitive": {"pin": True},
        "config_unknown": {},
    }
    expressions = {
        "pin": {"constant_value": SHORT},
        "nested": [{"code": {"constant_value": MARKED}}],
        "env": [{"name": {"constant_value": "DB_PASSWORD"}, "value": {"constant_value": "cnry5"}}],
        "password": {"constant_value": NAMED},
        "user": {"references": [f'local.m["{MARKED}"]']},
    }
    provisioner = {"type": "local-exec", "expressions": {"command": {"constant_value": script}}}
    call = {
        "source": "./m",
        "expressions": {"code": {"constant_value": "cnry6"}, "size": {"constant_value": 3}},
        "module": {
            "variables": {"code": {"sensitive": True, "default": "cnry6"}, "size": {}},
            "resources": [{"address": "x_y.a", "type": "x_y", "name": "a", "expressions": expressions}],
            "outputs": {"o": {"sensitive": True, "expression": {"constant_value": MODULE}}},
        },
    }
    return plan_json(
        entry,
        keyed,
        resource_drift=[entry],
        deferred_changes=[{"reason": "unknown", "resource_change": entry}],
        action_invocations=[invoked],
        deferred_action_invocations=[{"reason": "unknown", "action_invocation": invoked}],
        output_changes={"o": output_change(OUTPUT, True), "api_token": output_change("cnry3", False)},
        planned_values=state,
        prior_state={"format_version": "1.0", "values": state},
        variables={
            "v": {"value": VARIABLE},
            "g": {"value": GIVEN},
            "db_password": {"value": "cnry7"},
            "p": {"value": 7},
        },
        checks=[{"address": {}, "status": "fail", "instances": [{"problems": [{"message": MARKED}]}]}],
        configuration={
            "provider_config": {"x": {"name": "x", "expressions": {"token": {"constant_value": NAMED}}}},
            "root_module": {
                "variables": {"v": {"sensitive": True, "default": VARIABLE}, "g": {"default": GIVEN}, "p": {}},
                "outputs": {"o": {"sensitive": True, "expression": {"constant_value": OUTPUT}}},
                "resources": [
                    {
                        "address": "x_y.a",
                        "type": "x_y",
                        "name": "a",
                        "expressions": expressions,
                        "provisioners": [provisioner],
                        "count_expression": {"constant_value": 2},
                    }
                ],
                "module_calls": {"m": call},
            },
        },
    )


def redacted(data: bytes, **more: Any) -> Any:
    """Return the document that rules see."""
    return json.loads(redacted_json(data, read_plan(data, given=more.get("given", ())), **more))


def test_no_planted_secret_is_seen() -> None:
    """No secret, wherever it stands in the plan, is in what rules see."""
    data = planted()
    assert all(canary.encode() in data for canary in CANARIES)
    plan = read_plan(data, given=["g"])
    seen = redacted_json(data, plan, given=["g"])
    views = json.dumps([*policyview.changes(plan), *policyview.outputs(plan)])
    for canary in CANARIES:
        assert canary.encode() not in seen
        assert canary not in views or canary == GIVEN


def test_what_is_no_secret_is_seen() -> None:
    """Everything else is there, in its place and its shape."""
    document = redacted(planted(), given=["g"])
    (resource,) = document["planned_values"]["root_module"]["resources"]
    assert resource["values"] == {
        "pin": "[redacted]",
        "note": "say [redacted]",
        "nested": [{"code": "[redacted]", "plain": 1}],
        "password": "[redacted]",
    }
    assert document["prior_state"]["values"] == document["planned_values"]
    assert document["variables"]["p"] == {"value": 7}
    call = document["configuration"]["root_module"]["module_calls"]["m"]
    assert call["expressions"]["size"] == {"constant_value": 3}
    assert call["source"] == "./m"
    (configured,) = document["configuration"]["root_module"]["resources"]
    assert configured["count_expression"] == {"constant_value": 2}
    assert list(document) == list(json.loads(planted()))


def test_the_raw_document() -> None:
    """Revealed, the document is what the engine wrote, without what a wrapper printed around it."""
    data = planted()
    plan = read_plan(b"[command]/bin/terraform show\n" + data + b"::debug::done\n")
    assert redacted_json(b"[command]/bin/terraform show\n" + data + b"::debug::done\n", plan, reveal=True) == data


def test_revealed_values() -> None:
    """Revealed, a change shows its values; its address stays without secrets."""
    plan = read_plan(planted())
    first, second = policyview.changes(plan, reveal=True)
    assert first["before"]["pin"] == SHORT
    assert MARKED not in second["address"]


def test_a_change_as_rules_see_it() -> None:
    """A change's view has plain numbers, null for what is unknown, and the places of each."""
    plan = plan_of(
        change(
            "aws_db_instance.a",
            ("delete", "create"),
            before={"size": 1.50, "name": "a", "tags": {"k": "v"}, "ids": ["x", "y"]},
            after={"size": 2, "name": "a", "tags": {"k": "w"}, "ids": ["x", None]},
            unknown={"arn": True, "tags": {"new": True, "k": False}, "ids": [False, True], "block": {}},
            replace_paths=[["size"]],
            action_reason=None,
            entry={"action_reason": "replace_because_cannot_update", "previous_address": "aws_db_instance.b"},
        )
    )
    (view,) = policyview.changes(plan)
    assert view == {
        "address": "aws_db_instance.a",
        "previous_address": "aws_db_instance.b",
        "deposed": None,
        "module": "",
        "mode": "managed",
        "type": "aws_db_instance",
        "name": "a",
        "index": None,
        "provider": "registry.terraform.io/hashicorp/aws",
        "action": "replace",
        "actions": ["delete", "create"],
        "action_reason": "replace_because_cannot_update",
        "importing": False,
        "before": {"size": 1.5, "name": "a", "tags": {"k": "v"}, "ids": ["x", "y"]},
        "after": {"size": 2, "name": "a", "tags": {"k": "w", "new": None}, "ids": ["x", None], "arn": None},
        "unknown": ["/arn", "/tags/new", "/ids/1"],
        "changed": ["/arn", "/ids/1", "/size", "/tags/k", "/tags/new"],
        "sensitive": [],
        "forces_replacement": ["/size"],
    }


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.plan.json")), ids=lambda path: path.name)
def test_what_is_wanted_is_the_same(path: Path) -> None:
    """Whichever members and fields are asked for, they are what they are in the whole view."""
    plan = read_plan(path.read_bytes())
    members = frozenset({"input", "value", "name", "id"})
    wanted = Wanted(fields=frozenset({"before", "after", "unknown", "sensitive"}), members=members)
    for whole, part in zip(policyview.changes(plan), policyview.changes(plan, wanted=wanted), strict=True):
        for side in ("before", "after"):
            shown = whole[side]
            expected = {key: shown[key] for key in shown if key in members} if isinstance(shown, dict) else shown
            assert part[side] == expected
        assert {**part, "before": None, "after": None} == {**whole, "before": None, "after": None}


def test_a_label_that_is_not_wanted() -> None:
    """A value that the member beside it calls a secret is withheld also where nobody asks for that member."""
    plan = plan_of(change(after={"name": "DB_PASSWORD", "value": "cnry", "Name": "x"}))
    (view,) = policyview.changes(plan, wanted=Wanted(members=frozenset({"value"})))
    assert view["after"] == {"value": "[redacted]"}


def test_what_is_not_wanted() -> None:
    """Fields that nobody reads are empty, and cost nothing."""
    plan = plan_of(change(before={"a": 1}, after={"a": 2}, unknown={"b": True}))
    (view,) = policyview.changes(plan, wanted=Wanted(fields=frozenset({"type"})))
    assert (view["before"], view["after"], view["unknown"], view["changed"]) == (None, None, [], [])
    assert view["address"] == "aws_instance.a"


def test_a_wholly_unknown_side() -> None:
    """A side that is unknown as a whole is null, at the empty pointer."""
    (view,) = policyview.changes(plan_of(change(actions=("create",), after=None, unknown=True)))
    assert (view["after"], view["unknown"]) == (None, [""])


def test_outputs_as_rules_see_them() -> None:
    """An output's view says whether it is sensitive, and a secret one's value is withheld."""
    plan = plan_of(output_changes={"o": output_change("short", True), "p": output_change("short", False)})
    secret, shown = policyview.outputs(plan)
    assert (secret["after"], secret["sensitive"]) == ("[redacted]", True)
    assert (shown["after"], shown["sensitive"], shown["action"]) == ("short", False, "create")


def test_a_format_without_marks() -> None:
    """Where the format has no marks, every value is withheld; the shape of a change stays."""
    data = (FIXTURES / "handmade" / "format-0.1.plan.json").read_bytes()
    plan = read_plan(data)
    for view in policyview.changes(plan):
        for side in (view["before"], view["after"]):
            assert set(leaves(side)) <= {"[redacted]", None}
    document = redacted(data)
    for entry in document["resource_changes"]:
        assert set(leaves(entry["change"]["after"])) <= {"[redacted]", None}


def test_a_change_without_marks() -> None:
    """A change without any mark, in whatever format, shows no value."""
    data = plan_json(change(after={"a": "x", "b": [1]}, before_marks=ABSENT, after_marks=ABSENT))
    (view,) = policyview.changes(read_plan(data))
    assert view["after"] == {"a": "[redacted]", "b": ["[redacted]"]}
    assert redacted(data)["resource_changes"][0]["change"]["after"] == view["after"]


def test_the_users_patterns_and_rules() -> None:
    """What the configuration keeps is so for rules too; what it withholds is withheld where a rule could repeat it."""
    data = plan_json(change(after={"colour": "cnry", "password": "public"}), variables={"colour": {"value": "cnry"}})
    plan = read_plan(data, redactor=Redactor(names=NameRules(redact=["colour"], keep=["password"])))
    (view,) = policyview.changes(plan)
    assert view["after"] == {"colour": "cnry", "password": "public"}
    assert b"cnry" not in redacted_json(data, plan)


ANYWHERE = "0.0.0.0/0"


@pytest.mark.parametrize(
    ("members", "read"),
    [
        ({}, {"redactor": Redactor(secrets=KnownSecrets([ANYWHERE]))}),
        ({"variables": {"cidr": {"value": ANYWHERE}}}, {"given": ["cidr"]}),
        ({}, {"redactor": Redactor(names=NameRules(redact=["cidr"]))}),
    ],
    ids=["by an option", "by the environment", "by the configuration's patterns"],
)
def test_what_a_change_does_is_not_hidden_from_rules(members: dict[str, Any], read: dict[str, Any]) -> None:
    """Whoever gives a value in another way, or has it left out of records, hides nothing from a rule about it."""
    plan = read_plan(plan_json(change(after={"cidr": ANYWHERE}), **members), **read)
    (view,) = policyview.changes(plan)
    assert view["after"] == {"cidr": ANYWHERE}
    if not plan.redactor.names.custom:
        entry = json.loads(redacted_json(plan_json(change(after={"cidr": ANYWHERE}), **members), plan))
        assert entry["resource_changes"][0]["change"]["after"] == {"cidr": ANYWHERE}


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.plan.json")), ids=lambda path: path.name)
def test_every_fixture_has_a_view(path: Any) -> None:
    """Every plan of our own comes to views, one a change, and to a document with the same members."""
    data = path.read_bytes()
    plan = read_plan(data)
    assert len(list(policyview.changes(plan))) == plan.size
    assert redacted(data).keys() == json.loads(data).keys()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("plan/*")), ids=lambda path: path.name[-60:])
def test_foreign_plans_show_no_marked_value(path: Path) -> None:
    """No text that a foreign plan marks sensitive is in what rules see of it."""
    data = path.read_bytes()
    try:
        plan = read_plan(data)
        seen = redacted_json(data, plan)
    except InputError:
        return
    texts = set(leaves(json.loads(seen))) | set(leaves(list(policyview.changes(plan))))
    shown = "\n".join(text for text in texts if isinstance(text, str))
    for raw in plan.parts.changes:
        change = exactjson.decode(raw, what="a change").get("change", {})
        for side in ("before", "after"):
            for secret in found_secrets.in_marked(change.get(side), change.get(f"{side}_sensitive")):
                assert secret not in shown
    assert json.loads(seen).keys() == json.loads(bytes(unwrapped(data))).keys()


SECRET = st.text('abcdefXYZ019<>&"\\é', min_size=8, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(secret=SECRET, before=JSON, where=st.sampled_from(["before", "variables", "prior_state", "configuration"]))
def test_a_marked_value_recurs_nowhere(secret: str, before: Any, where: str) -> None:
    """A value marked once is withheld wherever else it stands, in whatever value."""
    more: dict[str, Any] = {
        "before": {},
        "variables": {"variables": {"a": {"value": [before, {"x": secret}]}}},
        "prior_state": {"prior_state": {"values": {"outputs": {"q": {"sensitive": False, "value": f"={secret}="}}}}},
        "configuration": {
            "configuration": {
                "root_module": {"resources": [{"type": "t", "expressions": {"x": {"constant_value": [secret]}}}]}
            }
        },
    }[where]
    sides = {"before": {"other": before, "copy": f"a {secret} b"}, "after": {"s": secret}}
    data = plan_json(change(**sides, before_marks={}, after_marks={"s": True}), **more)
    plan = read_plan(data)
    seen = json.dumps(json.loads(redacted_json(data, plan)), ensure_ascii=False)
    views = json.dumps(list(policyview.changes(plan)), ensure_ascii=False)
    spelled = json.dumps(secret, ensure_ascii=False)[1:-1]
    assert spelled not in seen
    assert spelled not in views


def leaves(value: Any) -> list[Any]:
    """Return what is neither object nor array in a value."""
    if isinstance(value, dict | list):
        members = value.values() if isinstance(value, dict) else value
        return [leaf for member in members for leaf in leaves(member)]
    return [value]


PARTS = st.sampled_from(
    [
        "resource_changes",
        "resource_drift",
        "deferred_changes",
        "output_changes",
        "action_invocations",
        "planned_values",
        "prior_state",
        "variables",
        "configuration",
        "checks",
        "unheard_of",
    ]
)
WORDS = st.sampled_from(
    """
    address type name values sensitive_values resources child_modules root_module outputs value change before after
    before_sensitive after_sensitive after_unknown expressions constant_value references module_calls module variables
    default sensitive provisioners provider_config config_values resource_change actions expression
    """.split()  # noqa: SIM905 - a list of thirty lines says no more
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(PARTS, ODD, max_size=4), st.sampled_from(["0.1", "1.2"]))
def test_odd_shapes(members: dict[str, Any], version: str) -> None:
    """Whatever shape the parts have, there is a document with the same members, or a refusal in one line."""
    data = json.dumps({"format_version": version, "resource_changes": [], **members}).encode()
    try:
        plan = read_plan(data)
        seen = redacted_json(data, plan)
        list(policyview.changes(plan))
        list(policyview.outputs(plan))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way it goes is right
        return
    assert json.loads(seen).keys() == json.loads(data).keys()
