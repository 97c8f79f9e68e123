"""Plan JSON to a plan: kinds of file, header, counts, every action, what is withheld."""

from __future__ import annotations

import json
import mmap
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import ABSENT, change, fixture, plan_json, plan_of

from tfaudit.errors import InputError
from tfaudit.plan.model import derive_action
from tfaudit.plan.parse import read_plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"PK\x03\x04rest", "is a plan file"),
        (b"tfplan\x00", "before 0.12"),
        (b'{"remote_plan_format":1,"run_id":"run-1","hostname":"h"}', "bookmark of a remote plan"),
        (b'{"meta":{},"encrypted_data":"x","encryption_version":"v0"}', "encrypted"),
        (b'{"format_version":"1.0","terraform_version":"1.5.0","values":{}}', "state JSON"),
        (b'{"version":4,"serial":1,"lineage":"l","resources":[]}', "a state file"),
        (b'{"@level":"info","@message":"x","type":"version"}\n{"@level":"info"}\n', "machine-readable stream"),
        (plan_json() + plan_json(), "followed by another document"),
        (b"Error: no plan\n", "is not plan JSON"),
        (b'{"a":1}', "is not plan JSON"),
        (b"[]", "is not plan JSON"),
        (plan_json(format_version="2.0"), "unknown format '2.0'"),
        (plan_json(format_version=1), "format_version of the plan JSON is not a str"),
        (plan_json()[:-3], "is not JSON"),
        (plan_json().replace(b"1.11.4", b"1.11.\xff"), "not UTF-8"),
        (plan_json(resource_changes={}), "resource_changes is not a JSON array"),
        (plan_json(prior_state=[]), "prior state can't be read"),
        (plan_json(checks=[1]), "a check of the plan JSON has an unknown shape"),
        (b'{"format_version":"1.2","resource_changes":' + b"[" * 50_000, "nested too deeply"),
    ],
)
def test_what_is_not_plan_json_is_refused_by_name(data: bytes, words: str) -> None:
    """Each kind of wrong file gets its own one-line refusal."""
    with pytest.raises(InputError, match=words) as caught:
        read_plan(data)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    "entry",
    [b"1", b'{"mode":"managed"}', b'{"address":"a","change":[]}', b'{"address":"a","change":{"before":1,"before":2}}'],
)
def test_a_broken_entry_is_an_input_error(entry: bytes) -> None:
    """A resource change that is none is refused, at the latest when it is asked for."""
    data = b'{"format_version":"1.2","resource_changes":[' + entry + b"]}"
    with pytest.raises(InputError):
        list(read_plan(data).resource_changes())


def test_the_set_up_wrapper_is_looked_through() -> None:
    """A byte-order mark and the Node wrapper's lines around the JSON do not matter."""
    wrapped = (
        b"[command]/opt/terraform-bin show -json plan\n" + plan_json() + b"::debug::stdout: x\n::set-output name=a::b\n"
    )
    assert read_plan(wrapped).engine_version == "1.11.4"
    assert read_plan(b"\xef\xbb\xbf" + plan_json()).engine_version == "1.11.4"


def test_header_facts_that_are_absent_are_none() -> None:
    """What the engine does not say is neither true nor false."""
    plan = plan_of(errored=False, timestamp="2026-01-01T00:00:00Z")
    assert (plan.applyable, plan.complete, plan.errored) == (None, None, False)
    assert plan.timestamp == "2026-01-01T00:00:00Z"


def test_a_remote_platforms_redacted_plan_is_read() -> None:
    """The redacted JSON of a remote run names its version differently."""
    assert read_plan(b'{"plan_format_version":"1.1","resource_changes":[]}').format_version == "1.1"


def test_no_ops_are_counted_not_listed() -> None:
    """Of the no-ops only moves and imports are listed."""
    plan = plan_of(
        change("a.same", ("no-op",), {"x": 1}, {"x": 1}),
        change("a.moved", ("no-op",), {"x": 1}, {"x": 1}, entry={"previous_address": "a.old"}),
        change("a.imported", ("no-op",), {"x": 1}, {"x": 1}, importing={"id": "i-1"}),
    )
    listed = list(plan.resource_changes())
    assert [entry.address for entry in listed] == ["a.moved", "a.imported"]
    assert (plan.counts.no_op, plan.counts.moved, plan.counts.imported) == (3, 1, 1)
    assert listed[0].previous_address == "a.old"
    assert listed[1].importing is not None
    assert listed[1].importing.text == b'"i-1"'


