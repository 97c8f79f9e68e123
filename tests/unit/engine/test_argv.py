"""The engine calls that stand for one command line."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine import argv
from tfaudit.engine.argv import GUARD, Invocation, Role
from tfaudit.engine.flags import SWITCHES, VALUED, Flag


def parse(line: str, **environ: str) -> Invocation:
    """Return the invocation of a line of plain words."""
    return argv.parse(line.split(), environ)


def plan_args(line: str, **environ: str) -> list[str]:
    """Return the arguments of the plan that the line stands for."""
    return list(argv.plan_call(parse(line, **environ), environ, out="/P").args)


def apply_args(line: str, *, ephemeral: tuple[str, ...] = (), **environ: str) -> list[str]:
    """Return the arguments of the apply by its stream."""
    call = argv.apply_call(parse(line, **environ), environ, plan_file="/P", json=True, ephemeral=ephemeral)
    return list(call.args)


def test_bare_apply() -> None:
    """An apply is a plan into a file and the apply of that file."""
    assert plan_args("apply") == ["plan", "-out=/P"]
    assert apply_args("apply") == ["apply", "-json", "/P"]


def test_destroy_plans_a_destruction() -> None:
    """Destroy is a plan in destroy mode."""
    assert plan_args("destroy -auto-approve") == ["plan", "-destroy", "-out=/P"]
    assert apply_args("destroy -auto-approve") == ["apply", "-json", "/P"]


def test_chdir_leads_every_call() -> None:
    """-chdir stays before the subcommand."""
    invocation = parse("-chdir=d apply")
    assert plan_args("-chdir=d apply")[0] == "-chdir=d"
    assert argv.show_call(invocation, {}, plan_file="/P").args == ("-chdir=d", "show", "-json", "/P")
    assert argv.state_pull_call(invocation, {}).args == ("-chdir=d", "state", "pull")


def test_options_go_where_they_belong() -> None:
    """Planning options go to the plan alone, locking and state options to both, approval to neither."""
    line = (
        "apply -auto-approve -target=a -replace=b -refresh=false -lock=false -lock-timeout=3s -parallelism=2"
        " -state=s -state-out=o -backup=- -no-color -compact-warnings -input=false -var x=1 -var-file f"
    )
    both = ["-lock=false", "-lock-timeout=3s", "-parallelism=2", "-state=s", "-state-out=o", "-backup=-"]
    assert plan_args(line) == [
        "plan",
        "-out=/P",
        "-no-color",
        "-target=a",
        "-replace=b",
        "-refresh=false",
        *both,
        "-input=false",
        "-var=x=1",
        "-var-file=f",
    ]
    # Warnings are made compact where the two halves come together.
    assert apply_args(line) == ["apply", "-json", "-no-color", "-compact-warnings", *both, "-input=false", "/P"]


def test_json_goes_to_both() -> None:
    """The user's -json is the plan's too."""
    assert plan_args("apply -json -auto-approve") == ["plan", "-out=/P", "-json"]


def test_ephemeral_variables_are_given_again() -> None:
    """Of -var only the ephemeral ones come again, variable files whole."""
    line = "apply -var=a=1 -var b=2 -var-file=f"
    assert apply_args(line, ephemeral=("b",)) == ["apply", "-json", "-var=b=2", "-var-file=f", "/P"]
    assert apply_args(line) == ["apply", "-json", "/P"]


def test_own_out_wins() -> None:
    """A plan into the user's own file is left as it is."""
    invocation = parse("plan -out=mine -detailed-exitcode")
    call = argv.plan_call(invocation, {}, out="/P")
    assert call.args == ("plan", "-out=mine", "-detailed-exitcode")
    assert invocation.out == "mine"


def test_inner_plan_is_not_automated() -> None:
    """TF_IN_AUTOMATION stays what the user made it: it changes more than the advice about the saved plan."""
    assert "TF_IN_AUTOMATION" not in argv.plan_call(parse("plan"), {}, out="/P").env


def test_saved_plan() -> None:
    """The options of an apply of a saved plan are all the engine's to judge."""
    invocation = parse("apply -target=a -json mine.tfplan")
    assert invocation.plan_file == "mine.tfplan"
    call = argv.apply_call(invocation, {}, plan_file="/P", json=True)
    assert call.args == ("apply", "-json", "-target=a", "/P")


