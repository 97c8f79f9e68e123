"""The tables of the gate, the policy and identities are read strictly, and sources tighten only."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import config
from tfaudit.config import durations, gate
from tfaudit.config.gating import BreakGlass, Freeze, GateRule, GateSettings, IdentitySettings, PolicySettings
from tfaudit.errors import ConfigError

WHOLE = """
[gate]
approvals = 1
expires = "12h"
bind = "planfile"
approvers = "approvers"
evidence = ["github-review"]

[gate.groups]
dba = ["alice@example.com", "bob@example.com"]

[[gate.rule]]
name = "two DBAs"
when = 'change.action == "delete"'
approvals = 2
groups = ["dba"]

[[gate.freeze]]
name = "year end"
from = 2026-12-19T00:00:00+01:00
to = 2027-01-04T00:00:00Z

[gate.break_glass]
groups = ["dba"]
review_within = "48h"

[[gate.stack]]
pattern = "acme/prod/*"
approvals = 2

[[gate.stack.freeze]]
name = "launch"
from = 2026-11-01T00:00:00Z
to = 2026-11-02T00:00:00Z
"""
RULE = GateRule(name="two DBAs", when='change.action == "delete"', approvals=2, groups=("dba",))
YEAR_END = Freeze(name="year end", start=datetime(2026, 12, 18, 23, tzinfo=UTC), end=datetime(2027, 1, 4, tzinfo=UTC))


def loaded(folder: Path, text: str, environ=None, machine: str | None = None) -> config.Config:
    """Load a repository's file, an environment and a machine's file."""
    (folder / "tfaudit.toml").write_text(text)
    machine_file = folder / "machine.toml"
    if machine is not None:
        machine_file.write_text(machine)
    return config.load(cwd=folder, environ=environ or {}, machine_file=machine_file)


def test_without_the_tables_nothing_is_gated(tmp_path):
    """A file without the tables leaves the gate and the policy unset, and identities at their defaults."""
    found = loaded(tmp_path, "")
    assert (found.gate, found.floor, found.policy) == (None, None, None)
    assert (found.identity, found.identities) == (IdentitySettings(), {})


def test_without_the_tables_their_types_are_not_imported(tmp_path):
    """A plain configuration costs no import of what reads the gate."""
    code = (
        "import sys; from pathlib import Path; from tfaudit import config;"
        f"config.load(cwd=Path({str(tmp_path)!r}), environ={{}});"
        "print([name for name in sys.modules if name.startswith(('tfaudit.config.gat', 'tfaudit.config.tab'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_empty_gate_asks_for_one_approval(tmp_path):
    """[gate] alone holds the defaults, and knows that nobody wrote them."""
    found = loaded(tmp_path, "[gate]\n").gate
    assert found is not None
    assert (found.approvals, found.expires, found.bind) == (1, timedelta(hours=24), "changes")
    assert {"approvals", "expires", "bind", "approvers"} <= found.absent


def test_a_whole_gate_is_read(tmp_path):
    """Every table of the gate becomes its type, times in UTC, paths absolute."""
    found = loaded(tmp_path, WHOLE).gate
    assert found is not None
    assert (found.approvals, found.expires, found.bind) == (1, timedelta(hours=12), "planfile")
    assert found.approvers == tmp_path / "approvers"
    assert found.groups == {"dba": ("alice@example.com", "bob@example.com")}
    assert (found.rules, found.freezes) == ((RULE,), (YEAR_END,))
    assert found.break_glass == BreakGlass(groups=("dba",), review_within=timedelta(hours=48))
    assert found.evidence == ("github-review",)
    assert "approvals" not in found.absent


def test_a_stack_takes_over_what_it_leaves_out(tmp_path):
    """A [[gate.stack]] has its own keys, else those of [gate], and the rules and freezes of both."""
    found = loaded(tmp_path, WHOLE).gate
    assert found is not None
    (stack,) = found.stacks
    assert stack.pattern == "acme/prod/*"
    assert (stack.gate.approvals, stack.gate.expires, stack.gate.bind) == (2, timedelta(hours=12), "planfile")
    assert stack.gate.rules == (RULE,)
    assert [freeze.name for freeze in stack.gate.freezes] == ["year end", "launch"]
    assert stack.gate.break_glass == found.break_glass


def test_a_document_of_a_gate_is_read_as_the_same_gate(tmp_path):
    """What is written of a gate in JSON's types is read as that gate, all keys said."""
    found = loaded(tmp_path, WHOLE).gate
    assert found is not None
    again = gate.settings(gate.document(found), "the document", None)
    assert gate.document(again) == gate.document(found)
    assert (again.rules, again.freezes, again.break_glass) == (found.rules, found.freezes, found.break_glass)
    assert again.stacks[0].gate.freezes == found.stacks[0].gate.freezes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gate]\napprovls = 1", 'unknown key "gate.approvls".*did you mean "gate.approvals"'),
        ("[gate]\napprovals = -1", "gate.approvals in .* is not a number from 0 to 20"),
        ("[gate]\napprovals = 21", "from 0 to 20"),
        ("[gate]\napprovals = true", "from 0 to 20"),
        ('[gate]\napprovals = "1"', "from 0 to 20"),
        ("[gate]\nallow_self_approval = 1", "gate.allow_self_approval in .* is not true or false"),
        ('[gate]\nexpires = "0h"', "from 1m to 90d"),
        ('[gate]\nexpires = "91d"', "from 1m to 90d"),
        ('[gate]\nexpires = "-1h"', "no duration"),
        ("[gate]\nexpires = 24", "no duration"),
        ('[gate]\nbind = "plan"', '"changes" or "planfile"'),
        ("[gate]\napprovers = 3", "gate.approvers in .* is not a text"),
        ('[gate]\nevidence = ["github"]', 'unknown key "github".*did you mean "github-review"'),
        ('[gate.groups]\ndba = "alice"', "gate.groups.dba in .* is not a list"),
        ('[gate.groups]\ndba = ["a", "a"]', "has an entry twice"),
        ('[gate.rule]\nname = "x"', r"write \[\[gate.rule\]\]"),
        ('[[gate.rule]]\nwhen = "true"\napprovals = 1', "gate.rule.name in .* is not a text"),
        ('[[gate.rule]]\nname = "x"\napprovals = 1', 'gate.rule."x".when in .* is no expression'),
        ('[[gate.rule]]\nname = "x"\nwhen = "true"', 'gate.rule."x".approvals in .* from 1 to 20'),
        ('[[gate.rule]]\nname = "x"\nwhen = "true"\napprovals = 0', "from 1 to 20"),
        ('[[gate.rule]]\nname = "x"\nwhere = "true"', 'did you mean "gate.rule.when"'),
        (2 * '[[gate.rule]]\nname = "x"\nwhen = "true"\napprovals = 1\n', 'two of the name "x"'),
        ('[[gate.freeze]]\nname = "x"\nfrom = 2026-12-19T00:00:00\nto = 2027-01-04T00:00:00Z', "with an offset"),
        ('[[gate.freeze]]\nname = "x"\nfrom = 2026-12-19\nto = 2027-01-04T00:00:00Z', "with an offset"),
        ('[[gate.freeze]]\nname = "x"\nfrom = 2027-01-04T00:00:00Z\nto = 2027-01-04T00:00:00Z', "not after from"),
        (
            '[[gate.freeze]]\nname = "x"\nfrom = 0001-01-01T00:00:00+01:00\nto = 2027-01-04T00:00:00Z',
            "no date and time",
        ),
        ('[gate.break_glass]\ngroups = []\nreview_within = "1h"', "gate.break_glass.groups in .* is empty"),
        ('[gate.break_glass]\ngroups = ["a"]', "review_within in .* is no duration"),
        ('[gate.break_glass]\ngroups = ["a"]\nreview_within = "31d"', "from 1s to 30d"),
        ("[[gate.stack]]\napprovals = 2", "gate.stack.pattern in .* is no pattern"),
        (
            '[[gate.rule]]\nname = "x"\nwhen = "true"\napprovals = 1\n[[gate.stack]]\npattern = "a"\n'
            '[[gate.stack.rule]]\nname = "x"\nwhen = "true"\napprovals = 2',
            'the rule "x" of gate.stack in .* is in .gate. already',
        ),
        ('[[gate.stack]]\npattern = "a"\napprovers = "x"', 'unknown key "gate.stack.approvers"'),
        ('[policy]\nrego_version = "v2"', "one of v0, v1"),
        ('[policy]\ninput = "x"', "one of plan, hcp, scalr"),
        ('[policy]\nengine = "rego"', "one of opa, conftest, regorus"),
        ("[policy]\ntimeout_seconds = 0", "from 1 to 600"),
        ("[policy]\nmemory_mb = 1", "from 64 to 65536"),
        ('[policy]\ncell = "x"', 'did you mean "policy.cel"'),
        ('[identity]\nissuers = ["issuer.example"]', "https://issuer.example"),
        ('[identity]\nissuers = ["https://u:p@issuer.example"]', "https://issuer.example"),
        ('[identity]\nagents = ["A B"]', "names of environment variables"),
        ('[identities]\nalice = "email:a"', "identities.alice in .* is not a list"),
        ('[identities]\nalice = ["alice"]', "a kind and a name"),
        ('[identities]\nalice = ["email:a@x"]\nbob = ["email:A@x"]', "which alice has as well"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    """Every mistake in the tables is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, text)


def test_the_environment_tightens(tmp_path):
    """A variable that asks for more takes the file's place, in every stack that asks for less."""
    environ = {"TFAUDIT_GATE_APPROVALS": "2", "TFAUDIT_GATE_EXPIRES": "1h", "TFAUDIT_GATE_REQUIRE_TOUCH": "true"}
    found = loaded(tmp_path, '[gate]\n[[gate.stack]]\npattern = "a"\napprovals = 1\n', environ).gate
    assert found is not None
    for one in (found, found.stacks[0].gate):
        assert (one.approvals, one.expires, one.require_touch) == (2, timedelta(hours=1), True)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("approvals = 1", {"TFAUDIT_GATE_APPROVALS": "0"}),
        ('expires = "1h"', {"TFAUDIT_GATE_EXPIRES": "2h"}),
        ("allow_self_approval = false", {"TFAUDIT_GATE_ALLOW_SELF_APPROVAL": "1"}),
        ("agents_need_person = true", {"TFAUDIT_GATE_AGENTS_NEED_PERSON": "false"}),
        ("require_touch = true", {"TFAUDIT_GATE_REQUIRE_TOUCH": "0"}),
        ('bind = "planfile"', {"TFAUDIT_GATE_BIND": "changes"}),
    ],
)
def test_the_environment_does_not_loosen(tmp_path, text, environ):
    """A variable that asks for less than the file is refused as a changed gate."""
    with pytest.raises(ConfigError, match=f"^gate-changed: {next(iter(environ))}"):
        loaded(tmp_path, f"[gate]\n{text}\n", environ)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TFAUDIT_GATE_APPROVAL": "2"}, 'did you mean "TFAUDIT_GATE_APPROVALS"'),
        ({"TFAUDIT_GATE_APPROVALS": "-2"}, "TFAUDIT_GATE_APPROVALS is not a number from 0 to 20"),
        ({"TFAUDIT_GATE_EXPIRES": "soon"}, 'TFAUDIT_GATE_EXPIRES is "soon", which is no duration'),
        ({"TFAUDIT_GATE_REQUIRE_TOUCH": "maybe"}, "it is true or false"),
        ({"TFAUDIT_POLICY_CELL": "x"}, 'did you mean "TFAUDIT_POLICY_CEL"'),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, environ, message):
    """A misspelt or unusable variable of a table is an error: it must not silently hold back less."""
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, "", environ)


