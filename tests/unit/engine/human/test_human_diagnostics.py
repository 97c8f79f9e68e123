"""Errors and warnings, as the engines print them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.human import diagnostics
from tfaudit.engine.human.diagnostics import Diagnostic, Piece, Style

PLAIN = Style(colour=False, width=78)
COLOUR = Style(colour=True, width=78)

FULL = {
    "severity": "error",
    "summary": "Invalid function argument",
    "detail": 'Invalid value for "v" parameter: cannot convert "q" to number; given string must be a decimal number.',
    "address": "terraform_data.b",
    "range": {
        "filename": "main.tf",
        "start": {"line": 3, "column": 20, "byte": 75},
        "end": {"line": 3, "column": 25, "byte": 80},
    },
    "snippet": {
        "context": 'resource "terraform_data" "b"',
        "code": "  input = tonumber(var.x)",
        "start_line": 3,
        "highlight_start_offset": 19,
        "highlight_end_offset": 24,
        "values": [
            {"traversal": "var.x", "statement": 'is "q"'},
            {"traversal": "var.a", "statement": "is many\nlines"},
        ],
        "function_call": {
            "called_as": "tonumber",
            "signature": {"name": "tonumber", "params": [{"name": "v"}], "variadic_param": {"name": "rest"}},
        },
    },
}


def warning(summary: str, filename: str | None, line: int = 1, **more: object) -> Diagnostic:
    """A warning at a place."""
    return replace(Diagnostic(severity="warning", summary=summary, detail="d", filename=filename, line=line), **more)


def test_plain_text_has_every_part() -> None:
    """Without colour: address, place, code, function call, values by name, wrapped detail."""
    assert diagnostics.draw(diagnostics.parse(FULL), PLAIN) == (
        "\nError: Invalid function argument\n"
        "\n"
        "  with terraform_data.b,\n"
        '  on main.tf line 3, in resource "terraform_data" "b":\n'
        "   3:   input = tonumber(var.x)\n"
        "    ├────────────────\n"
        "    │ while calling tonumber(v, rest...)\n"
        "    │ var.a is many\n"
        "    │   lines\n"
        '    │ var.x is "q"\n'
        "\n"
        'Invalid value for "v" parameter: cannot convert "q" to number; given string\n'
        "must be a decimal number.\n"
    )


def test_colour_draws_a_box() -> None:
    """In colour: a box whose bars stand before each line, and the meant part of the code underlined."""
    drawn = diagnostics.draw(diagnostics.parse(FULL), COLOUR)
    lines = drawn.split("\n")
    assert lines[0] == "\x1b[31m╷\x1b[0m\x1b[0m"
    assert lines[1].startswith("\x1b[31m│\x1b[0m \x1b[0m\x1b[1m\x1b[31mError: \x1b[0m\x1b[0m\x1b[1mInvalid function")
    assert "   3:   input = tonumber(\x1b[4mvar.x\x1b[0m)\x1b[0m" in drawn
    assert lines[-2:] == ["\x1b[31m╵\x1b[0m\x1b[0m", ""]


def test_source_that_is_not_at_hand_is_said_so() -> None:
    """A place without code names the line alone."""
    one = diagnostics.parse(
        {"severity": "warning", "summary": "s", "range": {"filename": "x.tf", "start": {"line": 7}}}
    )
    assert "  on x.tf line 7:\n  (source code not available)\n\n" in diagnostics.draw(one, PLAIN)


def test_highlights_are_bytes_and_may_be_wrong() -> None:
    """Offsets count bytes; those outside the code are brought inside."""
    snippet = {"code": "é = x", "start_line": 1, "highlight_start_offset": 5, "highlight_end_offset": 99}
    one = diagnostics.parse({"severity": "error", "summary": "s", "range": {"filename": "f"}, "snippet": snippet})
    assert "é = \x1b[4mx\x1b[0m" in diagnostics.draw(one, COLOUR)


def test_indented_details_are_not_wrapped() -> None:
    """A line that begins with a space stays as long as it is."""
    one = Diagnostic(severity="error", summary="s", detail="  " + "word " * 40)
    assert "  " + "word " * 40 in diagnostics.draw(one, PLAIN)


def test_tags_in_details_are_read_by_later_engines_only() -> None:
    """Colour tags in a detail are text, until Terraform 1.14 began to read them."""
    one = Diagnostic(severity="error", summary="[bold]s", detail="a [bold]b[reset]")
    assert "a [bold]b[reset]" in diagnostics.draw(one, PLAIN)
    later = replace(PLAIN, tags_in_detail=True)
    assert diagnostics.draw(one, later) == "\nError: [bold]s\n\na b\n"


def test_warnings_come_first_and_those_without_a_place_before_others() -> None:
    """The order is severity, then no place, then path depth, path, position."""
    given_order = [
        replace(warning("e", "a.tf"), severity="error"),
        warning("1", "b/c.tf"),
        warning("2", "z.tf", 9),
        warning("3", "z.tf", 2),
        warning("4", None),
    ]
    assert [one.summary for one in diagnostics.arrange(given_order)] == ["4", "3", "2", "1", "e"]


def test_similar_warnings_are_folded() -> None:
    """Warnings of one summary with a place are one, which counts the others."""
    found = diagnostics.arrange([warning("s", "a.tf", line) for line in (3, 1, 2)])
    assert [(one.line, one.similar) for one in found] == [(1, 2)]
    assert diagnostics.draw(found[0], PLAIN).endswith("\nd\n\n(and 2 more similar warnings elsewhere)\n")


def test_counts_of_folded_warnings_add_up() -> None:
    """A warning that stood for others already brings their number along."""
    found = diagnostics.arrange([warning("s", "a.tf", 1, similar=1), warning("s", "a.tf", 2, similar=2)])
    assert [one.similar for one in found] == [4]


def test_check_assertions_errors_and_unplaced_warnings_are_not_folded() -> None:
    """Each of them is told by itself."""
    for one in (warning("s", "a.tf", check=True), warning("s", None), replace(warning("s", "a.tf"), severity="error")):
        assert len(diagnostics.arrange([one, one])) == 2


def test_errors_go_to_stderr_and_warnings_to_stdout() -> None:
    """Each diagnostic is a piece for its own stream, in one order."""
    pieces = diagnostics.report(
        [replace(warning("e", None), severity="error"), warning("w", None)], PLAIN, compact=True
    )
    assert [piece.stream for piece in pieces] == ["stdout", "stderr"]


def test_compact_warnings_are_two_lines_each() -> None:
    """Only warnings, and asked to be compact: summaries and places alone."""
    found = [warning("one", None), warning("two", "a.tf", 4), warning("two", "a.tf", 5)]
    assert diagnostics.report(found, PLAIN, compact=True) == [
        Piece(
            "stdout",
            b"\nWarnings:\n\n- one\n- two\n  on a.tf line 4 (and 1 more)\n\n"
            b"To see the full warning notes, run Terraform without -compact-warnings.\n",
        )
    ]


def test_nothing_to_say_is_nothing() -> None:
    """No diagnostics, no output."""
    assert diagnostics.report([], COLOUR, compact=False) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "severity",
                    "summary",
                    "detail",
                    "range",
                    "snippet",
                    "start",
                    "line",
                    "values",
                    "function_call",
                    "signature",
                ]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_any_object_can_be_drawn(raw: object) -> None:
    """A diagnostic of a shape never seen is drawn somehow: the run goes on."""
    one = diagnostics.parse(raw)
    assert diagnostics.draw(one, PLAIN)
    assert diagnostics.draw(one, COLOUR)