@pytest.mark.parametrize("importing", [{}, {"unknown": True}, {"id": True}])
def test_an_import_without_its_id_is_an_import(importing: object) -> None:
    """What the engine imports need not be known yet."""
    (found,) = plan_of(change(actions=("no-op",), importing=importing)).resource_changes()
    assert found.importing is not None
    assert found.importing.text is None


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (["no-op"], "no-op"),
        (["create"], "create"),
        (["read"], "read"),
        (["update"], "update"),
        (["delete"], "delete"),
        (["forget"], "forget"),
        (["delete", "create"], "replace"),
        (["create", "delete"], "replace"),
        (["create", "forget"], "replace"),
        (["forget", "create"], "replace"),
        (["Open"], "unknown"),
        ([], "unknown"),
        (["create", "create"], "unknown"),
        (["delete", "create", "delete"], "unknown"),
    ],
)
def test_every_spelling_of_an_action(actions: list[str], action: str) -> None:
    """The derived action follows the engine's spelling; what is new is unknown, and kept as spelled."""
    assert derive_action(actions) == action
    (found,) = plan_of(change(actions=tuple(actions), after={"a": 1}, importing={})).resource_changes()
    assert list(found.actions) == actions
    assert found.action == action


def test_deposed_objects_are_changes_of_their_own() -> None:
    """A change's key is its address and its deposed key."""
    plan = read_plan(fixture("deposed.plan.json"))
    assert [(entry.address, entry.deposed is None) for entry in plan.resource_changes()].count(
        ("terraform_data.cbd", False)
    ) == 1


def test_old_formats_withhold_every_value() -> None:
    """Without sensitivity marks no value is kept, only which attributes change."""
    plan = read_plan(fixture("format-0.1.plan.json"))
    (found,) = plan.resource_changes()
    assert found.withheld
    assert {attribute.path for attribute in found.attributes} == {"/password", "/size"}
    assert all(attribute.before is None and attribute.after is None for attribute in found.attributes)


def test_a_change_without_marks_withholds_its_values() -> None:
    """Marks that are absent, in whatever format, mean that nothing tells the secret values."""
    (found,) = plan_of(
        change(before={"a": 1}, after={"a": 2}, before_marks=ABSENT, after_marks=ABSENT)
    ).resource_changes()
    assert found.withheld
    assert found.attributes[0].after is None


def test_action_invocations_and_deferred_ones() -> None:
    """Side effects without a resource change are listed, with their configuration redacted."""
    plan = read_plan(fixture("action-invocations.plan.json"))
    triggered, by_hand, deferred = plan.action_invocations()
    assert (triggered.triggering_address, triggered.trigger_event) == ("aws_instance.a", "AfterCreate")
    assert by_hand.triggering_address is None
    assert deferred.deferred_reason == "deferred_prereq"
    payload = next(attribute for attribute in triggered.attributes if attribute.path == "/payload")
    assert payload.redacted
    assert b"hunter2" not in (payload.after or b"")


def test_deferred_changes_keep_their_reason() -> None:
    """A change that is put off is listed apart, with the engine's reason."""
    plan = read_plan(fixture("deferred.plan.json"))
    (found,) = plan.deferred_changes()
    assert (found.kind, found.deferred_reason, found.address) == (
        "deferred-change",
        "instance_count_unknown",
        "aws_instance.a[*]",
    )


def test_drift_is_apart_from_changes() -> None:
    """What the refresh found is drift, not a change."""
    plan = read_plan(fixture("drift.plan.json"))
    assert [(entry.kind, entry.action) for entry in plan.drift()] == [("drift", "update"), ("drift", "delete")]
    assert plan.size == 0


def test_an_errored_plan_is_read() -> None:
    """A plan that failed is read as far as it goes, and says so."""
    plan = read_plan(fixture("errored-plan.plan.json"))
    assert (plan.errored, plan.complete, plan.applyable) == (True, False, False)
    assert [result.status for result in plan.checks()] == ["fail"]


