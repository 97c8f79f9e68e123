"""Tests of rules in CEL over plans, in a real child."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from plankit import change, plan_of
from policykit import ACTOR, SECRET, db, found, hits, judged, only, rule, settings_of

from tfaudit.config.gating import GateRule
from tfaudit.policy import evaluate, rules
from tfaudit.policy.cel import CelChild
from tfaudit.policy.child import Limits
from tfaudit.policy.ruleview import Seen

LIMITS = Limits(seconds=20, memory_mb=512)


def holds(folder, when, *changes, **more):
    """Return whether a rule holds for the plan."""
    return bool(found(only(judged(settings_of(folder, rule(when)), *changes, **more))))


def error(folder, when, *changes, **more):
    """Return the error that a rule makes of the evaluation."""
    one = only(judged(settings_of(folder, rule(when, name="the rule"), **more), *changes))
    assert one.error is not None
    return one.error


def test_a_rule_finds_the_changes_that_it_holds_for(tmp_path):
    """A finding names rule, severity, address and message."""
    settings = settings_of(
        tmp_path, rule('change.type == "aws_db_instance"', name="db", message="{change.action} of {change.address}")
    )
    (one,) = found(only(judged(settings, db(), change("aws_vpc.b", ("create",), None, {"x": 1}))))
    assert (one.rule, one.severity, one.address) == ("db", "deny", "aws_db_instance.a")
    assert one.message == "delete of aws_db_instance.a"


def test_an_evaluation_says_what_it_was(tmp_path):
    """Engine, version, the digest of the rules and their number are told."""
    one = only(judged(settings_of(tmp_path, rule("false", name="a"), rule("false", name="b"))))
    assert (one.engine, one.rules, one.error, len(one.digest)) == ("cel", 2, None, 64)
    assert one.version not in ("", "unknown")


def test_a_rule_over_the_plan_is_asked_once(tmp_path):
    """Counts and the list of changes are there, and a finding has no address."""
    settings = settings_of(
        tmp_path,
        rule("plan.counts.delete == 2 && plan.changes.size() == 2", name="a", scope="plan"),
        rule('plan.changes.exists(c, c.type == "aws_db_instance" && c.action == "delete")', name="b", scope="plan"),
        rule("plan.changes.exists(c, has(c.after))", name="no values", scope="plan"),
    )
    assert hits(only(judged(settings, db(), db("aws_db_instance.b")))) == [("a", None), ("b", None)]


def test_outputs_are_seen_by_rules_over_the_plan(tmp_path):
    """Each output that changes has a name, an action and a mark, and no value."""
    outputs = {"x": {"actions": ["create"], "before": None, "after": "y", "after_sensitive": False}}
    settings = settings_of(
        tmp_path, rule('plan.outputs.map(o, o.name) == ["x"] && !plan.outputs[0].sensitive', scope="plan")
    )
    assert hits(only(judged(settings, output_changes=outputs))) == [("r", None)]


def test_a_rule_that_reads_no_change_is_asked_without_one(tmp_path):
    """A rule about who acts holds for a plan that changes nothing, too."""
    assert holds(tmp_path, 'actor.principal == "os:alice" && "os:alice" in actor.identities')


def test_a_gates_rule_asks_for_approvals(tmp_path):
    """What a [[gate.rule]] wants comes with the finding."""
    gate = (GateRule(name="dba", when='change.action == "delete"', approvals=2, groups=("dba",)),)
    (one,) = found(only(judged(settings_of(tmp_path, rule("false")), db(), gate=gate)))
    assert (one.severity, one.approvals, one.groups, one.rule) == ("require", 2, ("dba",), "dba")


def test_many_changes_are_named_up_to_a_limit(tmp_path):
    """Of a rule that holds for very many changes some are named, and the number of the others."""
    one = only(
        judged(settings_of(tmp_path, rule("change.action == 'delete'")), *(db(f"aws_db.a{n}") for n in range(70)))
    )
    assert len(found(one)) == 21
    assert one.findings[-1].message == "and 50 changes more"


def test_equal_reads_give_equal_answers_and_others_their_own(tmp_path):
    """A rule that was answered for one change is not answered by it for one that differs in what is read."""
    changes = [change(f"a_b.c{n}", ("create",), None, {"x": {"y": n % 3}, "z": n}) for n in range(9)]
    settings = settings_of(
        tmp_path,
        rule("change.after.x.y == 1", name="y"),
        rule("change.after.z == 4", name="z"),
        rule('after("/x/y", 0) == 2 && change.type == "a_b"', name="f"),
    )
    expected = [("y", f"a_b.c{n}") for n in (1, 4, 7)] + [("z", "a_b.c4")] + [("f", f"a_b.c{n}") for n in (2, 5, 8)]
    assert hits(only(judged(settings, *changes))) == expected


@pytest.mark.parametrize(
    "when",
    [
        "has(change.after.tags)",
        "has(change.after.tags.owner)",
        'after("/tags/owner", "") == "bob"',
        'after("/list/1", 0) == 2',
        'get(change.after.tags, "owner", "") == "bob"',
        '"owner" in change.after.tags',
        'json(change.after.policy, {}).Statement[0].Effect == "Allow"',
        "many(change.after.size)[0] == 3",
        "many(change.after.list) == [1, 2]",
        'lower(change.after.tags.Name) == "web"',
        "change.after.big > 9223372036854775807",
        "change.after.half == 0.5",
        "!has(change.after.none)",
        "!has(change.after.later)",
        '"/later" in change.unknown',
        "size(change.before) == 0",
        '"/tags/owner" in change.changed || "/tags" in change.changed || size(change.changed) > 0',
        "!has(change.index) && !has(change.deposed) && change.module == ''",
        'change.after.name == "größe"',
    ],
)
def test_what_a_rule_can_ask(tmp_path, when):
    """Members, pointers with a default, JSON inside of texts, numbers and unknowns are there as they are."""
    after = {
        "tags": {"owner": "bob", "Name": "WEB"},
        "list": [1, 2],
        "policy": json.dumps({"Statement": [{"Effect": "Allow"}]}),
        "size": 3,
        "big": 2**70,
        "half": 0.5,
        "none": None,
        "name": "größe",
    }
    assert holds(tmp_path, when, change("aws_x.a", ("create",), None, after, unknown={"later": True}))


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("change.after.nope == 1", 'names a field that is not there ("nope"), for aws_x.a'),
        ("change.nope == 1", 'names a field that is not there ("nope")'),
        ('after("/nope") == 1', "names a field that is not there"),
        ("change.after.list[7] == 1", "names a field that is not there"),
        ("change.after.list == 1 + 'x'", "does not go together"),
        ("nope == 1", 'names something that there is not ("nope")'),
        ("nope(1)", "names something that there is not"),
        ("1 + 1", "is neither true nor false"),
        ("change.after.list", "is neither true nor false"),
        ("change.name ==", "is no CEL (at 1:15)"),
        ("1 / 0 == 1 && change.name == 'a'", "can't be computed"),
        ("'x'.matches('(') && change.name == 'a'", "can't be computed"),
        ("(" * 1500 + "true" + ")" * 1500, "is no CEL"),
    ],
)
def test_a_rule_with_an_error_denies_in_words(tmp_path, when, said):
    """The error names the rule, and what in it is wrong."""
    text = error(tmp_path, when, change("aws_x.a", ("create",), None, {"list": [1]}))
    assert text.startswith('rule "the rule" ')
    assert said in text


def test_an_error_for_one_change_does_not_hide_what_else_is_found(tmp_path):
    """The other rules are evaluated, and their findings are told beside the error."""
    settings = settings_of(tmp_path, rule("change.after.nope == 1", name="bad"), rule("true", name="good"))
    one = only(judged(settings, db()))
    assert one.error is not None
    assert [finding.rule for finding in one.findings] == ["good"]


@pytest.mark.parametrize(
    "when",
    [
        "change.after.map[change.after.secret] == 1",
        "int(change.after.secret) == 1",
        "get(change.after, change.after.secret, change.after.map)[change.after.secret] == 1",
        "timestamp(change.after.secret) == timestamp(change.after.secret)",
        "after(change.after.secret, 1) == 1",
        "change.after.secret + 1 == 2",
        "'x'.matches(change.after.secret + '(')",
        "change.after.secret",
    ],
)
def test_no_value_is_in_an_error(tmp_path, when):
    """Whatever a rule does with a value, its error doesn't say it."""
    text = error(tmp_path, when, change("aws_x.a", ("create",), None, {"secret": SECRET, "map": {}}), reveal=True)
    assert SECRET not in text


