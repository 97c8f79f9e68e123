"""Tests of rules in Rego: by the Python package for real, by opa and conftest through strict stand-ins."""

from __future__ import annotations

import json

import pytest
from plankit import change
from policykit import SECRET, db, found, hits, judged, only, program

from tfaudit.config.gating import PolicySettings
from tfaudit.policy import rego

pytest.importorskip("regorus")

V1 = """package main
import rego.v1
deny contains msg if {
  some one in input.resource_changes
  one.type == "aws_db_instance"
  msg := sprintf("%s stays", [one.address])
}
"""


def policy(folder, *texts, engine="regorus", **more):
    """Return a policy of these modules."""
    (folder / "policy").mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (folder / "policy" / f"m{number}.rego").write_text(text, "utf-8")
    chosen = {"rego": folder / "policy", "defaults": False, "engine": engine, "timeout_seconds": 20, **more}
    return PolicySettings(**chosen)


def said(folder, *texts, changes=(), environ=None, **more):
    """Return rule, severity and message of each finding."""
    one = only(judged(policy(folder, *texts, **more), *changes, environ=environ))
    return [(finding.rule, finding.severity, finding.message) for finding in found(one)]


def error(folder, *texts, changes=(), environ=None, **more):
    """Return the evaluation's error; nothing else may come of it."""
    one = only(judged(policy(folder, *texts, **more), *changes, environ=environ))
    assert one.error is not None
    assert one.findings == ()
    return one.error


def test_a_rule_finds_what_it_is_written_for(tmp_path):
    """A v1 rule over the raw plan denies in its own words."""
    assert said(tmp_path, V1, changes=[db()]) == [("main.deny", "deny", "aws_db_instance.a stays")]


def test_an_evaluation_says_what_it_was(tmp_path):
    """Engine, version, digest and the number of rules are told."""
    one = only(judged(policy(tmp_path, V1, "package b\nwarn_a := false\nwarn_b := false")))
    assert (one.engine, one.rules, one.findings) == ("regorus", 3, ())
    assert (one.version != "", len(one.digest)) == (True, 64)


def test_older_rules_are_understood(tmp_path):
    """v0's deny[msg] is read with rego_version v0."""
    text = "package main\ndeny[msg] { msg := input.resource_changes[_].type }"
    assert said(tmp_path, text, changes=[db()], rego_version="v0") == [("main.deny", "deny", "aws_db_instance")]
    assert "can't be read as Rego, at m0.rego:2 (rego_version is v1)" in error(tmp_path, text)


@pytest.mark.parametrize(
    ("rule", "messages"),
    [
        ('deny contains "a" if true', ["a"]),
        ('deny contains {"msg": "a", "id": 3} if true', ["a"]),
        ('deny := "a" if true', ["a"]),
        ('deny := ["a", "b"] if true', ["a", "b"]),
        ("deny if true", ["it holds; the rule gives no message"]),
        ("deny if false", []),
        ("default deny := false", []),
        ('deny contains "a" if false', []),
        ('violation contains "a\\nb\\u001b[31m" if true', ["a\\nb\\x1b[31m"]),
        ('deny contains "größe" if true', ["größe"]),
    ],
)
def test_messages_are_texts_or_objects(tmp_path, rule, messages):
    """A text, an object with a msg, a list of them, or just true."""
    found = said(tmp_path, f"package main\nimport rego.v1\n{rule}")
    assert [message for _, _, message in found] == messages


@pytest.mark.parametrize(
    "rule", ["deny contains 1 if true", 'deny contains {"a": 1} if true', "deny := 3", "deny.x := 1"]
)
def test_what_is_no_message_is_an_error(tmp_path, rule):
    """A rule that gives something else can't be passed over."""
    assert "main.deny gives something that is no message" in error(tmp_path, f"package main\nimport rego.v1\n{rule}")