def test_checks_of_either_generation() -> None:
    """Today's checks and the condition results of Terraform 1.2 come to the same shape."""
    plan = read_plan(fixture("checks.plan.json"))
    assert {(result.address, result.status) for result in plan.checks()} <= {
        ("check.passes", "pass"),
        ("check.fails", "fail"),
        ("check.passes", "unknown"),
        ("check.fails", "unknown"),
    }
    old = plan_of(
        condition_results=[
            {
                "address": "a.b",
                "condition_type": "Precondition",
                "result": False,
                "unknown": False,
                "error_message": "no",
            }
        ]
    )
    (found,) = old.checks()
    assert (found.status, found.instances[0].problems) == ("fail", ("no",))


def test_outputs_that_change_are_listed() -> None:
    """Outputs are compared as a whole or member by member; unchanged ones are left out."""
    plan = plan_of(
        output_changes={
            "same": {
                "actions": ["no-op"],
                "before": 1,
                "after": 1,
                "after_unknown": False,
                "before_sensitive": False,
                "after_sensitive": False,
            },
            "new": {
                "actions": ["create"],
                "before": None,
                "after": {"a": 1},
                "after_unknown": False,
                "before_sensitive": False,
                "after_sensitive": False,
            },
            "secret": {
                "actions": ["create"],
                "before": None,
                "after": "canary-output",
                "after_unknown": False,
                "before_sensitive": True,
                "after_sensitive": True,
            },
            "later": {
                "actions": ["create"],
                "before": None,
                "after_unknown": True,
                "before_sensitive": False,
                "after_sensitive": False,
            },
        }
    )
    found = {output.name: output.attributes for output in plan.output_changes()}
    assert found["new"][0].path == "/a"
    assert found["secret"][0].sensitive
    assert found["later"][0].unknown
    assert plan.counts.outputs == 3


def test_a_write_only_attribute_shows_by_its_version() -> None:
    """The value is never there; the version that goes with it is a change like any other."""
    (found,) = read_plan(fixture("write-only.plan.json")).resource_changes()
    assert [attribute.path for attribute in found.attributes] == ["/password_wo_version"]
    assert found.attributes[0].after == b"2"


def test_an_ephemeral_mode_is_kept() -> None:
    """A mode that this version does not know the rules of is recorded as it stands."""
    ephemeral, data = read_plan(fixture("ephemeral-mode.plan.json")).resource_changes()
    assert (ephemeral.mode, ephemeral.action) == ("ephemeral", "unknown")
    assert (data.mode, data.action_reason) == ("data", "read_because_config_unknown")


def test_secrets_found_in_the_plan_are_known_from_then_on() -> None:
    """Sensitive values, outputs, variables, data sources and secretly named attributes go wherever they recur."""
    plan = plan_of(
        change(before={"s": "canary-marked"}, after={"s": "canary-marked"}, before_marks={"s": True}, after_marks={}),
        change("a.b", after={"master_password": "canary-named", "name": "name"}),
        variables={
            "db_password": {"value": "canary-variable"},
            "plain": {"value": "plain-text"},
            "v": {"value": {"x": "canary-declared"}},
        },
        configuration={
            "provider_config": {"x": {"expressions": {"secret_key": {"constant_value": "canary-provider"}}}},
            "root_module": {"variables": {"v": {"sensitive": True}, "plain": {}}},
        },
        output_changes={
            "o": {
                "actions": ["no-op"],
                "before": "canary-output",
                "after": "canary-output",
                "before_sensitive": True,
                "after_sensitive": True,
            }
        },
        prior_state={
            "values": {
                "root_module": {
                    "child_modules": [
                        {
                            "resources": [
                                {"mode": "data", "values": {"s": "canary-data"}, "sensitive_values": {"s": True}}
                            ]
                        }
                    ]
                }
            }
        },
    )
    words = "canary-marked canary-named canary-variable canary-declared canary-provider canary-output canary-data"
    assert plan.redactor.text(words) == " ".join(["[redacted]"] * 7)
    assert plan.redactor.text("plain-text name") == "plain-text name"


def test_secrets_from_outside_are_withheld() -> None:
    """A secret of the environment is withheld in values, map keys and instance keys."""
    data = plan_json(
        change(
            'a.b["canary-outside"]',
            after={"x": "see canary-outside", "m": {"canary-outside": 1}},
            entry={"index": "canary-outside"},
        )
    )
    (found,) = read_plan(data, redactor=Redactor(secrets=KnownSecrets(["canary-outside"]))).resource_changes()
    assert found.address == 'a.b["[redacted]"]'
    assert "canary" not in repr(found)
    assert [attribute.path for attribute in found.attributes] == ["/m", "/x"]


