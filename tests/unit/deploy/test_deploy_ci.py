"""The files to copy for CI are what their platforms read, and every command of tfaudit in them is one that it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tfaudit import entry
from tfaudit.cli.main import split_options
from tfaudit.engine import argv

REPOSITORY = Path(__file__).resolve().parents[3]
CI = REPOSITORY / "deploy" / "ci"
FILES = sorted([*CI.rglob("*.yml"), *CI.rglob("*.yaml")])
PAGES = [
    REPOSITORY / "docs" / f"{name}.md"
    for name in ("atlantis", "ci", "env0", "github-actions", "gitlab-ci", "handover", "kubernetes")
]
_SUBSTITUTION = re.compile(r"\$\([^()]*\)|\$\{\{[^}]*\}\}")
_REDIRECTION = re.compile(r"\d?>+&?\s*(\"[^\"]*\"|\S+)")
_BETWEEN = re.compile(r"&&|\|\||[|;(){}]|\n")
_FENCE = re.compile(r"^```(?:console|yaml|dockerfile)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(?:[\w ]*\$\s+|- run: )", re.MULTILINE)
_SAID = re.compile(r"^tfaudit: .*", re.MULTILINE)


def named(path: Path) -> str:
    """Return how a test of a file is called."""
    return str(path.relative_to(REPOSITORY))


def texts(value: object) -> Iterator[str]:
    """Yield every text in a YAML document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)


def commands(script: str) -> Iterator[list[str]]:
    """Yield the words of each call of tfaudit in a shell script."""
    plain = _REDIRECTION.sub(" ", _SUBSTITUTION.sub("substituted", script.replace("\\\n", " ")))
    for part in _BETWEEN.split(plain):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue
        if len(words) > 1 and words[0] == "tfaudit":
            yield words[1:]


def assert_taken(words: list[str]) -> None:
    """Fail unless tfaudit takes this command line, as far as can be told without running it."""
    _, rest = split_options(words)
    if rest[0] not in entry.VERBS:
        invocation = argv.parse(rest, {})
        assert invocation.refusal is None
        assert invocation.role is not argv.Role.PASS or rest[0] == "workspace", f"{rest[0]} may be anything"
        return
    from tfaudit.cli.verbs import group

    context, command, rest = click.Context(group), group, list(rest)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, f"there is no tfaudit {rest[0]}"
        if isinstance(found, click.Group):
            context, command, rest = click.Context(found, parent=context), found, rest[1:]
            continue
        found.make_context(rest[0], rest[1:], parent=context)
        return


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_command_is_taken(file):
    """Verbs, options and arguments of each call exist."""
    found = [
        words
        for document in yaml.safe_load_all(file.read_text())
        for text in texts(document)
        for words in commands(text)
    ]
    assert found or file.name == "prevent-caller.yml"
    for words in found:
        assert_taken(words)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_on_the_pages_is_taken(page):
    """The same holds for what the pages show."""
    for block in _FENCE.findall(page.read_text()):
        for words in commands(_PROMPT.sub("", _SAID.sub("", block))):
            assert_taken(words)


@pytest.mark.parametrize("file", [*FILES, *PAGES], ids=named)
def test_every_variable_is_documented(file):
    """Every variable of tfaudit's own that is set there is one that it reads."""
    known = set(re.findall(r"TFAUDIT_[A-Z_]*[A-Z]", (REPOSITORY / "docs/configuration.md").read_text()))
    assert set(re.findall(r"\bTFAUDIT_[A-Z_]*[A-Z]\b", file.read_text())) - known == set()


@pytest.mark.parametrize("line", ["gate RUN --nope", "nonsense list", "keys nope", "apply -nope", "--seal", "gate"])
def test_a_wrong_command_would_be_found(line):
    """What tfaudit does not take fails these tests."""
    with pytest.raises((AssertionError, click.ClickException, IndexError)):
        assert_taken(line.split())


def test_every_file_is_listed():
    """The table names every file and the page it belongs to."""
    table = (CI / "README.md").read_text()
    assert [file for file in FILES if f"({file.relative_to(CI)})" not in table] == []