def test_environment_arguments_are_expanded_once() -> None:
    """TF_CLI_ARGS* are in the arguments and out of the environment of every inner call."""
    env = {"TF_CLI_ARGS_apply": "-lock=false", "TF_CLI_ARGS": "-no-color", "TF_CLI_ARGS_plan": "-refresh=false"}
    invocation = argv.parse(["apply"], env)
    call = argv.plan_call(invocation, env, out="/P")
    assert call.args == ("plan", "-out=/P", "-no-color", "-lock=false")
    assert not [name for name in call.env if name.startswith("TF_CLI_ARGS")]
    assert argv.typed_call(invocation, env).env == env


def test_logs_stay_with_the_users_own_calls() -> None:
    """TF_LOG is for plan and apply; show and state pull are ours and don't write into the user's log."""
    env = {"TF_LOG": "trace", "TF_LOG_PATH": "x"}
    assert argv.show_call(parse("apply"), env, plan_file="/P").env == {}
    assert argv.state_pull_call(parse("apply"), env).env == {}
    assert argv.plan_call(parse("apply"), env, out="/P").env["TF_LOG"] == "trace"


def test_missing_configuration_file_is_warned_of_once() -> None:
    """The first visible call warns, the later ones get an empty file instead."""
    env = {"TF_CLI_CONFIG_FILE": "/missing"}
    own = argv.parse(["apply"], env, exists=lambda path: False)
    assert argv.plan_call(own, env, out="/P").env["TF_CLI_CONFIG_FILE"] == "/missing"
    assert argv.apply_call(own, env, plan_file="/P", json=True).env["TF_CLI_CONFIG_FILE"] == os.devnull
    saved = argv.parse(["apply", "p"], env, exists=lambda path: False)
    assert argv.show_call(saved, env, plan_file="/P").env["TF_CLI_CONFIG_FILE"] == os.devnull
    assert argv.apply_call(saved, env, plan_file="/P", json=True).env["TF_CLI_CONFIG_FILE"] == "/missing"
    present = argv.parse(["apply"], env, exists=lambda path: True)
    assert argv.apply_call(present, env, plan_file="/P", json=True).env["TF_CLI_CONFIG_FILE"] == "/missing"


@pytest.mark.parametrize(
    ("line", "flags", "positionals"),
    [
        ("apply --auto-approve", [Flag("auto-approve", None)], ()),
        ("apply -target a p", [Flag("target", "a")], ("p",)),
        ("apply -target=a=b", [Flag("target", "a=b")], ()),
        ("apply -- -lock", [], ("-lock",)),
        ("apply -", [], ("-",)),
        ("apply -target -no-color a", [Flag("no-color", None), Flag("target", "a")], ()),
        ("apply -lock=F -lock", [Flag("lock", "F"), Flag("lock", None)], ()),
    ],
)
def test_grammar(line: str, flags: list[Flag], positionals: tuple[str, ...]) -> None:
    """Options are read as Go's flag package reads them, the view's words wherever they stand."""
    invocation = parse(line)
    assert (list(invocation.flags), invocation.positionals) == (flags, positionals)
    assert invocation.refusal is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("apply -bogus p", ["apply", "-bogus", GUARD, GUARD]),
        ("apply -lock=false -new=1 -x", ["apply", "-lock=false", "-new=1", GUARD, GUARD]),
        ("apply -lock=maybe", ["apply", "-lock=maybe", GUARD, GUARD]),
        ("apply -parallelism=two", ["apply", "-parallelism=two", GUARD, GUARD]),
        ("apply -lock-timeout=soon", ["apply", "-lock-timeout=soon", GUARD, GUARD]),
        ("apply ---lock", ["apply", "---lock", GUARD, GUARD]),
        ("-chdir=d plan -bogus", ["-chdir=d", "plan", "-bogus", GUARD, GUARD]),
    ],
)
def test_what_we_cannot_read_is_probed(line: str, words: list[str]) -> None:
    """The engine names the first option it doesn't know; one that it does know, it can't act on for the guard."""
    invocation = parse(line)
    assert invocation.refusal is not None
    call = argv.probe_call(invocation, {})
    assert call is not None
    assert list(call.args) == words


@pytest.mark.parametrize(
    "line",
    [
        "apply a b",
        "plan a",
        "destroy p",
        "destroy -destroy",
        "destroy -refresh-only",
        "apply -json",
        "apply -target",
        "-lock apply",
        "-chdir=a -chdir=b apply",
    ],
)
def test_impossible_combinations(line: str) -> None:
    """What every engine refuses needs no probe."""
    invocation = parse(line)
    assert invocation.refusal is not None
    assert argv.probe_call(invocation, {}) is None