def test_all_packages_are_evaluated(tmp_path):
    """A rule in a package other than main is no less a rule."""
    texts = [
        'package a.b\nimport rego.v1\ndeny contains "x" if true',
        'package c\nimport rego.v1\nwarn_y contains "y" if true',
    ]
    assert said(tmp_path, *texts) == [("a.b.deny", "deny", "x"), ("c.warn_y", "warn", "y")]


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("plan", "input.resource_changes"),
        ("hcp", "input.plan.resource_changes"),
        ("scalr", "input.tfplan.resource_changes"),
    ],
)
def test_the_plan_is_where_the_rules_look_for_it(tmp_path, shape, path):
    """Rules for conftest, HCP Terraform and Scalr work as they are."""
    text = f"package main\nimport rego.v1\ndeny contains one.address if some one in {path}"
    assert said(tmp_path, text, changes=[db()], input=shape) == [("main.deny", "deny", "aws_db_instance.a")]


def test_who_acts_is_where_scalrs_rules_look_for_it(tmp_path):
    """The actor's principal is the creator of the run."""
    text = "package main\nimport rego.v1\ndeny contains input.tfrun.created_by.username if true"
    assert said(tmp_path, text, input="scalr") == [("main.deny", "deny", "os:alice")]


def test_data_beside_the_modules_is_there(tmp_path):
    """data.json lies under the path of its folder."""
    settings = policy(tmp_path, "package main\nimport rego.v1\ndeny contains data.limits.word if true")
    (tmp_path / "policy" / "limits").mkdir()
    (tmp_path / "policy" / "limits" / "data.json").write_text('{"word": "more"}')
    assert hits(only(judged(settings))) == [("main.deny", None)]


def test_a_policy_without_a_rule_denies(tmp_path):
    """A policy that checks nothing has not passed."""
    assert "no rule called deny, violation or warn" in error(tmp_path, "package main\nallow := true")


def test_a_policy_without_a_file_denies(tmp_path):
    """An empty folder is an error."""
    assert "holds no .rego file" in error(tmp_path)


def test_sensitive_values_are_withheld(tmp_path):
    """A rule that prints a secret prints that it is withheld."""
    one = change("aws_x.a", ("create",), None, {"it": SECRET}, after_marks={"it": True})
    text = "package main\nimport rego.v1\ndeny contains input.resource_changes[0].change.after.it if true"
    assert said(tmp_path, text, changes=[one]) == [("main.deny", "deny", "[redacted]")]
    assert SECRET not in str(said(tmp_path, text, changes=[one], reveal=True))


@pytest.mark.parametrize(
    "rule",
    [
        "deny contains m if m := to_number(input.resource_changes[0].change.after.it)",
        "deny contains m if { m := to_number(input.resource_changes[0].change.after.it); print(m) }",
        "deny := input.resource_changes[0].change.after.it\ndeny := 2",
    ],
)
def test_no_value_is_in_an_error(tmp_path, rule):
    """The engine's own words are never repeated."""
    one = change("aws_x.a", ("create",), None, {"it": SECRET})
    text = error(tmp_path, f"package main\nimport rego.v1\n{rule}", changes=[one], reveal=True)
    assert "the policy can't be evaluated, at m0.rego:" in text
    assert SECRET not in text


def test_a_rule_that_loops_is_ended(tmp_path):
    """Nested loops end with the time that there is."""
    loops = "some a in l; some b in l; some c in l; a + b + c < 0"
    text = f"package main\nimport rego.v1\nl := numbers.range(1, 4000)\ndeny contains 1 if {{ {loops} }}"
    problem = error(tmp_path, text, timeout_seconds=1)
    assert "took longer than 1 s" in problem or "processor time" in problem


def test_a_rule_that_eats_memory_is_ended(tmp_path):
    """A list that grows without end ends with the memory that there is."""
    text = "package main\nimport rego.v1\ndeny contains 1 if count(numbers.range(1, 100000000)) > 3"
    problem = error(tmp_path, text, memory_mb=200)
    assert "MB" in problem or "can't be evaluated" in problem or "ended" in problem


