"""The text that an approver is shown: losses first, bounded, safe for a terminal, the same for the same record."""

from __future__ import annotations

import hashlib
import string

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.gate.shown import (
    MAX_ATTRIBUTES,
    MAX_LOST,
    MAX_OTHERS,
    MAX_VALUE,
    Attribute,
    Change,
    Heading,
    clean,
    digest,
    render,
)
from tfaudit.policy.model import Evaluation, Finding

HEADING = Heading(question="Approve this plan?", facts=(("stack", "acme/net"), ("why", ""), ("asked by", "dora")))


def change(address, action="update", *attributes, kind="resource-change", **more):
    """Return a change."""
    return Change(kind=kind, address=address, action=action, attributes=attributes, **more)


def attribute(path="/size", before='"a"', after='"b"', **more):
    """Return an attribute's change."""
    return Attribute(path=path, before=before, after=after, **more)


def evaluation(*findings, error=None):
    """Return a policy's answer."""
    return Evaluation(engine="cel", version="1", digest="0" * 64, rules=1, findings=findings, error=error)


def text(*changes, evaluations=()):
    """Render."""
    return render(HEADING, changes, evaluations)


def test_a_whole_text_reads_like_this():
    """The question, who asks, then losses, other changes, findings, outputs, and what there is in all."""
    finding = Finding(rule="no-public", severity="warn", message="open to the world", address="aws_sg.web")
    shown = text(
        change("aws_x.web", "update", attribute()),
        change(
            "aws_x.db", "replace", attribute("/name"), attribute("/engine", '"13"', '"14"', forces_replacement=True)
        ),
        change("output.url", "create", attribute("", None, '"https://x"'), kind="output-change"),
        change("data.aws_y.z", "read"),
        change("aws_x.old", "delete", attribute("/a", "1", None)),
        change("aws_x.drifted", "update", kind="drift"),
        evaluations=[evaluation(finding)],
    )
    assert shown == (
        "Approve this plan?\n"
        "\n"
        "  stack     acme/net\n"
        "  asked by  dora\n"
        "\n"
        "Destroyed or replaced (2):\n"
        "  -/+ aws_x.db replace\n"
        '        /engine: "13" -> "14" (forces replacement)\n'
        '        /name: "a" -> "b"\n'
        "  - aws_x.old delete\n"
        "\n"
        "Other changes (1):\n"
        "  ~ aws_x.web update\n"
        '        /size: "a" -> "b"\n'
        "\n"
        "Findings of the policy (1):\n"
        "  warn    aws_sg.web: open to the world  [no-public]\n"
        "\n"
        "Outputs (1):\n"
        '  + url: "https://x"\n'
        "\n"
        "Changed outside of the engine (1):\n"
        "  ~ aws_x.drifted\n"
        "\n"
        "In all: 1 to delete, 1 to replace, 1 to update, 1 finding: warn, 1 output to create, "
        "1 changed outside of the engine.\n"
    )


def test_a_plan_without_changes_says_so():
    """Nothing but reads is nothing."""
    assert text(change("data.aws_y.z", "read"), change("aws_x.a", "no-op")).endswith("In all: nothing is changed.\n")


def test_what_tfaudit_does_not_know_is_among_the_losses():
    """An unknown action might destroy."""
    shown = text(change("aws_x.a", "create"), change("aws_x.b", "unknown"))
    assert shown.index("aws_x.b") < shown.index("aws_x.a")


def test_moves_and_imports_are_told():
    """What is only moved, imported or forgotten stands among the other changes."""
    shown = text(
        change("aws_x.new", "no-op", previous_address="aws_x.old"),
        change("aws_x.found", "no-op", importing=True),
        change("aws_x.gone", "forget"),
        change("aws_x.left", "delete", deposed="ab12"),
    )
    assert "  aws_x.new moved from aws_x.old\n" in shown
    assert "  aws_x.found imported\n" in shown
    assert "  . aws_x.gone forget\n" in shown
    assert "  - aws_x.left (deposed object ab12) delete\n" in shown


