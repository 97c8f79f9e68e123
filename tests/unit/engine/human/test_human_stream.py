"""The apply stream, turned into the engine's human lines."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.human import Diagnostic, Options, Piece, Renderer, import_label


def line(kind: str, **more: object) -> bytes:
    """A line as Terraform writes it."""
    text = {"@level": "info", "@message": f"about {kind}", "@module": "terraform.ui", "type": kind, **more}
    return json.dumps(text).encode() + b"\n"


def hook(kind: str, address: str = "x.y", **more: object) -> bytes:
    """A line about a resource."""
    return line(kind, hook={"resource": {"addr": address}, **more})


def version(number: str = "1.11.4") -> bytes:
    """The first line of a stream."""
    return line("version", terraform=number, ui="1.2")


def summary(**more: object) -> bytes:
    """The line that sums an apply up."""
    changes = {"add": 1, "change": 0, "import": 0, "remove": 2, "operation": "apply", **more}
    text = "Apply complete! Resources: 1 added, 0 changed, 2 destroyed."
    return line("change_summary", **{"@message": text, "changes": changes})


def told(*lines: bytes, options: Options | None = None) -> tuple[str, str]:
    """What a whole stream shows on stdout and on stderr."""
    renderer = Renderer(options or Options(colour=False))
    pieces = [piece for one in lines for piece in renderer.feed(one)] + renderer.close()
    streams = ("stdout", "stderr")
    out, err = (b"".join(piece.data for piece in pieces if piece.stream == stream).decode() for stream in streams)
    return out, err


def test_a_resource_is_created() -> None:
    """Start and end are a line each, the end with duration and id."""
    out, err = told(
        version(),
        hook("apply_start", action="create"),
        hook("apply_complete", action="create", id_key="id", id_value="i-1", elapsed_seconds=3725),
    )
    assert out == "x.y: Creating...\nx.y: Creation complete after 1h2m5s [id=i-1]\n"
    assert err == ""


def test_colours_are_the_engines_own() -> None:
    """Each line is bold, and reset as often as the engine resets it."""
    out, _ = told(
        hook("apply_start", action="delete", id_key="id", id_value="i"),
        hook("apply_complete", action="delete", elapsed_seconds=0),
        hook("provision_start", provisioner="local-exec"),
        hook("provision_progress", provisioner="local-exec", output="  hi [bold]"),
        options=Options(colour=True),
    )
    assert out == (
        "\x1b[0m\x1b[1mx.y: Destroying... [id=i]\x1b[0m\x1b[0m\n"
        "\x1b[0m\x1b[1mx.y: Destruction complete after 0s\x1b[0m\n"
        "\x1b[0m\x1b[1mx.y: Provisioning with 'local-exec'...\x1b[0m\x1b[0m\n"
        "\x1b[0m\x1b[1mx.y (local-exec):\x1b[0m \x1b[0m  hi [bold]\n"
    )


def test_progress_names_the_prior_id() -> None:
    """While a resource is worked on, the id it had is told, cut in the middle beyond 80 characters."""
    start = hook("apply_start", action="update", id_key="name", id_value="a" * 60 + "b" * 60)
    still = hook("apply_progress", action="update", elapsed_seconds=70)
    shortened = "a" * 39 + "..." + "b" * 38
    out, _ = told(version(), start, still)
    assert out.splitlines()[1] == f"x.y: Still modifying... [name={shortened}, 1m10s elapsed]"


def test_later_engines_tell_progress_by_a_clock() -> None:
    """Terraform 1.12 changed the form of the elapsed time."""
    still = hook("apply_progress", action="create", elapsed_seconds=70)
    assert told(version("1.12.0-rc1"), still)[0] == "x.y: Still creating... [01m10s elapsed]\n"


def test_ephemeral_resources_are_opened_and_closed() -> None:
    """Ephemeral operations have words of their own."""
    out, _ = told(
        hook("ephemeral_op_start", action="open"),
        hook("ephemeral_op_complete", action="open", elapsed_seconds=1),
        hook("ephemeral_op_start", action="read"),
        hook("ephemeral_op_start", action="close"),
        hook("ephemeral_op_errored", action="close", elapsed_seconds=1),
    )
    assert out.splitlines() == [
        "x.y: Opening...",
        "x.y: Opening complete after 1s",
        "x.y: Configuration unknown, deferring...",
        "x.y: Closing...",
    ]


def test_actions_are_told() -> None:
    """Invoked actions start, progress, end and fail."""
    action = {"action": {"addr": "action.a.b"}, "lifecycle": {"resource": {"addr": "x.y"}}}
    out, _ = told(
        line("action_start", hook=action),
        line("action_progress", hook={**action, "message": "half"}),
        line("action_complete", hook=action),
        line("action_errored", hook={"action": {"addr": "action.a.b"}, "invoke": {}, "error": "no"}),
    )
    assert out.splitlines() == [
        "Action started: action.a.b (triggered by x.y)",
        "Action action.a.b (triggered by x.y): half",
        "Action complete: action.a.b (triggered by x.y)",
        "Action failed: action.a.b (triggered by CLI) - no",
    ]


def test_what_has_no_human_line_is_silent() -> None:
    """Planned changes, errored resources and ends of provisioning are for machines."""
    kinds = ("planned_change", "apply_errored", "provision_complete", "provision_errored", "refresh_complete")
    assert told(*(hook(kind, action="create") for kind in kinds)) == ("", "")


def test_a_failure_is_told_at_the_end() -> None:
    """Diagnostics wait for one another: they are sorted, warnings first, errors on stderr."""
    error = line("diagnostic", diagnostic={"severity": "error", "summary": "no", "detail": ""})
    warning = line("diagnostic", diagnostic={"severity": "warning", "summary": "hm", "detail": ""})
    assert told(error, warning) == ("\nWarning: hm\n\n", "\nError: no\n\n")


def test_the_summary_and_the_outputs() -> None:
    """The summary in the words of the stream; then the outputs by name, sensitive ones hidden."""
    outputs = {
        "b": {"sensitive": False, "type": "number", "value": 1},
        "a": {"sensitive": True, "type": "string"},
    }
    out, _ = told(summary(), line("outputs", outputs=outputs))
    assert out == (
        "\nApply complete! Resources: 1 added, 0 changed, 2 destroyed.\n\nOutputs:\n\na = <sensitive>\nb = 1\n"
    )


def test_no_outputs_no_heading() -> None:
    """Without outputs there is no section."""
    assert "Outputs" not in told(summary(), line("outputs", outputs={}))[0]


def test_destroy_counts_what_is_gone() -> None:
    """The command ``destroy`` sums up in other words and shows no outputs."""
    outputs = line("outputs", outputs={"o": {"type": "string", "value": "x"}})
    out, _ = told(summary(), outputs, options=Options(colour=False, destroy=True))
    assert out == "\nDestroy complete! Resources: 2 destroyed.\n"


def test_the_reset_after_the_summary_moved() -> None:
    """Before Terraform 1.14 the colour ends behind the line feed, since then before it."""
    assert told(version("1.13.9"), summary(), options=Options())[0].endswith("destroyed.\n\x1b[0m")
    assert told(version("1.14.0"), summary(), options=Options())[0].endswith("destroyed.\x1b[0m\n")


def test_a_state_file_elsewhere_is_named() -> None:
    """With ``-state-out``, and something added or changed, the path is told."""
    out, _ = told(summary(), options=Options(colour=False, state_out="s.tfstate"))
    assert out.endswith("`terraform show` command.\n\nState path: s.tfstate\n")
    assert "State path" not in told(summary(add=0), options=Options(colour=False, state_out="s"))[0]


def test_held_warnings_are_told_before_the_summary() -> None:
    """Warnings of the plan that nobody was asked about come with those of the apply."""
    held = Diagnostic(severity="warning", summary="w", printed="\nWarning: w\n\ntext\n")
    assert told(summary(), options=Options(colour=False, held=(held,)))[0].startswith("\nWarning: w\n\ntext\n\nApply")


def test_held_warnings_are_told_with_a_failure() -> None:
    """They are told with the errors too, in order with them."""
    held = Diagnostic(severity="warning", summary="w", printed="\nWarning: w\n\n")
    error = line("diagnostic", diagnostic={"severity": "error", "summary": "no", "detail": ""})
    assert told(error, options=Options(colour=False, held=(held,))) == ("\nWarning: w\n\n", "\nError: no\n\n")


def test_held_warnings_of_a_killed_engine_are_not_told() -> None:
    """An engine that was killed would not have come to tell them."""
    held = Diagnostic(severity="warning", summary="w", printed="\nWarning: w\n\n")
    assert told(version(), options=Options(colour=False, held=(held,))) == ("", "")


def test_what_was_told_with_the_plan_is_not_repeated() -> None:
    """A warning that every process gives is told once, whether wrapped then or not now."""
    text = "The root module does not declare a variable, and says so at length, in many words that need two lines"
    plan = Diagnostic(severity="warning", summary="Value", printed=f"\nWarning: Value\n\n{text[:50]}\n{text[50:]}\n")
    again = line("diagnostic", diagnostic={"severity": "warning", "summary": "Value", "detail": text})
    options = Options(colour=False, told=(plan,))
    assert told(again, options=options) == ("", "")
    assert told(again, again, options=options)[0].count("Warning: Value") == 1


def test_imports_are_told_though_the_stream_is_silent() -> None:
    """An import is told before the change of its resource, or else before the summary."""
    options = Options(colour=False, imports=(("x.y", "id=1"), ("x.z", "id=2")))
    out, _ = told(hook("apply_start", action="update"), summary(), options=options)
    assert out.splitlines()[:5] == [
        "x.y: Importing... [id=1]",
        "x.y: Import complete [id=1]",
        "x.y: Modifying...",
        "x.z: Importing... [id=2]",
        "x.z: Import complete [id=2]",
    ]


def test_import_labels() -> None:
    """An id, or an identity by its attributes."""
    assert import_label("i-1") == "id=i-1"
    assert import_label({"b": 2, "a": "x", "c": None}) == "identity=a=x,b=2"


def test_interrupts_are_told() -> None:
    """The first interrupt on stdout, the second on stderr."""
    first = line("log", **{"@message": "\nInterrupt received.\nGracefully shutting down...\n"})
    second = line("log", **{"@message": "\nTwo interrupts received. Exiting immediately.\n"})
    out, err = told(first, line("log", **{"@message": "Stopping operation..."}), second)
    assert out == "\nInterrupt received.\nGracefully shutting down...\n\nStopping operation...\n"
    assert err == "\nTwo interrupts received. Exiting immediately.\n\n"


def test_an_emergency_state_dump_goes_to_stderr() -> None:
    """State that can be saved nowhere is printed, laid out over lines."""
    _, err = told(line("log", state={"version": 4, "resources": [], "outputs": {"a": [1, 2.50]}}))
    assert json.loads(err) == {"version": 4, "resources": [], "outputs": {"a": [1, 2.5]}}
    assert err.startswith('{\n  "version": 4,\n  "resources": [],')


def test_lines_that_are_not_the_engines_pass() -> None:
    """A crash or a wrapper's remark is shown as it came."""
    for text in (b"panic: oh no\n", b'{"a": 1}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n"):
        assert Renderer(Options()).feed(text) == [Piece("stdout", text)]
    assert Renderer(Options()).feed(b"no line feed") == [Piece("stdout", b"no line feed\n")]


def test_lines_of_unknown_kind_show_their_message() -> None:
    """What a later engine says is shown in its own words."""
    assert told(line("brand_new"))[0] == "about brand_new\n"


def test_an_id_cannot_forge_a_line_of_the_stream() -> None:
    """A line feed in an id makes a line on the screen, as it would without us, and nothing else."""
    evil = "x\n" + version("9.9.9").decode()
    renderer = Renderer(Options(colour=False))
    renderer.feed(version())
    renderer.feed(hook("apply_complete", action="create", id_key="id", id_value=evil, elapsed_seconds=0))
    assert renderer.version == (1, 11, 4)


def test_a_value_nested_beyond_all_bounds_costs_its_own_line_only() -> None:
    """A value too deep to be shown is said to be so."""
    depth = 350
    kind = json.loads('["tuple", [' * depth + '"string"' + "]]" * depth)
    value = json.loads("[" * depth + '"x"' + "]" * depth)
    outputs = {"deep": {"type": kind, "value": value}, "o": {"type": "bool", "value": True}}
    assert (
        told(line("outputs", outputs=outputs))[0] == "\nOutputs:\n\ndeep = (nested too deeply to be shown)\no = true\n"
    )


def test_a_time_beyond_all_bounds_is_none() -> None:
    """A number that is no time costs the time, not the run."""
    endless = hook("apply_complete", action="create").replace(b'"action"', b'"elapsed_seconds":1e999,"action"')
    assert told(endless)[0] == "x.y: Creation complete after 0s\n"


def test_numbers_beyond_all_bounds_are_shown_as_they_are() -> None:
    """The engine's numbers are not a machine's."""
    outputs = line("outputs", outputs={"o": {"type": "number", "value": 1}}).replace(b'"value": 1', b'"value": 1e999')
    assert told(outputs)[0].endswith("o = 1e999\n")


def test_every_stream_of_others_can_be_rendered(corpus: Path) -> None:
    """Streams recorded by others, of both engines and many versions, are rendered without an error."""
    for path in sorted((corpus / "ui").iterdir()):
        for brand in ("terraform", "tofu"):
            renderer = Renderer(Options(brand=brand))
            for one in path.read_bytes().splitlines(keepends=True):
                renderer.feed(one)
            renderer.close()


FRAGMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resource",
                    "addr",
                    "action",
                    "id_key",
                    "id_value",
                    "elapsed_seconds",
                    "value",
                    "type",
                    "operation",
                    "add",
                ]
            ),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        "version",
        "log",
        "apply_start",
        "apply_progress",
        "apply_complete",
        "provision_progress",
        "change_summary",
        "outputs",
        "diagnostic",
        "action_progress",
        "refresh_start",
        "ephemeral_op_start",
        "other",
    ]
)


@given(KINDS, FRAGMENTS, st.sampled_from(["hook", "changes", "outputs", "diagnostic", "state", "terraform", "tofu"]))
def test_no_shape_of_a_line_ends_the_run(kind: str, fragment: object, key: str) -> None:
    """Whatever stands in a line, rendering goes on."""
    told(line(kind, **{key: fragment}), options=Options(colour=True))