def test_the_environment_alone_makes_a_gate(tmp_path):
    """A gate may be asked for by variables only; its paths start from the working directory."""
    found = loaded(tmp_path, "", {"TFAUDIT_GATE_APPROVERS": "people"}).gate
    assert found is not None
    assert (found.approvals, found.approvers) == (1, tmp_path / "people")


def test_policy_and_identity_are_read(tmp_path):
    """Their tables become their types, paths absolute, the environment first."""
    text = (
        '[policy]\ncel = "rules.toml"\nrego = "policy/"\nrego_version = "v0"\ninput = "hcp"\ntimeout_seconds = 5\n'
        '[identity]\nissuers = ["https://issuer.example/a"]\njwks = "keys.json"\nagents = ["MY_AGENT"]\n'
        '[identities]\nalice = ["email:alice@example.com", "github:583231"]\n'
    )
    found = loaded(tmp_path, text, {"TFAUDIT_POLICY_INPUT": "scalr", "TFAUDIT_IDENTITY_AUDIENCE": "x"})
    assert found.policy == PolicySettings(
        cel=tmp_path / "rules.toml",
        rego=tmp_path / "policy",
        rego_version="v0",
        input="scalr",
        timeout_seconds=5,
    )
    assert found.identity == IdentitySettings(
        issuers=("https://issuer.example/a",), audience="x", jwks=str(tmp_path / "keys.json"), agents=("MY_AGENT",)
    )
    assert found.identities == {"alice": ("email:alice@example.com", "github:583231")}