def test_what_the_package_lacks_is_refused(tmp_path):
    """http.send would be undefined there, and a rule with it silent."""
    text = (
        'package main\nimport rego.v1\ndeny contains "x" if http.send({"url": "http://127.0.0.1:9"}).status_code == 200'
    )
    assert "calls http.send" in error(tmp_path, text)


def test_an_engine_that_is_not_there_denies(tmp_path):
    """Wanted and missing is an error that names it."""
    assert "there is no opa" in error(tmp_path, V1, engine="opa", environ={"PATH": str(tmp_path)})


def test_where_no_engine_is_there_at_all_it_is_said(tmp_path, monkeypatch):
    """Neither program on PATH nor the package."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "there is no engine for Rego" in error(tmp_path, V1, environ={"PATH": str(tmp_path)})


def test_very_many_messages_are_limited(tmp_path):
    """Beyond a limit only the number is told, and it still denies."""
    text = 'package main\nimport rego.v1\ndeny contains sprintf("%v", [x]) if some x in numbers.range(1, 700)'
    found = said(tmp_path, text)
    assert len(found) == rego.MAX_FINDINGS + 1
    assert found[-1][1:] == ("deny", "and 200 more")


OPA = """
import json, sys
if sys.argv[1:] == ["version"]:
    print("Version: 1.9.9\\nBuild Commit: x")
    sys.exit(0)
*given, data, query = sys.argv[1:]
assert given == ["eval", "--format", "json", "--stdin-input", "--strict-builtin-errors", "--%s-compatible",
    "--data"], given
assert query == "[[value | value := data.main.deny]]", query
assert sorted(__import__("os").environ) == ["HOME", "LANG"], __import__("os").environ
assert open(data + "/m0.rego").read().startswith("package main")
types = [one["type"] for one in json.load(sys.stdin)["resource_changes"]]
"""


def opa(folder, answer, version="v1"):
    """Put a stand-in for opa on a PATH, which insists on how it is asked."""
    (folder / "bin").mkdir()
    program(folder / "bin", "opa", OPA % version + answer)
    return {"PATH": str(folder / "bin")}


def test_opa_is_asked_for_every_rule(tmp_path):
    """One query asks for all rules; the answer's values are the rules'."""
    answer = 'print(json.dumps({"result": [{"expressions": [{"value": [[types]], "text": "", "location": {}}]}]}))'
    one = only(judged(policy(tmp_path, V1, engine=None), db(), environ=opa(tmp_path, answer)))
    assert (one.engine, one.version, one.rules) == ("opa", "1.9.9", 1)
    assert hits(one) == [("main.deny", None)]
    assert one.findings[0].message == "aws_db_instance"


def test_opa_is_told_of_older_rules(tmp_path):
    """v0 is asked for by its option."""
    answer = 'print(json.dumps({"result": [{"expressions": [{"value": [[]]}]}]}))'
    assert said(tmp_path, V1, rego_version="v0", engine="opa", environ=opa(tmp_path, answer, "v0")) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("print('not json')", "no JSON"),
        ("print('{}')", "did not answer what it was asked"),
        ("print(json.dumps({'result': []}))", "did not answer what it was asked"),
        ("print(json.dumps({'result': [{'expressions': [{'value': []}]}]}))", "did not answer what it was asked"),
        ("print(json.dumps({'result': [{'expressions': [{'value': [['a'], ['b']]}]}]}))", "did not answer"),
        ("print(json.dumps({'result': [{'expressions': [{'value': [[[]]]}]}]})); sys.exit(1)", "(exit code 1)"),
        ("sys.exit(2)", "no JSON"),
        ("while True: print('x' * 100000)", "wrote more than"),
        ("import time; time.sleep(60)", "took longer than"),
        (
            "print(json.dumps({'errors': [{'code': 'eval_conflict_error', 'message': 'SECRET',"
            " 'location': {'file': data + '/m0.rego', 'row': 3, 'col': 1}}]})); sys.exit(2)",
            "opa can't evaluate the policy: eval_conflict_error at m0.rego:3",
        ),
        (
            "print(json.dumps({'errors': [{'code': 'SECRET', 'message': 'SECRET'}]})); sys.exit(2)",
            "opa can't evaluate the policy: an error",
        ),
        ("sys.stderr.write('SECRET'); sys.exit(1)", "no JSON"),
    ],
)
def test_any_other_answer_of_opas_denies(tmp_path, answer, problem):
    """What isn't an answer is an error, which repeats nothing of what was written."""
    text = error(tmp_path, V1, engine="opa", environ=opa(tmp_path, answer.replace("SECRET", SECRET)), timeout_seconds=2)
    assert problem in text
    assert SECRET not in text


