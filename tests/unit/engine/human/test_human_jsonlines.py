"""Two JSON streams, joined to the one that a single apply gives."""

from __future__ import annotations

import json

from tfaudit.engine.human import JsonFilter


def line(kind: str, **more: object) -> bytes:
    """A line as Terraform writes it."""
    text = {"@level": "info", "@message": kind, "@module": "terraform.ui", **more, "type": kind}
    return json.dumps(text, separators=(",", ":")).encode() + b"\n"


def warning(text: str, context: str | None = None) -> bytes:
    """A warning, of a check block when there is a context."""
    diagnostic: dict[str, object] = {"severity": "warning", "summary": text, "detail": ""}
    if context:
        diagnostic |= {"range": {"filename": "f"}, "snippet": {"context": context}}
    return line("diagnostic", diagnostic=diagnostic)


SUMMARY = line(
    "change_summary",
    **{"@message": "Apply complete! Resources: 0 added, 0 changed, 3 destroyed."},
    changes={"remove": 3, "operation": "apply"},
)


def test_the_second_stream_loses_what_the_first_has_said() -> None:
    """The apply's own version and planned changes are not told again."""
    joined = JsonFilter()
    assert joined.plan(line("version")) == [line("version")]
    joined.planned(exit_code=0, recorded=True)
    assert joined.apply(line("version")) == []
    assert joined.apply(line("planned_change")) == []
    assert joined.apply(line("apply_start")) == [line("apply_start")]
    assert joined.close() == []


def test_warnings_of_the_plan_wait_for_the_summary() -> None:
    """They come with the apply's, but for assertions of check blocks, which the apply tells anew."""
    joined = JsonFilter()
    assert joined.plan(line("change_summary")) == []
    assert joined.plan(warning("later")) == []
    assert joined.plan(warning("Check block assertion failed", 'check "c"')) == []
    assert joined.planned(exit_code=0, recorded=True) == [line("change_summary")]
    assert joined.apply(SUMMARY) == [warning("later"), SUMMARY]


def test_a_failed_plan_tells_all_it_has() -> None:
    """Its diagnostics come at once; its summary only if it holds anything."""
    for recorded, summaries in ((True, [line("change_summary")]), (False, [])):
        joined = JsonFilter()
        joined.plan(line("change_summary"))
        joined.plan(warning("w"))
        assert joined.planned(exit_code=1, recorded=recorded) == [*summaries, warning("w")]


def test_warnings_that_every_process_gives_come_once() -> None:
    """What was told with the plan is not told with the apply."""
    joined = JsonFilter()
    asked = warning("Value for undeclared variable")
    joined.plan(line("change_summary"))
    joined.plan(asked)
    joined.planned(exit_code=0, recorded=True)
    assert joined.apply(asked) == []
    assert joined.apply(SUMMARY) == [asked, SUMMARY]


def test_destroy_has_its_own_summary_and_no_outputs() -> None:
    """For ``destroy`` the summary is rewritten, in its text and its operation."""
    joined = JsonFilter(destroy=True)
    joined.planned(exit_code=0, recorded=True)
    (told,) = joined.apply(SUMMARY)
    assert json.loads(told) | {"changes": None} == {
        "@level": "info",
        "@message": "Destroy complete! Resources: 3 destroyed.",
        "@module": "terraform.ui",
        "type": "change_summary",
        "changes": None,
    }
    assert json.loads(told)["changes"] == {"remove": 3, "operation": "destroy"}
    assert joined.apply(line("outputs")) == []


def test_other_lines_pass_as_they_are() -> None:
    """What is no JSON, or no object, is passed on."""
    joined = JsonFilter()
    for text in (b"panic\n", b"[1]\n", b"\xff\n"):
        assert joined.plan(text) == [text]
        assert joined.apply(text) == [text]