def test_an_address_of_keys_stays_an_address(tmp_path):
    """[identity] jwks may be a URL."""
    url = "http://127.0.0.1:8080/keys"
    assert loaded(tmp_path, f'[identity]\njwks = "{url}"\n').identity.jwks == url


@pytest.mark.parametrize(
    ("text", "environ", "name"),
    [
        ('ledger = "other"', {}, "ledger in .*tfaudit.toml"),
        ("", {"TFAUDIT_LEDGER": "other"}, "TFAUDIT_LEDGER"),
        (f'genesis = "sha256:{"1" * 64}"', {}, "genesis"),
        ('stack = "other"', {}, "stack"),
        ('on_ledger_failure = "spool"', {}, "on_ledger_failure"),
        ('[signer]\nrecord = "file:other.pem"', {}, "signer.record"),
        ("[audit]\nreads = false", {}, "audit.reads"),
        ("[retention]\ndays = 1", {}, "retention"),
        ('[identity]\njwks = "https://other.example"', {}, "identity.jwks"),
        ('[identities]\nalice = ["os:bob"]', {}, "identities"),
    ],
)
def test_the_machines_file_is_not_overridden(tmp_path, text, environ, name):
    """What the machine's own file sets is refused by name where another source differs."""
    machine = (
        f'ledger = "s3://bucket/prefix"\ngenesis = "sha256:{"0" * 64}"\nstack = "fixed"\non_ledger_failure = "stop"\n'
        '[signer]\nrecord = "file:/etc/key.pem"\n[audit]\nreads = true\n[retention]\ndays = 400\n'
        '[identity]\njwks = "https://keys.example"\n[identities]\nalice = ["os:alice"]\n'
    )
    with pytest.raises(ConfigError, match=f"^{name}.* is another than .*machine.toml, which can't be overridden"):
        loaded(tmp_path, text, environ, machine)