CONFTEST = """
import json, sys
if sys.argv[1:] == ["--version"]:
    print("Conftest: 0.99.0\\nOPA: 1.9.9")
    sys.exit(0)
*given, policy, last = sys.argv[1:]
assert last == "-"
assert given == ["test", "--no-fail", "--all-namespaces", "--output", "json", "--parser", "json", "--rego-version",
    "v1", "--policy"], given
assert open(policy + "/m0.rego").read().startswith("package main")
types = [one["type"] for one in json.load(sys.stdin)["resource_changes"]]
"""


def conftest(folder, answer):
    """Put a stand-in for conftest on a PATH, which insists on how it is asked."""
    (folder / "bin").mkdir()
    program(folder / "bin", "conftest", CONFTEST + answer)
    return {"PATH": str(folder / "bin")}


def test_conftest_is_asked_for_all_namespaces(tmp_path):
    """Failures deny, warnings warn, successes count as rules."""
    answer = """print(json.dumps([
        {"filename": "-", "namespace": "main", "successes": 2, "failures": [{"msg": types[0], "metadata":
            {"query": "data.main.deny_x"}}]},
        {"filename": "-", "namespace": "b", "successes": 0, "warnings": [{"msg": "w"}], "exceptions": [{"msg": ""}]},
    ]))"""
    one = only(judged(policy(tmp_path, V1, engine=None), db(), environ=conftest(tmp_path, answer)))
    assert (one.engine, one.version, one.rules, one.error) == ("conftest", "0.99.0", 5, None)
    assert [(f.rule, f.severity, f.message) for f in one.findings] == [
        ("main.deny_x", "deny", "aws_db_instance"),
        ("b.warn", "warn", "w"),
    ]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("print('[]')", "no rule called deny, violation or warn"),
        ("print(json.dumps([{'namespace': 'main', 'successes': 0}]))", "no rule called deny, violation or warn"),
        ("print('Error: SECRET'); sys.exit(1)", "conftest failed with exit code 1"),
        ("print('{}')", "did not answer what it was asked"),
        ("print(json.dumps([{'namespace': 'main', 'failures': [{'msg': 3}]}]))", "did not answer what it was asked"),
        ("print(json.dumps([{'failures': []}]))", "did not answer what it was asked"),
    ],
)
def test_any_other_answer_of_conftests_denies(tmp_path, answer, problem):
    """An empty answer checked nothing, and any other is an error."""
    text = error(tmp_path, V1, engine="conftest", environ=conftest(tmp_path, answer.replace("SECRET", SECRET)))
    assert problem in text
    assert SECRET not in text


@pytest.mark.parametrize(("shape", "key"), [("plan", None), ("hcp", "plan"), ("scalr", "tfplan")])
def test_the_input_is_json_of_its_shape(shape, key):
    """The plan is where the shape has it."""
    document = json.loads(rego.shaped(b'{"a":1}', shape, {"b": 2}))
    assert (document if key is None else document[key]) == {"a": 1}