@pytest.mark.parametrize("name", ["create", "ephemeral-variable", "nested-marks", "format-0.1", "action-invocations"])
def test_no_canary_leaves_the_plan(name: str) -> None:
    """Of the fixtures' planted secrets nothing is left in what a plan hands out."""
    plan = read_plan(fixture(f"{name}.plan.json"))
    found = [*plan.resource_changes(), *plan.output_changes(), *plan.action_invocations(), *plan.checks()]
    assert found
    assert "canary-" not in repr(found)
    assert "hunter2" not in repr(found)


def test_a_mapped_file_is_read_in_place() -> None:
    """The plan can lie in a mapped file; nothing is copied."""
    with tempfile.TemporaryFile() as file:
        file.write(plan_json(change(before={"a": 1}, after={"a": 2})))
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            plan = read_plan(data)
            assert plan.size == 1
            assert next(plan.resource_changes()).attributes[0].after == b"2"
            del plan


def test_too_large_a_plan_is_refused() -> None:
    """A plan beyond the cap is refused before it is parsed."""
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_plan(plan_json(), limit=10)


@given(st.binary(max_size=80))
def test_random_bytes_raise_input_errors_only(data: bytes) -> None:
    """Whatever is given in place of a plan, the refusal is an input error."""
    with pytest.raises(InputError):
        read_plan(data)


WHOLE = fixture("create.plan.json")


@given(st.integers(0, len(WHOLE) - 2), st.binary(min_size=1, max_size=3))
def test_damaged_plans_raise_input_errors_only(at: int, junk: bytes) -> None:
    """A truncated or overwritten plan is read, or refused by an input error."""
    for data in (WHOLE[:at], WHOLE[:at] + junk + WHOLE[at + len(junk) :]):
        try:
            plan = read_plan(data)
            for entries in (plan.resource_changes(), plan.output_changes(), plan.drift()):
                list(entries)
        except InputError:
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON, JSON, JSON)
def test_odd_shapes_raise_input_errors_only(
    before: object, after: object, unknown: object, marks: object, odd: object
) -> None:
    """Marks that do not fit their values, and members of any type, never break the reader."""
    data = plan_json(
        change(
            before=before,
            after=after,
            unknown=unknown,
            before_marks=marks,
            after_marks=unknown,
            replace_paths=odd,
            importing=odd,
        ),
        change(before=after, after=before, entry={"index": odd, "module_address": odd, "deposed": odd}),
        output_changes={"o": {"actions": odd, "before": before, "after": after}},
        variables=odd,
    )
    try:
        plan = read_plan(data)
        for entries in (plan.resource_changes(), plan.output_changes()):
            list(entries)
    except InputError:
        json.loads(data)


@pytest.mark.parametrize("depth", [50, 480, 900, 985, 990, 995, 2000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("marks", ["false", "true"])
def test_deep_nesting_is_read_or_refused(depth: int, opening: str, marks: str) -> None:
    """However deep a value is nested, it is read or refused; never another failure."""
    closing = "".join({"[": "]", "{": "}"}.get(sign, "") for sign in reversed(opening))
    value = opening * depth + '"canary-deep"' + closing * depth
    inner = f'"before":{{"password":"x","v":{value}}},"after":{{}},"before_sensitive":{{"v":{marks}}}'
    entry = f'{{"address":"a.b","change":{{"actions":["update"],{inner},"importing":{{"identity":{value}}}}}}}'
    data = f'{{"format_version":"1.2","resource_changes":[{entry}]}}'
    try:
        list(read_plan(data.encode()).resource_changes())
    except InputError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017 - either way is right
        assert depth > 400


def test_variables_given_by_the_environment_are_withheld() -> None:
    """What came by the environment is withheld wherever it recurs, also its parts."""
    data = plan_json(variables={"given": {"value": {"x": ["canary-given"]}}, "other": {"value": "other-value"}})
    assert read_plan(data, given=["given"]).redactor.text("canary-given other-value") == "[redacted] other-value"