def test_the_command_line_does_not_override_the_machines_file(tmp_path):
    """Not even --ledger names another ledger than the machine's."""
    (tmp_path / "machine.toml").write_text('ledger = "s3://bucket/prefix"\n')
    with pytest.raises(ConfigError, match="ledger in the command line is another"):
        config.load(cwd=tmp_path, environ={}, ledger="elsewhere", machine_file=tmp_path / "machine.toml")


def test_the_same_setting_as_the_machines_is_fine(tmp_path):
    """An equal value elsewhere is no override, however it is spelt; paths start from where they stand."""
    machine = (
        'ledger = "s3://bucket/prefix/"\nworking = "w"\n[retention]\nprofile = "soc2"\n[capture]\nredact = ["a"]\n'
    )
    text = 'ledger = "s3://bucket/prefix"\n[retention]\ndays = 731\n[capture]\nredact = ["b"]\n'
    found = loaded(tmp_path, text, {"TFAUDIT_WORKING": str(tmp_path / "w")}, machine)
    assert (found.ledger, found.working) == ("s3://bucket/prefix", str(tmp_path / "w"))
    assert (found.redact, found.retention) == (
        ("a", "b"),
        config.Retention(mode="GOVERNANCE", days=731, profile="soc2"),
    )


def test_the_machines_gate_is_kept_apart(tmp_path):
    """[gate] of the machine's file is the floor, beside the repository's own."""
    found = loaded(tmp_path, "", machine='[gate]\napprovals = 2\napprovers = "people"\n')
    assert found.gate is None
    assert found.floor is not None
    assert (found.floor.approvals, found.floor.approvers) == (2, tmp_path / "people")


@pytest.mark.parametrize("text", ["[gate]\napprovals = 'x'", "= broken", 'legder = "x"'])
def test_a_broken_machine_file_stops_everything(tmp_path, text):
    """What the machine's file would have said is not known, so nothing runs."""
    with pytest.raises(ConfigError, match=r"machine\.toml"):
        loaded(tmp_path, "", machine=text)


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=durations.LONGEST))
def test_a_duration_is_read_as_it_is_spelt(duration):
    """What spell writes, parse reads, to the second."""
    whole = timedelta(seconds=max(1, round(duration.total_seconds())))
    assert durations.parse(durations.spell(whole), what="x") == whole


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86_400), ("30m", 1_800), ("2d", 172_800), ("1h30m", 5_400), ("90s", 90)]
)
def test_durations(text, seconds):
    """Days, hours, minutes and seconds, the larger first."""
    assert durations.parse(text, what="x") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1.5h", "30m1h", "-1h", " 1h", "1h ", "1w", "0s", "999999d", None, 5])
def test_no_durations(text):
    """Anything else is an error that names the setting."""
    with pytest.raises(ConfigError, match=r"^expiry is"):
        durations.parse(text, what="expiry")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from((*gate._STACK, *gate._RULE, *gate._FREEZE, "groups")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from((*gate._STACK, "groups", "stack", "x")), _VALUES, max_size=6))
def test_any_table_gives_a_gate_or_a_config_error(table):
    """No table raises anything but ConfigError, and what is read is read again alike."""
    with contextlib.suppress(ConfigError):
        found = gate.settings(table, "x", None)
        assert isinstance(found, GateSettings)
        assert gate.document(gate.settings(gate.document(found), "x", None)) == gate.document(found)