def test_sensitive_values_are_withheld_unless_revealed(tmp_path):
    """Rules see what a record would hold, or the values if the policy says so."""
    one = change("aws_x.a", ("create",), None, {"it": SECRET}, after_marks={"it": True})
    when = f'change.after.it == "{SECRET}"'
    assert not found(only(judged(settings_of(tmp_path, rule(when)), one)))
    assert found(only(judged(settings_of(tmp_path, rule(when), reveal=True), one)))


LOOP = "l.all(a, l.all(b, l.all(c, l.all(d, l.all(e, l.all(f, a + b + c + d + e + f >= 0))))))".replace(
    "l.", "change.after.l."
)


def test_a_rule_that_loops_is_ended(tmp_path):
    """Nested loops over a long list end with the time that there is."""
    one = change("aws_x.a", ("create",), None, {"l": list(range(100))})
    text = error(tmp_path, LOOP, one, timeout_seconds=1)
    assert "took longer than 1 s" in text or "processor time" in text


def test_a_rule_that_eats_memory_is_ended(tmp_path):
    """A list that grows without end ends with the memory that there is."""
    one = change("aws_x.a", ("create",), None, {"l": list(range(400)), "big": "x" * 1_000_000})
    text = error(tmp_path, "change.after.l.map(a, change.after.big + string(a)).size() > 1", one, memory_mb=200)
    assert "memory" in text


