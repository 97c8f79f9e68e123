"""How the gate's answer reads in a comment on a pull request, whatever names and messages hold."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.export.gatecomment import code, markdown, text

ANSWER: dict[str, Any] = {
    "decision": "deny",
    "reasons": [{"code": "quorum", "message": "1 of 2 approvals from dba: 1 more must approve"}],
    "approvals": [
        {
            "id": f"sha256:{'a' * 64}",
            "kind": "approval",
            "approver": "alice@example.com",
            "key": "SHA256:abc",
            "made": "2026-03-01T10:00:00.000Z",
            "expires": "2026-03-02T10:00:00.000Z",
            "source": "ledger",
            "record": None,
        }
    ],
    "required": 2,
    "change_digest": "c" * 64,
    "plan_digest": "d" * 64,
    "plan_record": "019ca8ed-0000-7000-8000-000000000001",
    "stack": "network/prod",
}
PLAN = {"plan": {"sha256": "d" * 64, "counts": {"create": 2, "delete": 1, "update": 0}}}


def test_a_denial_says_why_who_and_what() -> None:
    """Reasons, approvals and counts have a table each."""
    assert markdown(ANSWER, PLAN) == (
        "### ⛔ This plan may not be applied\n"
        "\n"
        "Stack `network/prod`, 1 of 2 approvals.\n"
        "\n"
        "| Reason | What to do |\n"
        "| --- | --- |\n"
        "| `quorum` | 1 of 2 approvals from dba: 1 more must approve |\n"
        "\n"
        "| Approved by | With | At | Valid until |\n"
        "| --- | --- | --- | --- |\n"
        "| `alice@example.com` | `SHA256:abc` | `2026-03-01T10:00:00.000Z` | `2026-03-02T10:00:00.000Z` |\n"
        "\n"
        "| Change | Count |\n"
        "| --- | --- |\n"
        "| create | 2 |\n"
        "| delete | 1 |\n"
        "\n"
        f"<sub>plan record `{ANSWER['plan_record']}` · plan file `{'d' * 16}`</sub>\n"
    )


def test_who_approved_twice_is_one() -> None:
    """Both words are listed, and one person is counted."""
    word = ANSWER["approvals"][0]
    again = {**word, "id": f"sha256:{'b' * 64}", "key": "SHA256:other"}
    said = markdown({**ANSWER, "approvals": [word, again]}, PLAN)
    assert "1 of 2 approvals" in said
    assert said.count("| `alice@example.com` |") == 2


def test_leave_without_more_is_short() -> None:
    """Where it is allowed and nobody had to approve, there is no empty table."""
    answer = {**ANSWER, "decision": "allow", "reasons": [], "approvals": [], "required": 0}
    assert "|" not in markdown(answer, {})
    assert markdown(answer, {}).startswith("### ✅ This plan may be applied\n")


def test_break_glass_stands_out() -> None:
    """And says by when somebody has to look."""
    answer = {**ANSWER, "decision": "allow", "break_glass": {"review_by": "2026-03-03T10:00:00.000Z"}}
    assert "**Break-glass**" in markdown(answer, PLAN)


@pytest.mark.parametrize(
    "attack",
    [
        "a | b",
        "x\n\n# heading",
        "`code`",
        "``two`` ticks`",
        "<img src=x onerror=alert(1)>",
        "[link](https://evil.example)",
        "![image](https://evil.example/x.png)",
        "@everyone and @org/team",
        "fixes #1 and org/repo#2",
        "https://evil.example www.evil.example",
        "mailto:a@b.example",
        "**bold** __bold__ ~~gone~~",
        "&lt;script&gt;",
        "$math$",
        "\u202eright to left",
    ],
)
def test_nobody_can_steer_the_comment(attack: str) -> None:
    """Neither tables nor links, mentions, references, images or HTML come of what others wrote."""
    answer = {
        **ANSWER,
        "stack": attack,
        "reasons": [{"code": "quorum", "message": attack}],
        "approvals": [{**ANSWER["approvals"][0], "approver": attack, "key": attack}],
    }
    shape = [line.count("|") - line.count("\\|") for line in markdown(answer, PLAN).splitlines()]
    assert shape == [line.count("|") for line in markdown(ANSWER, PLAN).splitlines()]
    _harmless(text(attack))


def _harmless(shown: str) -> None:
    assert "\n" not in shown
    assert "://" not in shown
    assert not re.search(r"@\w|(?<!\\)[`*_<>\[\]|&~$]|#\d|(?i:www\.)", shown)


@given(st.text(max_size=40))
def test_any_text_is_harmless(anything: str) -> None:
    """As running text, and as code: the fence is longer than any run of ticks in it."""
    _harmless(text(anything))
    shown = code(anything)
    fence = re.match("`+", shown)
    assert fence is not None
    assert "\n" not in shown
    assert "|" not in shown
    inner = shown[len(fence.group()) : -len(fence.group())]
    assert all(len(run) < len(fence.group()) for run in re.findall("`+", inner))