@pytest.mark.parametrize("name", ["detect.yml", "prevent.yml"])
def test_github_grants_no_more_than_is_used(name):
    """Jobs state their permissions, the apply stands in an environment, and nothing is left to a default."""
    workflow = yaml.safe_load((CI / "github" / name).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    plan, apply = workflow["jobs"]["plan"], workflow["jobs"]["apply"]
    assert "environment" not in plan
    assert apply["environment"] == apply["env"]["TFAUDIT_GITHUB_ENVIRONMENT"] == "production"
    for job in (plan, apply):
        assert job["permissions"]["id-token"] == "write"
        assert {"write"} >= {level for name, level in job["permissions"].items() if level != "read"}
        checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@"))
        assert checkout["with"]["persist-credentials"] is False
    assert apply["permissions"] == {
        "contents": "read",
        "id-token": "write",
        "actions": "read",
        "pull-requests": "read",
    }


def test_the_caller_grants_what_the_workflow_needs():
    """A called workflow gets no more than its caller has: that must cover its jobs."""
    needed = yaml.safe_load((CI / "github/prevent.yml").read_text())["jobs"]
    granted = yaml.safe_load((CI / "github/prevent-caller.yml").read_text())["permissions"]
    for job in needed.values():
        assert set(job["permissions"].items()) <= set(granted.items())


def test_secrets_reach_no_script_by_the_workflows_text():
    """No expression is pasted into a script: what somebody wrote would run there."""
    for file in (CI / "github").glob("*.yml"):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            assert [step["run"] for step in job.get("steps", ()) if "${{" in step.get("run", "")] == []


def test_atlantis_leaves_pull_requests_no_choice():
    """No workflow, no override and no requirement comes from the pull request."""
    document = yaml.safe_load((CI / "atlantis/repos.yaml").read_text())
    for repository in document["repos"]:
        assert repository["allow_custom_workflows"] is False
        assert repository["allowed_overrides"] == []
        assert repository["workflow"] in document["workflows"]
    steps = document["workflows"]["tfaudit"]
    assert set(steps) == {"plan", "apply", "import", "state_rm"}
    assert all(set(step) <= {"run", "env", "init"} for stage in steps.values() for step in stage["steps"])


def test_kubernetes_gives_the_pod_one_token():
    """The pod's only token is the projected one, of tfaudit's audience, and a failed attempt is not repeated."""
    documents = {each["kind"]: each for each in yaml.safe_load_all((CI / "kubernetes/job.yaml").read_text())}
    pod = documents["Job"]["spec"]["template"]["spec"]
    assert documents["Job"]["spec"]["backoffLimit"] == 0
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"]
    (token,) = [
        source["serviceAccountToken"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    assert token["audience"] == "tfaudit"
    mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_clusters_settings_are_tfaudits(tmp_path):
    """The ConfigMap holds a configuration that tfaudit reads."""
    from tfaudit import config

    documents = {each["kind"]: each for each in yaml.safe_load_all((CI / "kubernetes/job.yaml").read_text())}
    path = tmp_path / "tfaudit.toml"
    path.write_text(documents["ConfigMap"]["data"]["tfaudit.toml"])
    loaded = config.load(cwd=tmp_path, environ={}, machine_file=path)
    assert loaded.ledger == "s3://acme-tfaudit-evidence/ledger"
    assert len(loaded.identity.issuers) == 1


def test_env0_goes_the_same_way_for_deploy_and_destroy():
    """Both flows put tfaudit in the engine's place by the same script."""
    flow = yaml.safe_load((CI / "env0/env0.yml").read_text())
    assert flow["version"] == 2
    deploy, destroy = (flow[name]["steps"]["setupVariables"]["after"] for name in ("deploy", "destroy"))
    assert deploy == destroy
    assert {
        "setupVariables",
        "terraformInit",
        "terraformPlan",
        "terraformApply",
        "storeState",
        "terraformOutput",
    } >= set(flow["deploy"]["steps"])
