"""What deploy/aws makes of its variables, what it refuses, and whether a current provider would take its resources."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import hcl2
import iampolicy
import pytest
from deploykit import GITHUB, KEYS, MODULE, RECORD, REPLICA, WRITERS, decided, keys_of, put

from tfaudit import config

SCHEMA = Path(__file__).with_name("aws-provider-6.25.json")


@pytest.mark.parametrize("profile", config.PROFILE_DAYS)
def test_profiles_are_those_of_tfaudit(render, profile):
    """A profile locks for as many days as tfaudit's own of the same name."""
    made = render(retention={"profile": profile, "mode": "COMPLIANCE"}, replica=REPLICA)
    assert made["retention"]["days"] == config.PROFILE_DAYS[profile]
    assert made["retention"]["least_days"] == config.PROFILE_DAYS[profile] - 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"retention": {"profile": "sec17a4"}, "replica": REPLICA}, "needs a lock that nobody can lift"),
        ({"retention": {"profile": "sec17a4", "mode": "COMPLIANCE"}}, "asks for a second copy"),
        ({"retention": {"profile": "soc2", "days": 3}}, "either a profile or days"),
        ({"retention": {"days": 400, "most_days": 399}}, "less than what new objects are locked for"),
        ({"account_id": "1"}, "has 12 digits"),
    ],
)
def test_what_does_not_fit_is_refused(render, changes, told):
    """A retention that a profile forbids is refused when it is planned, with the reason."""
    assert told in render(code=1, **changes)


def test_compliance_refuses_governance(render):
    """The configured mode is the only one that a request may name; a probe is free."""
    made = render(retention={"days": 400, "mode": "COMPLIANCE"})
    key = RECORD.format("ci-github")
    assert not decided(made, put(GITHUB, key, allowed=False))
    assert decided(made, put(GITHUB, key, allowed=True, object_lock_mode="COMPLIANCE"))
    assert decided(made, put(GITHUB, "ledger/probe/1", allowed=True, object_lock_remaining_retention_days="0"))


def test_a_ledger_may_have_the_whole_bucket(render):
    """Without a prefix the same rules hold from the bucket's root on."""
    made = render(prefix="")
    assert decided(made, put(GITHUB, RECORD.format("ci-github").removeprefix("ledger/"), allowed=True))
    assert not decided(made, put(GITHUB, "ledger/records/ci-github/x", allowed=False))
    assert not decided(made, put(GITHUB, "commits/000000000000002a", allowed=False))


def test_thirty_writers_fit(render):
    """The bucket's policy stays within S3's 20 KB for thirty writers; where it does not, planning says so."""
    many = {f"ci-{number:03d}-of-a-long-name": WRITERS["ci-github"] for number in range(60)}
    thirty = dict(list(many.items())[:30])
    assert render(writers=thirty, sequencer=None, key_arns=keys_of(*thirty))
    assert "longer than the 20 KB" in render(code=1, writers=many, sequencer=None, key_arns=keys_of(*many))


@pytest.mark.parametrize("log", [f"{KEYS}/log", None])
@pytest.mark.parametrize("genesis", [f"sha256:{'0' * 64}", None])
@pytest.mark.parametrize("retention", [{"profile": "sox", "days": 2557}, {"profile": None, "days": 400}])
def test_the_printed_configuration_is_tfaudits(engine, tmp_path, log, genesis, retention):
    """What the module prints as tfaudit.toml is read by tfaudit, with what is not given left out."""
    values = {"ledger": "s3://a-b/c", "working": "s3://a-w/c", "writer": "ci", "region": "eu-west-1", "record": "arn:r"}
    values |= {"log": log, "genesis": genesis, "retention": {**retention, "mode": "COMPLIANCE"}}
    template = json.dumps(str(MODULE / "tfaudit.toml.tftpl"))
    (tmp_path / "main.tf").write_text(
        f'output "text" {{\n  value = templatefile({template}, {json.dumps(values)})\n}}\n'
    )
    subprocess.run([*engine, "plan", "-out", "plan"], cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run([*engine, "show", "-json", "plan"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / config.FILE_NAME).write_text(json.loads(shown.stdout)["planned_values"]["outputs"]["text"]["value"])
    read = config.load(cwd=tmp_path, environ={})
    assert (read.ledger, read.working, read.writer, read.genesis) == ("s3://a-b/c", "s3://a-w/c", "ci", genesis)
    assert (read.signer_record, read.signer_log) == ("awskms:arn:r", f"awskms:{log}" if log else None)
    assert read.retention == config.Retention(mode="COMPLIANCE", days=retention["days"], profile=retention["profile"])


def test_every_statement_is_well_formed(render):
    """Statement ids are unique and of letters and digits, as AWS wants; every statement is one the evaluator knows."""
    made = render(replica=REPLICA)
    texts = [made["evidence_bucket_policy"], made["working_bucket_policy"]]
    for name in ("key_policies", "role_policies", "trust_policies"):
        texts += made[name].values()
    for text in texts:
        policy = json.loads(text)
        iampolicy.check(policy)
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


ALWAYS = {"count", "for_each", "depends_on", "lifecycle", "provider"}
FILES = [file for file in sorted(MODULE.rglob("*.tf")) if "examples" not in file.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE)))
def test_resources_are_as_the_current_provider_has_them(file):
    """Every argument and block is one that provider 6.25 takes there, and none that it needs is missing."""
    known = json.loads(SCHEMA.read_text())
    for block in hcl2.loads(file.read_text()).get("resource", []):
        for kind, named in block.items():
            for name, body in named.items():
                if not name.startswith("__"):
                    _must_fit(body, known[kind.strip('"')], f"{kind}.{name}")


def _must_fit(body, known, where):
    given = {name: told for name, told in body.items() if name not in ALWAYS and not name.startswith("__")}
    for block in given.pop("dynamic", []):
        for name, told in block.items():
            if not name.startswith("__"):
                given.setdefault(name.strip('"'), []).extend(told["content"])
    assert given.keys() <= known.keys(), where
    assert {name for name, told in known.items() if told["required"]} <= given.keys(), where
    for name, value in given.items():
        if "block" in known[name]:
            for each in value:
                _must_fit(each, known[name]["block"], f"{where}.{name}")
        else:
            assert not isinstance(value, list) or not any(isinstance(each, dict) for each in value), f"{where}.{name}"


def test_every_file_is_formatted(engine):
    """`fmt -check` finds nothing to do in the module, its examples and what the tests put into it."""
    for folder in (MODULE, MODULE.parents[1] / "tests" / "e2e" / "deploy"):
        done = subprocess.run(
            [*engine, "fmt", "-check", "-recursive", folder], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "")