@pytest.mark.parametrize("line", ["destroy -destroy=false", "apply -json p", "apply -json -auto-approve", "plan -json"])
def test_possible_combinations(line: str) -> None:
    """What looks like these and isn't goes on."""
    assert parse(line).refusal is None


def test_unsplittable_variable() -> None:
    """The engine itself reports a TF_CLI_ARGS that can't be split; it keeps the variable, and a guard."""
    env = {"TF_CLI_ARGS": "'x"}
    invocation = argv.parse(["-chdir=d", "apply", "p"], env)
    call = argv.probe_call(invocation, env)
    assert call is not None
    assert (call.args, call.env) == (("-chdir=d", "apply", GUARD, "p"), env)


def test_record_holds_no_values_of_variables() -> None:
    """Options are recorded without what may be secret or private; addresses are."""
    invocation = parse("apply -var pw=s3cret -var-file=/home/me/x -target=a.b -lock=false -state=/s -auto-approve")
    assert invocation.options() == ("-var=pw", "-var-file", "-target=a.b", "-lock=false", "-state", "-auto-approve")


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("import -var x=1 a.b i-0123", ("a.b",)),
        ("state mv -lock=false a.b a.c", ("a.b", "a.c")),
        ("state rm a b c", ("a", "b", "c")),
        ("state push secret.tfstate", ()),
        ("workspace new -state=x dev", ("dev",)),
        ("force-unlock -force 1234", ("1234",)),
        ("taint a.b", ("a.b",)),
        ("test", ()),
    ],
)
def test_recorded_arguments(line: str, arguments: tuple[str, ...]) -> None:
    """Addresses, workspaces and lock ids are recorded, an imported object's id and paths aren't."""
    assert parse(line).arguments() == arguments


def test_help_hint_names_the_typed_command() -> None:
    """Inside an apply the plan's hint at its help becomes the apply's."""
    line_filter = argv.help_filter(parse("destroy"))
    assert line_filter is not None
    assert line_filter(b"  terraform plan -help\n") == b"  terraform destroy -help\n"
    assert line_filter(b"other\n") == b"other\n"
    assert argv.help_filter(parse("plan")) is None


def test_help_is_no_apply() -> None:
    """A line that only asks for help has nothing to record."""
    assert parse("apply -help").role is Role.PASS


_VALUES = {"parallelism": "7", "lock-timeout": "1m30s", "var": "k=v=w"}
_options = st.one_of(
    st.sampled_from(sorted(SWITCHES)).map(lambda name: [f"-{name}"]),
    st.tuples(st.sampled_from(sorted(SWITCHES)), st.sampled_from(["true", "false", "0", "T"])).map(
        lambda both: [f"--{both[0]}={both[1]}"]
    ),
    st.sampled_from(sorted(VALUED)).map(lambda name: [f"-{name}", _VALUES.get(name, "-x y")]),
    st.sampled_from(sorted(VALUED)).map(lambda name: [f"-{name}={_VALUES.get(name, '')}"]),
)


@given(st.lists(_options))
def test_every_known_option_is_read(options: list[list[str]]) -> None:
    """Any list of known options is read whole, and spelled again it reads the same."""
    words = [word for option in options for word in option]
    invocation = argv.parse(["plan", *words], {})
    assert invocation.refusal is None
    assert len(invocation.flags) == len(options)
    again = argv.parse(["plan", *(flag.word() for flag in invocation.flags)], {})
    assert again.flags == invocation.flags


@given(st.lists(st.text()), st.sampled_from(["apply", "destroy", "plan", "state mv", ""]), st.text())
def test_nothing_escapes_the_plan(words: list[str], command: str, variable: str) -> None:
    """Whatever is typed, parsing never fails, and no inner call approves or carries TF_CLI_ARGS."""
    env = {"TF_CLI_ARGS": variable}
    invocation = argv.parse([*command.split(), *words], env)
    call = argv.plan_call(invocation, env, out="/P")
    if invocation.role is Role.APPLY and invocation.refusal is None:
        assert not [word for word in call.args if word.startswith("-auto-approve")]
        assert "TF_CLI_ARGS" not in call.env