def test_values_that_are_withheld_are_not_shown():
    """Sensitive, unknown and withheld sides are named as what they are."""
    shown = text(
        change(
            "aws_x.a",
            "update",
            attribute("/p", None, None, sensitive=True),
            attribute("/q", "1", None, unknown=True),
            attribute("/r", None, None, withheld=True),
            attribute("/s", None, "2"),
        )
    )
    assert "/p: (sensitive)\n" in shown
    assert "/q: 1 -> (known after apply)\n" in shown
    assert "/r: (withheld) -> (withheld)\n" in shown
    assert "/s: null -> 2\n" in shown


def test_what_forbids_stands_before_what_warns():
    """Findings come by severity, and a policy that failed is told first."""
    findings = [
        Finding(rule=name, severity=name, message="m", approvals=2 if name == "require" else 0)
        for name in ("warn", "require", "deny")
    ]
    shown = text(evaluations=[evaluation(*findings), evaluation(error="no engine")])
    order = [shown.index(part) for part in ("cel: no engine", "deny   ", "require", "warn   ")]
    assert order == sorted(order)
    assert "(wants 2 approvals)" in shown


def test_a_huge_plan_gives_a_bounded_text_with_counts():
    """Ten thousand changes don't hide how many of them destroy, and losses are shown before the rest is counted."""
    many = [change(f"aws_x.r{n}", "create", *[attribute(f"/a{m}") for m in range(50)]) for n in range(10_000)]
    many += [change(f"aws_x.lost{n}", "delete") for n in range(500)]
    shown = text(*many)
    assert "Destroyed or replaced (500):" in shown
    assert shown.count("  - aws_x.lost") == MAX_LOST
    assert f"  and {500 - MAX_LOST} more: {500 - MAX_LOST} to delete\n" in shown
    assert f"  and {10_000 - MAX_OTHERS} more: {10_000 - MAX_OTHERS} to create\n" in shown
    assert f"and {50 - MAX_ATTRIBUTES} attributes more" in shown
    assert len(shown.splitlines()) < MAX_LOST + MAX_OTHERS * (MAX_ATTRIBUTES + 2) + 20
    assert shown.endswith("In all: 500 to delete, 10000 to create.\n")


def test_a_long_value_is_cut_off():
    """A value takes one line, and not a long one."""
    shown = text(change("aws_x.a", "update", attribute(after='"' + "x" * 5000 + '"')))
    assert max(map(len, shown.splitlines())) < 3 * MAX_VALUE


@given(st.text(max_size=40))
def test_nothing_can_steer_the_terminal(nasty):
    """Whatever stands in an address, a value, a reason or a message, it is printable and starts no line of its own."""
    finding = Finding(rule=nasty, severity="deny", message=nasty, address=nasty)
    shown = render(
        Heading(question=nasty, facts=(("why", nasty),)),
        [
            change(nasty, "replace", attribute(nasty, nasty, nasty), reason=nasty, previous_address=nasty),
            change(nasty, "create", kind="output-change"),
        ],
        [evaluation(finding, error=nasty or None)],
    )
    assert all(line.isprintable() for line in shown.split("\n"))
    plain = render(
        Heading(question="q", facts=(("why", "w" if nasty else ""),)),
        [
            change("a", "replace", attribute("p", "1", "2"), reason="r" if nasty else "", previous_address="o"),
            change("a", "create", kind="output-change"),
        ],
        [evaluation(Finding(rule="r", severity="deny", message="m", address="a"), error="e" if nasty else None)],
    )
    assert shown.count("\n") == plain.count("\n")


def test_escapes_are_spelled_out():
    """Control and direction characters show as what they are; a long text is cut off."""
    assert clean("a\x1b[2Jb\u202ec\nd") == "a\\x1b[2Jb\\u202ec\\nd"
    assert clean(string.ascii_letters, most=5) == "abcd…"


def test_the_digest_is_of_the_very_text():
    """SHA-256 over UTF-8."""
    assert digest("Approve?\n") == hashlib.sha256(b"Approve?\n").hexdigest()
