"""The gate where the ledger is elsewhere: with a sequencer that alone commits, and in S3."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine

AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def _sequencer(project: support.Project) -> Iterator[None]:
    """Commit what is staged, again and again, as a scheduled job with the log's key does."""
    over = Event()

    def run() -> None:
        while not over.wait(0.3):
            project.tfaudit("sequence", code=None)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_run_that_only_stages_waits_for_its_place(
    project: support.Project, alice: gatekit.Person, tmp_path: Path
) -> None:
    """The second decision needs the intent's place in the log: the sequencer gives it."""
    sequencing = gatekit.set_up(project, alice)
    file = sequencing.folder / "tfaudit.toml"
    elsewhere = tmp_path / "sequencer.toml"
    text = file.read_text().replace('".tfaudit/', f'"{sequencing.folder}/.tfaudit/')
    elsewhere.write_text(text.replace('"file:.tfaudit/', f'"file:{sequencing.folder}/.tfaudit/'))
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("log = ")))
    sequencer = replace(sequencing, environment={**sequencing.environment, "TFAUDIT_CONFIG": str(elsewhere)})
    with _sequencer(sequencer):
        sequencing.tfaudit("plan", "-out=first.plan")
        sequencer.tfaudit("sequence")
        gatekit.approve(sequencing, alice, "first.plan")
        done = sequencing.tfaudit("apply", "first.plan")
    assert "approved by 1" in done.stderr
    sequencer.tfaudit("sequence")
    assert gatekit.deployed(sequencing) == "small"
    assert gatekit.findings(sequencer) == []


@pytest.mark.xdist_group("aws")
def test_the_whole_story_in_s3(
    project: support.Project, alice: gatekit.Person, bob: gatekit.Person, aws_endpoint: str
) -> None:
    """Denied, approved, applied, used up, rejected: with the ledger in two buckets."""
    name = project.folder.parent.name.replace("_", "-").lower()
    project.environment.update({**AWS, "AWS_ENDPOINT_URL": aws_endpoint})
    project.write(gatekit.SMALL)
    ledger, working = f"s3://{name}-evidence/ledger", f"s3://{name}-working/work"
    project.tfaudit("setup", "--yes", "--ledger", ledger, "--working", working, "--create-bucket", "--retention", "400")
    gatekit.write_gate(project, alice, bob)
    project.run_engine("init", "-input=false")
    project.tfaudit("plan", "-out=first.plan")
    assert gatekit.codes(project.tfaudit("apply", "first.plan", code=77)) == {"no-approval"}
    gatekit.approve(project, alice, "first.plan")
    project.tfaudit("gate", "first.plan")
    project.tfaudit("apply", "first.plan")
    assert gatekit.deployed(project) == "small"
    assert gatekit.codes(project.tfaudit("apply", "first.plan", code=77)) & {"already-used", "state-moved"}
    project.write(gatekit.SMALL.replace('"small"', '"large"'))
    project.tfaudit("plan", "-out=change.plan")
    gatekit.approve(project, alice, "change.plan")
    gatekit.reject(project, bob, "change.plan")
    assert "rejected" in gatekit.codes(project.tfaudit("apply", "change.plan", code=77))
    assert gatekit.findings(project) == []


def test_a_gated_apply_stops_where_the_ledger_is_away(gated_away: support.Project) -> None:
    """Even where runs may go on with their records in the spool: nobody could tell what was rejected or used."""
    done = gated_away.tfaudit("apply", "-auto-approve", code=74)
    assert gatekit.deployed(gated_away) is None
    assert "ledger" in done.stderr


@pytest.fixture
def gated_away(project: support.Project, alice: gatekit.Person) -> support.Project:
    """A gated project whose ledger has gone, and which would rather spool."""
    ready = gatekit.set_up(project, alice)
    (ready.folder / ".tfaudit/ledger").rename(ready.folder / ".tfaudit/gone")
    return replace(ready, environment={**ready.environment, "TFAUDIT_ON_LEDGER_FAILURE": "spool"})


@pytest.mark.parametrize("wanted_by", ["repository", "environment"])
def test_a_pinned_gate_is_not_escaped_by_making_the_ledger_unreachable(
    project: support.Project, alice: gatekit.Person, wanted_by: str
) -> None:
    """The repository asks for no gate and would spool; this machine has seen that a gate is pinned."""
    ready = gatekit.set_up(project, alice)
    ready.tfaudit("config", "push", "--yes")
    file = ready.folder / "tfaudit.toml"
    file.write_text(file.read_text().partition("\n# gate\n")[0])
    ready.tfaudit("plan", "-out=first.plan")
    (ready.folder / ".tfaudit/ledger").rename(ready.folder / ".tfaudit/gone")
    if wanted_by == "repository":
        file.write_text(f'on_ledger_failure = "spool"\n{file.read_text()}')
    else:
        ready.environment["TFAUDIT_ON_LEDGER_FAILURE"] = "spool"
    done = ready.tfaudit("apply", "-auto-approve", code=74)
    assert "a gate may be pinned in it" in done.stderr
    assert gatekit.deployed(ready) is None


def test_a_ledger_that_nobody_has_seen_is_not_gone_without_on_the_repositorys_word(
    project: support.Project, alice: gatekit.Person, tmp_path: Path
) -> None:
    """A fresh machine knows of no gate; a repository that brings a copy of genesis along can't talk it into that."""
    ready = gatekit.set_up(project, alice)
    ready.tfaudit("config", "push", "--yes")
    file = ready.folder / "tfaudit.toml"
    file.write_text('on_ledger_failure = "spool"\n' + file.read_text().partition("\n# gate\n")[0])
    (ready.folder / ".tfaudit/ledger").rename(ready.folder / ".tfaudit/gone")
    fresh = replace(ready, environment={**ready.environment, "XDG_CACHE_HOME": str(tmp_path / "fresh")})
    assert "a gate may be pinned in it" in fresh.tfaudit("apply", "-auto-approve", code=74).stderr
    assert gatekit.deployed(ready) is None


def test_the_approver_needs_no_engine(project: support.Project, alice: gatekit.Person, tmp_path: Path) -> None:
    """Approving, rejecting and asking the gate read the ledger alone."""
    ready = gatekit.set_up(project, alice)
    ready.tfaudit("plan", "-out=first.plan")
    nowhere = replace(ready, environment={**ready.environment, "TFAUDIT_ENGINE": "", "PATH": _only_ssh(tmp_path)})
    gatekit.approve(nowhere, alice, "first.plan")
    nowhere.tfaudit("gate", "first.plan")


def _only_ssh(folder: Path) -> str:
    """Return a PATH with ssh-keygen on it and nothing else."""
    found = subprocess.run(["which", "ssh-keygen"], capture_output=True, text=True, check=True).stdout.strip()
    place = folder / "bin"
    place.mkdir()
    (place / "ssh-keygen").symlink_to(found)
    return str(place)