def child_of(*tables, command=None, limits=LIMITS):
    """Return a started child with these rules."""
    parsed = rules.parse("\n".join(tables).encode(), "rules.toml")
    return CelChild(parsed, limits, command)


def seen(*changes):
    """Return the plan as rules see it."""
    return Seen(of=plan_of(*changes), reveal=False, actor=ACTOR)


def test_a_child_that_was_killed_denies():
    """What is killed from outside has evaluated nothing."""
    child = child_of(rule("true"))
    os.kill(child.pid, signal.SIGKILL)
    one = child.evaluate(seen(db()))
    assert (one.rules, one.findings) == (0, ())
    assert "it was killed (signal 9)" in (one.error or "")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys; sys.stdin.read(); print('hello')", "not what was asked for"),
        ("import sys; sys.stdin.read(); print('{}')", "not what was asked for"),
        ("import sys; sys.stdin.read(); sys.stdout.buffer.write(bytes([255]))", "not what was asked for"),
        ("import sys; sys.stdin.read(); sys.exit(3)", "exit code 3"),
        ("pass", "not what was asked for"),
        ("import sys; sys.stdin.read(); print('x' * (2 << 20))", "too long"),
        ("import sys\nwhile True: sys.stdout.write('x' * (1 << 20))", "wrote more than"),
        ("import time; time.sleep(60)", "took longer than"),
        (
            'print(\'{"whole":false,"changes":1,"rules":[{"hits":[],"count":0,"error":null}]}\')',
            "did not evaluate everything",
        ),
        (
            'print(\'{"whole":true,"changes":0,"rules":[{"hits":[],"count":0,"error":null}]}\')',
            "did not evaluate everything",
        ),
        ('print(\'{"whole":true,"changes":1,"rules":[]}\')', "did not evaluate everything"),
        (
            'print(\'{"whole":true,"changes":1,"rules":[{"hits":[5],"count":1,"error":null}]}\')',
            "not what was asked for",
        ),
        (
            'print(\'{"whole":true,"changes":1,"rules":[{"hits":[0],"count":0,"error":null}]}\')',
            "not what was asked for",
        ),
        (
            'print(\'{"whole":true,"changes":1,"rules":[{"hits":[],"count":0,"error":null,"more":1}]}\')',
            "not what was asked for",
        ),
    ],
)
def test_a_child_that_answers_anything_else_denies(source, said):
    """An answer is exactly what was asked for, or none."""
    child = child_of(rule("true"), command=[sys.executable, "-I", "-c", source], limits=Limits(seconds=2, memory_mb=99))
    one = child.evaluate(seen(db()))
    assert (one.rules, one.findings) == (0, ())
    assert said in (one.error or "")


def test_what_a_child_claims_a_rule_names_is_not_repeated(tmp_path):
    """A word that the rule itself doesn't hold is not told, whoever says that it is in it."""
    answer = {
        "whole": True,
        "changes": 1,
        "rules": [{"hits": [], "count": 0, "error": {"change": 0, "code": "missing", "detail": SECRET}}],
    }
    child = child_of(rule("true"), command=[sys.executable, "-I", "-c", f"print({json.dumps(json.dumps(answer))})"])
    assert SECRET not in (child.evaluate(seen(db())).error or "")


def test_a_forked_copy_that_holds_the_pipe_delays_nothing(tmp_path):
    """The child answers when it has been told everything, whoever else could still write to it."""
    with evaluate.start(settings_of(tmp_path, rule("true")), (), environ={}) as pending:
        copy = os.fork()
        if copy == 0:
            signal.pause()
            os._exit(0)
        try:
            assert hits(only(pending.evaluate(plan_of(db()), b"", actor=ACTOR))) == [("r", None)]
        finally:
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)


def test_a_plan_of_many_changes_is_counted(tmp_path):
    """A rule over the whole plan sees every change, in a time that grows with their number."""
    settings = settings_of(
        tmp_path,
        rule('count("delete", "aws_db") == 3000 && count("", "") == 3001', name="a", scope="plan"),
        rule('plan.changes.exists(c, c.action == "create")', name="b", scope="plan"),
        rule('count("create", "aws_db") > 0 || count("update", "") > 0', name="c", scope="plan"),
        rule('count("create", "") == 1', name="d"),
    )
    changes = (*(db(f"aws_db.a{n}") for n in range(3000)), change("aws_x.b", ("create",), None, {"x": 1}))
    assert hits(only(judged(settings, *changes))) == [("a", None), ("b", None), ("d", None)]


def test_changes_are_not_counted_while_they_come(tmp_path):
    """In a rule over one change a count would be of half a plan: an error, and no number."""
    assert "can't be computed" in error(tmp_path, 'count("delete", "") > 0 && change.name == "a"', db())
